"""MCNet: its curves rise for any numbers, what it learns is borne out, and what it keeps is all."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.calibrate import FieldEffects, MCNet, SmoothIsotonic, from_dict
from etalage.calibrate.binwise import BinwiseMCNet
from etalage.calibrate.calibrator import sigmoid
from etalage.calibrate.distinct import DistinctRows
from etalage.calibrate.field_measures import field_measures
from etalage.calibrate.mcnet_training import _Start
from etalage.calibrate.measures import divergence
from etalage.calibrate.neural import Balance, Batch
from etalage.calibrate.simulated import distorted
from etalage.errors import BundleError, DataError, NotFittedError, RecipeError


def clicks_of(logits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return (rng.random(len(logits)) < sigmoid(logits)).astype(np.int8)


def kl(truth: np.ndarray, found: np.ndarray) -> float:
    """Divergence from true logits, in ten-thousandths."""
    return 1e4 * divergence(sigmoid(truth), sigmoid(found))


def meeting_fields(n: int = 120_000, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Logits, clicks, contexts and true logits where two fields matter together, not alone."""
    rng = np.random.default_rng(seed)
    context = rng.integers(0, 6, (n, 2))
    x = rng.normal(-1.5, 1.2, n)
    together = np.random.default_rng(7).normal(0, 0.8, (6, 6))
    together -= together.mean(0) + together.mean(1, keepdims=True) - together.mean()
    truth = x + together[context[:, 0], context[:, 1]]
    return x, clicks_of(truth, rng), context, truth


@pytest.fixture(scope="module")
def fitted() -> MCNet:
    x, y, context, _ = meeting_fields()
    return MCNet().fit(x, y, context)


def test_what_fields_make_of_one_another_is_found(fitted: MCNet) -> None:
    x, _, context, truth = meeting_fields(seed=1)
    alone = FieldEffects().fit(*meeting_fields()[:3])
    assert fitted.has_learnt
    assert kl(truth, fitted.logit(x, context)) < 0.1 * kl(truth, alone.logit(x, context))


@pytest.mark.parametrize("own_shapes", [False, True])
def test_values_are_found_as_by_field_effects(own_shapes: bool) -> None:
    (x, y, codes, _), (x2, _, codes2, truth) = distorted(0, own_shapes=own_shapes, n_rows=100_000)
    ours = kl(truth, MCNet("field").fit(x, y, codes).logit(x2, codes2))
    theirs = kl(truth, FieldEffects().fit(x, y, codes).logit(x2, codes2))
    assert ours < 1.05 * theirs


def test_noise_is_seldom_learnt() -> None:
    """A gain of more than one standard error is there by chance in a sixth of the cases."""
    learnt = 0
    for seed in range(16):
        rng = np.random.default_rng(seed)
        x, context = rng.normal(-2, 1, 8000), rng.integers(0, 10, (8000, 3))
        found = MCNet(seed=seed).fit(x, clicks_of(x, rng), context)
        learnt += found.has_learnt
        assert found.has_learnt == (found.pairs is not None)
    assert learnt <= 5


def test_it_starts_where_field_effects_end() -> None:
    x, y, context, _ = meeting_fields(20_000)
    rows = DistinctRows.of(x, y.astype(float), context, np.ones(len(x)))
    start = _Start(rows, SmoothIsotonic(), 2, 0)
    plain = FieldEffects().fit(rows.x, rows.y, rows.codes)
    z = start.network.logits_of(start.rows.logits, start.rows.codes).numpy()
    np.testing.assert_allclose(z, plain.logit(rows.x, rows.codes), atol=0.02)


@pytest.mark.parametrize("step", [0.01, 0.1, 0.5])
def test_scores_that_are_rounded_teach_as_much(step: float) -> None:
    x, y, context, truth = meeting_fields(60_000)
    x = np.round(x / step) * step
    exact, rounded = MCNet().fit(x + 1e-7 * np.arange(len(x)), y, context), MCNet()
    rounded.fit(x, y, context)
    found = [kl(truth, model.logit(x, context)) for model in (exact, rounded)]
    assert found[1] < 1.3 * found[0] + 3


