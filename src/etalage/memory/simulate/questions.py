"""How does a program become a question? With words, an answer, options and evidence.

What has no single answer, options that do not differ, or evidence that is not clear is no
question: another program is drawn.
"""

from __future__ import annotations

from random import Random
from typing import Any

from etalage.memory.simulate.asking import asking
from etalage.memory.simulate.evidence import Evidence, evidence_of
from etalage.memory.simulate.kinds import ABSTAINING, KINDS, Facts
from etalage.memory.simulate.options import options_for
from etalage.memory.simulate.programs import Program, Typed, value_of
from etalage.memory.simulate.schema import network
from etalage.memory.simulate.surface import LANGUAGES, surface
from etalage.memory.simulate.telling import MINUTE, Told
from etalage.memory.simulate.world import Cell
from etalage.memory.trajectory import Question, Value

TRIES = 40
TOLD_IN_TEXT = ("get", "apply", "sum", "as_of")
"""Operations whose answer must not stand in the question."""


class Asker:
    """Asks one user, after all that they said."""

    def __init__(self, told: Told, others: list[Told], random: Random) -> None:
        self.told = told
        self.random = random
        self.time = told.messages[-1].time + 10 * MINUTE
        self.facts = Facts(told, others, random, self.time)

    def question(self, kind: str, n: int) -> Question | None:
        """Returns a question of a kind, the nth of this user; None where the user has none."""
        for _ in range(TRIES):
            ask = KINDS[kind](self.facts)
            if ask is not None and (found := self._asked(kind, ask, n)):
                return found
        return None

    def _asked(self, kind: str, ask: Program, n: int) -> Question | None:
        """The whole question of a program; None where it may not be asked."""
        language, knowledge = self.told.language, self.told.knowledge
        program: Program = {"language": language, "ask": ask}
        used: list[tuple[Cell, int]] = []
        typed = value_of(program, knowledge, self.time, used)
        if (typed is None) != (kind in ABSTAINING):
            return None
        text = asking(language).question(program, self.random, "now" if kind == "update" else "")
        if kind == "noisy":
            text = asking(language).ramble(text, self.random)
        name, time = f"{self.told.user}-q{n:03d}", self.time + n * MINUTE
        meta: dict[str, Any] = {"operation": ask["op"], "facts": len(dict.fromkeys(used))}
        if typed is None:
            evidence: Evidence = ()
            if kind == "retraction":
                evidence = (frozenset({knowledge.said[ask["of"], ask["attribute"]][-1][1]}),)
            if kind == "cross_user":
                meta["owner"] = self.facts.owners[ask["of"], ask["attribute"]]
            return Question(name, kind, text, time, None, (), evidence, (), language, program, meta)
        answer = surface(language).said(typed[1], typed[0])
        if ask["op"] in TOLD_IN_TEXT and answer in text:
            return None
        stale = self._stale(ask)
        if stale:
            meta["stale"] = surface(language).said(typed[1], stale[0])
        options = options_for(program, typed, self.told.world, self.random, stale, len(used) // 2)
        found = options and evidence_of(program, knowledge, self.time, used)
        if not options or not found:
            return None
        meta |= self._difficulty(used, found)
        aliases = _aliases(typed, answer)
        return Question(
            name, kind, text, time, answer, aliases, found, options, language, program, meta
        )

    def _difficulty(self, used: list[tuple[Cell, int]], evidence: Evidence) -> dict[str, int]:
        """How far back the newest message that is needed lies, in messages, and how many others
        have the attribute that was looked at last."""
        place = {message.id: at for at, message in enumerate(self.told.messages)}
        newest = max(place[one] for one in evidence[0])
        entity, name = used[-1][0]
        others = self.facts.by_attribute.get((network().group_of(entity), name), [])
        return {
            "distance": len(place) - 1 - newest,
            "confusers": sum(other != entity for other in others),
        }

    def _stale(self, ask: Program) -> tuple[Value, ...]:
        """The value of the asked cell that holds at another time, where it changed."""
        inner = ask["of"] if ask["op"] == "as_of" else ask
        if inner["op"] != "get" or not isinstance(inner["of"], str):
            return ()
        cell = (inner["of"], inner["attribute"])
        if cell not in self.told.changed:
            return ()
        return (self.facts.known[cell] if ask["op"] == "as_of" else self.told.changed[cell],)


def _aliases(typed: Typed, answer: str) -> tuple[str, ...]:
    """Other ways to say an answer: as a program has it, in the other language, and as "my aunt"."""
    value, attribute = typed
    said = {str(value)}
    if attribute.type in ("word", "name", "entity"):
        said = {surface(language).said(attribute, value) for language in LANGUAGES}
    if attribute.type == "entity":
        said |= {surface(language).mentions[str(value)] for language in LANGUAGES}
    return tuple(sorted(said - {answer}))
