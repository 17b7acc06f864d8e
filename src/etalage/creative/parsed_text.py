"""What belongs together in a prompt, by its grammar? For prompts that the rules cannot read.

A parser of spaCy says which word depends on which. It is used where somebody has installed it: its
models are no packages that could be asked for. Dependencies are those of SynGen (Rassin et al.,
NeurIPS 2023); compounds are part of the name of a thing, "coffee table", and no attribute of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from etalage.creative.bindings import Binding, Phrase, check_prompt
from etalage.errors import DataError, naming_extras

MODIFIERS = frozenset({"amod", "nmod", "npadvmod", "acomp"})
"""How an attribute depends on its thing, or on the verb that says it of the thing."""
THINGS = frozenset({"NOUN", "PROPN"})


def load_parser(name: str) -> Any:
    """Loads a model of spaCy, such as `en_core_web_sm`, by its name or folder.

    Raises:
        MissingExtraError: when spaCy is not installed.
        DataError: when it has no such model.
    """
    with naming_extras():
        import spacy
    try:
        return spacy.load(name)
    except OSError as error:
        raise DataError(
            f"spaCy has no model {name!a} here; install it as spaCy says, or give a folder"
        ) from error


def parsed_bindings(prompt: str, parser: Any) -> tuple[Binding, ...]:
    """Finds the things of a prompt that have attributes, in the order of the prompt.

    Args:
        prompt: as the model gets it.
        parser: a loaded pipeline of spaCy with a parser and a tagger; see `load_parser`.

    Raises:
        DataError: for a prompt without a word.
    """
    check_prompt(prompt)
    found = []
    for token in parser(prompt):
        if token.pos_ not in THINGS or token.dep_ in {"compound", *MODIFIERS}:
            continue
        starts = [part.left_edge.idx for part in token.children if part.dep_ == "compound"]
        thing = _phrase(prompt, min([token.idx, *starts]), token)
        attributes = sorted(_phrase(prompt, word.left_edge.idx, word) for word in _said_of(token))
        apart = tuple(one for one in attributes if one.end <= thing.start or one.start >= thing.end)
        if apart:
            found.append(Binding(thing, apart))
    return tuple(found)


def _said_of(thing: Any) -> Iterator[Any]:
    """Yields the heads of a thing's attributes: "a red mug", "a mug that is red and round"."""
    for child in thing.children:
        if child.dep_ in MODIFIERS:
            yield from _listed(child)
        elif child.dep_ == "relcl":
            for word in child.children:
                if word.dep_ == "acomp":
                    yield from _listed(word)


def _listed(word: Any) -> Iterator[Any]:
    yield word
    for child in word.children:
        if child.dep_ == "conj":
            yield from _listed(child)


def _phrase(prompt: str, start: int, last: Any) -> Phrase:
    end = last.idx + len(last.text)
    return Phrase(start, end, prompt[start:end])
