"""One row a registered model: a small, fast configuration and what it must learn."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.contracts.toys import Toy, checkerboard, circle, stairs


@dataclass(frozen=True)
class Case:
    """How to test one model."""

    kind: str
    settings: dict[str, Any] = field(default_factory=dict)
    toy: Callable[[], Toy] = circle
    """Where the best answer is known."""
    reaches: float = 1.0
    """Share of the toy's questions whose best answer comes first."""
    without_history: Literal["nothing", "popular", "beginnings"] = "nothing"
    """What someone unknown gets; 'beginnings' are what people took first."""
    exportable: bool = False
    """Whether it can be served; what a server retrieves is then held against the model."""


TOKENS = {"n_levels": 3, "n_codes": 8, "vector_width": 16, "limits": {"max_collision_rate": None}}

GRAPH = {
    "width": 16,
    "max_length": 12,
    "training": {"epochs": 60, "batch_size": 64, "learning_rate": 0.02},
}

CASES = [
    Case("popularity", toy=stairs, without_history="popular"),
    Case("item_knn", {"n_neighbours": 20}, toy=checkerboard),
    Case("markov", {"n_neighbours": 20}, reaches=0.99),
    Case("item_knn_markov", {"markov_weight": 2.0}, reaches=0.9),
    Case("ease", {"l2": 1.0}, toy=checkerboard),
    Case(
        "sasrec",
        {
            "width": 32,
            "dropout": 0.1,
            "max_length": 12,
            "training": {"epochs": 12, "batch_size": 32, "learning_rate": 0.01},
        },
        reaches=0.95,
        exportable=True,
    ),
    Case(
        "two_tower",
        {
            "backbone": "attention",
            "graph": {"kind": "autograph", **GRAPH, "training": {"epochs": 3}},
            "width": 32,
            "dropout": 0.1,
            "max_length": 12,
            "training": {"epochs": 12, "batch_size": 32, "learning_rate": 0.003},
        },
        reaches=0.9,
    ),
    Case(
        "window_din",
        {
            "width": 16,
            "windows": [2, 1, 1, 1],
            "n_negatives": 16,
            "training": {"epochs": 12, "batch_size": 128, "learning_rate": 0.01},
        },
        reaches=0.95,
        without_history="beginnings",
    ),
    Case(
        "tiger",
        {
            "tokens": TOKENS,
            "width": 32,
            "dropout": 0.1,
            "max_length": 12,
            "training": {"epochs": 20, "batch_size": 32, "learning_rate": 0.01},
        },
        reaches=0.95,
        without_history="beginnings",
        exportable=True,
    ),
    Case(
        "prorec",
        {
            "tokens": TOKENS,
            "width": 32,
            "dropout": 0.1,
            "max_length": 12,
            "training": {"epochs": 20, "batch_size": 32, "learning_rate": 0.01},
            "collaborative": {
                "width": 16,
                "dropout": 0.1,
                "max_length": 12,
                "training": {"epochs": 12, "batch_size": 32, "learning_rate": 0.01},
            },
        },
        reaches=0.95,
        without_history="beginnings",
        exportable=True,
    ),
    Case("gf_cf", {"n_factors": 8}, toy=checkerboard),
    Case("mf", GRAPH, toy=checkerboard, exportable=True),
    Case("autograph", GRAPH | {"n_layers": 2}, toy=checkerboard, exportable=True),
    Case("lightgcn", GRAPH | {"n_layers": 2}, toy=checkerboard, exportable=True),
    Case("ultragcn", GRAPH | {"spread": 0.1}, toy=checkerboard, exportable=True),
    Case("simgcl", GRAPH | {"n_layers": 2, "contrast": 0.03}, toy=checkerboard, exportable=True),
    Case("xsimgcl", GRAPH | {"n_layers": 2, "contrast": 0.03}, toy=checkerboard, exportable=True),
]
