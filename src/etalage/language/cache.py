"""Was this text read before? Vectors kept on disk by what they are vectors of.

A key is sha256(fingerprint of the encoder, text). Shards of up to 1,024 keys and vectors are
written once, under a name that follows from their keys, and never changed: a run that was killed
has lost one shard at most, and two runs at once write the same files. Letters: N texts, D width.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from warnings import warn
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from etalage.artefact import whole_file
from etalage.errors import CapacityError, DataError
from etalage.language.encoder import Encoder
from etalage.language.texts import check_texts

SHARD = 2**10
"""Texts of a shard: what a kill can lose, a few seconds of a small encoder."""
DAMAGES = (OSError, ValueError, KeyError, EOFError, TypeError, RuntimeError, BadZipFile, zlib.error)
"""What reading a broken archive of arrays can end in."""


def cache_folder() -> Path:
    """Where things are kept that can be made again: ETALAGE_CACHE, or etalage in the user's own."""
    if said := os.environ.get("ETALAGE_CACHE"):
        return Path(said)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "etalage"


class CachedEncoder:
    """An encoder that reads every text once, whichever run it was.

    Vectors are the encoder's own, bytes included, whatever is kept already.

    Args:
        encoder: what encodes; its vectors must not depend on the texts beside them.
        folder: where vectors are kept; `cache_folder()` by default.
        progress: show a bar on stderr while texts are encoded.
    """

    def __init__(
        self, encoder: Encoder, folder: Path | None = None, *, progress: bool = False
    ) -> None:
        self.encoder = encoder
        self.progress = progress
        name = sha256(encoder.fingerprint.encode()).hexdigest()[:16]
        self.folder = (folder or cache_folder()) / "texts" / name
        """Where this encoder's shards are."""

    @property
    def width(self) -> int:
        """D of the encoder."""
        return self.encoder.width

    @property
    def fingerprint(self) -> str:
        """The encoder's."""
        return self.encoder.fingerprint

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns float32 (N, D), as the encoder does; encodes only texts that are not kept.

        Raises:
            DataError: when `texts` is no sequence of str, or the encoder's answer no (N, D).
            CapacityError: when the folder cannot be written.
        """
        check_texts(texts)
        row_of = {text: row for row, text in enumerate(dict.fromkeys(texts))}
        distinct, keys = list(row_of), [self._key(text) for text in row_of]
        vectors = np.zeros((len(distinct), self.width), np.float32)
        missing = self._read({key: row for row, key in enumerate(keys)}, vectors)
        # longest first: what the encoder needs most memory for comes first, and like lengths meet
        missing.sort(key=lambda row: (-len(distinct[row]), keys[row]))
        for rows in self._shards(missing):
            found = self.encoder.encode([distinct[row] for row in rows])
            if found.shape != (len(rows), self.width) or not np.isfinite(found).all():
                raise DataError(
                    f"the encoder answered {len(rows)} texts with {found.shape} numbers; expected "
                    f"({len(rows)}, {self.width}), all finite"
                )
            vectors[rows] = found
            self._write(np.array([list(keys[row]) for row in rows], np.uint8), vectors[rows])
        return vectors[np.array([row_of[text] for text in texts], np.intp)]

    def _key(self, text: str) -> bytes:
        return sha256(f"{self.fingerprint}\0{text}".encode("utf-8", "surrogatepass")).digest()

    def _read(self, row_of: dict[bytes, int], vectors: NDArray[np.float32]) -> list[int]:
        """Fills in the rows that are kept, and returns those that are not."""
        for shard in sorted(self.folder.glob("[!.]*.npz")) if row_of else []:
            try:
                with np.load(shard, allow_pickle=False) as kept:
                    keys = [key.tobytes() for key in kept["keys"]]
                    places = [place for place, key in enumerate(keys) if key in row_of]
                    if places:  # most shards of a large cache are not read further than this
                        found = kept["vectors"]
                        if found.shape != (len(keys), self.width) or found.dtype != np.float32:
                            raise ValueError(f"vectors {found.dtype} {found.shape}")
                        vectors[[row_of.pop(keys[place]) for place in places]] = found[places]
            except FileNotFoundError:  # another process cleared it away
                continue
            except DAMAGES as error:
                warn(f"{shard} is damaged and was removed: {error}", stacklevel=3)
                with suppress(OSError):
                    shard.unlink()
        return list(row_of.values())

    def _shards(self, missing: list[int]) -> Iterator[list[int]]:
        """Parts the rows to encode as they will be kept, and shows how far that is."""
        if not missing:
            return
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CapacityError(
                f"cannot keep vectors in {self.folder}: {error}; set ETALAGE_CACHE to a folder "
                "that can be written"
            ) from error
        shards = [missing[at : at + SHARD] for at in range(0, len(missing), SHARD)]
        where = Console(stderr=True)
        yield from track(shards, "Encoding texts", console=where, disable=not self.progress)

    def _write(self, keys: NDArray[np.uint8], vectors: NDArray[np.float32]) -> None:
        name = sha256(keys.tobytes()).hexdigest()[:32]
        with whole_file(self.folder / f"{name}.npz") as draft, draft.open("wb") as file:
            np.savez(file, keys=keys, vectors=vectors)
