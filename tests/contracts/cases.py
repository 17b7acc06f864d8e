"""One row a registered model: a small, fast configuration and what it must learn."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Case:
    """How to test one model."""

    kind: str
    settings: dict[str, Any] = field(default_factory=dict)
    reaches: float | None = None
    """HR@1 to reach on the cycle, where the next item is certain; None for models without order."""


CASES = [
    Case("popularity"),
    Case("item_knn", {"n_neighbours": 20}),
    Case("markov", {"n_neighbours": 20}, reaches=0.99),
    Case("item_knn_markov", {"markov_weight": 2.0}, reaches=0.9),
    Case("ease", {"l2": 1.0}),
    Case(
        "sasrec",
        {
            "width": 32,
            "dropout": 0.1,
            "max_length": 12,
            "training": {"epochs": 12, "batch_size": 32, "learning_rate": 0.01},
        },
        reaches=0.95,
    ),
    Case(
        "tiger",
        {
            "n_levels": 2,
            "n_codes": 8,
            "vector_width": 16,
            "width": 32,
            "dropout": 0.1,
            "max_length": 12,
            "training": {"epochs": 20, "batch_size": 32, "learning_rate": 0.01},
        },
        reaches=0.95,
    ),
]
