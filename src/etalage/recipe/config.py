"""What may be set? The parent of every block of settings.

Fields carry attribute docstrings; they become `--help`, the JSON schema and the docs.
"""

from __future__ import annotations

from typing import Any

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
        whole = dict(given)
        for name, field in cls.model_fields.items():
            part = given.get(name)
            if isinstance(field.default, Config) and isinstance(part, dict):
                default = field.default.to_dict()
                if part.get("kind", default.get("kind")) == default.get("kind"):
                    whole[name] = default | part
        return whole
