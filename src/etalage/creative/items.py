"""What is to be drawn? Items of a shop and a segment of visitors, from files, as requests.

```
{"id": "sku-7", "thing": "mug", "attributes": {"colour": "red", "material": "ceramic"}}
```
is an item, one a line. A segment is a file with `{"n_people": 400, "likes": {"place": {"kitchen":
120}}}`. All words are of the vocabulary; nothing else reaches a prompt.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from etalage.creative.compose import Composed, compose
from etalage.creative.scene import Scene, Segment, Thing, scenes_for
from etalage.creative.vocabulary import WORDS, Vocabulary
from etalage.errors import DataError, did_you_mean

FIELDS = ("id", "thing", "attributes")


def read_items(path: Path, words: Vocabulary = WORDS) -> list[tuple[str, Thing]]:
    """Reads items of JSON lines: id and thing.

    Raises:
        DataError: for a line that is no item, or has a word that is not of the vocabulary; it
            names the line.
    """
    found: dict[str, Thing] = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path.name}, line {number}"
        fields = _object(line, where)
        for name in fields:
            if name not in FIELDS:
                raise DataError(
                    f"{where}: an item has no field {name!a}{did_you_mean(name, FIELDS)}; it has "
                    f"{', '.join(FIELDS)}"
                )
        item = fields.get("id")
        if type(item) not in (str, int) or item == "":
            raise DataError(f"{where}: expected the id of an item; got {item!a}")
        if str(item) in found:
            raise DataError(f"{where}: the item {item!a} stands there twice; leave one out")
        try:
            thing = Thing.of_item(fields.get("thing", ""), fields.get("attributes", {}), words)
        except DataError as error:
            raise DataError(f"{where}: {error}") from None
        found[str(item)] = thing
    if not found:
        raise DataError(f"{path} holds no item; write one a line, as JSON")
    return list(found.items())


def read_segment(path: Path, words: Vocabulary = WORDS) -> Segment:
    """Reads a segment; DataError for anything else."""
    fields = _object(_text(path), path.name)
    if set(fields) != {"n_people", "likes"}:
        raise DataError(
            f"{path}: expected the fields n_people and likes of a segment; got "
            f"{', '.join(map(ascii, fields)) or 'none'}"
        )
    return Segment(fields["n_people"], fields["likes"], words)


def scenes_of(
    items: list[tuple[str, Thing]],
    segment: Segment | None,
    n_scenes: int = 1,
    words: Vocabulary = WORDS,
) -> Iterator[tuple[str, Composed]]:
    """Yields id and prompt of every scene; without a segment, of each item by itself."""
    for item, thing in items:
        alone: tuple[Scene, ...] = (Scene((thing,)),)
        for scene in alone if segment is None else scenes_for(thing, segment, n_scenes):
            yield item, compose(scene, words)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}") from error


def _object(text: str, where: str) -> Mapping[str, Any]:
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise DataError(f"{where} is no JSON: {error}") from error
    if not isinstance(fields, dict):
        raise DataError(f"{where}: expected a JSON object; got {str(fields)[:60]!a}")
    return fields