def test_twenty_fields_without_meaning_do_little_harm() -> None:
    rng = np.random.default_rng(0)
    x, context = rng.normal(-2, 1, 20_000), rng.integers(0, 10, (20_000, 20))
    y = clicks_of(x, rng)
    x2, context2 = rng.normal(-2, 1, 20_000), rng.integers(0, 10, (20_000, 20))
    for kind, most in ((MCNet, 25), (FieldEffects, 50)):
        z = kind().fit(x, y, context).logit(x2, context2)
        assert np.polyfit(x2, z, 1)[0] == pytest.approx(1, abs=0.06)
        assert kl(x2, z) < most


def test_nothing_is_changed_for_others() -> None:
    x, y, context, _ = meeting_fields(3000)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    with torch.no_grad():
        model = MCNet().fit(x, y, context)
    assert torch.rand(1) == expected
    before = model.logit(x, context).tolist()
    with pytest.raises(DataError):
        model.fit(x, y + 5, context[:, :1])
    assert model.logit(x, context).tolist() == before


@pytest.mark.parametrize(
    ("settings_", "said"),
    [
        ({"variant": "feild"}, "did you mean 'field'"),
        ({"balance_kind": "exces"}, "did you mean 'excess'"),
        ({"balance": -1.0}, "0 or more"),
    ],
)
def test_settings_that_do_not_exist_are_named(settings_: dict, said: str) -> None:
    for kind in (MCNet, BinwiseMCNet):
        with pytest.raises(RecipeError, match=said):
            kind(**settings_)


@given(seed=st.integers(0, 2**31), size=st.floats(0, 30))
@settings(max_examples=30, deadline=None)
@pytest.mark.parametrize("number", [np.float32, np.float64])
def test_curves_rise_whatever_the_numbers(number: type, seed: int, size: float) -> None:
    rng = np.random.default_rng(seed)
    curve = MCNet()
    x, y, context, _ = meeting_fields(500)
    curve.fit(x, y, context)

    def wild(shape: tuple[int, ...]) -> list[object]:
        found: list[object] = (size * rng.normal(size=shape)).tolist()
        return found

    vectors = [wild((len(known), 4)) for known in curve.codes]
    facts = curve.to_dict() | {
        "shapes": [wild(shapes.shape) for shapes in curve.shapes],
        "pairs": {"vectors": vectors, "out": wild((4, len(curve.mass)))},
    }
    turned = from_dict(json.loads(json.dumps(facts)))
    grid = np.linspace(-12, 12, 20_001).astype(number)
    for code in ([0, 0], [3, 5], [-1, 2], [-1, -1]):
        z = turned.logit(grid, np.tile(code, (len(grid), 1)))
        assert np.isfinite(z).all()
        assert (np.diff(z) > 0).all()


def test_there_are_no_jumps(fitted: MCNet) -> None:
    x = np.linspace(-10, 10, 2001)
    for code in ([0, 0], [5, 1]):
        context = np.tile(code, (len(x), 1))
        step = np.abs(fitted.logit(x + 1e-9, context) - fitted.logit(x, context))
        assert step.max() < 1e-6


def test_a_context_never_seen_has_the_curve_of_all(fitted: MCNet) -> None:
    x = np.linspace(-4, 4, 50)
    for unseen in (-1, 6, 10**12):
        z = fitted.logit(x, np.full((50, 2), unseen))
        np.testing.assert_allclose(z, fitted.curve.logit(x), atol=1e-9)
    half = fitted.logit(x, np.column_stack([np.zeros(50, int), np.full(50, -1)]))
    assert (np.diff(half) > 0).all()


