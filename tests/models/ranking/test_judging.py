"""Rankers judge as they score, and faster: batch norms folded, few rows at a time, bfloat16."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.contracts.test_rankers import LEARNT, SETTINGS, impressions
from tests.realdata import need
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from etalage.data.features import FeatureTable
from etalage.data.formats.ctr import frappe
from etalage.evaluate.classification import auc
from etalage.layers.fused import has_kernels
from etalage.layers.lookup import read_at_once
from etalage.models.ranking import network, network_ranker
from etalage.models.ranking.rows import Rows
from etalage.models.registry import build
from etalage.train.context import TrainContext

SHORT = {"epochs": 2, "batch_size": 128, "learning_rate": 0.01, "monitor": None}
MOVED = 2e-4
"""How far AUC may move by bfloat16."""


def fitted(kind: str):
    settings = {"kind": kind} | SETTINGS[kind] | {"training": SHORT}
    if "batch_norm" in type(build(settings).config).model_fields:
        settings["batch_norm"] = True
    model = build(settings, "ranker")
    model.fit(impressions())
    return model


def without_history(n: int, n_numbers: int) -> FeatureTable:
    rng = np.random.default_rng(0)
    codes, numbers = rng.integers(0, 5, (n, 3)), rng.normal(size=(n, n_numbers))
    clicks = (codes[:, 0] + codes[:, 1] + rng.normal(size=n) > 4).astype(np.int8)
    return FeatureTable(
        dict.fromkeys("abc", 5), codes.astype(np.int32), ("x", "y")[:n_numbers],
        numbers.astype(np.float32), clicks,
    )  # fmt: skip


def rounded(model, table) -> np.ndarray:
    with pytest.MonkeyPatch.context() as patch, torch.autocast("cpu", enabled=False):
        patch.setattr(network_ranker, "rounds", lambda *_: True)
        with model.as_judged():
            return model.score(table)


@pytest.mark.parametrize("kind", LEARNT)
def test_many_rows_are_scored_as_few_are(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, table = fitted(kind), impressions(1000, seed=1)
    at_once = model.score(table)
    for bound in ("FEWEST", "MOST"):
        monkeypatch.setattr(network_ranker, bound, 300)
    np.testing.assert_allclose(model.score(table), at_once, atol=2e-5)
    assert abs(auc(rounded(model, table), table.labels) - auc(at_once, table.labels)) < 2e-3


def test_a_copy_for_judging_shares_the_tables_and_leaves_the_rest_alone() -> None:
    model = fitted("deepfm")
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    served = model.network.scoring(rounded=True)
    assert [t.data_ptr() for t in served.tables] == [t.data_ptr() for t in model.network.tables]
    assert {m.linear.weight.dtype for m in served.deep} == {torch.bfloat16}
    assert served.out.weight.dtype == torch.float32, "logits keep their digits"
    for name, value in model.network.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.skipif(not has_kernels(), reason="numba compiles nothing here")
@pytest.mark.parametrize("kind", ["fm", "dnn", "wide_deep", "deepfm", "xdeepfm", "dcn", "dcn_v2"])
@pytest.mark.parametrize("n_numbers", [0, 2])
def test_fields_are_read_at_once_and_rounded_where_maps_alone_read_them(
    kind: str, n_numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = without_history(900, n_numbers)
    model = build({"kind": kind, "training": SHORT}, "ranker")
    model.fit(table)
    exact, types = model.score(table), []
    monkeypatch.setattr(network_ranker, "FEWEST", 200)
    monkeypatch.setattr(network_ranker, "CACHE", 200)
    monkeypatch.setattr(network, "read_at_once", lambda *a: types.append(a[3]) or read_at_once(*a))
    np.testing.assert_allclose(model.score(table), exact, atol=2e-5)
    np.testing.assert_allclose(rounded(model, table), exact, atol=0.02 * np.abs(exact).max())
    has_terms, is_half = (
        kind not in {"dnn", "dcn", "dcn_v2"},
        kind in {"dnn", "wide_deep", "deepfm"},
    )
    judged = [torch.bfloat16 if is_half else torch.float32] * 5 * (has_terms or is_half)
    has_number_fields = n_numbers > 0 and has_terms
    assert types == ([] if has_number_fields else [torch.float32] * 5 * has_terms + judged)
    assert model.network.field_type is None
    copied = model.network.scoring(rounded=True)
    blocks = torch.from_numpy(table.categories), torch.from_numpy(table.numbers)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        at_once = copied(*blocks)
        copied.field_type = None
        torch.testing.assert_close(at_once, copied(*blocks), rtol=1e-5, atol=1e-6)


@pytest.mark.skipif(not has_kernels(), reason="numba compiles nothing here")
def test_threads_that_read_at_once_read_the_same() -> None:
    table, scores = without_history(50_000, 0), []
    model = build({"kind": "fm", "training": SHORT}, "ranker")
    model.fit(table)
    n_threads = torch.get_num_threads()
    try:
        for n in (1, 2):
            torch.set_num_threads(n)
            scores.append(model.score(table))
    finally:
        torch.set_num_threads(n_threads)
    np.testing.assert_array_equal(*scores)


@pytest.mark.parametrize(("precision", "expected"), [("bfloat16", True), ("float32", False)])
def test_epochs_are_judged_in_the_precision_of_their_steps(precision: str, expected: bool) -> None:
    model = build({"kind": "dnn", "training": SHORT | {"precision": precision, "monitor": "auc"}})
    seen = []

    def monitor(model) -> dict[str, float]:
        seen.append(model._rounds)
        return {"auc": 0.5}

    model.fit(impressions(), replace(TrainContext(), monitor=monitor))
    assert seen == [expected] * 2
    assert not model._rounds


def test_scores_have_all_their_digits_whatever_is_around_them() -> None:
    model, table = fitted("dnn"), impressions(1000, seed=1)
    exact = model.score(table)
    assert np.abs(rounded(model, table) - exact).max() > 1e-5
    for kind in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", dtype=kind):
            assert model.score(table).tobytes() == exact.tobytes()


@pytest.mark.parametrize("kind", ["dnn", "qnn", "dcn_v2", "finalnet"])
@pytest.mark.parametrize("n_rows", [10, 3000])
def test_a_network_that_diverged_gives_no_numbers(kind: str, n_rows: int) -> None:
    model, table = fitted(kind), impressions(n_rows, seed=1)
    first = next(m for m in model.network.modules() if isinstance(m, nn.Linear))
    with torch.no_grad():
        first.weight.fill_(torch.nan)
    assert np.isnan(model.score(table)).all()
    assert np.isnan(rounded(model, table)).all()


@pytest.mark.parametrize("kind", LEARNT)
def test_the_largest_thing_made_of_a_row_is_known(kind: str) -> None:
    """Rows are taken at once by it: what is made of all of them stays in the cache."""
    if kind == "ensemble":
        pytest.skip("each member knows its own")
    model, table = fitted(kind), impressions(41)
    network = model.network.served()
    largest = _Largest(41)
    with torch.inference_mode(), largest:
        network(*Rows(table).part(0, 41)[:-1])
    assert largest.numbers / 41 <= 2 * network.widest, "two things may stand side by side"


class _Largest(TorchDispatchMode):
    """Numbers of the largest tensor of so many rows that any operation gives."""

    def __init__(self, n_rows: int) -> None:
        super().__init__()
        self.n_rows, self.numbers = n_rows, 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for each in out if isinstance(out, tuple | list) else (out,):
            if isinstance(each, torch.Tensor) and each.ndim and len(each) == self.n_rows:
                self.numbers = max(self.numbers, each.numel())
        return out


def test_rows_in_reverse_are_scored_in_reverse() -> None:
    model, table = fitted("dnn"), impressions(50)
    found = model.score(table.take(slice(None, None, -1)))
    np.testing.assert_allclose(found, model.score(table)[::-1], atol=1e-6)


@pytest.mark.parametrize("kind", ["lr", "fm", "dnn", "deepfm", "qnn"])
def test_a_table_of_numbers_alone_is_enough(kind: str) -> None:
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(600, 2)).astype(np.float32)
    clicks = (numbers[:, 0] + rng.normal(size=600) > 0).astype(np.int8)
    table = FeatureTable({}, np.zeros((600, 0), np.int32), ("a", "b"), numbers, clicks)
    training = SHORT | {"epochs": 20}
    model = build({"kind": kind} | SETTINGS[kind] | {"training": training}, "ranker")
    model.fit(table)
    assert auc(model.score(table), clicks) > 0.7


@pytest.mark.realdata
@pytest.mark.parametrize("kind", ["dcn_v2", "deepfm", "qnn", "finalmlp"])
def test_on_real_clicks_bfloat16_ranks_as_well(kind: str) -> None:
    """A quarter of an epoch of Frappe, judged on its validation rows."""
    train, valid, _ = frappe(need("ctr/frappe_x1r"))
    model = build({"kind": kind, "training": SHORT | {"epochs": 1, "batch_size": 512}}, "ranker")
    model.fit(train.take(slice(0, 50_000)))
    exact = auc(model.score(valid), valid.labels)
    assert exact > 0.8
    assert abs(auc(rounded(model, valid), valid.labels) - exact) <= MOVED
