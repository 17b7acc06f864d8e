"""What would have been answered once, and is wrong now? Earlier values of what is asked."""

from __future__ import annotations

from etalage.memory.simulate import reading
from etalage.memory.trajectory import Question, Trajectory


def stale_answers(trajectory: Trajectory, question: Question) -> frozenset[str]:
    """Returns answers that were right at a time before the question's and are no more; none where
    nothing of it changed, or the question has no program."""
    if question.program is None:
        return frozenset()
    said = [message for message in trajectory.messages if message.time <= question.time]
    known = reading.read(said)
    times = sorted({time for rows in known.said.values() if len(rows) > 1 for time, *_ in rows})
    once = {reading.answer(question.program, known, time) for time in times}
    return frozenset(answer for answer in once if answer is not None and answer != question.answer)
