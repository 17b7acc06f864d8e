"""What may be set? The parent of every block of settings.

Fields carry attribute docstrings; they become `--help`, the JSON schema and the docs.
"""

from __future__ import annotations

from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, model_validator


class Config(BaseModel):
    """A frozen block of settings; an unknown key is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON-ready values."""
        return self.model_dump(mode="json")


class ModelConfig(Config):
    """Settings of one model; subclasses pin `kind` to a literal, which names the model in YAML."""

    kind: str

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, given: Any) -> Any:
        """Lays a block that is given in part over the model's own default, not over that of its
        type: `training: {epochs: 3}` changes the epochs and nothing else. A block of another
        kind than the default's has nothing in common with it."""
        if not isinstance(given, dict):
            return given
        fields = cls.model_fields
        return {
            name: _laid(fields[name].default, part) if name in fields else part
            for name, part in given.items()
        }


def _laid(default: Any, given: Any) -> Any:
    """A block that is given in part over its default, and blocks in it alike."""
    if not (isinstance(default, Config) and isinstance(given, dict)):
        return given
    kind = getattr(default, "kind", None)
    if given.get("kind", kind) != kind:
        return given
    parts = {name: _laid(getattr(default, str(name), None), part) for name, part in given.items()}
    return default.to_dict() | parts


Place = tuple[int | str, ...]


def located(kind: type[Config], place: Place) -> tuple[Place, type[Config] | None]:
    """Where a fault is in what was given, and the block that it ends in, None where in no block.

    Pydantic puts the tag of a block that may be of several kinds after its name.
    """
    path, block, tags = [], [kind], False
    for key in place:
        if tags:
            block = [b for b in block if key in get_args(b.model_fields["kind"].annotation)]
            tags = False
            continue
        path.append(key)
        field = block[0].model_fields.get(str(key)) if block else None
        parts = [] if field is None else (get_args(field.annotation) or [field.annotation])
        block = [p for p in parts if isinstance(p, type) and issubclass(p, Config)]
        tags = field is not None and field.discriminator is not None
    return tuple(path), block[0] if len(block) == 1 else None
