"""Two towers: every backbone reads what came before, and learns; a graph is one more field."""

from typing import Any

import numpy as np
import pytest
import torch
from tests.contracts.toys import shop

from etalage.data.ragged import Histories
from etalage.data.split import leave_one_out
from etalage.errors import RecipeError
from etalage.evaluate.ranking import evaluate_recommender
from etalage.models.registry import build
from etalage.models.sequential.backbones import BACKBONES, Mind, squash
from etalage.models.sequential.two_tower import TwoTowerConfig

SETTINGS: dict[str, Any] = {
    "kind": "two_tower",
    "width": 16,
    "n_heads": 2,
    "dropout": 0.1,
    "max_length": 12,
    "training": {"epochs": 12, "batch_size": 32, "learning_rate": 0.01},
}
LEAST = {"mean": 0.3, "gru": 0.8, "attention": 0.8, "mind": 0.3}
"""Share of next items on a circle that come first; a mean and interests know no order."""
CAUSAL = [name for name, kind in BACKBONES.items() if not kind.newest_only]


def fitted(**changes: Any) -> tuple[Any, float]:
    data = shop(n_users=300)
    split = leave_one_out(data.interactions)
    model = build(SETTINGS | changes)
    model.fit(data.with_interactions(split.train))
    return model, evaluate_recommender(model, split.test, ks=(1,)).metrics["hit_rate@1"]


@pytest.mark.parametrize("backbone", [*BACKBONES])
def test_every_backbone_learns_what_comes_next(backbone: str) -> None:
    _, reached = fitted(backbone=backbone)
    assert reached >= LEAST[backbone]


@pytest.mark.parametrize("backbone", CAUSAL)
def test_a_state_knows_what_came_before_and_nothing_else(backbone: str) -> None:
    torch.manual_seed(0)
    reads = BACKBONES[backbone](TwoTowerConfig(width=8, max_length=6)).eval()
    vectors, known = torch.randn(2, 6, 8), torch.ones(2, 6, dtype=torch.bool)
    states = reads(vectors, known)
    assert states.shape == (2, 6, 1, 8)
    later = vectors.clone()
    later[:, 4:] = 9
    torch.testing.assert_close(reads(later, known)[:, :4], states[:, :4])
    assert not torch.allclose(reads(later, known)[:, 4:], states[:, 4:])


@pytest.mark.parametrize("backbone", [*BACKBONES])
def test_padding_changes_nothing(backbone: str) -> None:
    torch.manual_seed(0)
    reads = BACKBONES[backbone](TwoTowerConfig(width=8, max_length=9)).eval()
    vectors = torch.randn(1, 4, 8)
    short = reads(vectors, torch.ones(1, 4, dtype=torch.bool))
    padded = torch.nn.functional.pad(vectors, (0, 0, 5, 0))
    known = torch.arange(9)[None] >= 5
    long = reads(padded, known)
    torch.testing.assert_close(long[:, -short.shape[1] :], short)


def test_interests_are_as_the_paper_routes_them() -> None:
    torch.manual_seed(0)
    reads = Mind(TwoTowerConfig(width=4, n_interests=2, max_length=5))
    e = torch.randn(3, 4)
    shared = e @ reads.share.weight.T
    b = reads.begin[:, -3:].clone()
    for _ in range(3):
        w = b.softmax(0)
        u = torch.stack([squash(sum(w[k, j] * shared[j] for j in range(3))) for k in range(2)])
        b = b + u @ shared.T
    found = reads(e[None], torch.ones(1, 3, dtype=torch.bool))
    torch.testing.assert_close(found[0, 0], u)


def test_squash_keeps_the_direction_and_bounds_the_length() -> None:
    x = torch.tensor([[3.0, 4.0], [0.0, 0.0]])
    torch.testing.assert_close(squash(x), torch.tensor([[0.6, 0.8], [0.0, 0.0]]) * 25 / 26)


def test_of_several_interests_the_nearest_counts() -> None:
    model, _ = fitted(backbone="mind", training={"epochs": 1})
    history = Histories.from_rows([[3, 4, 5]])
    vectors = torch.from_numpy(model.item_vectors())
    with torch.inference_mode():
        people = model.network.read(torch.tensor([[3, 4, 5]]), vectors)[0, -1]
    expected = (people @ vectors.T).amax(0)
    np.testing.assert_allclose(model.score(history)[0], expected, rtol=1e-5)


@pytest.mark.parametrize("kind", ["autograph", "lightgcn", "mf"])
def test_what_a_graph_knows_is_one_more_field(kind: str) -> None:
    graph = {"kind": kind, "width": 8, "training": {"epochs": 2, "batch_size": 512}}
    model, reached = fitted(backbone="gru", graph=graph)
    assert reached >= LEAST["gru"]
    assert model.network.of_items.shape == (30, 8)
    assert model.network.of_items.any()
    history = Histories.from_rows([[3, 4, 5]])
    before = model.score(history)
    model.network.of_people.zero_()
    assert np.abs(model.score(history) - before).max() > 1e-3


def test_what_is_folded_in_is_what_the_graph_folds_in() -> None:
    graph = {"kind": "lightgcn", "width": 8, "loss": "bpr", "training": {"epochs": 2}}
    data = shop()
    plain = build(graph)
    plain.fit(data)
    model = build(SETTINGS | {"graph": graph, "training": {"epochs": 1}})
    model.fit(data)
    seen = []
    model.network.person.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    histories = Histories.from_rows([[1, 2, 3, 7]])
    model.score(histories)
    np.testing.assert_allclose(seen[0][0, -1, 0, 16:], plain.encode(histories)[0], atol=1e-5)


def test_bad_settings_are_named() -> None:
    with pytest.raises(RecipeError, match="width=30 is not divisible by n_heads=4"):
        build(SETTINGS | {"backbone": "attention", "width": 30, "n_heads": 4})
    with pytest.raises(RecipeError, match="'autograph', 'lightgcn', 'mf'"):
        build(SETTINGS | {"graph": {"kind": "sasrec"}})
