"""What is written of a list? Its items as JSON, put together from pieces that a catalogue keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from etalage.serve.runtime.engine import Answer, Engine


def cards(engine: Engine, history: NDArray[np.int32], answer: Answer) -> orjson.Fragment:
    """Items as JSON: what they are, what ordered them, their probabilities, and why."""
    names, facts = engine.catalogue.names, engine.catalogue.facts
    reasons = engine.reasons(history, answer.items)
    items = answer.items.tolist()
    scores = _digits(answer.scores)
    chances = [b"null"] * len(items)
    if answer.probabilities is not None:
        chances = _digits(answer.probabilities)
    cosines = iter(_digits([cosine for row in reasons for _, cosine in row]))
    written = []
    # not strict: the digits of no numbers are one empty text
    for item, score, chance, row in zip(items, scores, chances, reasons, strict=False):
        why = [b'{%b,"similarity":%b}' % (names[past], next(cosines)) for past, _ in row]
        parts = names[item], facts[item], score, chance, b",".join(why)
        written.append(b'{%b,%b,"score":%b,"probability":%b,"why":[%b]}' % parts)
    return orjson.Fragment(b"[%b]" % b",".join(written))


def _digits(numbers: Any) -> list[bytes]:
    """Each number as JSON; null where it is none."""
    return orjson.dumps(numbers, option=orjson.OPT_SERIALIZE_NUMPY)[1:-1].split(b",")
