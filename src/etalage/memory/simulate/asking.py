"""How is a program asked in words, and what do words ask? Templates of questions, both ways."""

from __future__ import annotations

import re
from functools import cache
from random import Random
from typing import Any

from etalage.memory.simulate.programs import Program
from etalage.memory.simulate.schema import Attribute, network, words_of
from etalage.memory.simulate.statements import SLOT, Statements, statements
from etalage.memory.simulate.surface import Surface, minute_of, surface, time_of
from etalage.memory.trajectory import Value

MOMENT = Attribute("", "time", "moment")
SIDES = {
    "directions": ("most", "least"),
    "extremes": ("most", "least"),
    "bounds": ("above", "below"),
}
"""What programs call the two words of a row."""
SCALES = {
    "direction": ("directions", "side"),
    "extreme": ("extremes", "side"),
    "bound": ("bounds", "bound"),
}
"""Slots that are filled from such a row, and what programs have under that name."""


class Asking:
    """All questions of one language."""

    def __init__(self, words: Surface, said: Statements) -> None:
        self.words = words
        self.given = words.given
        self.said = said
        self.forms: dict[str, list[str]] = self.given["questions"]
        tight = {
            slot: [word for row in self.given[rows].values() for word in row]
            for slot, (rows, _) in SCALES.items()
        }
        tastes = tight | {"v": list(words.values["polarity"])}
        self.patterns = [
            (form, _pattern(text, tastes if form in ("which", "holds") else tight))
            for form, texts in self.forms.items()
            for text in texts
        ]
        self.set_cells = {
            group: _pattern(
                self.given["set_cell"].replace("{a}", "{a2}")
                .replace("{set}", self.given["set"]).replace("{group}", noun)
            )
            for group, noun in self.given["groups"].items()
        }  # fmt: skip
        self.group_of = {noun: group for group, noun in self.given["groups"].items()}

    def question(self, program: Program, random: Random, form: str = "") -> str:
        """Returns a program as a question; `form` chooses among those that ask the same."""
        ask = program["ask"]
        form = form or self._form(ask)
        return random.choice(self.forms[form]).format(**self._slots(ask))

    def ramble(self, question: str, random: Random) -> str:
        """Returns a question after talk of something else."""
        parts = [self.chatter(random), self.chatter(random), random.choice(self.given["pivots"])]
        return ("" if self.words.language == "zh" else " ").join([*parts, question])

    def chatter(self, random: Random) -> str:
        """Returns a sentence that says nothing of anybody."""
        words = {slot: random.choice(row) for slot, row in self.given["chatter_words"].items()}
        return str(random.choice(self.given["chatter"]).format(**words))

    def parsed(self, text: str) -> Program | None:
        """Returns the program that a text asks for; None where it asks for none."""
        for pivot in self.given["pivots"]:
            text = text.rpartition(pivot)[2]
        text = text.strip()
        for form, pattern in self.patterns:
            if match := pattern.fullmatch(text):
                ask = self._ask(form, match.groupdict())
                if ask is not None:
                    return {"language": self.words.language, "ask": ask}
        return None

    def _form(self, ask: Program) -> str:
        match ask["op"]:
            case "apply":
                return str(ask["function"])
            case "only":
                return "which"
            case "compare":
                return "compare_tie" if ask["tie"] else "compare"
        return str(ask["op"])

    def _slots(self, ask: Program) -> dict[str, str]:
        words, op = self.words, ask["op"]
        if op in ("apply", "as_of"):
            slots = self._slots(ask["of"])
            return slots | {
                "n": str(ask.get("n", "")),
                "t": words.said(MOMENT, minute_of(ask.get("time", 0))),
            }
        if op == "get":
            return {"cell": self._cell(ask)}
        slots = {"a": words.nouns.get(ask["attribute"], "")}
        entity = ask.get("of") or (ask.get("among") or [None])[0]
        attribute = (network().attribute(entity, ask["attribute"]) if entity
                     else network().attributes[ask["group"], ask["attribute"]])  # fmt: skip
        scale = "time" if attribute.is_time else "number"
        if "among" in ask:
            names = [words.mentions[entity] for entity in ask["among"]]
            between, last = self.given["list"]
            slots["list"] = between.join(names[:-1]) + last + names[-1]
            slots["pair"] = self.given["pair"][0].join(names)
        if "value" in ask:
            slots["v"] = words.said(attribute, ask["value"])
        if "side" in ask:
            place = SIDES["extremes"].index(ask["side"])
            slots["direction"] = self.given["directions"][scale][place]
            slots["extreme"] = self.given["extremes"][scale][place]
        if "bound" in ask:
            slots["bound"] = self.given["bounds"][scale][SIDES["bounds"].index(ask["bound"])]
        if op == "sum":
            slots |= {"group": self.given["groups"][ask["group"]], "a2": words.nouns[ask["target"]]}
        if op == "holds":
            slots["e"] = words.mentions[ask["of"]]
        return slots

    def _cell(self, ask: Program) -> str:
        of, name = ask["of"], ask["attribute"]
        if isinstance(of, str):
            return self.words.cells[of, name]
        attribute = network().attributes[of["group"], of["attribute"]]
        found = self.given["set"].format(
            group=self.given["groups"][of["group"]],
            a=self.words.nouns[of["attribute"]],
            v=self.words.said(attribute, of["value"]),
        )
        return str(self.given["set_cell"].format(a=self.words.nouns[name], set=found))

    def _ask(self, form: str, slots: dict[str, str]) -> Program | None:
        words = self.words
        if form in ("now", "get"):
            return self._parsed_cell(slots["cell"])
        if form == "as_of":
            of, moment = self._parsed_cell(slots["cell"]), words.parsed(MOMENT, slots["t"])
            return (
                of and moment and {"op": "as_of", "time": time_of(str(moment)), "of": of}
            ) or None
        if form in ("season", "month", "weekday", "suffix", "digits"):
            of = self._parsed_cell(slots["cell"])
            if of is None:
                return None
            more = {"n": int(slots["n"])} if slots.get("n", "").isdigit() else {}
            return {"op": "apply", "function": form, "of": of, **more}
        if form == "holds":
            entity = words.entity_of.get(slots["e"])
            value = words.parsed(words_of("polarity"), slots["v"])
            if entity is None or value is None:
                return None
            return {"op": "holds", "of": entity, "attribute": "polarity", "value": value}
        if form == "sum":
            group, target = self.group_of.get(slots["group"]), words.attribute_of.get(slots["a2"])
            where = self._parsed_where(group, slots["a"], slots["v"])
            return (where and target and {"op": "sum", **where, "target": target}) or None
        return self._parsed_list(form, slots)

    def _parsed_list(self, form: str, slots: dict[str, str]) -> Program | None:
        words = self.words
        between, last = self.given["list"]
        text = slots.get("list")
        names = (slots["pair"].split(self.given["pair"][0]) if text is None
                 else text.replace(last, between).split(between))  # fmt: skip
        among = [words.entity_of.get(name) for name in names]
        if None in among:
            return None
        if form == "which":
            value = words.parsed(words_of("polarity"), slots["v"])
            return (
                value and {"op": "only", "among": among, "attribute": "polarity", "value": value}
            ) or None
        name = words.attribute_of.get(slots["a"])
        attribute = network().attributes.get((network().group_of(str(among[0])), str(name)))
        if attribute is None:
            return None
        scale = "time" if attribute.is_time else "number"
        ask: dict[str, Any] = {"among": among, "attribute": name}
        for slot, (rows, field) in SCALES.items():
            if slot in slots:
                if slots[slot] not in self.given[rows][scale]:
                    return None
                ask[field] = SIDES[rows][self.given[rows][scale].index(slots[slot])]
        if form == "count":
            value = words.parsed(attribute, slots["v"])
            return None if value is None else {"op": "count", **ask, "value": value}
        if form == "extreme":
            return {"op": "extreme", **ask}
        return {"op": "compare", **ask, "tie": form == "compare_tie"}

    def _parsed_cell(self, text: str) -> Program | None:
        if cell := self.words.cell_of.get(text):
            return {"op": "get", "of": cell[0], "attribute": cell[1]}
        for group, pattern in self.set_cells.items():
            if match := pattern.fullmatch(text):
                where = self._parsed_where(group, match["a"], match["v"])
                name = self.words.attribute_of.get(match["a2"])
                if where and name:
                    return {"op": "get", "of": {"op": "only", **where}, "attribute": name}
        return None

    def _parsed_where(self, group: str | None, noun: str, said: str) -> Program | None:
        name = self.words.attribute_of.get(noun)
        attribute = network().attributes.get((str(group), str(name)))
        value: Value | None = None if attribute is None else self.words.parsed(attribute, said)
        return None if value is None else {"group": group, "attribute": name, "value": value}


def _pattern(text: str, tight: dict[str, list[str]] | None = None) -> re.Pattern[str]:
    """The inverse of a template; slots that stand side by side are `tight`, told by their words."""
    parts, end = "", 0
    for slot in SLOT.finditer(text):
        words = (tight or {}).get(slot[1])
        fits = "|".join(map(re.escape, words)) if words else ".+?"
        parts += re.escape(text[end : slot.start()]) + f"(?P<{slot[1]}>{fits})"
        end = slot.end()
    return re.compile(parts + re.escape(text[end:]))


@cache
def asking(language: str) -> Asking:
    """Returns the questions of a language."""
    return Asking(surface(language), statements(language))
