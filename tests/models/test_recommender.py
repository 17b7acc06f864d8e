"""What all models share: the one top-k, and a fit that is checked, timed and signed."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.contracts.test_rankers import impressions
from tests.contracts.toys import shop

from etalage.data.dataset import Dataset
from etalage.data.features import FeatureTable
from etalage.data.interactions import Interactions
from etalage.errors import BundleError, DataError
from etalage.ids import Vocabulary
from etalage.models.baseline.popularity import Popularity
from etalage.models.ranking.dcn import DCNV2
from etalage.models.recommender import best
from etalage.models.registry import build
from etalage.train.context import FitReport, TrainContext


class Sleeper(Popularity):
    """Counts, and takes its time."""

    def _fit(self, data: Dataset, context: TrainContext) -> FitReport:
        time.sleep(0.05)
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
        self.given = context
        return replace(super()._fit(data, context), seconds=999.0)


class SleepingRanker(DCNV2):
    """Does nothing but sleep."""

    def _fit(self, table: FeatureTable, context: TrainContext) -> FitReport:
        time.sleep(0.05)
        self.given = context
        return FitReport()


def test_the_whole_fit_is_timed_and_signed() -> None:
    data, table = shop(), impressions(100)
    for model, given, hash_ in (
        (Sleeper(), data, data.interactions.hash),
        (SleepingRanker(), table, table.hash),
    ):
        report = model.fit(given, TrainContext(seed=3))  # type: ignore[arg-type]
        assert 0.05 <= report.seconds < 5
        assert model.given.seed == 3
        assert model.data_hash == model.given.data_hash == hash_
        assert model.given.settings == model.config.to_dict()
    assert Sleeper().fit(data).cpu_seconds >= 0.05


def test_a_fit_that_fails_signs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What it leaves is neither what the first data made nor what the second would have made."""
    data, table = shop(), impressions(100)

    def failing(*args: object) -> FitReport:
        raise ZeroDivisionError

    for model, given in ((Sleeper(), data), (SleepingRanker(), table)):
        model.fit(given)  # type: ignore[arg-type]
        assert model.data_hash
        monkeypatch.setattr(model, "_fit", failing)
        with pytest.raises(ZeroDivisionError):
            model.fit(given)  # type: ignore[arg-type]
        assert not model.data_hash


def test_every_event_and_every_cell_is_in_the_hash() -> None:
    log, table = shop().interactions, impressions(100)
    moved = Interactions.from_arrays(
        log.users, log.items, log.times + (log.times == 3), n_users=60, n_items=30
    )
    assert len(log.hash) == 16
    assert log.hash == shop().interactions.hash != moved.hash
    assert table.hash == impressions(100).hash
    for name in ("categories", "numbers", "clicks", "history"):
        other = impressions(100)
        block = getattr(other, name)
        block[7] = block[7] == 0
        assert other.hash != table.hash, name
    assert replace(table, number_names=("other",)).hash != table.hash
    assert replace(table, history=None).hash != table.hash


def test_a_catalogue_that_cannot_be_learnt_from_is_refused() -> None:
    data = shop()
    few = replace(data, items=Vocabulary(range(7)))
    with pytest.raises(DataError, match="is about 30 items, its vocabulary has 7"):
        Popularity().fit(few)
    none = Dataset("none", Interactions.from_arrays([], []), Vocabulary([]), Vocabulary([]))
    with pytest.raises(DataError, match="none has no items"):
        Popularity().fit(none)


def test_a_changed_log_is_not_answered_from_an_old_checkpoint(tmp_path: Path) -> None:
    """Same shapes, same settings, other events: the old weights would fit, and be wrong."""
    settings = {"kind": "sasrec", "width": 8, "training": {"epochs": 1, "batch_size": 32}}
    context = TrainContext(folder=tmp_path)
    build(settings).fit(shop(), context)
    again = build(settings)
    assert again.fit(shop(), context).epochs == 1
    with pytest.raises(BundleError, match=r"made with other data .*remove it to start afresh"):
        build(settings).fit(shop(seed=1), context)
    with pytest.raises(BundleError, match=r"other settings \(dropout: 0.5, now 0.1\)"):
        build(settings | {"dropout": 0.1}).fit(shop(), context)
    ranking = {"kind": "dcn_v2", "width": 4, "training": {"epochs": 1, "monitor": None}}
    context = TrainContext(folder=tmp_path / "ranker")
    build(ranking).fit(impressions(100), context)
    with pytest.raises(BundleError, match="made with other data"):
        build(ranking).fit(impressions(100, seed=1), context)


@pytest.mark.parametrize(("n_items", "k"), [(5, 3), (5, 9), (1100, 20), (3000, 20), (3000, 2999)])
@pytest.mark.parametrize("kind", ["distinct", "tied", "mostly unknown", "constant"])
def test_best_is_what_a_full_stable_sort_gives(n_items: int, k: int, kind: str) -> None:
    rng = np.random.default_rng(n_items + k)
    scores = rng.normal(size=(8, n_items)).astype(np.float32)
    if kind == "tied":
        scores = np.round(scores)
    elif kind == "mostly unknown":
        scores[rng.random(scores.shape) < 0.99] = np.nan
        scores[0] = np.nan
    elif kind == "constant":
        scores[:] = 1
    known = np.where(np.isnan(scores), -np.inf, scores)
    items = np.argsort(-known, axis=1, kind="stable")[:, :k].astype(np.int32)
    values = np.take_along_axis(known, items, 1)
    items[np.isneginf(values)] = -1
    width = items.shape[1]
    top = best(scores, k)
    assert np.array_equal(top.items[:, :width], items)
    assert np.array_equal(top.scores[:, :width], values)
    assert (top.items[:, width:] == -1).all()
    assert np.isneginf(top.scores[:, width:]).all()
