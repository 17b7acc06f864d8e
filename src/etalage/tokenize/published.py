"""Which ids did others publish? Reads the index files of LETTER and MiniOneRec.

Both are one JSON object: `{"0": ["<a_183>", "<b_70>", "<c_232>"], ...}`, an item's number and its
codes, level after level, each level with a letter of its own. Letters: N items, L levels.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from etalage.errors import DataError
from etalage.ids import CANONICAL_INTEGER, Vocabulary

_token = re.compile(r"<([a-z])_(0|[1-9]\d{0,8})>").fullmatch
_number = re.compile(CANONICAL_INTEGER).fullmatch


def read_published(path: Path, items: Vocabulary, *, first: int = 0) -> NDArray[np.int32]:
    """Codes int32 (N, L) of a catalogue's items, in its order; items may share all of them.

    The item that the file calls 0 has the external id `first`, the next one `first + 1`: `first=1`
    for LETTER's Beauty and Yelp beside the files of S3-Rec, 0 where both count from 0.
    DataError when the file is not of this catalogue or not such a file.
    """
    try:
        rows = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"no published ids can be read from {path} ({error})") from error
    if not isinstance(rows, dict) or not rows:
        raise DataError(f"{path} must be a JSON object of item number to list of codes, not empty")
    for number in rows:
        if _number(number) is None:
            raise DataError(f"{path} calls an item {number!r}; a number from 0 is expected")
    where = items.indices(int(number) + first for number in rows)
    hint = f"are these ids of another catalogue, or counted from elsewhere than first={first}?"
    if (where < 0).any():
        number = next(n for n, index in zip(rows, where, strict=True) if index < 0)
        raise DataError(
            f"{path}: {int((where < 0).sum())} of {len(rows)} items are not in the catalogue, such "
            f"as {number}, here {int(number) + first}; {hint}"
        )
    missing = np.setdiff1d(np.arange(len(items)), where)
    if missing.size:
        raise DataError(
            f"{path}: {missing.size} of {len(items)} items of the catalogue have no codes, such as "
            f"{items.ids[missing[0]]!r}; {hint}"
        )
    lists = list(rows.values())
    n_levels = len(lists[0]) if isinstance(lists[0], list) else 0
    codes = np.empty((len(items), n_levels), dtype=np.int32)
    letters: list[str] = []
    for index, (number, tokens) in zip(where, rows.items(), strict=True):
        if not isinstance(tokens, list) or not tokens or len(tokens) != n_levels:
            raise DataError(f"{path}: item {number} must have {n_levels} codes; got {tokens!r}")
        found = [_token(token) if isinstance(token, str) else None for token in tokens]
        if not all(found):
            raise DataError(
                f"{path}: item {number} is spelled {tokens}; expected '<a_12>' and so on"
            )
        said = [match[1] for match in found if match]
        letters = letters or said
        if said != letters or len(set(said)) != n_levels:
            raise DataError(f"{path}: item {number} has levels {said}; the first has {letters}")
        codes[index] = [int(match[2]) for match in found if match]
    return codes
