"""Adam by touch is dense Adam, as far as it says; killed and resumed it ends the same."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from tests.realdata import need
from torch.utils._python_dispatch import TorchDispatchMode

from etalage.data.features import FeatureTable
from etalage.errors import EtalageError
from etalage.evaluate.classification import auc
from etalage.models.ranking.dcn import DCNV2, DCNV2Config
from etalage.models.ranking.network import Columns
from etalage.models.ranking.qnn import QNNConfig, QNNNetwork
from etalage.train.context import TrainContext
from etalage.train.touched import TouchedAdam, catch_up

RATE = 1e-3


def dense_step(w: Any, m: Any, v: Any, t: int, gradient: Any, decay: float) -> tuple[Any, Any, Any]:
    """One step of Adam in double precision, from its equations."""
    gradient = gradient + decay * w
    m, v = 0.9 * m + 0.1 * gradient, 0.999 * v + 0.001 * gradient**2
    move = m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w - RATE * move, m, v


@given(
    gaps=st.lists(st.integers(0, 300), min_size=1, max_size=5),
    seed=st.integers(0, 1000),
    decay=st.sampled_from([0.0, 1e-5, 1e-3, 0.05]),
    gradient=st.sampled_from([1e-6, 1e-4, 1e-2]),
    scale=st.sampled_from([0.01, 0.1]),
)
@example(gaps=[0, 0, 31], seed=0, decay=0.0, gradient=1e-6, scale=0.01)
@example(gaps=[110, 271, 0, 39], seed=0, decay=1e-5, gradient=1e-4, scale=0.01)
@settings(deadline=None, max_examples=150)
def test_what_is_owed_is_what_dense_adam_does(
    gaps: list[int], seed: int, decay: float, gradient: float, scale: float
) -> None:
    """Touches of 64 rows at random gaps, against every single step of them.

    Without L2 w is right to a fiftieth of the learning rate after the very first steps. With it, to
    four learning rates and an eighth of the way that dense Adam went since the touch.
    """
    rng = np.random.default_rng(seed)
    w, m, v = rng.normal(size=(64, 2)) * scale, np.zeros((64, 2)), np.zeros((64, 2))
    rows = [torch.from_numpy(x).float() for x in (w, m, v)]
    t = 0
    for gap in gaps:
        before, since = w, torch.full((64,), t)
        path = np.zeros_like(w)
        for _ in range(gap):
            t += 1
            last = w
            w, m, v = dense_step(w, m, v, t, 0.0, decay)
            path += np.abs(w - last)
        if gap:
            catch_up(*rows, since, t, RATE, decay)
        errors = np.abs(rows[0].double().numpy() - w)
        if not decay:
            assert errors.max() <= RATE * (0.02 + 2 / max(t - gap, 1))
            # and moments have their closed form
            for got, expected in zip(rows[1:], (m, v), strict=True):
                np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-12)
        else:
            assert (errors <= 4 * RATE + path / 8).all(), (errors / RATE).max()
            # after one gradient in a long while, momentum carries Σ_j β1^j (1 - β1) / sqrt(1 - β2)
            assert (rows[0].numpy() * before >= -29 * RATE * np.abs(before)).all()
        # the next touch starts from what dense Adam reached, so that no gap hides another's error
        t += 1
        w, m, v = dense_step(w, m, v, t, rng.normal(size=w.shape) * gradient, decay)
        rows = [torch.from_numpy(x).float() for x in (w, m, v)]


@pytest.mark.parametrize("decay", [0.0, 0.01])
def test_a_row_that_every_batch_reads_moves_as_in_dense_adam(decay: float) -> None:
    torch.manual_seed(0)
    start = torch.randn(9, 5)
    start[0] = 0
    whole, table = start.clone().requires_grad_(), start.clone()
    dense = torch.optim.Adam([whole], lr=RATE, fused=True)
    touched = TouchedAdam([table], decay)
    for n in range(30):
        gradient = torch.randn(9, 5)
        gradient[0] = 0
        whole.grad = gradient + decay * whole.detach()
        dense.step()
        # in another order each time, and one twice; row 0 is there anyway
        (block,), _ = touched.read(torch.cat([torch.randperm(9), torch.tensor([n % 9])]))
        rows = touched._rows
        block.grad = gradient[rows] + decay * block.detach()
        touched.step(RATE)
    assert torch.equal(table, whole.detach())
    assert not table[0].any()


def click_table(n_rows: int = 600, seed: int = 0) -> FeatureTable:
    """Clicks that follow from two codes; a history and a bag read tables too."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 40, (n_rows, 2)).astype(np.int32)
    return FeatureTable(
        sizes={"item": 40, "place": 40},
        categories=codes,
        number_names=("price",),
        numbers=rng.normal(size=(n_rows, 1)).astype(np.float32),
        clicks=((codes[:, 0] % 5 + codes[:, 1] % 3 + rng.random(n_rows)) > 3).astype(np.int8),
        history=rng.integers(-1, 39, (n_rows, 3)).astype(np.int32),
        bag_forms={"tags": (12, 2)},
        bags=rng.integers(0, 12, (n_rows, 2)).astype(np.int32),
    )


