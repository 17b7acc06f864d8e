"""Small conversations whose every figure is known by hand."""

from __future__ import annotations

from etalage.memory.trajectory import Message, Question, Trajectory

HOUR, START = 3_600_000, 1_700_000_000_000


def talk(user: str, texts: list[str], *asked: tuple[str, set[int]]) -> Trajectory:
    """What a user says, an hour apart, and questions with the places of their evidence; all are
    asked at the end."""
    messages = tuple(
        Message(f"{user}/{n}", START + n * HOUR, "user", text) for n, text in enumerate(texts)
    )
    end = START + len(texts) * HOUR
    questions = tuple(
        Question(f"{user}/q{n}", "simple", text, end + n, "-",
                 evidence=(frozenset(f"{user}/{at}" for at in places),))
        for n, (text, places) in enumerate(asked)
    )  # fmt: skip
    return Trajectory(user, messages, questions, "by hand")


ANN = talk("ann", ["My aunt lives in Lyon", "I bought a red mug", "The weather was fine today"],
           ("What colour is the mug?", {1}), ("Where does my aunt live?", {0}))  # fmt: skip
BOB = talk("bob", ["My uncle lives in Nice", "I bought a green mug yesterday"],
           ("What colour is the mug?", {1}))  # fmt: skip
