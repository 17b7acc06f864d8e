"""What is to be remembered? Statements of a request, checked part by part."""

from __future__ import annotations

from typing import Any

from etalage.memory.facts import Fact
from etalage.memory.statement import LATEST, MOST_FACTS, Statement
from etalage.serve.runtime.answering import RequestError
from etalage.serve.runtime.bodies import check_names

STATEMENT = ("text", "kind", "source", "said_at", "until", "meta", "key", "facts")
FACT: dict[str, tuple[type, ...]] = {
    "predicate": (str,),
    "object": (str,),
    "subject": (str,),
    "polarity": (int,),
    "strength": (float, int),
    "is_single": (bool,),
    "valid_from": (int, type(None)),
    "valid_to": (int, type(None)),
}
"""Parts of a fact that is given, and what each may be."""
LONGEST = 500
"""Characters of a key, and of a part of a fact."""


def statement(parts: Any) -> Statement:
    """Returns what one object of a request says.

    Raises:
        RequestError: for a part that is none, or of another type.
        DataError: where it cannot be remembered.
    """
    if not isinstance(parts, dict):
        raise RequestError(422, f"a statement must be an object; got {type(parts).__name__}")
    check_names(parts, STATEMENT)
    if "text" not in parts:
        raise RequestError(422, 'a statement has a text, for example {"text": "I like tea"}')
    if type(parts.get("meta", {})) is not dict:
        raise RequestError(422, "meta must be an object")
    if type(key := parts.get("key")) not in (str, type(None)) or (key and len(key) > LONGEST):
        raise RequestError(422, f"key must be a text of at most {LONGEST} characters, or null")
    for name in ("kind", "source"):
        if type(parts.get(name, "")) is not str:
            raise RequestError(422, f"{name} must be a text")
    facts = parts.get("facts", [])
    if not isinstance(facts, list) or len(facts) > MOST_FACTS:
        raise RequestError(422, f"facts must be a list of at most {MOST_FACTS} objects")
    return Statement(**parts | {"facts": tuple(map(_fact, facts))})


def _fact(parts: Any) -> Fact:
    if not isinstance(parts, dict) or not {"predicate", "object"} <= set(parts):
        example = '{"predicate": "likes", "object": "tea"}'
        raise RequestError(422, f"a fact has a predicate and an object, for example {example}")
    check_names(parts, tuple(FACT))
    for name, value in parts.items():
        if type(value) not in FACT[name]:
            kinds = " or ".join(kind.__name__.replace("NoneType", "null") for kind in FACT[name])
            raise RequestError(422, f"{name} of a fact must be {kinds}; got {type(value).__name__}")
        if isinstance(value, str) and len(value) > LONGEST:
            raise RequestError(422, f"{name} of a fact has at most {LONGEST} characters")
        if name.startswith("valid") and value is not None and not 0 <= value < LATEST:
            raise RequestError(422, f"{name} of a fact must be milliseconds UTC since 1970")
    return Fact(**parts)
