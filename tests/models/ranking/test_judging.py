"""Rankers judge as they score, and faster: batch norms folded, few rows at a time, bfloat16."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tests.contracts.test_rankers import LEARNT, SETTINGS, impressions
from tests.realdata import need
from torch import nn

from etalage.data.formats.ctr import frappe
from etalage.evaluate.classification import auc
from etalage.layers import fused
from etalage.models.ranking import network_ranker
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


def halved(model, table) -> np.ndarray:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return model.score(table)


@pytest.mark.parametrize("kind", LEARNT)
def test_many_rows_are_scored_as_few_are(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, table = fitted(kind), impressions(1000, seed=1)
    at_once = model.score(table)
    for bound in ("FEWEST", "MOST"):
        monkeypatch.setattr(network_ranker, bound, 300)
    np.testing.assert_allclose(model.score(table), at_once, atol=2e-5)
    assert abs(auc(halved(model, table), table.labels) - auc(at_once, table.labels)) < 2e-3


def test_a_copy_for_judging_shares_the_tables_and_leaves_the_rest_alone() -> None:
    model = fitted("deepfm")
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    served = model.network.served(halve=True)
    assert [t.data_ptr() for t in served.tables] == [t.data_ptr() for t in model.network.tables]
    assert {m.linear.weight.dtype for m in served.deep} == {torch.bfloat16}
    assert served.out.weight.dtype == torch.float32, "logits keep their digits"
    for name, value in model.network.state_dict().items():
        assert torch.equal(value, before[name]), name


@pytest.mark.parametrize(("precision", "expected"), [("bfloat16", True), ("float32", False)])
def test_epochs_are_judged_in_the_precision_of_their_steps(precision: str, expected: bool) -> None:
    model = build({"kind": "dnn", "training": SHORT | {"precision": precision, "monitor": "auc"}})
    seen = []

    def monitor(model) -> dict[str, float]:
        seen.append(torch.is_autocast_enabled("cpu"))
        return {"auc": 0.5}

    model.fit(impressions(), replace(TrainContext(), monitor=monitor))
    assert seen == [expected] * 2


@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float64])
def test_a_map_and_its_relu_are_one_operation_or_two(kind: torch.dtype, has_bias: bool) -> None:
    torch.manual_seed(0)
    linear, x = nn.Linear(24, 40, bias=has_bias).to(kind), torch.randn(70, 24).to(kind)
    assert not fused.judges(x), "there are gradients to be had"
    with torch.no_grad():
        assert fused.judges(x) == fused._has_rectified_maps(kind)
        if kind == torch.float64 or not fused.judges(x):
            return
        tolerance = 1e-6 if kind == torch.float32 else 2e-2
        expected = linear(x).relu()
        torch.testing.assert_close(fused.rectified(linear, x), expected, atol=tolerance, rtol=0)


@pytest.mark.realdata
@pytest.mark.parametrize("kind", ["dcn_v2", "deepfm", "qnn", "finalmlp"])
def test_on_real_clicks_bfloat16_ranks_as_well(kind: str) -> None:
    """A quarter of an epoch of Frappe, judged on its validation rows."""
    train, valid, _ = frappe(need("ctr/frappe_x1r"))
    model = build({"kind": kind, "training": SHORT | {"epochs": 1, "batch_size": 512}}, "ranker")
    model.fit(train.take(slice(0, 50_000)))
    exact = auc(model.score(valid), valid.labels)
    assert exact > 0.8
    assert abs(auc(halved(model, valid), valid.labels) - exact) <= MOVED
