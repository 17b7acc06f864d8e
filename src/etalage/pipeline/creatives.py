"""How does a picture come to a card? Accepted creatives, made small, and put into a bundle."""

from __future__ import annotations

import hashlib
import io
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from etalage.creative.creative_folder import Shown, load
from etalage.creative.pictures import read_picture
from etalage.errors import BundleError
from etalage.ids import Vocabulary
from etalage.serve.bundle import change_bundle
from etalage.serve.runtime.catalogue import Catalogue
from etalage.serve.runtime.creatives import FOLDER, MARK, Creatives

WIDTH = 640
"""Most pixels across: cards are at most half as wide, and screens have two for one."""
QUALITY = 82
DESCRIPTION, SOFTWARE = 0x010E, 0x0131
"""Tags of EXIF."""


@dataclass(frozen=True)
class Dressed:
    """What came of it."""

    model_version: str
    n_items: int
    """Items of the bundle that have a picture now."""
    unknown: list[str]
    """Items of the pictures that the bundle does not sell."""


def install_creatives(folder: Path, creatives: Path) -> Dressed:
    """Puts the best picture of each item into a bundle, in place of those that it had.

    Args:
        folder: of the bundle.
        creatives: as `creative_folder.save` wrote it.

    Raises:
        BundleError: for a bundle that is not sound, creatives that are not as they were written, or
            none of an item that the bundle sells.
        DataError: for a file that is no picture.
    """
    shown = load(creatives)
    of_items: dict[str, Shown] = {}
    for one in shown:
        if one.item is not None:
            of_items.setdefault(one.item, one)
    known: list[str] = []

    def change(draft: Path) -> None:
        shutil.rmtree(draft / FOLDER, ignore_errors=True)  # those that it had may be broken
        ids = Catalogue.load(draft).ids
        known[:] = [item for item in of_items if item in ids]
        if not known:
            raise BundleError(
                f"{creatives} has no picture of an item that the bundle sells; its items are such "
                f"as {list(of_items)[:3]}, those of the bundle such as {list(ids.ids[:3])}. Name "
                "them with `etalage creative generate --items`"
            )
        _write(draft / FOLDER, {item: of_items[item] for item in known}, ids)
        Creatives.load(draft, ids)  # what a server could not read must not reach it

    version = change_bundle(folder, change)["model_version"]
    sold = set(known)
    return Dressed(version, len(known), [item for item in of_items if item not in sold])


def _write(place: Path, shown: dict[str, Shown], ids: Vocabulary) -> None:
    place.mkdir(exist_ok=True)
    of: dict[str, Any] = {}
    made: dict[tuple[str, str], dict[str, Any]] = {}  # items that are alike share a picture
    at = 0
    with (place / "pictures.bin").open("wb") as stream:
        for item, one in shown.items():
            facts = made.get((one.sha256, one.words))
            if facts is None:
                picture, width, height = _small(one)
                facts = {
                    "name": f"{hashlib.sha256(picture).hexdigest()[:16]}.webp",
                    "words": one.words,
                    "at": [at, at + len(picture)],
                    "width": width,
                    "height": height,
                    "sha256": one.sha256,
                }
                made[one.sha256, one.words] = facts
                at += stream.write(picture)
            of[str(ids.ids[ids.index(item)])] = facts
    (place / "creatives.json").write_bytes(orjson.dumps({"of": of}, option=orjson.OPT_INDENT_2))


def _small(one: Shown) -> tuple[bytes, int, int]:
    """A picture for a card, which says of itself that it was generated."""
    from PIL import Image

    image = read_picture(one.picture)
    image.thumbnail((WIDTH, 4 * WIDTH), Image.Resampling.LANCZOS)
    exif = Image.Exif()
    exif[DESCRIPTION] = f"{MARK}: {one.words}"
    exif[SOFTWARE] = "etalage"
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=QUALITY, exif=exif)
    return stream.getvalue(), image.width, image.height
