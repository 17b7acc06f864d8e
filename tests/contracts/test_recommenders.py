"""What every registered recommender must do, whatever is inside."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.contracts.broken import check_broken_copies
from tests.contracts.cases import CASES, Case

import etalage
from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.data.ragged import Histories, ItemSets
from etalage.data.split import leave_one_out
from etalage.errors import DataError, NotFittedError
from etalage.evaluate.ranking import evaluate_recommender
from etalage.ids import Vocabulary
from etalage.models.registry import MODELS, build, model_type

N_ITEMS = 30
HISTORIES = Histories.from_rows([[1, 2, 3], [7], [], [29, 0, 1, 2]], length=6)


def shop(seed: int = 0, n_users: int = 60) -> Dataset:
    """People who walk around a circle of items, starting anywhere: the next item is certain."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, 12, n_users)
    starts = rng.integers(0, N_ITEMS, n_users)
    users = np.repeat(np.arange(n_users), lengths)
    steps = np.concatenate([np.arange(n) for n in lengths])
    items = (np.repeat(starts, lengths) + steps) % N_ITEMS
    log = Interactions.from_arrays(users, items, steps, n_users=n_users, n_items=N_ITEMS)
    return Dataset("circle", log, Vocabulary(range(n_users)), Vocabulary(range(N_ITEMS)))


@pytest.fixture(params=CASES, ids=lambda case: case.kind)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def fitted(case: Case, data: Dataset | None = None):
    model = build({"kind": case.kind} | case.settings)
    model.fit(data or shop())
    return model


def test_every_registered_model_has_a_case() -> None:
    assert sorted(MODELS) == sorted(case.kind for case in CASES)


def test_asking_before_fitting_is_an_error(case: Case) -> None:
    with pytest.raises(NotFittedError, match="call fit"):
        build({"kind": case.kind}).recommend(HISTORIES, 3)


def test_fitting_again_starts_afresh_and_gives_the_same(case: Case) -> None:
    model = fitted(case, shop(seed=1))
    model.fit(shop())
    again, fresh = model.recommend(HISTORIES, 5), fitted(case).recommend(HISTORIES, 5)
    assert again.items.tolist() == fresh.items.tolist()
    assert again.scores.tobytes() == fresh.scores.tobytes()


def test_a_batch_answers_as_one_by_one(case: Case) -> None:
    model = fitted(case)
    together = model.recommend(HISTORIES, 5)
    for row in range(len(HISTORIES)):
        alone = model.recommend(HISTORIES.take(slice(row, row + 1)), 5)
        assert alone.items[0].tolist() == together.items[row].tolist()
        np.testing.assert_allclose(alone.scores[0], together.scores[row], atol=1e-6)


def test_saving_and_loading_changes_nothing(case: Case, tmp_path: Path) -> None:
    model = fitted(case)
    model.save(tmp_path / "model")
    loaded = model_type(case.kind).load(tmp_path / "model")
    assert loaded.config == model.config
    before, after = model.recommend(HISTORIES, 5), loaded.recommend(HISTORIES, 5)
    assert before.items.tolist() == after.items.tolist()
    assert before.scores.tobytes() == after.scores.tobytes()


def test_a_saved_model_says_what_it_was_made_of(case: Case, tmp_path: Path) -> None:
    model = fitted(case)
    model.save(tmp_path / "model")
    facts = json.loads((tmp_path / "model" / "config.json").read_text())
    assert facts["library_version"] == etalage.__version__
    assert facts["data_hash"] == shop().interactions.hash
    assert facts["config"] == model.config.to_dict()
    loaded = model_type(case.kind).load(tmp_path / "model")
    loaded.save(tmp_path / "again")
    assert json.loads((tmp_path / "again" / "config.json").read_text()) == facts


def test_a_broken_copy_of_a_saved_model_is_refused(case: Case, tmp_path: Path) -> None:
    fitted(case).save(tmp_path / "model")
    check_broken_copies(tmp_path / "model", model_type(case.kind))


def test_settings_survive_writing(case: Case) -> None:
    config = build({"kind": case.kind} | case.settings).config
    assert type(config).model_validate(json.loads(config.model_dump_json())) == config


def test_more_places_than_items_leaves_the_rest_empty(case: Case) -> None:
    top = fitted(case).recommend(HISTORIES, N_ITEMS + 5)
    assert (top.items[:, N_ITEMS:] == -1).all()
    assert (top.scores[:, N_ITEMS:] == -np.inf).all()
    for row in top.items:
        assert len(set(row[row >= 0])) == (row >= 0).sum()


def test_excluded_items_never_come_back(case: Case) -> None:
    model = fitted(case)
    free = model.recommend(HISTORIES, 4).items
    banned = ItemSets.from_rows(row[row >= 0] for row in free)
    for row, gone in zip(model.recommend(HISTORIES, 4, exclude=banned).items, banned, strict=True):
        assert not set(row) & set(gone)
    with pytest.raises(DataError, match="exclude has 1 rows, histories 4"):
        model.recommend(HISTORIES, 4, exclude=ItemSets.from_rows([[1]]))


def test_only_items_among_those_asked_come_back(case: Case) -> None:
    among = np.array([2, 3, 4, 5], np.int32)
    items = fitted(case).recommend(HISTORIES, 10, among=among).items
    assert set(items.ravel()) <= {-1, 2, 3, 4, 5}


def test_scores_are_numbers_or_say_nothing(case: Case) -> None:
    scores = fitted(case).score(HISTORIES)
    assert scores.shape == (len(HISTORIES), N_ITEMS)
    assert scores.dtype == np.float32
    assert not np.isinf(scores).any()


def test_what_follows_the_cut_cannot_change_an_answer(case: Case) -> None:
    data, cut = shop(), 5
    log = data.interactions
    moved = np.where(log.times >= cut, (log.items + 7) % N_ITEMS, log.items)
    other = Interactions.from_arrays(
        log.users, moved, log.times, n_users=log.n_users, n_items=N_ITEMS
    )
    one = fitted(case, data.with_interactions(log.before(cut)))
    two = fitted(case, data.with_interactions(other.before(cut)))
    assert one.score(HISTORIES).tobytes() == two.score(HISTORIES).tobytes()


def test_it_learns_what_there_is_to_learn(case: Case) -> None:
    if case.reaches is None:
        pytest.skip("does not read order")
    data = shop(n_users=300)
    split = leave_one_out(data.interactions)
    model = fitted(case, data.with_interactions(split.train))
    got = evaluate_recommender(model, split.test, ks=(1,)).metrics["hit_rate@1"]
    assert got >= case.reaches


def test_a_misspelt_setting_suggests_the_right_one() -> None:
    from etalage.errors import RecipeError

    with pytest.raises(RecipeError, match=r"item_knn\.n_neighbors.*did you mean 'n_neighbours'"):
        build({"kind": "item_knn", "n_neighbors": 3})
    with pytest.raises(RecipeError, match="did you mean 'item_knn'"):
        build({"kind": "item_kn"})
    with pytest.raises(RecipeError, match="need 'kind'"):
        build({"n_neighbours": 3})
