"""QNN-alpha outside the contracts: its size, its two passes, its neurons."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from etalage.data.features import FeatureTable
from etalage.layers.quadratic import FORMATS
from etalage.models.ranking.network import Columns
from etalage.models.ranking.qnn import QNN, TWICE, QNNConfig, QNNNetwork

FRAPPE = Columns((5374, *[1] * 9), 0, 0)  # 5,383 codes in ten fields
MOVIELENS = Columns((9745, *[1] * 6), 0, 0)  # 9,751 codes in seven


@pytest.mark.parametrize(
    ("columns", "settings", "expected"),
    [(FRAPPE, {"n_layers": 2, "n_rows": 13}, 764_369),
     (MOVIELENS, {"n_layers": 1, "n_rows": 4, "n_heads": 4}, 207_649)],
)  # fmt: skip
def test_it_is_as_large_as_the_published_one(
    columns: Columns, settings: dict[str, int], expected: int
) -> None:
    network = QNNNetwork(columns, QNNConfig(**settings))
    assert sum(p.numel() for p in network.parameters()) == expected


def test_two_passes_share_the_first_layer_and_nothing_else() -> None:
    torch.manual_seed(0)
    network = QNNNetwork(Columns((9, 7), 2, 0), QNNConfig(n_rows=2, dropout=0.3))
    codes, numbers = torch.tensor([[1, 2], [8, 0], [3, 6]]), torch.randn(3, 2)
    looked = network.look_up(codes, numbers)
    one, two = network.train().read_twice(looked)
    assert not torch.equal(one, two)
    one, two = network.eval().read_twice(looked)
    torch.testing.assert_close(one, network.read(looked))
    torch.testing.assert_close(two, one)


def test_one_update_of_the_shared_norm_is_two_of_a_plain_one() -> None:
    shared, plain = torch.nn.BatchNorm1d(4, momentum=TWICE), torch.nn.BatchNorm1d(4)
    x = torch.randn(50, 4) + 3
    shared(x)
    plain(x), plain(x)
    torch.testing.assert_close(shared.running_mean, plain.running_mean)
    torch.testing.assert_close(shared.running_var, plain.running_var)


@pytest.mark.parametrize("neuron", [*FORMATS])
def test_every_neuron_trains(neuron: str) -> None:
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (256, 2)).astype(np.int32)
    clicks = ((codes[:, 0] + codes[:, 1]) % 2).astype(np.int8)
    table = FeatureTable({"a": 4, "b": 4}, codes, (), np.zeros((256, 0), np.float32), clicks=clicks)
    training = {"epochs": 3, "batch_size": 64, "learning_rate": 0.01, "monitor": None}
    model = QNN(QNNConfig(neuron=neuron, width=4, objective="log_loss", training=training))
    report = model.fit(table)
    assert np.isfinite(model.score(table)).all()
    assert report.history[-1]["loss"] < report.history[0]["loss"] + 1e-3


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"n_heads": 3}, "width=16 has no n_heads=3 equal parts"),
     ({"neuron": "T31"}, "neuron must be 'khatri_rao' or T1 to T30; got 'T31'"),
     ({"neuron": "T9", "width": 3}, "T9 needs an even width"),
     ({"dropout": 0.0}, "self_ensemble needs dropout")],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        QNNConfig(**settings)
