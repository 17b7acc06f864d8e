"""A picture from a file, or a message that says why there is none."""

from pathlib import Path

import pytest
from PIL import Image

from etalage.creative.pictures import read_picture
from etalage.errors import DataError


def test_pictures_are_read_as_rgb(tmp_path: Path) -> None:
    for name, mode in (("a.png", "RGBA"), ("b.png", "L"), ("c.webp", "RGB"), ("d.jpg", "RGB")):
        Image.new(mode, (5, 4)).save(tmp_path / name)
        assert (read_picture(tmp_path / name).mode, read_picture(tmp_path / name).size) == (
            "RGB",
            (5, 4),
        )


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n\x00\x00"])
def test_what_is_no_picture_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.png cannot be read as a picture"):
        read_picture(tmp_path / "x.png")


def test_other_formats_are_not_decoded(tmp_path: Path) -> None:
    Image.new("RGB", (5, 4)).save(tmp_path / "x.gif")
    with pytest.raises(DataError, match="give PNG or JPEG or WEBP"):
        read_picture(tmp_path / "x.gif")
    with pytest.raises(DataError, match="cannot be read"):
        read_picture(tmp_path / "none.png")