def test_it_is_the_network_that_learnt() -> None:
    """Tables in numpy are the network in torch, known and unknown values alike."""
    x, y, context, _ = meeting_fields(5000)
    rows = DistinctRows.of(x, y.astype(float), context, np.ones(len(x)))
    start = _Start(rows, SmoothIsotonic(), 2, 0)
    network = start.network
    torch.manual_seed(0)
    for parameter in network.parameters():
        parameter.data += 0.3 * torch.randn(parameter.shape)
    for table in (*network.tables, *network.vectors):
        table.weight.data[0] = 0
    model = MCNet(curve=start.curve)
    model.bases, model.mass, model.codes = start.bases, start.mass, start.codes
    model._keep(network.shapes(), network.paired())
    context[:100, 0], context[100:200] = -1, -1
    codes = np.where(context < 0, 0, context + 1)
    u = model.curve.logit(x)
    expected = network.logits_of(torch.tensor(u, dtype=torch.float32), torch.tensor(codes)).numpy()
    np.testing.assert_allclose(model.logit(x, context), expected, atol=2e-5, rtol=2e-5)


def test_the_order_of_rows_changes_nothing() -> None:
    x, y, context, _ = meeting_fields(8000)
    order = np.random.default_rng(0).permutation(len(x))
    one = MCNet().fit(x, y, context)
    other = MCNet().fit(x[order], y[order], context[order])
    assert one.to_dict() == other.to_dict()


def test_variants_know_what_they_may() -> None:
    x, y, context, _ = meeting_fields(6000)
    context = context % np.array([6, 3])
    none, field = MCNet("none").fit(x, y, context), MCNet("field").fit(x, y, context)
    assert none.logit(x).tolist() == none.logit(x, context).tolist()
    assert field.logit(x, context).tolist() == field.logit(x, context[:, :1]).tolist()
    assert MCNet().fit(x, y).used == "none"


def test_files_hold_all_of_it(fitted: MCNet) -> None:
    x, _, context, _ = meeting_fields(1000, seed=2)
    facts = json.loads(json.dumps(fitted.to_dict()))
    assert from_dict(facts).logit(x, context).tolist() == fitted.logit(x, context).tolist()
    for key, wrong in (
        ("knots", facts["knots"][::-1]),
        ("knots", facts["knots"][:-1]),
        ("codes", [[0, 1], [0, 1]]),
        ("pairs", {"vectors": facts["pairs"]["vectors"][:1], "out": facts["pairs"]["out"]}),
        ("pairs", facts["pairs"] | {"out": facts["pairs"]["out"][1:]}),
        ("variant", "none"),
        ("variant", "all"),
        ("mass", [float("nan")] * len(facts["mass"])),
    ):
        with pytest.raises(BundleError):
            from_dict(facts | {key: wrong})


def test_what_is_no_context_is_said(fitted: MCNet) -> None:
    with pytest.raises(DataError, match="needs a context"):
        fitted.logit([0.0])
    with pytest.raises(DataError, match="3 fields; 2 were fitted"):
        fitted.logit([0.0], [[1, 2, 3]])
    with pytest.raises(NotFittedError):
        MCNet().logit([0.0], [[1]])
    with pytest.raises(DataError, match="negative"):
        MCNet().fit([0.0, 1.0], [0, 1], [[1], [2]], [-1.0, 1.0])


