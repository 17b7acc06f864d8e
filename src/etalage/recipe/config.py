"""What may be set? The parent of every block of settings.

Fields carry attribute docstrings; they become `--help`, the JSON schema and the docs.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Config(BaseModel):
    """A frozen block of settings; an unknown key is an error, never ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON-ready values."""
        return self.model_dump(mode="json")


class ModelConfig(Config):
    """Settings of one model; subclasses pin `kind` to a literal, which names the model in YAML."""

    kind: str