def dcn(updates: str, *, decay: float = 0.01, epochs: int = 3, **training: Any) -> DCNV2:
    settings = {"epochs": epochs, "batch_size": 50, "learning_rate": RATE, "monitor": None}
    return DCNV2(
        DCNV2Config(width=4, hidden=(8,), dropout=0.1, vector_decay=0.0, table_decay=decay,
                  table_updates=updates, training=settings | training)
    )  # fmt: skip


@pytest.mark.parametrize("clip", [None, 0.05])
def test_a_ranker_ends_where_it_would_have_ended(clip: float | None) -> None:
    """Histories, bags and unknown codes included; a batch reads about half of all rows."""
    table = click_table()
    one, other = (dcn(way, clip_norm=clip) for way in ("all", "touched"))
    reports = [model.fit(table) for model in (one, other)]
    assert other.network.touched is None
    assert not other.network.tables[0][0].any()
    for a, b in zip(one.network.parameters(), other.network.parameters(), strict=True):
        # three epochs may move a weight by 36 rates; clipping by the norm of some rows differs
        assert (a - b).abs().max() <= (5 if clip is None else 10) * RATE
        assert (a - b).abs().mean() <= RATE / 2
    gap = abs(reports[0].history[-1]["loss"] - reports[1].history[-1]["loss"])
    assert gap <= 2e-4


def test_tables_of_first_order_weights_are_touched_with_the_vectors() -> None:
    class Wide(QNNNetwork):
        first_order = True

        def read(self, x: Any) -> torch.Tensor:
            return super().read(x) + x.terms.sum(1)

    torch.manual_seed(0)
    network = Wide(Columns((9, 7), 0, 0), QNNConfig(width=4, dropout=0.0, objective="log_loss"))
    codes, numbers = torch.tensor([[1, 2], [8, 0], [3, 6], [1, 6]]), torch.zeros(4, 0)
    network.train()(codes, numbers).square().sum().backward()
    expected = [table.grad for table in network.tables]
    network.touched = TouchedAdam([*network.tables])
    network(codes, numbers).square().sum().backward()
    for table, block in zip(expected, network.touched.blocks, strict=True):
        scattered = torch.zeros_like(table).index_copy_(0, network.touched._rows, block.grad)
        torch.testing.assert_close(scattered, table)


