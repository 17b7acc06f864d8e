"""SASRec outside the contracts: every loss learns, from batches of few shapes."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.contracts.toys import shop

from etalage.data.split import leave_one_out
from etalage.evaluate.ranking import evaluate_recommender
from etalage.models.registry import build
from etalage.models.sequential.batches import Sequences, few_lengths

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


@given(st.integers(1, 4096))
def test_few_lengths_are_few_and_hardly_longer(length: int) -> None:
    rounded = few_lengths(length)
    assert length <= rounded <= 1.25 * length
    assert few_lengths(rounded) == rounded
    assert len({few_lengths(n) for n in range(1, length + 1)}) <= 8 + 4 * max(
        np.ceil(np.log2(length / 8)), 0
    )


def test_batches_hold_whole_windows_in_few_shapes() -> None:
    lengths = np.arange(2, 41)  # of people; a window reads 30 items and asks for the next
    offsets = np.concatenate([[0], lengths.cumsum()])
    items = np.arange(offsets[-1], dtype=np.int32)
    found = list(Sequences(items, offsets, 30, batch_size=1).batches(np.random.default_rng(0)))
    assert {batch.shape[1] - 1 for batch in found} == {*range(1, 9), 10, 12, 14, 16, 20, 24, 28, 30}
    windows = sorted(batch[batch >= 0].tolist() for batch in found)
    people = itertools.pairwise(offsets)
    assert windows == [items[max(start, stop - 31) : stop].tolist() for start, stop in people]
