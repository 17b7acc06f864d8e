"""What every registered recommender must do, whatever is inside."""

import json
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import yaml
from tests.contracts.broken import check_broken_copies
from tests.contracts.cases import CASES, Case
from tests.contracts.toys import N_ITEMS, dataset, shop
from threadpoolctl import threadpool_limits

import etalage
from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.data.ragged import Histories, ItemSets
from etalage.data.split import Split, global_time, leave_one_out
from etalage.errors import DataError, NotFittedError, RecipeError
from etalage.evaluate.ranking import evaluate_recommender
from etalage.models.exportable import Exportable
from etalage.models.recommender import Recommender
from etalage.models.registry import MODELS, build, model_type
from etalage.serve.runtime.retrieval import retrieval_of
from etalage.train.context import TrainContext

HISTORIES = Histories.from_rows([[1, 2, 3], [7], [], [29, 0, 1, 2]], length=6)
UNKNOWN_PERSON = 2
"""The row of HISTORIES without a history."""


@pytest.fixture(params=CASES, ids=lambda case: case.kind)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


def fresh(case: Case, data: Dataset, context: TrainContext | None = None) -> Recommender:
    model: Recommender = build({"kind": case.kind} | case.settings)
    model.fit(data, context)
    return model


@cache
def _fitted(kind: str) -> Recommender:
    return fresh(next(case for case in CASES if case.kind == kind), shop())


def fitted(case: Case) -> Recommender:
    """One model for all tests that only ask it."""
    return _fitted(case.kind)


def test_every_registered_model_has_a_case() -> None:
    assert sorted(MODELS) == sorted(case.kind for case in CASES)


def test_asking_before_fitting_is_an_error(case: Case) -> None:
    model = build({"kind": case.kind})
    with pytest.raises(NotFittedError, match="call fit"):
        model.recommend(HISTORIES, 3)
    with pytest.raises(NotFittedError, match="call fit"):
        model.score(HISTORIES)


def test_fitting_again_starts_afresh_and_gives_the_same(case: Case) -> None:
    model = fresh(case, shop(seed=1))
    model.fit(shop())
    again, other = model.recommend(HISTORIES, 5), fitted(case).recommend(HISTORIES, 5)
    assert again.items.tolist() == other.items.tolist()
    assert again.scores.tobytes() == other.scores.tobytes()


