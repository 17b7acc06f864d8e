"""Are bindings read off a parse? Parses are written by hand, as spaCy's models lay them out."""

import sys
from dataclasses import dataclass, field

import pytest

from etalage.creative.bindings import check_bindings
from etalage.creative.parsed_text import load_parser, parsed_bindings
from etalage.errors import DataError, MissingExtraError


@dataclass(eq=False)
class Token:
    text: str
    idx: int
    pos_: str
    dep_: str
    children: list["Token"] = field(default_factory=list)

    @property
    def left_edge(self) -> "Token":
        return min([self, *(child.left_edge for child in self.children)], key=lambda t: t.idx)


def parser(*words: tuple[str, str, str, int]):
    """A parser of one prompt: (text, part of speech, dependency, number of the head)."""

    def parse(prompt: str) -> list[Token]:
        tokens, at = [], 0
        for text, pos, dep, _ in words:
            at = prompt.index(text, at)
            tokens.append(Token(text, at, pos, dep))
            at += len(text)
        for token, (*_, head) in zip(tokens, words, strict=True):
            if tokens[head] is not token:
                tokens[head].children.append(token)
        return tokens

    return parse


CASES = {
    "a red coffee table beside a dark blue bowl": (
        (("a", "DET", "det", 3), ("red", "ADJ", "amod", 3), ("coffee", "NOUN", "compound", 3),
         ("table", "NOUN", "ROOT", 3), ("beside", "ADP", "prep", 3), ("a", "DET", "det", 8),
         ("dark", "ADJ", "amod", 7), ("blue", "ADJ", "amod", 8), ("bowl", "NOUN", "pobj", 4)),
        [("red", "coffee table"), ("dark blue", "bowl")],
    ),
    "a mug that is red and round": (
        (("a", "DET", "det", 1), ("mug", "NOUN", "ROOT", 1), ("that", "PRON", "nsubj", 3),
         ("is", "AUX", "relcl", 1), ("red", "ADJ", "acomp", 3), ("and", "CCONJ", "cc", 4),
         ("round", "ADJ", "conj", 4)),
        [("red", "mug"), ("round", "mug")],
    ),
    "a mug beside bowls": (
        (("a", "DET", "det", 1), ("mug", "NOUN", "ROOT", 1), ("beside", "ADP", "prep", 1),
         ("bowls", "NOUN", "pobj", 2)),
        [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("prompt", CASES)
def test_attributes_are_those_that_depend_on_the_thing(prompt: str) -> None:
    words, expected = CASES[prompt]
    found = parsed_bindings(prompt, parser(*words))
    check_bindings(prompt, found)
    assert [pair for binding in found for pair in binding.pairs] == expected


def test_a_prompt_without_a_word_is_refused() -> None:
    with pytest.raises(DataError, match="a text with a word"):
        parsed_bindings(" ", parser())


def test_spacy_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "spacy", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'etalage\[grammar\]'"):
        load_parser("en_core_web_sm")


def test_a_model_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Spacy:
        @staticmethod
        def load(name: str) -> None:
            raise OSError(f"[E050] Can't find model '{name}'")

    monkeypatch.setitem(sys.modules, "spacy", Spacy)
    with pytest.raises(DataError, match="no model 'en_core_web_sm'"):
        load_parser("en_core_web_sm")
