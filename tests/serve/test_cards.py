"""What is put together by hand is the JSON of the same facts."""

import numpy as np
import orjson
import pytest
from tests.conftest import Exported

from etalage.ids import Vocabulary
from etalage.serve.runtime.cards import cards
from etalage.serve.runtime.catalogue import Catalogue
from etalage.serve.runtime.engine import Answer, Engine

TITLES = ['a "quoted" pot', "back\\slash, {brace}", "Tee für zwei", ""]
CODES = np.arange(12, dtype=np.int32).reshape(4, 3)


@pytest.fixture(scope="module")
def engine(exported: Exported) -> Engine:
    return Engine(exported.folder)


@pytest.mark.parametrize("codes", [None, CODES])
@pytest.mark.parametrize("ids", [[7, 8, 9, 10], ["p", '"', "t", "\n"]])
def test_a_card_is_what_is_known(ids: list[str] | list[int], codes: np.ndarray | None) -> None:
    categories = ["pots", "pots", "tea", 'o"']
    shelf = Catalogue(Vocabulary(ids), TITLES, categories, codes)
    for item in range(4):
        assert shelf.card(item) == {
            "id": ids[item],
            "title": TITLES[item] or str(ids[item]),
            "category": categories[item],
            "codes": None if codes is None else CODES[item].tolist(),
        }


def test_cards_say_what_the_engine_says(engine: Engine) -> None:
    history = np.array([3, 9, 50, 7], np.int32)
    answer = engine.recommend(history, 15)
    assert answer.probabilities is not None
    written = orjson.loads(orjson.dumps(cards(engine, history, answer)))
    reasons = engine.reasons(history, answer.items)
    assert [card["id"] for card in written] == engine.catalogue.ids.externals(answer.items)
    np.testing.assert_allclose([card["score"] for card in written], answer.scores, rtol=1e-6)
    np.testing.assert_allclose([card["probability"] for card in written], answer.probabilities)
    for card, item, row in zip(written, answer.items.tolist(), reasons, strict=True):
        assert engine.catalogue.card(item).items() <= card.items()
        past = [engine.catalogue.card(i) for i, _ in row]
        assert [(why["id"], why["title"]) for why in card["why"]] == [
            (seen["id"], seen["title"]) for seen in past
        ]
        assert [why["similarity"] for why in card["why"]] == [cosine for _, cosine in row]


def test_what_is_no_number_is_null(engine: Engine) -> None:
    scores = np.array([np.nan, 1, np.inf], np.float32)
    answer = Answer(np.array([4, 5, 6], np.int32), scores, None)
    written = orjson.loads(orjson.dumps(cards(engine, np.zeros(0, np.int32), answer)))
    assert [card["score"] for card in written] == [None, 1, None]
    assert [card["probability"] for card in written] == [None] * 3
    assert [card["why"] for card in written] == [[], [], []]
    nothing = Answer(answer.items[:0], scores[:0], None)
    assert orjson.dumps(cards(engine, np.zeros(0, np.int32), nothing)) == b"[]"
