"""What does a sentence say that rules do not find? A language model proposes, the text decides.

A proposed fact is kept only with a quotation that stands word for word in what the user said and
that names the fact's object: what a model makes up, or what a text told it to say, is not believed.
Nobody waits for it: statements are remembered first, and read by a model later.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.progress import track

from etalage.errors import DataError
from etalage.language.prompts import GUARD
from etalage.language.request import (
    LanguageModel,
    Message,
    Request,
    Result,
    Sampling,
    canonical,
)
from etalage.language.schema import fault
from etalage.language.untrusted import cleaned, fenced
from etalage.memory.facts import Fact
from etalage.memory.statement import Memory
from etalage.memory.user import UserMemory

INSTRUCTIONS = (
    "You read what one person said and write down the facts that they state about themselves or "
    f"about people they know. {GUARD}"
    "For each fact give: subject, 'user' or 'user.' with the relation, as in 'user.sister'; "
    "predicate, one or two words joined by _, as in lives_in, likes, allergic_to, shoe_size; "
    "object, as the person says it; polarity, 1, or -1 where it is not so or no longer so; single, "
    "whether a new object takes the place of the old one, as that of lives_in does; quote, the "
    "words of the text that say it, copied exactly. Write nothing that is not said outright."
)
MOST_FACTS, LONGEST = 8, 200
"""Of an answer: facts, and characters of a part of one."""
WORD = {"type": "string", "maxLength": LONGEST}
PARTS = {
    **dict.fromkeys(("subject", "predicate", "object", "quote"), WORD),
    "polarity": {"type": "integer", "enum": [-1, 1]},
    "single": {"type": "boolean"},
}
SCHEMA = canonical(
    {
        "type": "object",
        "properties": {
            "facts": {
                "type": "array",
                "maxItems": MOST_FACTS,
                "items": {
                    "type": "object",
                    "properties": PARTS,
                    "required": list(PARTS),
                    "additionalProperties": False,
                },
            }
        },
        "required": ["facts"],
        "additionalProperties": False,
    }
)


@dataclass(frozen=True)
class Extraction:
    """What came of asking a model."""

    n_asked: int
    n_facts: int
    """That were kept."""
    n_refused: int
    """That were proposed without words of the user to show for them."""
    n_failed: int
    """Texts of which there was no answer that could be read."""


def request_of(memory: Memory) -> Request:
    """Asks what a memory says."""
    said = fenced({"text": cleaned(memory.text, 4 * LONGEST)})
    return Request(
        messages=(Message("system", INSTRUCTIONS), Message("user", said)),
        sampling=Sampling(max_tokens=600),
        template="memory.facts.1",
        schema=SCHEMA,
        is_personal=True,
    )


def believed(memory: Memory, answer: str) -> tuple[list[Fact], int]:
    """Returns the facts of an answer that the text bears out, and how many it does not.

    Raises:
        DataError: for an answer that does not follow the schema.
    """
    if reason := fault(answer, SCHEMA):
        raise DataError(reason)
    proposed: list[dict[str, Any]] = json.loads(answer)["facts"]
    kept = [fact for parts in proposed for fact in _borne_out(memory, parts)]
    return kept, len(proposed) - len(kept)


def _borne_out(memory: Memory, parts: dict[str, Any]) -> Iterator[Fact]:
    start = memory.text.find(parts["quote"])
    is_named = parts["object"].casefold() in parts["quote"].casefold()
    is_about = parts["subject"] == "user" or parts["subject"].startswith("user.")
    words = (parts["quote"], parts["object"], parts["predicate"])
    if start < 0 or not is_named or not is_about or not all(word.strip() for word in words):
        return
    yield Fact(
        predicate="_".join(parts["predicate"].casefold().split()),
        object=parts["object"],
        subject=parts["subject"].casefold(),
        polarity=parts["polarity"],
        is_single=parts["single"],
        span=(start, start + len(parts["quote"])),
        origin="model",
    )


def extract(user: UserMemory, model: LanguageModel, *, progress: bool = False) -> Extraction:
    """Asks a model about what a user said and nobody has found a fact in; keeps what is borne out.

    What is forgotten while the model answers stays forgotten. What came of an answer is kept at
    once, so the same call goes on where one was cut off.

    Raises:
        AnswerError: when nothing more can be asked.
    """
    due = [m for m in user.memories() if m.kind == "turn" and m.source == "user" and not m.facts]
    said: dict[str, list[Memory]] = {}  # the same words twice are asked about once
    for memory in due:
        said.setdefault(memory.text, []).append(memory)
    asked = {request_of(same[0]): same for same in said.values()}
    n_facts = n_refused = n_failed = 0
    outcomes = model.generate(asked)
    for outcome in track(outcomes, "memories", total=len(asked), disable=not progress):
        same = asked[outcome.request]
        try:
            if not isinstance(outcome, Result):
                raise DataError(outcome.reason)
            facts, refused = believed(same[0], outcome.text)
        except DataError:
            n_failed += 1
            continue
        n_refused += refused
        n_facts += sum(user.learn(memory, facts) for memory in same)
    return Extraction(len(asked), n_facts, n_refused, n_failed)