def test_an_interrupted_fit_resumes_to_the_very_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = click_table()
    whole = dcn("touched", epochs=4)
    whole.fit(table)
    broken = dcn("touched", epochs=4)
    plain, calls = DCNV2._loss, []

    def failing(self: DCNV2, batch: Any) -> torch.Tensor:
        calls.append(1)
        if len(calls) == 29:  # within the third epoch
            raise KeyboardInterrupt
        return plain(self, batch)

    monkeypatch.setattr(DCNV2, "_loss", failing)
    with pytest.raises(KeyboardInterrupt):
        broken.fit(table, TrainContext(folder=tmp_path))
    resumed = dcn("touched", epochs=4)
    resumed.fit(table, TrainContext(folder=tmp_path))
    assert len(calls) == 29 + 2 * 12
    for a, b in zip(whole.network.parameters(), resumed.network.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_step_makes_nothing_of_the_size_of_a_table() -> None:
    n_rows, width = 50_000, 8
    touched = TouchedAdam([torch.zeros(n_rows, width)], 0.01)
    sizes = []

    class Sizes(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None):
            out = func(*args, **(kwargs or {}))
            known = {a.untyped_storage().data_ptr() for a in args if isinstance(a, torch.Tensor)}
            if isinstance(out, torch.Tensor) and out.untyped_storage().data_ptr() not in known:
                sizes.append(out.numel())
            return out

    for start in (1, 50, 20):
        with Sizes():
            (block,), _ = touched.read(torch.arange(start, start + 100))
            block.grad = torch.ones_like(block)
            touched.step(RATE)
    assert 0 < max(sizes) <= 200 * width


def test_several_processes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Two:
        size, rank = 2, 0

    monkeypatch.setattr("etalage.train.loop.Team", Two)
    with pytest.raises(EtalageError, match=r"one process; torchrun started 2.*table_updates='all'"):
        dcn("touched").fit(click_table())


def test_decoupled_decay_is_refused() -> None:
    with pytest.raises(ValidationError, match="knows no weight_decay; set table_decay"):
        dcn("touched", weight_decay=0.1)


@pytest.mark.realdata
@pytest.mark.slow
def test_on_real_clicks_it_ranks_as_well() -> None:
    """An eighth of Frappe, two epochs: AUC on the rest's validation rows."""
    folder = need("ctr/frappe_x1r")
    parts = [pl.read_csv(folder / f"{name}.csv.gz") for name in ("train", "valid")]
    names = [name for name in parts[0].columns if name != "label"]
    size = max(int(part.select(names).to_numpy().max()) for part in parts) + 2
    train, valid = (
        FeatureTable(
            sizes=dict.fromkeys(names, size),
            categories=part.select(names).to_numpy().astype(np.int32) + 1,
            number_names=(),
            numbers=np.zeros((len(part), 0), np.float32),
            clicks=part["label"].to_numpy().astype(np.int8),
        )
        for part in (parts[0].sample(25_000, seed=0), parts[1].head(20_000))
    )
    found = []
    for way in ("all", "touched"):
        model = dcn(way, decay=0.01, epochs=3, batch_size=512, learning_rate=2e-3)
        model.fit(train)
        found.append(auc(model.score(valid), valid.labels))
    assert min(found) > 0.85
    assert abs(found[0] - found[1]) <= 2e-3


@pytest.mark.parametrize("width", [1, 16])
@pytest.mark.parametrize("decay", [0.0, 1e-5, 0.05])
def test_sweeps_are_the_equations(decay: float, width: int) -> None:
    pytest.importorskip("numba", reason="sweeps need numba")
    torch.manual_seed(0)
    n, until, rate = 3000, 2000, 1e-2
    since = torch.randint(1, until + 1, (n,), dtype=torch.int32)
    since[: n // 3] = until - 30  # many rows of one step, as after a flush
    w, m = torch.randn(n, width), torch.randn(n, width) * 0.1
    v = torch.randn(n, width).square() * 10.0 ** torch.randint(-12, 0, (n, 1))
    expected = [each.double() for each in (w, m, v)]
    is_late = since < until
    late = [each[is_late] for each in expected]
    catch_up(*late, since[is_late], until, rate, decay)
    for each, part in zip(expected, late, strict=True):
        each[is_late] = part
    adam = TouchedAdam([torch.nn.Parameter(w)], decay)
    adam.moments, adam.last, adam.n_steps, adam.rate = [(m, v)], since, until, rate
    assert adam._kernels() is not None
    adam.flush()
    assert (adam.last == until).all()
    for found, each in zip((w, m, v), expected, strict=True):
        torch.testing.assert_close(found.double(), each, rtol=2e-4, atol=1e-5)
