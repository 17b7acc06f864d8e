"""The relation network: what is unsound is refused, with its place."""

import copy
from typing import Any

import pytest

from etalage.errors import DataError
from etalage.memory.simulate.schema import Network, network, read_yaml

WORDS = {"person": {"aunt": "姑姑", "uncle": "舅舅"}, "colour": {"red": "红", "blue": "蓝"}}
SOUND: dict[str, Any] = {
    "kinds": {
        "self": {"group": "self"},
        "relative": {"group": "person", "names": "person"},
    },
    "domains": {
        "toy": {
            "entities": {"relative": 1},
            "told": {"person": 1},
            "bystanders": {},
            "attributes": {"person": ["shade"]},
        }
    },
    "attributes": {
        "self": {"shade": {"type": "word", "words": "colour", "draw": {"uniform": "colour"}}},
        "person": {
            "age": {"type": "integer", "draw": {"range": [1, 9]}},
            "shade": {
                "type": "word",
                "words": "colour",
                "parents": ["itself", "self.shade"],
                "draw": {"copy": {"when": ["aunt"], "else": "colour"}},
            },
        },
    },
}


def broken(*path: str, value: Any) -> dict[str, Any]:
    """The sound network with one thing replaced."""
    given = copy.deepcopy(SOUND)
    at = given
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    return given


def test_the_sound_one_is_taken() -> None:
    assert Network(SOUND, WORDS).order["person"] == ["age", "shade"]


TABLE = {"type": "integer", "draw": {"table": {"rows": {}, "else": {1: 0.5, 2: 0.4}}}}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (broken("attributes", "person", "age", value=TABLE), r"person\.age: .*add up to 0.9, not"),
        (broken("attributes", "person", "shade", "parents", value=["itself", "self.shape"]),
         r"person\.shade: there is no parent 'self.shape'"),
        (broken("attributes", "person", "shade", "parents", value=["itself"]),
         r"copy takes 2 parents; got \['itself'\]"),
        (broken("attributes", "person", "shade", "words", value="color"),
         r"no words 'color'; did you mean 'colour'"),
        (broken("attributes", "person", "age", "draw", value={"dice": 6}), r"no sampler 'dice'"),
        (broken("attributes", "person", "age", "draw", value={"range": [9, 1]}),
         r"lower to a higher number; got \[9, 1\]"),
        (broken("attributes", "person", "age", "draw", value={}), r"expected one sampler"),
        (broken("attributes", "person", "age", "draw", value={"offset": 3}), "cannot be made of 3"),
        (broken("attributes", "person", "age", "color", value=1), "color"),
        (broken("kinds", "relative", "names", value="people"), r"no words 'people'"),
        (broken("kinds", "relative", "group", value="pet"), r"group 'pet' has no attributes"),
        (broken("domains", "toy", "entities", value={"pet": 1}), r"there is no kind 'pet'"),
        (broken("domains", "toy", "entities", value={"relative": 3}),
         r"not 3 names of a relative"),
        (broken("domains", "toy", "attributes", value={"person": ["size"]}),
         r"no attribute 'size'"),
    ],
)  # fmt: skip
def test_what_is_unsound_is_refused(given: dict[str, Any], says: str) -> None:
    with pytest.raises(DataError, match=says):
        Network(given, WORDS)


def test_a_circle_is_refused() -> None:
    given = copy.deepcopy(SOUND)
    mirror = {"type": "word", "words": "colour", "draw": {"table": {"rows": {"red": {"red": 1}},
              "else": {"blue": 1}}}}  # fmt: skip
    given["attributes"]["person"] |= {
        "hat": {**mirror, "parents": ["coat"]},
        "coat": {**mirror, "parents": ["hat"]},
    }
    with pytest.raises(DataError, match="in a circle: hat, coat"):
        Network(given, WORDS)


def test_daily_life_has_the_eleven_entities_of_memsim() -> None:
    kinds = dict(network().domains["daily"].entities)
    assert kinds.pop("preference") > 0  # ours
    assert 1 + sum(kinds.values()) == 11
    given = network().attributes
    assert given["event", "venue"].parents == ("self.home_town", "self.work_city")


def test_both_languages_say_everything() -> None:
    english, chinese = read_yaml("en.yaml"), read_yaml("zh.yaml")
    assert english.keys() == chinese.keys()
    for part in ("nouns", "units", "questions", "frames", "clauses", "chatter_words"):
        assert english[part].keys() == chinese[part].keys(), part


def test_an_entity_of_no_kind_is_named() -> None:
    with pytest.raises(DataError, match="'pet:cat' is of no kind"):
        network().group_of("pet:cat")
    with pytest.raises(DataError, match="a person has no attribute 'wings'"):
        network().attribute("relative:aunt", "wings")
