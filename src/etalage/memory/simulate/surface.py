"""How is a value said, and which value was said? Words, dates and names of one language, both ways.

Everything that is said here is read back by the same object: `parsed(a, said(a, v)) == v`.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

from etalage.errors import DataError
from etalage.memory.simulate.schema import SELF, Attribute, network, read_yaml
from etalage.memory.statement import DAY_MS
from etalage.memory.trajectory import Value

LANGUAGES = ("en", "zh")
EPOCH = date(1970, 1, 1).toordinal()
HOUR = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
EN_RELATIVE = re.compile(r"(\d\d:\d\d) on (\w+) (next week|the week after next)")
EN_DATE = re.compile(r"(?:(\d\d:\d\d) on )?(\d{1,2}) ([A-Z][a-z]+)(?: (\d{4}))?")
ZH_RELATIVE = re.compile(r"(下{1,2})周(.)(\d\d:\d\d)")
ZH_DATE = re.compile(r"(?:(\d{4})年)?(\d{1,2})月(\d{1,2})日(\d\d:\d\d)?")
ZH_DAYS = "一二三四五六日"
EN_WEEKS = ("next week", "the week after next")


def minute_of(time: int) -> str:
    """Returns a time in ms as a moment, to the minute."""
    return datetime.fromtimestamp(time // 1000, UTC).strftime("%Y-%m-%dT%H:%M")


def time_of(moment: str) -> int:
    """Returns a moment in ms UTC.

    >>> minute_of(time_of("2026-05-03T14:00"))
    '2026-05-03T14:00'
    """
    return int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) * 1000


def weeks_between(time: int, day: date) -> int:
    """Returns how many weeks, Monday to Sunday, a day lies after the week of a time."""
    return (day.toordinal() - 1) // 7 - (EPOCH + time // DAY_MS - 1) // 7


class Surface:
    """The words of one language."""

    def __init__(self, language: str) -> None:
        if language not in LANGUAGES:
            raise DataError(f"no words of language {language!r}; languages are {LANGUAGES}")
        self.language = language
        self.given: dict[str, Any] = read_yaml(f"{language}.yaml")
        net = network()
        own = language == "en"
        self.words = {
            name: {en: en if own else zh for en, zh in rows.items()}
            for name, rows in net.words.items()
        }
        self.values = {
            name: {said: value for value, said in rows.items()} for name, rows in self.words.items()
        }
        self.units: dict[str, str] = self.given["units"]
        self.nouns: dict[str, str] = self.given["nouns"]
        self.attribute_of = {noun: name for name, noun in self.nouns.items()}
        self.mentions = {
            entity: self._mention(entity, kind) for entity, kind in net.entities.items()
        }
        self.entity_of = _both_cases(self.mentions)
        self.cells = {
            (entity, name): self._cell(entity, net.group_of(entity), name)
            for entity in net.entities
            for group, name in net.attributes
            if group == net.group_of(entity) and (name in self.nouns or name in self.given["cells"])
        }
        self.cell_of = _both_cases(self.cells)
        self._given = self.words["woman"] | self.words["man"]
        self._given_of = self.values["woman"] | self.values["man"]

    def bare(self, entity: str) -> str:
        """Returns an entity as an answer names it."""
        kind, _, name = entity.partition(":")
        names = network().kinds[kind].names
        return self.words[names][name] if names else self.mentions[entity]

    def said(self, attribute: Attribute, value: Value) -> str:
        """Returns a value in words."""
        match attribute.type:
            case "word":
                return self.words[attribute.words][str(value)]
            case "integer":
                return f"{value}{self.units.get(attribute.unit, '')}"
            case "entity":
                return self.bare(str(value))
            case "name":
                first, last = str(value).split(" ")
                if self.language == "en":
                    return str(value)
                return self.words["surname"][last] + self._given[first]
            case "day" | "date" | "moment":
                return self._when(str(value))
        return str(value)

    def said_from(self, value: str, base: int) -> str | None:
        """Returns a moment as seen from a time; None unless it is one or two weeks on."""
        day = date.fromisoformat(value[:10])
        weeks = weeks_between(base, day)
        if weeks not in (1, 2):
            return None
        if self.language == "zh":
            return f"{'下' * weeks}周{ZH_DAYS[day.weekday()]}{value[11:]}"
        weekday = list(self.words["weekday"])[day.weekday()]
        return f"{value[11:]} on {weekday} {EN_WEEKS[weeks - 1]}"

    def parsed(self, attribute: Attribute, text: str, base: int = 0) -> Value | None:
        """Returns the value that a text says, said at a time; None where it says none."""
        match attribute.type:
            case "word":
                return self.values[attribute.words].get(text)
            case "integer":
                unit = self.units.get(attribute.unit, "")
                digits = text[: len(text) - len(unit)] if text.endswith(unit) else ""
                return int(digits) if digits.isascii() and digits.isdigit() else None
            case "count":
                return int(text) if text.isascii() and text.isdigit() else None
            case "code":
                is_plain = text.isascii() and " " not in text
                return text if is_plain and (text.isdigit() or "@" in text) else None
            case "name":
                return self._parsed_name(text)
            case "moment":
                return self._from(text, base) or self._parsed_when(text, attribute.type)
            case "day" | "date":
                return self._parsed_when(text, attribute.type)
        return None

    def _mention(self, entity: str, kind: str) -> str:
        rules = self.given["mentions"]
        rule: str = rules.get(kind, rules[""])
        return rule if kind == SELF else rule.format(n=self.bare(entity))

    def bare_name(self, entity: str, kind: str) -> str:
        """Returns the name of an entity of a kind."""
        return self.words[str(network().kinds[kind].names)][entity.partition(":")[2]]

    def _cell(self, entity: str, group: str, name: str) -> str:
        rules = self.given["cells"]
        rule: str = rules.get(name) or rules.get(group) or rules[""]
        return rule.format(e=self.mentions[entity], a=self.nouns.get(name, ""))

    def _when(self, value: str) -> str:
        time = value[11:] if len(value) > 10 else ""
        year, month, day = ([*map(int, value[:10].split("-"))] if len(value) > 5
                            else [0, *map(int, value.split("-"))])  # fmt: skip
        if self.language == "zh":
            return f"{f'{year}年' if year else ''}{month}月{day}日{time}"
        named = list(self.words["month"])[month - 1]
        return f"{f'{time} on ' if time else ''}{day} {named}{f' {year}' if year else ''}"

    def _from(self, text: str, base: int) -> str | None:
        if self.language == "zh":
            if not (match := ZH_RELATIVE.fullmatch(text)) or match[2] not in ZH_DAYS:
                return None
            weeks, weekday, hour = len(match[1]), ZH_DAYS.index(match[2]), match[3]
        else:
            if not (match := EN_RELATIVE.fullmatch(text)) or match[2] not in self.words["weekday"]:
                return None
            weekday = list(self.words["weekday"]).index(match[2])
            weeks, hour = EN_WEEKS.index(match[3]) + 1, match[1]
        if not HOUR.fullmatch(hour):
            return None
        monday = (EPOCH + base // DAY_MS - 1) // 7 * 7 + 1
        return f"{date.fromordinal(monday + 7 * weeks + weekday).isoformat()}T{hour}"

    def _parsed_when(self, text: str, kind: str) -> str | None:
        if self.language == "zh":
            if not (match := ZH_DATE.fullmatch(text)):
                return None
            year, month, day, hour = match[1], int(match[2]), int(match[3]), match[4]
        else:
            if not (match := EN_DATE.fullmatch(text)) or match[3] not in self.words["month"]:
                return None
            hour, day, year = match[1], int(match[2]), match[4]
            month = list(self.words["month"]).index(match[3]) + 1
        given = "moment" if hour and year else "date" if year and not hour else "day"
        if given != kind or (given == "day" and hour) or (hour and not HOUR.fullmatch(hour)):
            return None
        try:
            # a leap year, for a day of no year
            whole = date(int(year or 2024), month, day).isoformat()
        except ValueError:
            return None
        return {"moment": f"{whole}T{hour}", "date": whole, "day": whole[5:]}[kind]

    def _parsed_name(self, text: str) -> str | None:
        if self.language == "en":
            first, _, last = text.partition(" ")
        else:
            first, last = text[1:], text[:1]
        given, family = self._given_of.get(first), self.values["surname"].get(last)
        return f"{given} {family}" if given and family else None


def _both_cases(said: dict[Any, str]) -> dict[str, Any]:
    """What each text names, also at the beginning of a sentence; no two may be named alike."""
    if len(set(said.values())) < len(said):
        twice = sorted(text for text in said.values() if list(said.values()).count(text) > 1)
        raise DataError(f"two things are called {twice[0]!r}; each needs a name of its own")
    found = {text: key for key, text in said.items()}
    return {text[0].upper() + text[1:]: key for text, key in found.items()} | found


@cache
def surface(language: str) -> Surface:
    """Returns the words of a language.

    Raises:
        DataError: for a language that is not there.
    """
    return Surface(language)
