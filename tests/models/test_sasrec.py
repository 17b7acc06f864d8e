"""SASRec outside the contracts: every loss learns, and ONNX says what torch says."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from tests.contracts.test_recommenders import HISTORIES, shop

from etalage.data.split import leave_one_out
from etalage.evaluate.ranking import evaluate_recommender
from etalage.models.registry import build

SETTINGS = {
    "kind": "sasrec",
    "width": 32,
    "dropout": 0.1,
    "max_length": 12,
    "training": {"epochs": 12, "batch_size": 32, "learning_rate": 0.01},
}


@pytest.mark.parametrize(("loss", "epochs"), [("sampled", 12), ("gbce", 60)])
def test_the_sampled_losses_learn_the_circle(loss: str, epochs: int) -> None:
    data = shop(n_users=300)
    split = leave_one_out(data.interactions)
    training = SETTINGS["training"] | {"epochs": epochs}
    model = build(SETTINGS | {"loss": loss, "n_negatives": 16, "training": training})
    model.fit(data.with_interactions(split.train))
    assert evaluate_recommender(model, split.test, ks=(1,)).metrics["hit_rate@1"] >= 0.9


def test_the_exported_encoder_says_what_torch_says(tmp_path: Path) -> None:
    model = build(SETTINGS)
    model.fit(shop())
    model.export(tmp_path)
    vectors = np.load(tmp_path / "item_vectors.npy")
    encoder = onnxruntime.InferenceSession(tmp_path / "encoder.onnx")
    history = HISTORIES.newest(12).items.astype(np.int64)
    for rows in (slice(0, 1), slice(0, 4)):
        (state,) = encoder.run(["state"], {"history": history[rows]})
        np.testing.assert_allclose(state @ vectors.T, model.score(HISTORIES)[rows], atol=1e-5)
