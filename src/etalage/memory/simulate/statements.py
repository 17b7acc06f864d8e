"""How is a fact put into a sentence, and what does a sentence say? Templates and their inverses.

A sentence is a clause in a frame: the clause says the fact, the frame says whether it is new, a
correction or taken back. Reading looks at the text alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from random import Random

from etalage.memory.simulate.schema import SELF, Attribute, network
from etalage.memory.simulate.surface import LANGUAGES, Surface, surface
from etalage.memory.trajectory import Act, Fact, Value

SENTENCE = re.compile(r"(?<=[.!?]) +|(?<=[。！？])")
SLOT = re.compile(r"\{(\w+)\}|\[([^|\]]*)\|([^\]]*)\]")


@dataclass(frozen=True)
class Clause:
    """One way to say one attribute of a group, and its inverse."""

    attribute: Attribute
    own: str
    """Of the user."""
    other: str
    anchor: str
    """The longest piece of text that is in every such clause."""
    pattern: re.Pattern[str]
    slots: tuple[str, ...]


class Statements:
    """All sentences of one language."""

    def __init__(self, words: Surface) -> None:
        self.words = words
        given = words.given
        self.frames: dict[Act, list[str]] = given["frames"]
        self.affixes = [
            (act, *frame.split("{cell}" if act == "retract" else "{c}"))
            for act in ("retract", "correct", "state")
            for frame in self.frames[act]
        ]
        # a frame that begins with the clause fits every sentence, and so comes last
        self.affixes.sort(key=lambda row: row[1] == "")
        # whoever passes a text on may speak another language than it is in
        self.forwards = [
            re.compile(re.escape(frame).replace(r"\{n\}", ".+?").replace(r"\{t\}", ".*"), re.DOTALL)
            for language in LANGUAGES
            for frame in surface(language).given["forward"]
        ]
        self.clauses: dict[tuple[str, str], list[Clause]] = {}
        for (group, name), attribute in network().attributes.items():
            said = given["clauses"].get(f"{group}.{name}", given["clauses"].get(name, []))
            if name in words.nouns and name not in given["plain_only"]:
                said = [*given["clauses"][""], *said]
            if said:
                self.clauses[group, name] = [
                    clause(attribute, text, self._values(attribute)) for text in said
                ]
        self.by_anchor: dict[str, list[Clause]] = {}
        for row in self.clauses.values():
            for one in row:
                self.by_anchor.setdefault(one.anchor, []).append(one)

    def _values(self, attribute: Attribute) -> str:
        """A pattern that fits values of an attribute and not what stands before or after them."""
        if attribute.type == "word":
            said = sorted(self.words.values[attribute.words], key=len, reverse=True)
            return f"({'|'.join(map(re.escape, said))})"
        return r"(\d.+|下.+)" if self.words.language == "zh" else r"(\d.+)"

    def say(self, fact: Fact, time: int, random: Random) -> str:
        """Returns a sentence that says a fact at a time."""
        frame = random.choice(self.frames[fact.act])
        if fact.act == "retract":
            return capital(frame.format(cell=self.words.cells[fact.entity, fact.attribute]))
        attribute = network().attribute(fact.entity, fact.attribute)
        assert fact.value is not None
        said = None
        if attribute.type == "moment" and random.random() < 0.5:
            said = self.words.said_from(str(fact.value), time)
        said = said or self.words.said(attribute, fact.value)
        one = random.choice(self.clauses[attribute.group, attribute.name])
        return capital(frame.format(c=self.filled(one, fact.entity, said)))

    def filled(self, one: Clause, entity: str, said: str) -> str:
        """Returns a clause about an entity, with a value as it is said."""
        return (one.own if entity == SELF else one.other).format(
            e=self.words.mentions[entity],
            v=said,
            cell=self.words.cells.get((entity, one.attribute.name), ""),
        )

    def forwarded(self, name: str, text: str, random: Random) -> str:
        """Returns a message that passes on what somebody else wrote."""
        return random.choice(self.words.given["forward"]).format(n=name, t=text)

    def read(self, text: str, time: int) -> list[Fact]:
        """Returns what a text says, sent at a time; nothing where it passes on others' words."""
        if any(pattern.fullmatch(text) for pattern in self.forwards):
            return []
        found = (self.sentence(part, time) for part in SENTENCE.split(text))
        return [fact for fact in found if fact is not None]

    def sentence(self, text: str, time: int) -> Fact | None:
        """Returns what one sentence says."""
        for act, prefix, suffix in self.affixes:
            if not (text.startswith(prefix) and text.endswith(suffix)):
                continue
            inner = text[len(prefix) : len(text) - len(suffix)]
            if act == "retract":
                if cell := self.words.cell_of.get(inner):
                    return Fact(cell[0], cell[1], None, "retract")
            elif fact := self.clause(inner, time, act):
                return fact
        return None

    def clause(self, text: str, time: int, act: Act) -> Fact | None:
        """Returns what a clause says."""
        words = self.words
        for anchor, clauses in self.by_anchor.items():
            if anchor not in text:
                continue
            for one in clauses:
                if not (match := one.pattern.fullmatch(text)):
                    continue
                slots = dict(zip(one.slots, match.groups(), strict=True))
                if "cell" in slots:
                    entity, name = words.cell_of.get(slots["cell"], ("", ""))
                    if (
                        name != one.attribute.name
                        or network().group_of(entity) != one.attribute.group
                    ):
                        continue
                else:
                    entity = words.entity_of.get(slots["e"], "") if "e" in slots else SELF
                    if not entity or network().group_of(entity) != one.attribute.group:
                        continue
                value: Value | None = words.parsed(one.attribute, slots["v"], time)
                if value is not None:
                    return Fact(entity, one.attribute.name, value, act)
        return None


def clause(attribute: Attribute, text: str, values: str) -> Clause:
    """Returns a clause from its template; `values` is for where slots touch one another."""
    pieces, end = "", 0
    slots: list[str] = []
    literals: list[str] = []
    for slot in SLOT.finditer(text):
        literals.append(text[end : slot.start()])
        pieces += re.escape(literals[-1])
        if slot[1]:
            touches = slots and len(literals[-1].strip()) == 0
            if touches and slots[-1] == "v":
                pieces = pieces.replace("(.+?)", values)
            slots.append(slot[1])
            pieces += values if touches and slot[1] == "v" else "(.+?)"
        else:
            pieces += f"(?:{re.escape(slot[2])}|{re.escape(slot[3])})"
        end = slot.end()
    literals.append(text[end:])
    pieces += re.escape(literals[-1])
    # the first letter is a capital where the clause begins a sentence
    if literals[0]:
        literals[0] = literals[0][1:]
        first = re.escape(text[0])
        pieces = f"[{text[0]}{text[0].upper()}]" + pieces[len(first) :]
    own = SLOT.sub(lambda slot: slot[0] if slot[1] else slot[2], text)
    other = SLOT.sub(lambda slot: slot[0] if slot[1] else slot[3], text)
    anchor = max(literals, key=len)
    return Clause(attribute, own, other, anchor, re.compile(pieces), tuple(slots))


def capital(text: str) -> str:
    """Returns a text whose first letter is a capital."""
    return text[:1].upper() + text[1:]


def language_of(text: str) -> str:
    """Returns the language that a text is in.

    >>> language_of("我的姑姑住在桤溪。"), language_of("My aunt lives in Alderbrook.")
    ('zh', 'en')
    """
    return "zh" if any("\u4e00" <= letter <= "\u9fff" for letter in text) else "en"


@cache
def statements(language: str) -> Statements:
    """Returns the sentences of a language."""
    return Statements(surface(language))
