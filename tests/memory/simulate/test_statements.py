"""Sentences: what is said is read back, whatever the words; what says nothing is not."""

from datetime import date
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etalage.errors import DataError
from etalage.memory.simulate.asking import asking
from etalage.memory.simulate.reading import facts_of, read
from etalage.memory.simulate.schema import Attribute, network
from etalage.memory.simulate.statements import statements
from etalage.memory.simulate.surface import LANGUAGES, surface, time_of, weeks_between
from etalage.memory.simulate.world import sample
from etalage.memory.trajectory import Fact, Message

NOW = time_of("2026-05-06T10:00")  # a Wednesday
MOMENT = Attribute("event", "moment", "moment")


def values_of(attribute: Attribute, random: Random) -> list[str | int]:
    """Values of an attribute: all words, or what some worlds have."""
    if attribute.type == "word":
        return list(network().words[attribute.words])
    found = {
        world.values[entity, attribute.name]
        for domain in network().domains
        for user in range(12)
        for world in [sample(7, user, domain)]
        for entity in (*world.entities, *world.bystanders)
        if network().group_of(entity) == attribute.group
        and (entity, attribute.name) in world.values
    }
    return sorted(found, key=str)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_clause_is_read_back_for_every_value(language: str) -> None:
    said, words, random = statements(language), surface(language), Random(1)
    n = 0
    for (group, name), clauses in said.clauses.items():
        attribute = network().attributes[group, name]
        entities = [e for e in network().entities if network().group_of(e) == group]
        for value in values_of(attribute, random):
            for clause in clauses:
                entity = random.choice(entities)
                text = said.filled(clause, entity, words.said(attribute, value))
                assert said.clause(text, NOW, "state") == Fact(entity, name, value), text
                n += 1
    assert n > 3000


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_frame_says_whether_it_is_new(language: str) -> None:
    said = statements(language)
    for entity, name in surface(language).cells:
        for frame in said.frames["retract"]:
            text = frame.format(cell=surface(language).cells[entity, name])
            assert facts_of(text, NOW) == [Fact(entity, name, None, "retract")]
    for act in ("state", "correct"):
        for seed in range(60):
            fact = Fact("relative:aunt", "hobby", "chess", act)
            text = said.say(fact, NOW, Random(seed))
            assert facts_of(text, NOW) == [fact], text


@pytest.mark.parametrize("language", LANGUAGES)
def test_there_are_five_ways_at_least_to_say_anything(language: str) -> None:
    said = statements(language)
    for key, clauses in said.clauses.items():
        for act in ("state", "correct"):
            assert len(clauses) * len(said.frames[act]) >= 5, key
    assert len(said.frames["retract"]) >= 5


@pytest.mark.parametrize("language", LANGUAGES)
def test_talk_says_nothing(language: str) -> None:
    talk, random = asking(language), Random(2)
    for _ in range(1500):
        assert facts_of(talk.chatter(random), NOW) == []
    for reply in talk.given["replies"]:
        assert facts_of(reply, NOW) == []


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("text", ["I live in Alderbrook. I am 30 years old.", "我住在桤溪。"])
def test_what_is_passed_on_is_nobodys_fact(language: str, text: str) -> None:
    assert facts_of(text, NOW)
    for seed in range(9):
        passed = statements(language).forwarded("Ada", text, Random(seed))
        assert facts_of(passed, NOW) == []


def test_several_sentences_say_several_facts() -> None:
    text = "All weekend long even the fog felt odd. My aunt lives in Alderbrook. I am 30 years old."
    assert facts_of(text, NOW) == [
        Fact("relative:aunt", "home_town", "Alderbrook"),
        Fact("self", "age", 30),
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("The fire drill starts at 14:00 on Friday next week.", "2026-05-15T14:00"),
        ("The fire drill starts at 14:00 on Monday the week after next.", "2026-05-18T14:00"),
        ("The fire drill starts at 09:00 on 3 May 2026.", "2026-05-03T09:00"),
        ("那个消防演习下周五14:00开始。", "2026-05-15T14:00"),
        ("那个消防演习下下周日19:00开始。", "2026-05-24T19:00"),
    ],
)
def test_a_relative_time_starts_from_when_it_was_said(text: str, value: str) -> None:
    assert facts_of(text, NOW) == [Fact("work_event:fire drill", "moment", value)]


@given(st.integers(0, 600), st.sampled_from(LANGUAGES))
def test_a_relative_time_is_read_back_from_any_day(day: int, language: str) -> None:
    base = NOW + day * 86_400_000
    for ahead in (4, 9, 13):
        value = date.fromordinal(date(2026, 5, 6).toordinal() + day + ahead).isoformat() + "T14:00"
        said = surface(language).said_from(value, base)
        weeks = weeks_between(base, date.fromisoformat(value[:10]))
        assert (said is None) == (weeks not in (1, 2))
        if said:
            assert surface(language).parsed(MOMENT, said, base) == value


@pytest.mark.parametrize(
    "text",
    [
        "My aunt is minus years old.", "My dragon lives in Alderbrook.",
        "My aunt lives in Atlantis.",
        "My aunt celebrates on 31 June.", "The fire drill starts at 25:00 on 3 May 2026.",
        "My aunt's phone number is 12 34.", "My aunt is called Ada.", "", "。",
        "我的姑姑今年x岁了。",
        "Please forget my aunt's wings.", "我的姑姑在13月1日过生日。",
    ],
)  # fmt: skip
def test_nonsense_says_nothing(text: str) -> None:
    assert facts_of(text, NOW) == []


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    assert isinstance(facts_of(text, NOW), list)


def test_an_assistant_says_no_facts() -> None:
    said = Message("m1", NOW, "assistant", "My aunt lives in Alderbrook.")
    assert read([said]).said == {}


def test_a_language_that_is_not_there_is_named() -> None:
    with pytest.raises(DataError, match="no words of language 'fr'"):
        surface("fr")
