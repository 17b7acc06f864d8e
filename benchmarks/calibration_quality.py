"""Claims about how near calibrators come to the truth, on scores whose truth is known.

Three worlds, five seeds: values of a field that differ by intercept and slope, values with shapes
of their own, and two fields that matter together (`etalage.calibrate.simulated`). Prints a table of
all calibrators.

    python benchmarks/calibration_quality.py [lines "own shapes" pairs] [--seeds 5] [--networks]
"""

import argparse
import time
from collections.abc import Callable

import numpy as np

from calibration_methods import NETWORKS, PLAIN
from claims import record
from etalage.calibrate import Calibrator, Isotonic
from etalage.calibrate.calibrator import sigmoid
from etalage.calibrate.field_measures import field_measures
from etalage.calibrate.measures import divergence, measures
from etalage.calibrate.simulated import Scores, distorted, paired
from etalage.evaluate.classification import auc

WORLDS: dict[str, Callable[[int], tuple[Scores, Scores]]] = {
    "lines": distorted,
    "own shapes": lambda seed: distorted(seed, own_shapes=True),
    "pairs": paired,
}
BARS = {"lines": 20.1, "own shapes": 37.9}
"""Divergence x 1e4 of the best method that was measured on such worlds before."""
OURS = ("fields", "mcnet, context")


def judged(calibrator: Calibrator, seen: Scores, unseen: Scores) -> dict[str, float]:
    began = time.process_time()
    calibrator.fit(seen.logits, seen.clicks, seen.values)
    seconds = time.process_time() - began
    z = calibrator.logit(unseen.logits, unseen.values)
    p = sigmoid(z)
    first = unseen.values if unseen.values.ndim == 1 else unseen.values[:, 0]
    found = measures(p, unseen.clicks) | field_measures(p, unseen.clicks, first)
    return {
        "KL x1e4": 1e4 * divergence(sigmoid(unseen.truth), p),
        "log-loss": found["log_loss"],
        "PCOC": found["pcoc"],
        "ECE x1e3": 1e3 * found["ece"],
        "F-RCE": found["f_rce"],
        "its floor": found["f_rce_floor"],
        "AUC": auc(z, unseen.clicks),
        "fit CPU-s": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("worlds", nargs="*", default=[*WORLDS])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--networks", action="store_true", help="those of others alone")
    options = parser.parse_args()
    seeds, methods = range(options.seeds), NETWORKS if options.networks else PLAIN | NETWORKS
    for world in options.worlds:
        began = time.perf_counter()
        rows: dict[str, list[dict[str, float]]] = {name: [] for name in methods}
        for seed in seeds:
            seen, unseen = WORLDS[world](seed)
            for name, method in methods.items():
                rows[name].append(judged(method(), seen, unseen))
        columns = list(next(iter(rows.values()))[0])
        print(f"\n| {world} | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
        for name, found in rows.items():
            cells = [f"{np.mean([row[c] for row in found]):.4g}" for c in columns]
            print(f"| {name} | {' | '.join(cells)} |", flush=True)
        kl = {name: [row["KL x1e4"] for row in found] for name, found in rows.items()}
        facts = {"seeds": [*seeds], "seconds": time.perf_counter() - began}
        for name, found in rows.items():
            is_bound = world in BARS and name in OURS
            target = f"<={BARS[world]}" if is_bound else ">=0"
            record("calibration", f"divergence of {name} from the truth, {world}",
                   float(np.mean(kl[name])), "x1e-4", target, **facts)  # fmt: skip
            for measure in ("F-RCE", "its floor", "AUC", "fit CPU-s"):
                value = float(np.mean([row[measure] for row in found]))
                record("calibration", f"{measure} of {name}, {world}", value, "", ">=0", **facts)
        for name in () if options.networks else OURS:
            pairs = zip(kl[name], kl[Isotonic.kind], strict=True)
            worst = max(ours / plain for ours, plain in pairs)
            record("calibration", f"divergence of {name} over that of isotonic regression, worst "
                   f"seed, {world}", worst, "times", "<=1", **facts)  # fmt: skip


if __name__ == "__main__":
    main()
