"""What was told of items or users, kept as a file: who told it and of which log, then a text each.

The first line is about the file, every other about one node: `{"id": ..., "text": ...,
"is_answer": ...}`. Texts about users are read by no model that learns from another log, since what
they tell may be what that log asks for later.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from etalage.artefact import whole_file
from etalage.data.dataset import Dataset
from etalage.errors import DataError

VERSION = 1
About = Literal["items", "users"]


@dataclass(frozen=True)
class Told:
    """Texts about items or users."""

    about: About
    model: str
    """Who told."""
    log: str
    """Hash of the log that was told of."""
    texts: dict[str, str]
    """By external id."""


def write_told(
    path: Path,
    about: About,
    model: str,
    log: str,
    lines: Iterable[tuple[str | int, str, bool]],
) -> None:
    """Writes the external id, the text, and whether it is an answer, of each node."""
    header = {"etalage_texts": VERSION, "about": about, "model": model, "log": log}
    with whole_file(path) as draft, draft.open("w", encoding="utf-8") as file:
        file.write(json.dumps(header) + "\n")
        for one, text, is_answer in lines:
            line = {"id": one, "text": text, "is_answer": is_answer}
            file.write(json.dumps(line, ensure_ascii=False) + "\n")


def read_told(path: Path) -> Told:
    """Reads what `write_told` wrote.

    Raises:
        DataError: when it is not there, or something else.
    """
    again = "write it with: etalage knowledge texts RECIPE FILE"
    try:
        with path.open(encoding="utf-8") as file:
            header: dict[str, Any] = json.loads(next(file))
            if header["etalage_texts"] != VERSION:
                raise DataError(f"{path} has another form, {header['etalage_texts']}; {again}")
            lines = [json.loads(line) for line in file]
            texts = {str(line["id"]): str(line["text"]) for line in lines}
            return Told(header["about"], header["model"], header["log"], texts)
    except (OSError, StopIteration, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path} holds no texts about items or users ({error!r}); {again}"
        ) from None


def told_of(path: Path, about: About, data: Dataset) -> list[str]:
    """The text of each item or user of a log that is learnt from, in index order; '' where none.

    Raises:
        DataError: for a file about the others, or about users of another log, which may tell what
            is to be foretold.
    """
    told = read_told(path)
    if told.about != about:
        raise DataError(f"{path} is about {told.about}; give one about {about}")
    if about == "users" and told.log != data.interactions.hash:
        raise DataError(
            f"{path} tells of the users of another log ({told.log}) than is learnt from "
            f"({data.interactions.hash}), and may tell what is to be foretold; write it again "
            "with the same data settings: etalage knowledge run, then texts"
        )
    ids: Sequence[str | int] = (data.items if about == "items" else data.users).ids
    return [told.texts.get(str(one), "") for one in ids]
