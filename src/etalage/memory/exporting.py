"""What does somebody get who asks for everything? Lines of JSON, which can be read back.

The first line is a head that tells when they were made; each other line is a memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from hashlib import blake2b
from typing import Any, get_args

import orjson

from etalage.errors import DataError
from etalage.memory.facts import Fact, Origin
from etalage.memory.statement import Memory, Statement


def exported_head(now: int) -> bytes:
    """Returns the first line; now is in milliseconds UTC."""
    head = {"etalage_memory": 1, "exported_at": now}
    return orjson.dumps(head, option=orjson.OPT_APPEND_NEWLINE)


def exported(memory: Memory) -> bytes:
    """Returns the line of a memory."""
    return orjson.dumps(memory.to_dict(), option=orjson.OPT_APPEND_NEWLINE)


def imported(lines: Iterable[bytes]) -> tuple[int, list[Statement]]:
    """Returns when lines were made, and what they say; the same line read twice is one statement.

    Raises:
        DataError: where they are no export.
    """
    read = iter(lines)
    try:
        made_at = int(orjson.loads(next(read, b""))["exported_at"])
        return made_at, [_statement(orjson.loads(line)) for line in read]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"these lines are no export of memories: {error}") from error


def _statement(said: dict[str, Any]) -> Statement:
    facts = tuple(Fact(**(fact | {"span": tuple(fact["span"])})) for fact in said.pop("facts"))
    number, recorded_at = said.pop("number"), said.pop("recorded_at")
    if not all(fact.origin in get_args(Origin) for fact in facts):
        raise ValueError(f"a fact is {', '.join(get_args(Origin))}")
    statement = Statement(**said, facts=facts)
    # its number alone would be that of another memory in another export
    seen = blake2b(statement.text.encode(), digest_size=16).hexdigest()
    return replace(statement, key=f"export {number} {recorded_at} {seen}")
