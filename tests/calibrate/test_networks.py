"""Networks of others, and MCNet bin by bin: they learn what is there to learn."""

import json

import numpy as np
import pytest
import torch

from etalage.calibrate.binwise import BinwiseMCNet, BinwiseMonotone
from etalage.calibrate.calibrator import Calibrator, sigmoid
from etalage.calibrate.measures import log_loss
from etalage.calibrate.network_calibrator import NetworkCalibrator
from etalage.calibrate.neural import Batch
from etalage.calibrate.peers import PEERS, UMNN
from etalage.errors import DataError, NotFittedError

KINDS = {**PEERS, BinwiseMCNet.kind: BinwiseMCNet}


def rows(n: int = 30_000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    x, context = rng.normal(-1.5, 1.2, n), rng.integers(0, 4, (n, 2))
    p = sigmoid(0.6 * x - 1.2 + 0.8 * context[:, 0])
    return x, (rng.random(n) < p).astype(float), context


@pytest.fixture(scope="module", params=KINDS)
def fitted(request: pytest.FixtureRequest) -> NetworkCalibrator:
    return KINDS[request.param]().fit(*rows())


def test_values_are_told_apart(fitted: NetworkCalibrator) -> None:
    x, y, context = rows()
    p = fitted.probability(x, context)
    best = log_loss(sigmoid(0.6 * x - 1.2 + 0.8 * context[:, 0]), y)
    raw = log_loss(sigmoid(x), y)
    assert log_loss(p, y) - best < 0.35 * (raw - best)


def test_files_hold_all_of_it(fitted: NetworkCalibrator) -> None:
    x, _, context = rows(500)
    again = type(fitted).from_dict(json.loads(json.dumps(fitted.to_dict())))
    assert again.logit(x, context).tolist() == fitted.logit(x, context).tolist()


def test_values_never_seen_are_borne(fitted: NetworkCalibrator) -> None:
    p = fitted.probability(np.linspace(-30, 30, 99), np.full((99, 2), -1))
    assert ((p > 0) & (p < 1)).all()
    with pytest.raises(DataError, match="needs a context"):
        fitted.logit([0.0])


@pytest.mark.parametrize("kind", KINDS.values())
def test_what_is_not_fitted_is_said(kind: type[Calibrator]) -> None:
    with pytest.raises(NotFittedError):
        kind().logit([0.0])
    with pytest.raises(NotFittedError):
        kind().to_dict()


@pytest.mark.parametrize("name", [k for k in KINDS if k != "adacalib"])
def test_without_a_context_they_map_all_rows_alike(name: str) -> None:
    x, y, _ = rows()
    curve = KINDS[name]().fit(x, y)
    assert log_loss(curve.probability(x), y) < log_loss(sigmoid(x), y)


def test_adacalib_asks_for_a_context() -> None:
    with pytest.raises(DataError, match="needs a context"):
        PEERS["adacalib"]().fit(*rows(100)[:2])


def test_sbcr_never_falls() -> None:
    curve = PEERS["sbcr"]().fit(*rows())
    grid = np.linspace(-9, 9, 5001)
    for code in range(4):
        z = curve.logit(grid, np.tile([code, 0], (5001, 1)))
        assert (np.diff(z) >= -1e-5).all()


def test_quadrature_that_moves_with_its_end_can_fall() -> None:
    """Why MCNet here integrates exactly: UMNN's sum is no integral of a positive function."""
    falls = 0
    for seed in range(20):
        torch.manual_seed(seed)
        network = UMNN([], n_nodes=10)
        for parameter in network.parameters():
            parameter.data = torch.randn(parameter.shape)
        x = torch.linspace(0, 8, 4001)
        with torch.no_grad():
            z = network(x, torch.zeros(4001, 0, dtype=torch.int64))
        falls += bool((z.double().diff() < -1e-4).any())
    assert falls > 0


def test_order_between_bins_is_asked_for() -> None:
    x, y, context = rows(4000)
    batch = Batch.of(x, context + 1, y, np.ones(len(x)))

    def gap(order: float) -> float:
        fitted = BinwiseMCNet(order=order).fit(x, y, context)
        assert isinstance(fitted.network, BinwiseMonotone)
        with torch.no_grad():
            return float(fitted.network.gaps(batch.codes[:200]).clamp(min=0).mean())

    assert gap(10.0) < 0.5 * gap(0.0)


def test_bins_of_few_clicks_are_merged() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(-4, 1, 20_000)
    fitted = BinwiseMCNet("none").fit(x, rng.random(20_000) < sigmoid(x))
    edges = np.array(fitted.arguments["edges"])
    assert 1 < len(edges) < 8
    assert (np.diff(edges) > 0).all()
    no_click = BinwiseMCNet("none").fit(x, np.zeros(20_000))
    assert len(no_click.arguments["edges"]) == 1
    assert no_click.probability(x).mean() < sigmoid(x).mean()


def test_variants_know_what_they_may() -> None:
    x, y, context = rows(3000)
    field = BinwiseMCNet("field").fit(x, y, context)
    other = context.copy()
    other[:, 1] = 0
    assert field.logit(x, context).tolist() == field.logit(x, other).tolist()
    assert field.arguments["sizes"] == [4]
