"""Which items have a picture? Generated ones, made before and never here, each with its words.

```
creatives/creatives.json   {"of": {item id: {"name": ..., "words": ..., "at": [from, to],
                           "width": ..., "height": ..., "sha256": of the picture as it was made}}}
creatives/pictures.bin     all pictures one after the other, each a WebP
```
The name of a picture is the beginning of the sha256 of its WebP, so browsers may keep it for ever.
One file holds them all: a server looks at the files of its bundle every second, and what it has
mapped stays readable when another bundle takes the place of this one.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from etalage.ids import Vocabulary

FOLDER = "creatives"
NAME = re.compile(r"[0-9a-f]{16}\.webp")
MEDIA_TYPE = "image/webp"
MARK = "generated picture"
"""What every picture is shown with."""


@dataclass(frozen=True)
class Creatives:
    """Pictures of a bundle; empty where it has none."""

    of: Mapping[int, dict[str, Any]] = field(default_factory=dict)
    """What a card tells of an item's picture, by index."""
    places: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Where each picture begins and ends, by name."""
    pictures: mmap.mmap | bytes = b""

    @classmethod
    def load(cls, folder: Path, ids: Vocabulary) -> Creatives:
        """Reads a bundle's; ValueError for items or pictures that are not there."""
        path = folder / FOLDER / "creatives.json"
        if not path.exists():
            return cls()
        with (path.parent / "pictures.bin").open("rb") as file:
            pictures = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        of, places = {}, {}
        for external, told in orjson.loads(path.read_bytes())["of"].items():
            item, name = ids.index(external), told["name"]
            start, end = told["at"]
            if item < 0:
                raise ValueError(f"creatives.json tells of {external!r}, which is no item")
            if not NAME.fullmatch(name):
                raise ValueError(f"creatives.json calls a picture {name!r}")
            if not 0 <= start < end <= len(pictures) or not _is_webp(pictures[start : start + 12]):
                raise ValueError(f"{name} is no picture of pictures.bin")
            places[name] = start, end
            of[item] = {
                "url": f"/{FOLDER}/{name}",
                "words": str(told["words"]),
                "mark": MARK,
                "width": int(told["width"]),
                "height": int(told["height"]),
            }
        return cls(of, places, pictures)

    def picture(self, name: str) -> bytes | None:
        """A picture; None where none is called so."""
        place = self.places.get(name)
        return None if place is None else self.pictures[slice(*place)]


def _is_webp(head: bytes) -> bool:
    return head[:4] == b"RIFF" and head[8:] == b"WEBP"
