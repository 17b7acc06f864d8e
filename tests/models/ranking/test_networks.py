"""What networks do besides their equations: losses, histories, settings and odd batches."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from tests.contracts.test_rankers import impressions

from etalage.errors import DataError
from etalage.layers.norm import BatchNorm
from etalage.models.ranking.finalnet import FinalNet, FinalNetConfig
from etalage.models.ranking.network import Columns
from etalage.models.ranking.rows import Rows
from etalage.models.registry import build, model_type
from etalage.train.context import FitReport

COLUMNS = Columns((5, 4, 3), 2, 3)
SHORT = {"epochs": 1, "batch_size": 64, "monitor": None}


def cross_entropy(p: np.ndarray, target: np.ndarray) -> float:
    return float(-(target * np.log(p) + (1 - target) * np.log(1 - p)).mean())


def test_two_blocks_of_finalnet_learn_from_clicks_and_from_their_mean() -> None:
    model = FinalNet(FinalNetConfig(width=4, dropout=0.0, vector_decay=0.0))
    table = impressions(64)
    model.fit(table.take(slice(0, 64)))
    codes, numbers = torch.from_numpy(table.categories), torch.from_numpy(table.numbers)
    looked = model.network.look_up(codes, numbers, torch.from_numpy(table.history))
    clicks = torch.from_numpy(table.labels).float()
    one, two = (z.detach().double().numpy() for z in model.network.streams(looked))
    p, p1, p2 = (1 / (1 + np.exp(-z)) for z in ((one + two) / 2, one, two))
    expected = cross_entropy(p, clicks.numpy()) + cross_entropy(p1, p) + cross_entropy(p2, p)
    loss = model._log_loss(looked, clicks)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    constant = model.network.out.bias
    (gradient,) = torch.autograd.grad(loss, constant)
    # the mean is no target that moves: only clicks and the pulls of each block to it count
    assert gradient.item() == pytest.approx(
        float((p - clicks.numpy()).mean() + (p1 - p).mean() + (p2 - p).mean()), abs=1e-5
    )


def test_without_a_history_din_is_a_deep_network() -> None:
    columns = Columns((5, 4), 1, 0)
    din, dnn = model_type("din"), model_type("dnn")
    one = din.network_type(columns, din.config_type(hidden=()))
    two = dnn.network_type(columns, dnn.config_type(hidden=()))
    two.load_state_dict(one.state_dict())
    codes, numbers = torch.tensor([[1, 3], [4, 0]]), torch.tensor([[0.5], [-1.0]])
    torch.testing.assert_close(one(codes, numbers), two(codes, numbers))


def test_what_a_candidate_makes_of_a_history_depends_on_the_candidate() -> None:
    """DIN may turn the order of two histories round; a mean of the history adds the same to all."""
    torch.manual_seed(0)
    din = model_type("din")
    network = din.network_type(Columns((5,), 0, 2), din.config_type(hidden=(), width=4)).eval()
    with torch.no_grad():
        network.tables[0][1:].normal_()
    histories = torch.tensor([[0, 1], [2, 3]])
    logits = torch.stack(
        [network(torch.full((2, 1), code), torch.zeros(2, 0), histories) for code in (1, 2, 3, 4)]
    )
    gains = logits[:, 0] - logits[:, 1]
    assert gains.std() > 0.01


@pytest.mark.parametrize("kind", ["dnn", "finalnet", "qnn"])
def test_a_last_batch_of_one_row_can_be_learnt_from(kind: str) -> None:
    settings = {"kind": kind, "batch_norm": True, "width": 4, "training": SHORT}
    report: FitReport = build(settings).fit(impressions(65))
    assert np.isfinite(report.history[-1]["loss"])


def test_one_row_is_normalised_by_what_was_seen() -> None:
    norm = BatchNorm(3).train()
    norm(torch.randn(50, 3) * 2 + 1)
    statistics = norm.running_mean.clone(), norm.running_var.clone()
    row = torch.randn(1, 3)
    expected = norm.eval()(row)
    torch.testing.assert_close(norm.train()(row), expected)
    torch.testing.assert_close((norm.running_mean, norm.running_var), statistics)


def test_maps_start_normal_and_without_a_shift() -> None:
    model = build({"kind": "dnn", "width": 4, "hidden": (300, 200), "training": SHORT})
    model.columns = COLUMNS
    inner = model._initial(0).deep[1].linear
    assert inner.weight.std().item() == pytest.approx((2 / (300 + 200)) ** 0.5, rel=0.02)
    assert not inner.bias.any()


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [("autoint", {"attention_width": 6, "n_heads": 4}, "attention_width=6 has no n_heads=4"),
     ("finalmlp", {"streams": ((8,), (6,)), "n_heads": 4}, "no n_heads=4 equal parts"),
     ("finalmlp", {"streams": ((8,), ())}, "equal parts"),
     ("finalnet", {"blocks": ((4, 3),)}, "even width; got"),
     ("finalnet", {"blocks": ((4,),) * 3}, "at most 2"),
     ("masknet", {"blocks": ()}, "at least 1"),
     ("lr", {"width": 8}, "width")],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(
    kind: str, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        model_type(kind).config_type(**settings)


@pytest.mark.parametrize("field", [7, 3, -1])
def test_a_gate_needs_a_field_that_is_there(field: int) -> None:
    model = build({"kind": "finalmlp", "gate_fields": [0, field], "training": SHORT})
    with pytest.raises(DataError, match=f"names field {field}, but the table has 3 fields, 0 to 2"):
        model.fit(impressions(64))


def test_rows_that_are_read_only_are_read_without_a_word(recwarn: pytest.WarningsRecorder) -> None:
    table = impressions(8)
    table.categories.flags.writeable = False
    torch.set_warn_always(True)
    try:
        batch = Rows(table).part(0, 8)
    finally:
        torch.set_warn_always(False)
    assert batch.categories.tolist() == table.categories.tolist()
    assert not recwarn.list
