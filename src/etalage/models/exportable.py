"""What can leave the workshop? A model that a server without torch can run."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable


@runtime_checkable
class Exportable(Protocol):
    """A fitted model that writes itself as files of a bundle."""

    def export(self, folder: Path) -> None:
        """Writes ONNX, npy or JSON files into a folder, which is there; nothing is pickled."""
