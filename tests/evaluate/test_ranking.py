"""Judging a whole model: full ranking in batches, seen items hidden, nonsense refused."""

import math

import numpy as np
import pytest

from etalage.data.interactions import Interactions
from etalage.data.ragged import Histories, ItemSets, TopK
from etalage.data.split import Queries, leave_one_out
from etalage.errors import DataError
from etalage.evaluate.metrics import evaluate_lists
from etalage.evaluate.ranking import OUT_OF_REACH, evaluate_recommender, hide, places
from etalage.models.recommender import best


class Fixed:
    """The same scores for everyone."""

    history_length = 1
    scores_all_items = True

    def __init__(self, row: list[float]) -> None:
        self.row = np.array(row, np.float32)

    def score(self, histories: Histories) -> np.ndarray:
        return np.tile(self.row, (len(histories), 1))

    def score_queries(self, queries: Queries) -> np.ndarray:
        return self.score(queries.histories(self.history_length))


class Lister(Fixed):
    """Gives lists, and would not know how to score everything."""

    scores_all_items = False

    def recommend(self, histories: Histories, k: int, *, exclude: ItemSets | None = None) -> TopK:
        scores = super().score(histories)
        if exclude is not None:
            scores[exclude.row_of_entry, exclude.items] = np.nan
        return best(scores, k)

    def score(self, histories: Histories) -> np.ndarray:
        raise AssertionError("a model that makes lists must not be asked for scores")


def walk(n_users: int = 40, n_items: int = 30, length: int = 8) -> Queries:
    rng = np.random.default_rng(0)
    items = np.concatenate([rng.choice(n_items, length, replace=False) for _ in range(n_users)])
    users = np.repeat(np.arange(n_users), length)
    return leave_one_out(Interactions.from_arrays(users, items, n_items=n_items)).test


def queries_of_two_people() -> Queries:
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


def test_a_model_that_never_knows_is_refused() -> None:
    with pytest.raises(DataError, match="NaN for every item"):
        evaluate_recommender(Fixed([math.nan] * 4), queries_of_two_people())


def test_scores_for_another_catalogue_are_refused() -> None:
    with pytest.raises(DataError, match="fit it on the catalogue"):
        evaluate_recommender(Fixed([1, 2, 3]), queries_of_two_people())


def test_seen_items_leave_the_list_and_a_seen_target_is_a_miss() -> None:
    scores = np.tile(np.array([9, 8, 7], np.float32), (2, 1))
    targets, seen = ItemSets.from_rows([[0], [2]]), ItemSets.from_rows([[0], [0, 1]])
    hide(scores, seen)
    above, equal = places(scores, targets)
    assert above.tolist() == [OUT_OF_REACH, 0]
    assert equal.tolist() == [1, 1]
    with pytest.raises(DataError, match="0 to 2"):
        places(scores, ItemSets.from_rows([[-1], [2]]))


def test_hiding_seen_items_is_a_choice() -> None:
    repeats = Interactions.from_arrays([0, 0, 0], [1, 0, 1], n_items=3)
    queries = leave_one_out(repeats).test
    model = Fixed([1, 3, 2])
    hidden = evaluate_recommender(model, queries, ks=(1,))
    shown = evaluate_recommender(model, queries, ks=(1,), exclude_seen=False)
    assert hidden.metrics["hit_rate@1"] == 0
    assert shown.metrics["hit_rate@1"] == 1


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_lists_and_full_ranking_agree_where_nothing_ties(exclude_seen: bool) -> None:
    row = np.random.default_rng(1).permutation(30).tolist()
    queries = walk()
    popularity = np.arange(30)
    full, listed = (
        evaluate_recommender(
            model,
            queries,
            exclude_seen=exclude_seen,
            batch_size=7,
            training_popularity=popularity,
        )
        for model in (Fixed(row), Lister(row))
    )
    for name, values in full.per_query.items():
        np.testing.assert_allclose(listed.per_query[name], values, atol=1e-12, err_msg=name)
    assert listed.exposure == full.exposure
    assert listed.cold_target_rate == full.cold_target_rate


def test_the_report_counts_what_a_mean_would_hide() -> None:
    log = Interactions.from_arrays([0] * 3 + [1] * 3, [0, 1, 2, 2, 1, 0], n_items=4)
    queries = leave_one_out(log).test
    nothing_asked = Queries(
        queries.flat,
        queries.users,
        queries.starts,
        queries.ends,
        np.array([queries.ends[0], queries.stops[1]]),
        queries.times,
        4,
    )
    counts = np.array([0, 5, 5, 5])
    report = evaluate_recommender(
        Fixed([1, 1, math.nan, math.nan]), nothing_asked, ks=(2,), training_popularity=counts
    )
    assert report.n_without_truth == 1
    assert report.n_queries == len(report.per_query["ndcg@2"]) == 1
    assert report.cold_target_rate == 1
    assert report.tie_rate == 0  # its only rival was seen
    assert report.metrics["coverage@2"] == 0.25
    empty = evaluate_recommender(Fixed([math.nan, 1, 1, math.nan]), nothing_asked, ks=(2,))
    assert empty.n_without_items == 1
    with pytest.raises(DataError, match="training popularity has shape"):
        evaluate_recommender(Fixed([1] * 4), queries, training_popularity=counts[:2])


def test_a_cutoff_beyond_the_catalogue_finds_everything() -> None:
    report = evaluate_recommender(Fixed([1, 2, 3, 4]), queries_of_two_people(), ks=(50,))
    assert report.metrics["recall@50"] == 1
    assert report.metrics["precision@50"] == 1 / 50


def test_a_cutoff_beyond_the_catalogue_does_not_find_what_is_never_shown() -> None:
    log = Interactions.from_arrays([0, 0, 0], [2, 1, 2], [0, 1, 2], n_items=4)
    asked = leave_one_out(log).test
    report = evaluate_recommender(Fixed([1, 2, 3, 4]), asked, ks=(50,))
    assert report.metrics["recall@50"] == 0


def test_no_queries_and_bad_cutoffs() -> None:
    nobody = queries_of_two_people().take(slice(0, 0))
    assert math.isnan(evaluate_recommender(Fixed([1, 2, 3, 4]), nobody).metrics["ndcg@10"])
    with pytest.raises(DataError, match="cut-offs"):
        evaluate_recommender(Fixed([1, 2, 3, 4]), nobody, ks=(0,))
    with pytest.raises(DataError, match="lists have shape"):
        evaluate_lists(np.zeros((1, 2), np.int32), ItemSets.from_rows([[1]]), [3])
