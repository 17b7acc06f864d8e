"""How is a scene said in words? A prompt, and the spans of what belongs together in it.

Who writes the prompt knows its bindings, so nothing has to be guessed from it. A scene is always
said in the same words: "a small red ceramic mug beside a blue bowl, in a kitchen, in daylight".
"""

from __future__ import annotations

from dataclasses import dataclass

from etalage.creative.bindings import Binding, Phrase
from etalage.creative.scene import Scene, Thing
from etalage.creative.vocabulary import WORDS, Vocabulary
from etalage.errors import DataError

SAID_AS_CONSONANT = ("uni", "eu", "one", "use", "uku")
SAID_AS_VOWEL = ("hour", "heir", "honest")


@dataclass(frozen=True, slots=True)
class Composed:
    """A prompt with its bindings."""

    prompt: str
    bindings: tuple[Binding, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    """(attribute, thing) that the prompt does not say, since one of its kind came before it."""


def compose(scene: Scene, words: Vocabulary = WORDS) -> Composed:
    """Says a scene in words of the vocabulary.

    A thing has one attribute of a kind: the first that is given counts, and the others are named
    in `left_out`. Attributes stand in the order of kinds, things in that of the scene.

    Raises:
        DataError: for a scene with no thing, or a word that is not of the vocabulary.

    >>> red_mug = Thing("mug", ("ceramic", "red", "blue"))
    >>> composed = compose(Scene((red_mug, Thing("bowl", ("ivory",))), "kitchen", "daylight"))
    >>> composed.prompt
    'a red ceramic mug beside an ivory bowl, in a kitchen, in daylight'
    >>> [pair for binding in composed.bindings for pair in binding.pairs]
    [('red', 'mug'), ('ceramic', 'mug'), ('ivory', 'bowl')]
    >>> composed.left_out
    (('blue', 'mug'),)
    """
    if not isinstance(scene, Scene) or not scene.things:
        raise DataError(f"expected a Scene with at least one thing; got {scene!a}")
    prompt = ""
    bindings, left_out = [], []
    for number, thing in enumerate(scene.things):
        noun = words.thing(thing.noun)
        kept, others = _attributes(thing, words)
        left_out += [(attribute, noun) for attribute in others]
        prompt += _between(number, len(scene.things)) + article((*kept, noun)[0])
        spans = []
        for word in (*kept, noun):
            prompt += " "
            spans.append(Phrase(len(prompt), len(prompt) + len(word), word))
            prompt += word
        if kept:
            bindings.append(Binding(spans[-1], tuple(spans[:-1])))
    if scene.place is not None:
        prompt += f", {words.places[words.place(scene.place)].words}"
    if scene.light is not None:
        prompt += f", in {words.light(scene.light)}"
    return Composed(prompt, tuple(bindings), tuple(left_out))


def _attributes(thing: Thing, words: Vocabulary) -> tuple[list[str], list[str]]:
    """Returns the attributes that are said, in order, and those that are left out."""
    by_kind: dict[str, str] = {}
    others = []
    for given in thing.attributes:
        attribute = words.attribute(given)
        if by_kind.setdefault(words.kinds[attribute], attribute) != attribute:
            others.append(attribute)
    return [by_kind[kind] for kind in words.attributes if kind in by_kind], others


def _between(number: int, n_things: int) -> str:
    if number == 0:
        return ""
    if number == 1:
        return " beside "
    return " and " if number == n_things - 1 else ", "


def article(word: str) -> str:
    """Returns "a" or "an", as a word of the vocabulary is said."""
    is_vowel = word[0] in "aeiou" and not word.startswith(SAID_AS_CONSONANT)
    return "an" if is_vowel or word.startswith(SAID_AS_VOWEL) else "a"
