"""Ranking metrics: exact where theory gives the value, equal to an oracle where it does not."""

import itertools
import math

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import AP, RR, P, R, Success, nDCG

from etalage.data.ragged import ItemSets
from etalage.errors import DataError
from etalage.evaluate.metrics import METRICS, evaluate_lists, expected_metrics
from etalage.evaluate.ranking import places


def metrics_of(scores: np.ndarray | list, targets: list, ks: tuple[int, ...]) -> dict:
    sets = ItemSets.from_rows(targets)
    above, equal = places(np.array(scores, np.float32), sets)
    return expected_metrics(above, equal, sets, ks)


def one_order(ranking: tuple[int, ...], targets: set[int], k: int) -> list[float]:
    """The definitions, word for word, for one list without ties; in the order of METRICS."""
    hits = [i + 1 for i, item in enumerate(ranking[:k]) if item in targets]
    reachable = min(k, len(targets))
    ideal = sum(1 / math.log2(r + 1) for r in range(1, reachable + 1))
    return [
        float(bool(hits)),
        len(hits) / len(targets),
        len(hits) / reachable,
        len(hits) / k,
        sum(1 / math.log2(r + 1) for r in hits) / ideal,
        1 / hits[0] if hits else 0.0,
        sum((n + 1) / r for n, r in enumerate(hits)) / reachable,
    ]


@given(st.lists(st.integers(0, 2), min_size=2, max_size=6), st.integers(1, 7), st.data())
@settings(max_examples=150, deadline=None)
def test_ties_are_worth_the_mean_over_all_their_orders(
    scores: list[int], k: int, data: st.DataObject
) -> None:
    n = len(scores)
    targets = data.draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=n))
    orders = [
        order
        for order in itertools.permutations(range(n))
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))
    ]
    expected = np.mean([one_order(order, targets, k) for order in orders], axis=0)
    got = metrics_of([scores], [sorted(targets)], (k,))
    np.testing.assert_allclose([got[f"{name}@{k}"][0] for name in METRICS], expected, atol=1e-12)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_lists_follow_the_definitions(data: st.DataObject) -> None:
    k = data.draw(st.integers(1, 6))
    items = st.lists(st.integers(0, 9), min_size=k, max_size=k, unique=True)
    lists = data.draw(st.lists(items, min_size=1, max_size=6))
    targets = [data.draw(st.sets(st.integers(0, 9), min_size=1, max_size=9)) for _ in lists]
    for row in lists:  # a list may end early
        end = data.draw(st.integers(0, k))
        row[end:] = [-1] * (k - end)
    cut = data.draw(st.integers(1, k))
    got = evaluate_lists(np.array(lists, np.int32), ItemSets.from_rows(map(sorted, targets)), [cut])
    for q, row in enumerate(lists):
        expected = one_order(tuple(row), targets[q], cut)
        values = [got[f"{name}@{cut}"][q] for name in METRICS]
        np.testing.assert_allclose(values, expected, atol=1e-12)


def trec_eval(lists: np.ndarray, targets: list, k: int) -> dict[str, np.ndarray]:
    """Every metric per query as `ir_measures` has it, in our terms; lists (Q, L), -1 for no item.

    Two definitions differ: its map divides by all targets where ours divides by those that k
    places can hold, and it has no capped recall, which is precision over the same bound.
    """
    qrels = {str(q): {str(i): 1 for i in row} for q, row in enumerate(targets)}
    run = {
        str(q): {str(i): float(-place) for place, i in enumerate(row) if i >= 0}
        for q, row in enumerate(lists.tolist())
    }
    peers = {"hit_rate": Success, "recall": R, "precision": P, "ndcg": nDCG, "mrr": RR, "map": AP}
    found = {name: np.full(len(targets), np.nan) for name in peers}
    names = {peer @ k: name for name, peer in peers.items()}
    for value in ir_measures.iter_calc(list(names), qrels, run):
        found[names[value.measure]][int(value.query_id)] = value.value
    n_targets = np.array([len(row) for row in targets])
    reachable = np.minimum(n_targets, k)
    found["map"] *= n_targets / reachable
    found["recall_capped"] = found["precision"] * k / reachable
    assert set(found) == set(METRICS)
    return found


