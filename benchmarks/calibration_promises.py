"""Claims about what calibrators promise: order, inverses, sums of parts, and the alarm.

python benchmarks/calibration_promises.py
"""

import json
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from claims import record
from etalage.calibrate import (
    KINDS,
    Calibrator,
    FieldEffects,
    Histogram,
    Isotonic,
    LogitSummary,
    MCNet,
    Table,
    from_dict,
)
from etalage.calibrate.alarm import DriftAlarm, rows_to_find
from etalage.calibrate.calibrator import sigmoid

Floats = NDArray[np.float64]
BY_FIELD = (FieldEffects, MCNet)
STRICT = [kind for kind in (*KINDS, *BY_FIELD) if kind not in (Isotonic, Histogram)]
N_ROWS, N_STREAMS, N_FOUND = 20_000, 1000, 100
ALPHA, RATE, ERROR = 0.01, 2 / 32, 0.1


def rows(seed: int) -> tuple[Floats, Floats, NDArray[np.int64]]:
    """Logits that need not be right, nor in order, with two fields of six values."""
    rng = np.random.default_rng(seed)
    x, context = rng.normal(-2, 2, N_ROWS), rng.integers(0, 6, (N_ROWS, 2))
    truth = rng.normal(0.5, 0.5) * x + rng.normal(0, 1, (6, 6))[context[:, 0], context[:, 1]]
    return x, (rng.random(N_ROWS) < sigmoid(truth)).astype(float), context


def contexts() -> Iterator[NDArray[np.int64]]:
    """Known, half known and unknown ones."""
    for code in ([0, 0], [5, 3], [2, -1], [-1, -1], [99, 1]):
        yield np.array(code)


def ties(curve: Calibrator, grid: NDArray[np.floating]) -> int:
    """Neighbours on a grid whose order is lost, in all contexts."""
    found = 0
    for code in contexts():
        z = curve.logit(grid, np.tile(code, (len(grid), 1)))
        found += int((np.diff(z) <= 0).sum())
    return found


def stream(n: int, seed: int, error: float = 0.0) -> tuple[Floats, Floats]:
    """Served probabilities, and clicks that come at those over 1 + error."""
    rng = np.random.default_rng(seed)
    truth = rng.beta(2, 30, n)
    return truth * (1 + error), (rng.random(n) < truth).astype(float)


def main() -> None:
    began = time.perf_counter()

    def says(claim: str, value: float, unit: str, target: str, seeds: list[int]) -> None:
        seconds = time.perf_counter() - began
        record("calibration", claim, float(value), unit, target, seeds=seeds, seconds=seconds)

    seeds = [*range(3)]
    grid = np.linspace(-14, 14, 100_001)
    lost = {"float32": 0, "float64": 0}
    inverse = jump = order = repeats = served = 0.0
    for seed in seeds:
        x, y, context = rows(seed)
        shuffled = np.random.default_rng(seed).permutation(N_ROWS)
        weights = np.random.default_rng(seed).integers(0, 4, N_ROWS)
        for kind in STRICT:
            curve = kind().fit(x, y, context)
            for number in lost:
                lost[number] += ties(curve, np.unique(grid.astype(number)))
            z = curve.logit(x, context)
            inverse = max(inverse, np.abs(curve.inverse(z, context) - x).max())
            jump = max(jump, np.abs(curve.logit(x + 1e-9, context) - z).max())
        for kind in (*KINDS, MCNet):
            facts = kind().fit(x, y, context).to_dict()
            again = kind().fit(x[shuffled], y[shuffled], context[shuffled]).to_dict()
            order += facts != again
            weighed = kind().fit(x, y, context, weights).to_dict()
            more = [np.repeat(column, weights, 0) for column in (x, y, context)]
            repeats += weighed != kind().fit(*more).to_dict()
        curve = MCNet().fit(x, y, context)
        table = Table.of(curve, context)
        read = from_dict(json.loads(json.dumps(table.to_dict())))
        off = np.abs(read.logit(x, context) - curve.logit(x, context)).max()
        served = max(served, float(off) / table.error)
    for number, n in lost.items():
        says(f"neighbours in {number} whose order any strict calibrator loses", n, "", "<=0", seeds)
    says("largest error of an inverse", inverse, "logits", "<=1e-9", seeds)
    says("largest change over a step of 1e-9", jump, "logits", "<=1e-7", seeds)
    says("calibrators that the order of rows changes", order, "", "<=0", seeds)
    says("calibrators for which a weight is not a repeat", repeats, "", "<=0", seeds)
    says("error of a served table over what is certified", served, "times", "<=1", seeds)

    x, y, _ = rows(0)
    parts = LogitSummary.of(x[:7000], y[:7000]) + LogitSummary.of(x[7000:], y[7000:])
    differing = sum(kind().learn(parts).to_dict() != kind().fit(x, y).to_dict() for kind in KINDS)
    says("calibrators that differ between merged parts and the whole", differing, "", "<=0", [0])

    rang = sum(DriftAlarm(ALPHA).add(*stream(5000, seed)).rings for seed in range(N_STREAMS))
    says("share of 1,000 streams without drift in which the alarm of 0.01 rings",
         rang / N_STREAMS, "", f"<={ALPHA}", [*range(1)])  # fmt: skip
    for error in (-ERROR, ERROR):
        expected = rows_to_find(RATE, error, ALPHA)
        found = [
            DriftAlarm(ALPHA).add(*stream(6 * int(expected), seed, error)).rang_at or np.inf
            for seed in range(N_FOUND)
        ]
        says(f"rows until {error:+.0%} is found, median, over those of theory",
             float(np.median(found)) / expected, "times", "<=2", [*range(1)])  # fmt: skip


if __name__ == "__main__":
    main()
