"""Claims about how near calibrators come to the truth, on scores whose truth is known.

Two worlds, five seeds: values of a field that differ by intercept and slope, and values with
shapes of their own (`etalage.calibrate.simulated`). Prints a table of all calibrators.

    python benchmarks/calibration_quality.py [--seeds 5]
"""

import argparse
import time
from typing import Any

import numpy as np

from claims import record
from etalage.calibrate import KINDS, Calibrator, FieldEffects, Isotonic
from etalage.calibrate.calibrator import sigmoid
from etalage.calibrate.field_measures import field_measures
from etalage.calibrate.measures import divergence, measures
from etalage.calibrate.simulated import Scores, distorted
from etalage.evaluate.classification import auc

WORLDS = {"lines": False, "own shapes": True}
BARS = {"lines": 20.1, "own shapes": 37.9}
"""Divergence x 1e4 of the best method that was measured on such worlds before."""
METHODS: dict[str, Any] = {
    **{kind.kind: kind for kind in KINDS},
    "fields, intercept": lambda: FieldEffects(n_bases=1),
    "fields, intercept and slope": lambda: FieldEffects(n_bases=2),
    "fields": FieldEffects,
}


def judged(calibrator: Calibrator, seen: Scores, unseen: Scores) -> dict[str, float]:
    began = time.process_time()
    calibrator.fit(seen.logits, seen.clicks, seen.values)
    seconds = time.process_time() - began
    z = calibrator.logit(unseen.logits, unseen.values)
    p = sigmoid(z)
    found = measures(p, unseen.clicks) | field_measures(p, unseen.clicks, unseen.values)
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
    parser.add_argument("--seeds", type=int, default=5)
    seeds = range(parser.parse_args().seeds)
    for world, own_shapes in WORLDS.items():
        began = time.perf_counter()
        rows: dict[str, list[dict[str, float]]] = {name: [] for name in METHODS}
        for seed in seeds:
            seen, unseen = distorted(seed, own_shapes=own_shapes)
            for name, method in METHODS.items():
                rows[name].append(judged(method(), seen, unseen))
        columns = list(rows["platt"][0])
        print(f"\n| {world} | {' | '.join(columns)} |\n|---|{'---|' * len(columns)}")
        for name, found in rows.items():
            cells = [f"{np.mean([row[c] for row in found]):.4g}" for c in columns]
            print(f"| {name} | {' | '.join(cells)} |")
        kl = {name: [row["KL x1e4"] for row in found] for name, found in rows.items()}
        facts = {"seeds": [*seeds], "seconds": time.perf_counter() - began}
        for name, found in rows.items():
            target = f"<={BARS[world]}" if name == "fields" else ">=0"
            record("calibration", f"divergence of {name} from the truth, {world}",
                   float(np.mean(kl[name])), "x1e-4", target, **facts)  # fmt: skip
            for measure in ("F-RCE", "its floor"):
                value = float(np.mean([row[measure] for row in found]))
                record("calibration", f"{measure} of {name}, {world}", value, "", ">=0", **facts)
        worst = max(
            ours / plain for ours, plain in zip(kl["fields"], kl[Isotonic.kind], strict=True)
        )
        record("calibration", f"the same over that of isotonic regression, worst seed, {world}",
               worst, "times", "<=1", **facts)  # fmt: skip


if __name__ == "__main__":
    main()
