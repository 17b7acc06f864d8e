"""Claims about what calibration costs: summaries of clicks by logit, and the fits made from them.

python benchmarks/calibration_cost.py
"""

import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from claims import record
from etalage.calibrate import KINDS, FieldEffects, Isotonic, LogitSummary, MCNet, Table

ROWS, STREAMED, PART = 10_000_000, 100_000_000, 1_000_000
Part = tuple[NDArray[np.float32], NDArray[np.int8]]


def parts(n_rows: int, seed: int = 0) -> Iterator[Part]:
    """Logits of a ranker that is too sure, and clicks, a million rows at a time."""
    rng = np.random.default_rng(seed)
    for _ in range(n_rows // PART):
        truth = rng.normal(-3, 1.2, PART).astype(np.float32)
        clicks = rng.random(PART, dtype=np.float32) < 1 / (1 + np.exp(-truth))
        yield 1.4 * truth + 0.5, clicks.astype(np.int8)


def cpu_seconds(work: Callable[[], Any], turns: int = 3) -> tuple[float, Any]:
    """The least of a few turns, and what the last gave."""
    taken = []
    for _ in range(turns):
        began = time.process_time()
        found = work()
        taken.append(time.process_time() - began)
    return min(taken), found


def main() -> None:
    began = time.perf_counter()

    def says(claim: str, value: float, unit: str, target: str, peer: str | None = None) -> None:
        seconds = time.perf_counter() - began
        record("calibration", claim, value, unit, target, peer=peer, seeds=[0], seconds=seconds)

    whole, n_streamed = LogitSummary(), 0
    halves = [LogitSummary(), LogitSummary()]
    streaming = 0.0
    for n, (logits, clicks) in enumerate(parts(STREAMED)):
        started = time.process_time()
        whole.add(logits, clicks)
        streaming += time.process_time() - started
        halves[n % 2].add(logits, clicks)
        n_streamed += len(logits)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    both = halves[0] + halves[1]
    differing = sum(
        int((getattr(both, name) != getattr(whole, name)).sum())
        for name in ("mass", "clicks", "places")
    )
    assert whole.mass.sum() == n_streamed == STREAMED
    says("100 million rows streamed into a summary", streaming, "CPU-s", "<=5")
    says("memory of 100 million rows streamed, the program included", memory, "MB", "<=500")
    says("numbers that differ between two merged halves and the whole", differing, "", "<=0")

    rows = [*parts(ROWS)]
    x, y = (np.concatenate(column) for column in zip(*rows, strict=True))
    summing, summary = cpu_seconds(lambda: LogitSummary.of(x, y))
    says("10 million rows summarised", summing, "CPU-s", "<=0.5")
    for kind in KINDS:
        fitting, _ = cpu_seconds(lambda kind=kind: kind().learn(summary))  # type: ignore[misc]
        says(f"{kind.kind} fitted from the summary", 1000 * fitting, "CPU-ms", "<=20")
    ours, _ = cpu_seconds(lambda: Isotonic().fit(x, y))
    theirs, _ = cpu_seconds(lambda: IsotonicRegression(out_of_bounds="clip").fit(x, y))
    rng, n_values = np.random.default_rng(0), 10_000
    values = rng.integers(0, n_values, PART)
    fields = FieldEffects()
    fitting, _ = cpu_seconds(lambda: fields.fit(x[:PART], y[:PART], values), turns=2)
    says("curves of 10,000 values fitted to a million rows", fitting, "CPU-s", "<=2")
    mapping, _ = cpu_seconds(lambda: fields.logit(x[:PART], values))
    says("a row mapped by the table of its value, which is the curve itself",
         1e6 * mapping / PART, "µs", "<=0.4")  # fmt: skip
    context = rng.integers(0, (25, 20), (PART, 2))
    curves = MCNet().fit(x[:PART], y[:PART], context)
    exact, z = cpu_seconds(lambda: curves.logit(x[:PART], context), turns=2)
    says("a row of one of 500 contexts mapped by MCNet", 1e6 * exact / PART, "µs", ">=0")
    table = Table.of(curves, context)
    mapping, near = cpu_seconds(lambda: table.logit(x[:PART], context))
    says("a row of one of 500 contexts mapped by the table of MCNet", 1e6 * mapping / PART, "µs",
         "<=0.4")  # fmt: skip
    says("certified error of that table, in logits", table.error, "", "<=0.001")
    off = float(np.abs(near - z).max())
    says("largest error of that table in a million rows, over what is certified",
         off / table.error, "times", "<=1")  # fmt: skip
    says("isotonic regression of 10 million rows, less CPU than scikit-learn", theirs / ours,
         "times", ">=5", "scikit-learn")  # fmt: skip


if __name__ == "__main__":
    main()