@pytest.mark.parametrize("most_targets", [1, 10, 40])
@pytest.mark.parametrize("k", [1, 5, 10])
def test_every_metric_agrees_with_trec_eval(k: int, most_targets: int) -> None:
    rng = np.random.default_rng(k)
    n_queries, n_items = 300, 50
    scores = rng.permuted(np.tile(np.arange(n_items), (n_queries, 1)), axis=1).astype(np.float32)
    sizes = rng.integers(1, most_targets + 1, n_queries)
    targets = [rng.choice(n_items, size, replace=False) for size in sizes]
    top = np.argsort(-scores, axis=1).astype(np.int32)
    expected = trec_eval(top, targets, k)
    full = metrics_of(scores, targets, (k,))
    listed = evaluate_lists(top, ItemSets.from_rows(targets), [k])
    for name in METRICS:
        for ours in (full, listed):
            np.testing.assert_allclose(
                ours[f"{name}@{k}"], expected[name], atol=1e-12, err_msg=name
            )


def test_lists_that_end_early_agree_with_trec_eval() -> None:
    rng = np.random.default_rng(7)
    lists = np.argsort(rng.random((300, 30)), axis=1)[:, :10].astype(np.int32)
    ends = rng.integers(1, 11, 300)
    lists[np.arange(10) >= ends[:, None]] = -1
    targets = [rng.choice(30, rng.integers(1, 20), replace=False) for _ in range(300)]
    listed = evaluate_lists(lists, ItemSets.from_rows(targets), [10])
    for name, expected in trec_eval(lists, targets, 10).items():
        np.testing.assert_allclose(listed[f"{name}@10"], expected, atol=1e-12, err_msg=name)


def test_ties_are_worth_the_mean_of_trec_eval_over_orders() -> None:
    """It breaks ties by the name of the item; over random names that is our expectation."""
    rng = np.random.default_rng(0)
    scores = np.array([3, 2, 2, 2, 2, 1, 1, 1, 0], np.float32)
    targets, n_orders, k = [1, 5, 6], 4000, 6
    jitter = scores + rng.random((n_orders, len(scores))) / 2
    drawn = trec_eval(np.argsort(-jitter, axis=1).astype(np.int32), [targets] * n_orders, k)
    ours = metrics_of([scores], [targets], (k,))
    for name, values in drawn.items():
        reach = 4 * values.std() / math.sqrt(n_orders) + 1e-12
        assert ours[f"{name}@{k}"][0] == pytest.approx(values.mean(), abs=reach), name


@pytest.mark.parametrize("target", [0, 57, 99])
def test_a_constant_scorer_over_100_items_deserves_0454(target: int) -> None:
    got = metrics_of([[1.0] * 100], [[target]], (10,))
    assert round(got["ndcg@10"][0], 4) == 0.0454
    assert got["recall@10"][0] == pytest.approx(0.1)


def test_one_target_at_rank_three_is_worth_a_half() -> None:
    assert metrics_of([[4, 3, 2, 1]], [[2]], (10,))["ndcg@10"][0] == pytest.approx(0.5)


def test_several_cutoffs_are_the_same_as_one_by_one() -> None:
    rng = np.random.default_rng(3)
    scores = rng.integers(0, 5, (20, 30))
    targets = [rng.choice(30, rng.integers(1, 9), replace=False) for _ in range(20)]
    together = metrics_of(scores, targets, (1, 5, 12))
    lists = np.argsort(-scores, axis=1)
    listed = evaluate_lists(lists, ItemSets.from_rows(targets), (1, 5, 12))
    for k in (1, 5, 12):
        alone = metrics_of(scores, targets, (k,))
        alone_listed = evaluate_lists(lists, ItemSets.from_rows(targets), [k])
        for name in alone:
            np.testing.assert_allclose(together[name], alone[name], atol=1e-12)
            np.testing.assert_allclose(listed[name], alone_listed[name], atol=1e-12)


def test_an_item_listed_twice_counts_once_and_nobody_wants_padding() -> None:
    got = evaluate_lists(np.array([[4, 4, 2, -1]]), ItemSets.from_rows([[4, 2]]), [4])
    assert got["recall@4"].tolist() == [1]
    assert got["map@4"].tolist() == [pytest.approx((1 + 2 / 3) / 2)]
    with pytest.raises(DataError, match="-1 means no item"):
        evaluate_lists(np.array([[-1]]), ItemSets.from_rows([[-1]]), [1])


def test_a_query_without_targets_gets_nothing() -> None:
    got = evaluate_lists(np.array([[1], [2]]), ItemSets.from_rows([[], [2]]), [1])
    assert got["ndcg@1"].tolist() == [0, 1]
