"""Ranking metrics: exact where theory gives the value, equal to an oracle where it does not."""

import itertools
import math

import ir_measures
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ir_measures import AP, RR, P, R, Success, nDCG

from etalage.data.interactions import Interactions
from etalage.data.ragged import ItemSets
from etalage.errors import DataError
from etalage.evaluate.ranking import evaluate_lists, evaluate_recommender, places, report

NAMES = ("hit_rate", "recall", "precision", "ndcg", "mrr", "map")


def metrics_of(scores: list[list[float]], targets: list[list[int]], ks=(3,), seen=None) -> dict:
    sets = ItemSets.from_rows(targets)
    hidden = ItemSets.from_rows(seen) if seen is not None else None
    above, equal = places(np.array(scores, np.float32), sets, hidden)
    return report(above, equal, sets, ks).per_query


def one_order(ranking: list[int], targets: set[int], k: int) -> list[float]:
    """The definitions, word for word, for one list without ties."""
    hits = [i + 1 for i, item in enumerate(ranking[:k]) if item in targets]
    ideal = sum(1 / math.log2(r + 1) for r in range(1, min(k, len(targets)) + 1))
    return [
        float(bool(hits)),
        len(hits) / len(targets),
        len(hits) / k,
        sum(1 / math.log2(r + 1) for r in hits) / ideal,
        1 / hits[0] if hits else 0.0,
        sum((n + 1) / r for n, r in enumerate(hits)) / min(k, len(targets)),
    ]


@given(
    st.lists(st.integers(0, 2), min_size=2, max_size=6),
    st.integers(1, 6),
    st.data(),
)
@settings(max_examples=150, deadline=None)
def test_ties_are_worth_the_mean_over_all_their_orders(scores, k, data) -> None:
    n = len(scores)
    targets = data.draw(st.sets(st.integers(0, n - 1), min_size=1, max_size=n))
    orders = [o for o in itertools.permutations(range(n)) if all(
        scores[a] >= scores[b] for a, b in itertools.pairwise(o))]  # fmt: skip
    expected = np.mean([one_order(list(o), targets, k) for o in orders], axis=0)
    got = metrics_of([scores], [sorted(targets)], ks=(k,))
    np.testing.assert_allclose([got[f"{name}@{k}"][0] for name in NAMES], expected, atol=1e-12)


def test_every_metric_agrees_with_trec_eval() -> None:
    rng = np.random.default_rng(0)
    n_queries, n_items, k = 200, 50, 10
    scores = rng.permuted(np.tile(np.arange(n_items), (n_queries, 1)), axis=1).astype(np.float32)
    targets = [rng.choice(n_items, rng.integers(1, k + 1), replace=False) for _ in range(n_queries)]
    qrels = {str(q): {str(i): 1 for i in row} for q, row in enumerate(targets)}
    run = {str(q): {str(i): float(s) for i, s in enumerate(row)} for q, row in enumerate(scores)}
    oracle = {"ndcg": nDCG @ k, "recall": R @ k, "precision": P @ k, "mrr": RR @ k,
              "map": AP @ k, "hit_rate": Success @ k}  # fmt: skip
    full = metrics_of(scores.tolist(), [r.tolist() for r in targets], ks=(k,))
    top = np.argsort(-scores, axis=1).astype(np.int32)
    listed = evaluate_lists(top, ItemSets.from_rows(targets), k)
    values = {(m.measure, int(m.query_id)): m.value for m in ir_measures.iter_calc(
        list(oracle.values()), qrels, run)}  # fmt: skip
    for name, measure in oracle.items():
        expected = [values[measure, q] for q in range(n_queries)]
        np.testing.assert_allclose(full[f"{name}@{k}"], expected, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(listed[f"{name}@{k}"], expected, atol=1e-12, err_msg=name)


def test_a_constant_scorer_over_100_items_deserves_0454() -> None:
    for target in (0, 57, 99):
        got = metrics_of([[1.0] * 100], [[target]], ks=(10,))
        assert round(got["ndcg@10"][0], 4) == 0.0454
        assert got["recall@10"][0] == pytest.approx(0.1)


def test_one_target_at_rank_three_is_worth_a_half() -> None:
    assert metrics_of([[4, 3, 2, 1]], [[2]], ks=(10,))["ndcg@10"][0] == pytest.approx(0.5)


def test_a_target_that_was_seen_is_a_miss_and_seen_items_leave_the_list() -> None:
    got = metrics_of([[9, 8, 7]] * 2, [[0], [2]], ks=(1,), seen=[[0], [0, 1]])
    assert got["recall@1"].tolist() == [0, 1]


class Fixed:
    history_length = 1

    def __init__(self, row: list[float]) -> None:
        self.row = np.array(row, np.float32)

    def score(self, histories):
        return np.tile(self.row, (len(histories), 1))


def queries_of_two_people():
    from etalage.data.split import leave_one_out

    log = Interactions.from_arrays([0, 0, 0, 1, 1, 1], [0, 1, 2, 2, 1, 0], n_items=4)
    return leave_one_out(log).test


def test_a_model_is_judged_in_batches_as_at_once() -> None:
    queries = queries_of_two_people()
    model = Fixed([1, 2, 3, 4])
    once = evaluate_recommender(model, queries, ks=(1, 2)).per_query
    bits = evaluate_recommender(model, queries, ks=(1, 2), batch_size=1).per_query
    for name, values in once.items():
        assert values.tolist() == bits[name].tolist()
    assert once["recall@2"].tolist() == [1, 1]
    assert once["recall@1"].tolist() == [0, 0]


def test_not_knowing_ranks_last_and_infinity_is_refused() -> None:
    queries = queries_of_two_people()
    unsure = evaluate_recommender(Fixed([math.nan, 1, math.nan, 1]), queries, ks=(2,))
    assert unsure.per_query["recall@2"].tolist() == [1, 0.5 + 0.5]
    with pytest.raises(DataError, match="diverged"):
        evaluate_recommender(Fixed([math.inf, 0, 0, 0]), queries)


def test_no_queries_and_bad_cutoffs() -> None:
    nobody = queries_of_two_people().take(slice(0, 0))
    assert math.isnan(evaluate_recommender(Fixed([1, 2, 3, 4]), nobody).metrics["ndcg@10"])
    with pytest.raises(DataError, match="cut-offs"):
        evaluate_recommender(Fixed([1, 2, 3, 4]), nobody, ks=(0,))
    with pytest.raises(DataError, match="lists have shape"):
        evaluate_lists(np.zeros((1, 2), np.int32), ItemSets.from_rows([[1]]), 3)