@pytest.mark.parametrize("clicks", [np.zeros(3000), np.ones(3000)])
def test_one_class_alone_is_borne(clicks: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    x, context = rng.normal(size=3000), rng.integers(0, 5, (3000, 2))
    p = MCNet().fit(x, clicks, context).probability(x, context)
    assert ((p > 0) & (p < 1)).all()
    assert abs(p.mean() - clicks.mean()) < 0.01


def test_scores_that_are_all_alike_are_borne() -> None:
    rng = np.random.default_rng(0)
    context = rng.integers(0, 3, 9000)
    clicks = rng.random(9000) < np.array([0.1, 0.2, 0.4])[context]
    p = MCNet().fit(np.zeros(9000), clicks, context).probability(np.zeros(3), [[0], [1], [2]])
    np.testing.assert_allclose(p, [0.1, 0.2, 0.4], atol=0.03)


def test_balance_rights_a_field_that_the_curve_may_not_know() -> None:
    rng = np.random.default_rng(0)
    n = 60_000
    site = rng.integers(0, 20, n)
    x = rng.normal(-2, 1, n) + 0.8 * (site % 2)  # scores give away half of the sites
    y = clicks_of(x + 0.7 * (site % 2) - 0.5, rng)
    plain = MCNet("none").fit(x, y, site)
    balanced = MCNet("none", balance=0.001).fit(x, y, site)
    before, after = (
        field_measures(model.probability(x), y, site)["f_ece"] for model in (plain, balanced)
    )
    assert balanced.has_learnt
    assert after < 0.8 * before


class Constant(torch.nn.Module):
    """Says one logit of all rows."""

    def __init__(self, logit: float) -> None:
        super().__init__()
        self.level = torch.nn.Parameter(torch.tensor(logit))

    def logits_of(self, logits: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        return self.level.expand(len(logits)).detach()


@pytest.mark.parametrize("kind", ["excess", "variance"])
def test_balance_has_the_gradient_of_its_formula(kind: str) -> None:
    rng = np.random.default_rng(0)
    n, codes = 4000, rng.integers(1, 6, 4000)
    clicks = rng.random(n) < 0.1 * codes
    rows = Batch.of(np.zeros(n), codes[:, None], clicks.astype(float), np.ones(n))
    balance = Balance(kind, 1.0, 0)  # type: ignore[arg-type]
    balance.look(Constant(-1.0), rows)  # type: ignore[arg-type]
    level = torch.full((n,), -1.0, requires_grad=True)
    (found,) = torch.autograd.grad(balance.penalty(level, rows), level)
    tenfold = Batch.of(np.zeros(n), codes[:, None], clicks.astype(float), np.full(n, 10.0))
    more = Batch.of(*(np.tile(c, (10,) + (1,) * (c.ndim - 1)) for c in (
        np.zeros(n), codes[:, None], clicks.astype(float), np.ones(n))))  # fmt: skip
    values = [balance.look(Constant(-1.0), each) for each in (tenfold, more)]  # type: ignore[arg-type]
    assert values[0] == pytest.approx(values[1], rel=1e-4)

    z = torch.full((n,), -1.0, dtype=torch.float64, requires_grad=True)
    p = torch.sigmoid(z)
    gap, n_v, noise = (
        torch.zeros(6, dtype=torch.float64).index_add(0, rows.codes[:, 0], column.double())
        for column in (p - rows.clicks, torch.ones(n), (p * (1 - p)).detach())
    )
    seen = n_v > 0
    if kind == "variance":
        error = gap[seen] / n_v[seen]
        loss = (n_v[seen] * (error - (n_v[seen] * error).sum() / n) ** 2).sum() / n
    else:
        excess = (gap**2 / (noise + 1) - 3.84).clamp(min=0)
        loss = (n_v.sqrt() * excess).sum() / n_v.sqrt().sum()
    (expected,) = torch.autograd.grad(loss, z)
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-4, atol=1e-9)


def test_the_sum_is_the_integral() -> None:
    """F is the integral of its slopes, whose gradient is the slope of the cell."""
    x, y, context, _ = meeting_fields(5000)
    rows = DistinctRows.of(x, y.astype(float), context[:, :1], np.ones(len(x)))
    network = _Start(rows, SmoothIsotonic(), 1, 0).network
    knots = network.knots
    middles = ((knots[1:] + knots[:-1]) / 2).requires_grad_()
    codes = torch.full((len(middles), 1), 3)
    (slopes,) = torch.autograd.grad(network(middles, codes).sum(), middles)
    with torch.no_grad():
        ends = network(knots, torch.full((len(knots), 1), 3))
    np.testing.assert_allclose(ends.diff(), slopes * knots.diff(), rtol=1e-3, atol=1e-6)
    assert (slopes > 0).all()
