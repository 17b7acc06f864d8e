"""Was this picture made before? A cache by everything that a picture depends on.

```
ab/ab12…/creative.json    all inputs, with sha256 of the files beside
ab/ab12…/picture.png
ab/ab12…/coherence.npz    masks (steps, K, h, w) bool, separation and edited (steps, K), and the
                          words of the objects (K,)                                   (optional)
verdicts/ab12…/cd34….json what one judge said of that picture
```

An entry is there whole or not at all, and is never changed: what was judged and shown stays. One
that is damaged counts as missing, and the next to be put takes its place. Several processes may
use one store; where two make the same picture, the first one stays.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from etalage.artefact import first_folder, sha256_of, whole_file
from etalage.creative.judge import Judge, Pair, Verdict
from etalage.creative.maker import Maker
from etalage.creative.request import Request
from etalage.errors import BusyError, DataError

if TYPE_CHECKING:
    from PIL.Image import Image

MARKER = "creative.json"
FORMAT = 1
KEY = re.compile(r"[0-9a-f]{64}")
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Creative:
    """A picture in a store."""

    folder: Path
    facts: Mapping[str, Any]
    """What `creative.json` tells: `request`, `maker`, `files`, `made_utc`, `seconds`."""

    @property
    def key(self) -> str:
        return self.folder.name

    @property
    def request(self) -> Mapping[str, Any]:
        """As `Request.told` wrote it."""
        found: Mapping[str, Any] = self.facts["request"]
        return found

    @property
    def pairs(self) -> list[Pair]:
        """What belongs together in the picture."""
        return [(attribute, thing) for attribute, thing in self.request["pairs"]]

    @property
    def picture(self) -> Path:
        return self.folder / "picture.png"

    @property
    def sha256(self) -> str:
        """Of the file of the picture."""
        return str(self.facts["files"]["picture.png"])

    def image(self) -> Image:
        """The picture, read whole."""
        from PIL import Image

        with Image.open(self.picture) as image:
            image.load()
            return image

    def coherence(self) -> dict[str, NDArray[Any]]:
        """How it was guided: `masks` (steps, K, h, w), `separation` and `edited` (steps, K), and
        `objects` (K,) in words; empty where it was not."""
        if "coherence.npz" not in self.facts["files"]:
            return {}
        with np.load(self.folder / "coherence.npz", allow_pickle=False) as arrays:
            return dict(arrays)


class CreativeStore:
    """Pictures in a folder, which is made with the first of them."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        if self.folder.exists() and not self.folder.is_dir():
            raise DataError(f"{self.folder} is a file; give a folder for pictures")

    def get(self, request: Request, maker: Maker) -> Creative | None:
        """The picture of a request, if it was made and is whole."""
        found = self._read(self._place(request.key(maker)))
        if found is not None:
            with suppress(OSError):  # what was wanted lately is pruned last
                os.utime(found.folder)
        return found

    def put(
        self,
        request: Request,
        maker: Maker,
        image: Image,
        coherence: Arrays | None = None,
        seconds: float = 0.0,
    ) -> Creative:
        """Keeps a picture, unless another process was quicker; returns what is kept.

        Args:
            request: what was asked for.
            maker: what made it.
            image: the picture.
            coherence: arrays as `Creative.coherence` gives them.
            seconds: that it took.

        Raises:
            CapacityError: when the disk refuses, or another process prunes it at once; then
                nothing is kept.
        """
        place = self._place(request.key(maker))
        # an entry appears whole, so one that is there and cannot be read is damaged
        if place.exists() and self._read(place) is None:
            shutil.rmtree(place, ignore_errors=True)
        if not place.exists():
            with first_folder(place) as draft:
                image.save(draft / "picture.png")
                if coherence is not None:
                    np.savez_compressed(draft / "coherence.npz", **dict(coherence))  # type: ignore[arg-type]
                facts = {
                    "etalage_creative": FORMAT,
                    "files": {path.name: sha256_of(path) for path in sorted(draft.iterdir())},
                    "made_utc": datetime.now(UTC).isoformat(timespec="seconds"),
                    "seconds": seconds,
                    "request": request.told(),
                    "maker": maker.told(),
                }
                marker = json.dumps(facts, indent=1, ensure_ascii=False)
                (draft / MARKER).write_text(marker, encoding="utf-8")
        found = self._read(place)
        if found is None:
            raise BusyError(f"another process deleted {place} meanwhile; run it again")
        return found

    def verdict(self, creative: Creative, judge: Judge, pairs: Sequence[Pair]) -> Verdict:
        """What a judge says of a picture; it looks once at each."""
        asked = json.dumps([judge.fingerprint, creative.sha256, [*map(list, pairs)]])
        name = hashlib.sha256(asked.encode()).hexdigest()
        place = self.folder / "verdicts" / creative.key / f"{name}.json"
        with suppress(OSError, ValueError, KeyError, TypeError, DataError):
            return Verdict.of(json.loads(place.read_bytes()))
        verdict = judge.check(creative.image(), pairs)
        place.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(place) as draft:
            draft.write_text(json.dumps({"judge": judge.fingerprint, **verdict.told()}))
        return verdict

    def creatives(self) -> Iterator[Creative]:
        """Yields the pictures that are whole, those wanted longest ago first."""
        for _, place in sorted(self._places()):
            found = self._read(place)
            if found is not None:
                yield found

    def n_bytes(self) -> int:
        """Bytes of all pictures and what is kept beside them; verdicts are not counted."""
        return sum(map(_bytes_of, (place for _, place in self._places())))

    def prune(self, most_bytes: int) -> int:
        """Deletes what was wanted longest ago until so many bytes are left; returns how many.

        Damaged entries go first.
        """
        places = [place for _, place in sorted(self._places())]
        whole = {place for place in places if self._read(place) is not None}
        sizes = {place: _bytes_of(place) for place in places}
        left, n_deleted = sum(sizes.values()), 0
        for place in sorted(places, key=lambda place: place in whole):
            if left <= most_bytes and place in whole:
                break
            left -= sizes[place]
            shutil.rmtree(place, ignore_errors=True)
            shutil.rmtree(self.folder / "verdicts" / place.name, ignore_errors=True)
            n_deleted += 1
        return n_deleted

    def _place(self, key: str) -> Path:
        return self.folder / key[:2] / key

    def _places(self) -> Iterator[tuple[int, Path]]:
        """When each entry was last wanted, in nanoseconds, and its folder."""
        for place in self.folder.glob("[0-9a-f][0-9a-f]/*"):
            if KEY.fullmatch(place.name):
                with suppress(OSError):  # deleted meanwhile
                    yield place.stat().st_mtime_ns, place

    def _read(self, place: Path) -> Creative | None:
        """The entry of a folder; None where it is missing or not as it was written."""
        try:
            facts = json.loads((place / MARKER).read_bytes())
            if facts["etalage_creative"] != FORMAT or "picture.png" not in facts["files"]:
                return None
            if any(sha256_of(place / name) != told for name, told in facts["files"].items()):
                return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        return Creative(place, facts)


def _bytes_of(place: Path) -> int:
    total = 0
    for path in place.rglob("*"):
        with suppress(OSError):  # deleted meanwhile
            total += path.stat().st_size
    return total