@contextmanager
def threads(n: int) -> Iterator[None]:
    """Torch and the BLAS of numpy work with n threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        with threadpool_limits(n):
            yield
    finally:
        torch.set_num_threads(before)


def test_another_number_of_threads_gives_the_same_list(case: Case) -> None:
    with threads(1):
        asked_one = fitted(case).recommend(HISTORIES, 5)
    with threads(2):
        asked_two = fitted(case).recommend(HISTORIES, 5)
    # the loop sets threads by itself; two of everything on a busy machine mostly wait
    with threads(1 if "training" in case.settings else 2):
        trained_two = fresh(case, shop(), TrainContext(threads=2)).recommend(HISTORIES, 1)
    assert asked_two.items.tolist() == asked_one.items.tolist()
    known = HISTORIES.lengths > 0  # what follows is certain for these
    assert trained_two.items[known, 0].tolist() == asked_one.items[known, 0].tolist()


def test_a_batch_answers_as_one_by_one(case: Case) -> None:
    model = fitted(case)
    together = model.recommend(HISTORIES, 5)
    for row in range(len(HISTORIES)):
        alone = model.recommend(HISTORIES.take(slice(row, row + 1)), 5)
        assert alone.items[0].tolist() == together.items[row].tolist()
        np.testing.assert_allclose(alone.scores[0], together.scores[row], atol=1e-6)


def test_no_one_asking_gets_no_answer(case: Case) -> None:
    nobody = HISTORIES.take(slice(0, 0))
    assert fitted(case).score(nobody).shape == (0, N_ITEMS)
    assert fitted(case).recommend(nobody, 3).items.shape == (0, 3)


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
    config = fitted(case).config
    assert type(config).model_validate(json.loads(config.model_dump_json())) == config
    text = yaml.safe_dump(config.to_dict())
    assert build(yaml.safe_load(text)).config == config


def test_more_places_than_items_leaves_the_rest_empty(case: Case) -> None:
    top = fitted(case).recommend(HISTORIES, N_ITEMS + 5)
    assert (top.items[:, N_ITEMS:] == -1).all()
    assert (top.scores[:, N_ITEMS:] == -np.inf).all()
    for row in top.items:
        assert len(set(row[row >= 0])) == (row >= 0).sum()


def test_someone_unknown_gets_what_the_model_can_say(case: Case) -> None:
    """Nothing, or the popular, or what people begin with; never padding among items."""
    model = fitted(case)
    top = model.recommend(HISTORIES, 5)
    items, scores = top.items[UNKNOWN_PERSON], top.scores[UNKNOWN_PERSON]
    assert items.shape == scores.shape == (5,)
    row = model.score(HISTORIES)[UNKNOWN_PERSON]
    if case.without_history == "nothing":
        assert items.tolist() == [-1] * 5
        assert np.isneginf(scores).all()
        assert np.isnan(row).all()
        return
    assert ((items >= 0) & (items < N_ITEMS)).all()
    assert len(set(items.tolist())) == 5
    assert np.isfinite(scores).all()
    assert (np.diff(scores) <= 0).all()
    assert np.isfinite(row[items]).all()
    if case.without_history == "popular":
        popularity = shop().interactions.popularity()
        assert items.tolist() == np.argsort(-popularity, kind="stable")[:5].tolist()


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


def test_unknown_items_stand_for_nothing(case: Case) -> None:
    """-1 is an id that no one knows; numpy alone would take it for the last item."""
    model, last = fitted(case), N_ITEMS - 1
    histories = Histories.from_rows([[0, -1, 27, 28]] * 2)
    known = Histories.from_rows([[0, 27, 28]] * 2)
    free = model.recommend(known, N_ITEMS)
    assert last in free.items[0]
    assert model.recommend(histories, N_ITEMS).items.tolist() == free.items.tolist()
    unknown = ItemSets.from_rows([[-1], [-1, 3, -1]])
    kept, dropped = model.recommend(known, N_ITEMS, exclude=unknown).items
    assert kept.tolist() == free.items[0].tolist()
    assert last in dropped
    assert 3 not in dropped
    among = model.recommend(known, 5, among=np.array([-1, 28, -1, 27], np.int32))
    assert last not in among.items
    assert set(among.items.ravel()) <= {-1, 27, 28}
    nothing = model.recommend(known, 5, among=np.array([-1], np.int32))
    assert (nothing.items == -1).all()


@pytest.mark.parametrize("beyond", [N_ITEMS, 64, 2_000_000_000])
def test_items_beyond_the_catalogue_are_named(case: Case, beyond: int) -> None:
    model = fitted(case)
    wrong = Histories.from_rows([[1, beyond], [2]])
    fine = Histories.from_rows([[1], [2]])
    said = rf"has item {beyond:,}, but there are 30 items, 0 to 29"
    for ask in (lambda: model.score(wrong), lambda: model.recommend(wrong, 3)):
        with pytest.raises(DataError, match=f"a history {said}"):
            ask()
    with pytest.raises(DataError, match=f"exclude {said}"):
        model.recommend(fine, 3, exclude=ItemSets.from_rows([[], [beyond]]))
    with pytest.raises(DataError, match=f"among {said}"):
        model.recommend(fine, 3, among=np.array([1, beyond], np.int32))


def test_scores_are_numbers_or_say_nothing(case: Case) -> None:
    scores = fitted(case).score(HISTORIES)
    assert scores.shape == (len(HISTORIES), N_ITEMS)
    assert scores.dtype == np.float32
    assert not np.isinf(scores).any()


def test_a_server_retrieves_what_the_model_recommends(case: Case, tmp_path: Path) -> None:
    model = fitted(case)
    assert isinstance(model, Exportable) == case.exportable
    if not isinstance(model, Exportable):
        return
    model.export(tmp_path)
    retrieve = retrieval_of(tmp_path, np.load(tmp_path / "item_vectors.npy"))
    encoder = onnxruntime.InferenceSession(tmp_path / "encoder.onnx")
    longest = Histories(np.arange(model.history_length, dtype=np.int32)[None] % N_ITEMS)
    known = [HISTORIES.take(slice(n, n + 1)) for n in np.flatnonzero(HISTORIES.lengths)]
    for one in [*known, longest]:
        history = one.items[one.items >= 0][None].astype(np.int64)  # a server pads nothing
        (state,) = encoder.run(["state"], {"history": history})
        for k, hidden in ((3, history[0, -2:]), (N_ITEMS, np.zeros(0, np.int64))):
            items, scores = retrieve(state[0], k, hidden.astype(np.int32))
            top = model.recommend(one, k, exclude=ItemSets.from_rows([hidden]))
            np.testing.assert_allclose(scores, top.scores[0], atol=1e-5)
            given = dict(zip(top.items[0].tolist(), top.scores[0].tolist(), strict=True))
            # only rounding may swap two
            np.testing.assert_allclose(scores, [given[i] for i in items.tolist()], atol=1e-5)


def test_memory_is_bounded_by_the_batch(case: Case) -> None:
    """Four times the questions need little more memory: far less than their scores would."""
    n_items, n_people = 400, 4000
    short = dict(case.settings)
    if "training" in short:
        short["training"] = short["training"] | {"epochs": 1}
    model = fresh(replace(case, settings=short), shop(n_items=n_items))
    questions = leave_one_out(shop(1, n_people, n_items).interactions).test
    evaluate_recommender(model, questions.take(slice(0, 64)), ks=(10,), batch_size=32)  # warms up

    def peak(n_questions: int) -> int:
        tracemalloc.start()
        some = questions.take(slice(0, n_questions))
        evaluate_recommender(model, some, ks=(10,), batch_size=32)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    n_more = n_people - n_people // 4
    assert peak(n_people) - peak(n_people // 4) < n_more * n_items * 4 / 4


def later_events_moved(log: Interactions, from_ms: int) -> Interactions:
    """The same log, but for what people took from a moment on."""
    items = np.where(log.times >= from_ms, (log.items + 7) % N_ITEMS, log.items)
    return Interactions.from_arrays(
        log.users, items, log.times, n_users=log.n_users, n_items=log.n_items
    )


def fitted_by(
    case: Case, log: Interactions, cut: Callable[[Interactions], Split]
) -> tuple[bytes, dict[str, float]]:
    """Scores and figures of a model that learns from one part of a split and stops by another."""
    split = cut(log)

    def monitor(judged: Any) -> dict[str, float]:
        return evaluate_recommender(judged, split.valid, ks=(10,)).metrics

    model: Recommender = build({"kind": case.kind} | case.settings)
    report = model.fit(dataset(split.train), TrainContext(monitor=monitor))
    return model.score(HISTORIES).tobytes(), report.metrics


def walks() -> Interactions:
    """The circle, with a moment of its own for every step of every person."""
    log = shop().interactions
    return Interactions.from_arrays(
        log.users, log.items, 100 * log.times + log.users, n_users=log.n_users, n_items=N_ITEMS
    )


def test_what_follows_the_cut_cannot_change_a_model(case: Case) -> None:
    """Neither what it learns, nor which of its states is chosen."""
    log = walks()
    moved = later_events_moved(log, global_time(log).test_ms or 0)
    assert moved.items.tolist() != log.items.tolist()
    assert fitted_by(case, log, global_time) == fitted_by(case, moved, global_time)


def trains_on_some_of_the_test(log: Interactions) -> Split:
    split = global_time(log)
    test_ms = split.test_ms or 0
    return replace(split, train=log.rows(log.times < test_ms + (log.times.max() - test_ms) / 2))


def stops_by_the_test(log: Interactions) -> Split:
    split = global_time(log)
    return replace(split, valid=split.test)


@pytest.mark.parametrize("leaking", [trains_on_some_of_the_test, stops_by_the_test])
def test_a_split_that_leaks_would_be_noticed(
    case: Case, leaking: Callable[[Interactions], Split]
) -> None:
    """The test above fails for a split that lets the test period in, by either door."""
    if leaking is stops_by_the_test and "training" not in case.settings:
        pytest.skip("is not stopped by anything")
    log = walks()
    moved = later_events_moved(log, global_time(log).test_ms or 0)
    assert fitted_by(case, log, leaking) != fitted_by(case, moved, leaking)


def test_it_learns_what_there_is_to_learn(case: Case) -> None:
    toy = case.toy()
    top = fresh(case, toy.data).recommend(toy.histories, 1, exclude=toy.exclude)
    assert (top.items[:, 0] == toy.best).mean() >= case.reaches


def test_a_block_given_in_part_keeps_the_rest_of_the_models_own() -> None:
    default = build({"kind": "tiger"}).config.training
    changed = build({"kind": "tiger", "training": {"epochs": 3}}).config.training
    assert default.schedule == changed.schedule == "cosine"
    assert changed == default.model_copy(update={"epochs": 3})


def test_a_misspelt_setting_suggests_the_right_one() -> None:
    with pytest.raises(RecipeError, match=r"item_knn\.n_neighbors.*did you mean 'n_neighbours'"):
        build({"kind": "item_knn", "n_neighbors": 3})
    with pytest.raises(RecipeError, match="did you mean 'item_knn'"):
        build({"kind": "item_kn"})
    with pytest.raises(RecipeError, match="need 'kind'"):
        build({"n_neighbours": 3})
