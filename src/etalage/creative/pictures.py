"""What is in the file of a picture? Pixels, or a message that says why there are none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from etalage.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP")
"""What is read; the decoders of other formats are not let near a stranger's file."""


def read_picture(path: Path, formats: tuple[str, ...] = FORMATS) -> Image:
    """The picture of a file as RGB; DataError where it is none that can be read."""
    from PIL import Image

    try:
        with Image.open(path, formats=formats) as opened:
            return opened.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(
            f"{path} cannot be read as a picture ({error}); give {' or '.join(formats)}"
        ) from error
