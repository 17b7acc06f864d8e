"""A language model reads: what it is told, and what its answers are taken for."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from tests.memory.benchmark.talks import ANN

from etalage.errors import AnswerError
from etalage.language.request import Failure, Outcomes, Request, Result
from etalage.memory.benchmark.readers import ModelReader


class Said:
    """Answers everything alike, and keeps what it was asked."""

    name = "said"

    def __init__(self, answer: str | None) -> None:
        self.answer, self.asked = answer, list[Request]()

    def generate(self, requests: Iterable[Request]) -> Outcomes:
        for request in requests:
            self.asked.append(request)
            if self.answer is None:
                yield Failure(request, "it is away")
            else:
                yield Result(request, self.answer, "stop", None, self.name, 0.0)

    def embed(self, texts: object) -> object:
        raise NotImplementedError


def test_messages_are_told_oldest_first_as_data() -> None:
    model = Said(" red\n")
    reader = ModelReader(model)  # type: ignore[arg-type]
    assert reader.answer(ANN.questions[0], ANN.messages[::-1]) == "red"
    (request,) = model.asked
    text = request.messages[0].content
    assert text.index("Lyon") < text.index("red mug") < text.index("What colour is the mug?")
    assert request.is_personal


@pytest.mark.parametrize("answer", ["unknown", "Unknown.", ""])
def test_unknown_is_no_answer(answer: str) -> None:
    assert ModelReader(Said(answer)).answer(ANN.questions[0], []) is None  # type: ignore[arg-type]


def test_a_model_that_does_not_answer_ends_it() -> None:
    with pytest.raises(AnswerError, match="it is away"):
        ModelReader(Said(None)).answer(ANN.questions[0], [])  # type: ignore[arg-type]
