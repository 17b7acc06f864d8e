"""SASRec outside the contracts: every loss learns."""

import pytest
from tests.contracts.toys import shop

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
