"""A split click table whose best AUC is known: one field says all there is to know."""

from typing import NamedTuple

import numpy as np

from etalage.data.features import FeatureTable

RATES = np.array([0.0, 0.1, 0.4, 0.8])
"""Click rate of each code; code 0 does not occur."""


class Tables(NamedTuple):
    train: FeatureTable
    valid: FeatureTable
    test: FeatureTable


def split_tables(n: int = 3000, seed: int = 0) -> Tables:
    """Each person meets one code only, so within a person nothing can be told apart."""
    rng = np.random.default_rng(seed)

    def part(n: int) -> FeatureTable:
        code, noise = rng.integers(1, 4, n), rng.integers(1, 6, n)
        return FeatureTable(
            {"code": 4, "noise": 6},
            np.column_stack([code, noise]).astype(np.int32),
            (),
            np.zeros((n, 0), np.float32),
            clicks=(rng.random(n) < RATES[code]).astype(np.int8),
            groups=(3 * rng.integers(0, 20, n) + code).astype(np.int32),
        )

    return Tables(part(n), part(n // 2), part(n // 2))


def quick(**more: object) -> dict[str, object]:
    """Settings of a ranker that learns these tables in a second."""
    training = {"epochs": 6, "batch_size": 256, "learning_rate": 0.02, "monitor": "auc-log_loss"}
    return {"kind": "qnn", "width": 4, "n_layers": 1, "training": training} | more
