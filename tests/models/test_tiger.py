"""The generator of ids: search is exact when it may be, and codes help where structure is."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.data.ragged import Histories, ItemSets, TopK
from etalage.data.split import leave_one_out
from etalage.errors import DataError
from etalage.evaluate.ranking import evaluate_recommender
from etalage.ids import Vocabulary
from etalage.models.content import cooccurrence_vectors, item_texts, item_vectors
from etalage.models.generative.spelling import SpellingConfig
from etalage.models.recommender import best
from etalage.models.registry import build
from etalage.tokenize.beam import beam_search
from etalage.tokenize.trie import Trie

N_ITEMS, N_TOPICS = 120, 6
ANYTHING = {"min_usage": None, "max_collision_rate": None, "min_neighbour_lift": None}
"""Twelve titles spell a hundred items: what is told apart is arbitrary, which suits a toy."""
SMALL = {
    "kind": "tiger", "width": 32, "dropout": 0.1,
    "tokens": {"n_levels": 2, "n_codes": 12, "vector_width": 16, "limits": ANYTHING,
               "collisions": "extra_level"},
    "training": {"epochs": 12, "batch_size": 64, "learning_rate": 0.01},
}  # fmt: skip


def shop(n_users: int = 300, *, titles: bool = True) -> Dataset:
    """Six topics in a circle: who took something of topic t takes something of t + 1 next."""
    rng = np.random.default_rng(0)
    topics = np.arange(N_ITEMS) % N_TOPICS
    steps = np.tile(np.arange(8), n_users)
    users = np.repeat(np.arange(n_users), 8)
    topic = (rng.integers(0, N_TOPICS, n_users)[users] + steps) % N_TOPICS
    items = topic + N_TOPICS * rng.integers(0, N_ITEMS // N_TOPICS, len(users))
    log = Interactions.from_arrays(users, items, steps, n_users=n_users, n_items=N_ITEMS)
    words = [["mug", "cup"], ["oak", "pine"], ["rose", "lily"], ["bell", "tyre"], ["sock", "hat"],
             ["pen", "ink"]]  # fmt: skip
    table = pl.DataFrame({"title": [f"{words[t][i % 2]} {words[t][0]}" for i, t in
                                    enumerate(topics)]})  # fmt: skip
    ids = Vocabulary(range(n_users)), Vocabulary(range(N_ITEMS))
    return Dataset("circle of topics", log, *ids, item_table=table if titles else None)


@pytest.fixture(scope="module")
def model():
    fitted = build(SMALL)
    fitted.fit(shop())
    return fitted


HISTORIES = Histories.from_rows([[0, 1, 2], [5], [], [119, 3, 40, 8, 9]])


def every_score(model, histories: Histories) -> np.ndarray:
    """log p of every item by the definition, one softmax over the children of each prefix."""
    network, ids = model.network, model.ids
    with torch.no_grad():
        states = network.read(torch.from_numpy(histories.items.astype(np.int64)))[:, -1]
        total = np.zeros((len(histories), len(ids)))
        for item, codes in enumerate(ids.codes):
            said = states
            for level, code in enumerate(codes):
                same = (ids.codes[:, :level] == codes[:level]).all(1)
                exists = sorted(set(ids.codes[same, level].tolist()))
                logits = network.write(said, level)[:, exists].double()
                total[:, item] += logits.log_softmax(1)[:, exists.index(code)].numpy()
                said = said + network.said(network.tokens[item, level])
    return total


def test_with_a_beam_for_every_item_search_is_brute_force(model) -> None:
    scores = every_score(model, HISTORIES)
    np.testing.assert_allclose(np.exp(scores).sum(1), 1, atol=1e-6)
    top = model.recommend(HISTORIES, N_ITEMS)
    assert np.array_equal(np.sort(top.items, axis=1), np.tile(np.arange(N_ITEMS), (4, 1)))
    np.testing.assert_allclose(top.scores, np.take_along_axis(scores, top.items, 1), atol=1e-5)
    # exact order, but for neighbours that rounding alone may swap
    exact = best(scores.astype(np.float32), N_ITEMS)
    gap = np.take_along_axis(scores, exact.items, 1) - np.take_along_axis(scores, top.items, 1)
    assert np.abs(gap).max() < 1e-5


def test_the_loss_is_the_mean_surprise_at_every_item(model) -> None:
    """Rows that only fill a matrix up count for nothing."""
    rows = [[0, 1, 2], [5], [119, 3, 40]]
    steps = [(row[:t], item) for row in rows for t, item in enumerate(row)]
    scores = every_score(model, Histories.from_rows([before for before, _ in steps]))
    expected = -scores[np.arange(len(steps)), [item for _, item in steps]].mean()
    history = torch.from_numpy(Histories.from_rows(rows).items.astype(np.int64))
    with torch.no_grad():
        assert model.network.spell(history).surprise.item() == pytest.approx(expected, abs=1e-5)


def test_what_may_not_be_shown_costs_no_beam_and_changes_no_probability(model) -> None:
    """Whole topics are gone, yet narrow beams fill the list from what is left."""
    scores = every_score(model, HISTORIES)
    gone = np.flatnonzero(np.arange(N_ITEMS) % N_TOPICS != 4)
    top = model.recommend(HISTORIES, 20, exclude=ItemSets.from_rows([gone] * 4))
    left = np.arange(4, N_ITEMS, N_TOPICS)
    assert np.array_equal(np.sort(top.items, axis=1), np.tile(left, (4, 1)))
    np.testing.assert_allclose(top.scores, np.take_along_axis(scores, top.items, 1), atol=1e-5)
    among = model.recommend(HISTORIES, 20, among=left.astype(np.int32))
    assert among.items.tobytes() == top.items.tobytes()
    both = model.recommend(
        HISTORIES, 20, among=left.astype(np.int32), exclude=ItemSets.from_rows([left[:5]] * 4)
    )
    assert set(both.items.ravel()) == {-1, *left[5:].tolist()}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_beams_find_the_best_of_any_tree(data: st.DataObject) -> None:
    """Random trees and logits: full beams equal a full sort; narrow ones give true scores."""
    n_levels = data.draw(st.integers(1, 4))
    row = st.tuples(*[st.integers(0, 3)] * n_levels)
    codes = np.array(data.draw(st.lists(row, min_size=1, max_size=30, unique=True)), np.int32)
    seed, n_beams = data.draw(st.integers(0, 99)), data.draw(st.integers(1, 40))
    trie = Trie(codes)
    bias = np.random.default_rng(seed).normal(size=(2, 4, 4, 5, 5)).astype(np.float32)

    def step(prefixes: np.ndarray, parents: np.ndarray) -> np.ndarray:
        people, beams, level = prefixes.shape
        last = prefixes[:, :, -1] if level else np.zeros((people, beams), int)
        return bias[np.arange(people)[:, None], level, last, :, 0]

    none = np.zeros((2, 1), int)
    exact = np.zeros((2, len(codes)))
    for item, code in enumerate(codes):
        for level in range(n_levels):
            logits = step(np.tile(code[:level], (2, 1, 1)), none)[:, 0]
            exists = trie.allowed(code[None, :level])[0]
            kept = np.where(exists, logits[:, : len(exists)], -np.inf).astype(np.float64)
            exact[:, item] += kept[:, code[level]] - np.log(np.exp(kept).sum(1))
    wanted = np.random.default_rng(seed).random((2, len(codes))) < 0.7
    top = TopK(*beam_search(step, trie, 2, n_beams, wanted))
    for person in range(2):
        n_left = int(wanted[person].sum())
        found = top.items[person][top.items[person] >= 0]
        assert len(found) == len(set(found)) == min(len(found), n_left)
        assert wanted[person][found].all()
        np.testing.assert_allclose(
            top.scores[person, : len(found)], exact[person, found], atol=1e-5
        )
        assert (np.diff(top.scores[person, : len(found)]) <= 0).all()
        assert (top.scores[person, len(found) :] == -np.inf).all()
        if n_beams >= len(codes):
            assert len(found) == n_left
            allowed = np.where(wanted[person], exact[person], -np.inf)
            order = np.argsort(-allowed, kind="stable")[:n_left]
            np.testing.assert_allclose(exact[person, found], exact[person, order], atol=1e-5)


def test_what_beams_did_not_find_stays_unsaid(model) -> None:
    scores = model.score(HISTORIES)
    assert scores.shape == (4, N_ITEMS)
    assert ((~np.isnan(scores)).sum(1) == model.config.n_beams).all()
    top = model.recommend(HISTORIES, 5)
    assert best(scores, 5).items.tobytes() == top.items.tobytes()
    assert not model.scores_all_items


def test_it_beats_popularity_where_items_have_structure() -> None:
    data = shop()
    split = leave_one_out(data.interactions)
    ndcg = {}
    for name, settings_ in (("popularity", {"kind": "popularity"}), ("tiger", SMALL)):
        fitted = build(settings_)
        fitted.fit(data.with_interactions(split.train))
        ndcg[name] = evaluate_recommender(fitted, split.test, ks=(10,)).metrics["ndcg@10"]
    # knowing the topic leaves 20 items: NDCG@10 of a blind order of 20 is 0.227
    assert ndcg["popularity"] < 0.08
    assert ndcg["tiger"] > 0.18


def test_an_empty_history_gets_what_people_begin_with() -> None:
    """Everyone begins with items 0 to 9, so those come first for someone unknown."""
    rng = np.random.default_rng(0)
    items = np.column_stack([rng.integers(0, 10, 200), rng.integers(10, 30, (200, 3))]).ravel()
    log = Interactions.from_arrays(np.repeat(np.arange(200), 4), items, n_users=200, n_items=30)
    table = pl.DataFrame({"title": ["welcome gift"] * 10 + ["garden rake"] * 20})
    ids = Vocabulary(range(200)), Vocabulary(range(30))
    fitted = build(SMALL | {"training": {"epochs": 20, "batch_size": 16, "learning_rate": 0.003}})
    fitted.fit(Dataset("starts", log, *ids, item_table=table))
    top = fitted.recommend(Histories.from_rows([[], [3]], length=3), 10)
    assert set(top.items[0]) == set(range(10))
    assert np.exp(top.scores[0]).sum() > 0.95
    assert not set(top.items[1]) & set(range(10))


def test_padding_and_history_beyond_the_window_change_nothing(model) -> None:
    rows = [[0, 1, 2], [5, 6]]
    short = model.recommend(Histories.from_rows(rows), 10)
    wide = model.recommend(Histories.from_rows(rows, length=90), 10)
    assert wide.items.tobytes() == short.items.tobytes()
    long = list(range(100))
    whole = model.recommend(Histories.from_rows([long]), 10)
    newest = model.recommend(Histories.from_rows([long[-50:]]), 10)
    assert whole.items.tobytes() == newest.items.tobytes()


def test_thread_count_never_changes_the_list(model) -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = model.recommend(HISTORIES, 10).items
        torch.set_num_threads(2)
        assert model.recommend(HISTORIES, 10).items.tobytes() == one.tobytes()
    finally:
        torch.set_num_threads(before)


def test_ids_follow_titles_and_are_kept(model, tmp_path: Path) -> None:
    assert model.health is not None
    assert model.health.neighbour_agreement > 3 * model.health.chance_agreement
    topics = np.arange(N_ITEMS) % N_TOPICS
    for code in np.unique(model.ids.codes[:, 0]):
        assert len(set(topics[model.ids.codes[:, 0] == code])) == 1
    model.save(tmp_path / "tiger")
    loaded = type(model).load(tmp_path / "tiger")
    assert loaded.ids.codes.tobytes() == model.ids.codes.tobytes()
    assert loaded.ids.sizes == model.ids.sizes


def test_texts_are_read_from_the_columns_that_say_what_an_item_is() -> None:
    table = pl.DataFrame(
        {
            "category": [["Home", "Mugs"], None],
            "title": ["Red mug", None],
            "price": [1.5, 2.0],
            "asin": ["B01", "B02"],
        }
    )
    data = shop()
    with_table = Dataset("two", data.interactions, data.users, data.items, item_table=table)
    assert item_texts(with_table) == ["Red mug Home Mugs", " "]
    assert item_texts(shop(titles=False)) is None


def test_without_titles_items_taken_together_are_near() -> None:
    users, items = np.divmod(np.arange(400), 10)
    items = items + 10 * (users % 3)  # three groups of people, each with ten items of its own
    log = Interactions.from_arrays(users, items, n_users=40, n_items=31)  # item 30 is never taken
    vectors = cooccurrence_vectors(log, 8, seed=0)
    alike = vectors @ vectors.T
    same = np.arange(30)[:, None] // 10 == np.arange(30) // 10
    assert alike[:30, :30][same].min() > 0.99
    assert alike[:30, :30][~same].max() < 0
    assert (vectors[30] == 0).all()
    assert (
        vectors.tobytes()
        == item_vectors(
            Dataset("three", log, Vocabulary(range(40)), Vocabulary(range(31))),
            SpellingConfig(vector_width=8),
            seed=0,
        ).tobytes()
    )


@pytest.mark.parametrize("n_items", [1, 2])
def test_the_smallest_catalogues_work(n_items: int) -> None:
    log = Interactions.from_arrays([0, 0, 1, 1], np.arange(4) % n_items, n_users=2, n_items=n_items)
    fitted = build(SMALL)
    fitted.fit(Dataset("small", log, Vocabulary(range(2)), Vocabulary(range(n_items))))
    top = fitted.recommend(Histories.from_rows([[0]]), 3)
    assert sorted(top.items[0].tolist()) == [-1] * (3 - n_items) + list(range(n_items))


def test_an_empty_log_still_makes_a_model_that_answers() -> None:
    log = Interactions.from_arrays([], [], n_users=1, n_items=4)
    fitted = build(SMALL)
    fitted.fit(Dataset("empty", log, Vocabulary(range(1)), Vocabulary(range(4))))
    assert set(fitted.recommend(Histories.from_rows([[0]]), 4).items[0]) == {0, 1, 2, 3}
    nothing = fitted.recommend(Histories.from_rows([[0]]), 2, among=np.array([], np.int32))
    assert nothing.items.tolist() == [[-1, -1]]


def test_bad_questions_are_named(model) -> None:
    with pytest.raises(DataError, match="k must be at least 1; got 0"):
        model.recommend(HISTORIES, 0)
    with pytest.raises(DataError, match="exclude has 1 rows, histories 4"):
        model.recommend(HISTORIES, 3, exclude=ItemSets.from_rows([[1]]))
    with pytest.raises(DataError, match="n_beams must be at least 1"):
        beam_search(lambda p, q: p, model.network.trie, 1, 0)  # type: ignore[arg-type,return-value]


def test_masks_of_a_large_catalogue_are_made_for_few_people_at_once(model, monkeypatch) -> None:
    exclude = ItemSets.from_rows([[1], [2, 3], [], [7]])
    expected = model.recommend(HISTORIES, 10, exclude=exclude)
    rows, wanted_of = [], model._wanted

    def counted(exclude: ItemSets, among: None) -> np.ndarray:
        rows.append(len(exclude))
        return wanted_of(exclude, among)

    monkeypatch.setattr(model, "_wanted", counted)
    monkeypatch.setattr("etalage.models.generative.tiger.MASKS_AT_ONCE", 2 * N_ITEMS + 1)
    top = model.recommend(HISTORIES, 10, exclude=exclude)
    assert rows == [2, 2]
    assert top.items.tobytes() == expected.items.tobytes()
    monkeypatch.setattr("etalage.models.generative.tiger.MASKS_AT_ONCE", 1)
    model.recommend(HISTORIES, 10, exclude=exclude)
    assert rows[2:] == [1, 1, 1, 1]
