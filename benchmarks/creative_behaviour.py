"""Claims about self-coherence guidance on the toy: first its premise, then what it does.

    python benchmarks/creative_behaviour.py [--pipeline FOLDER] [--pictures 1000] [--strength 4]
                                            [--task coarse] [--try]

Pictures of one task have the same noise in every way. A part that is missing is not bound.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from claims import record
from etalage.creative.guidance import Guidance
from etalage.creative.pipelines import SelfCoherencePixArtPipeline
from etalage.creative.shapes.behaviour import Behaviour, Drawing, behave
from etalage.creative.shapes.pictures import TASKS, TRAINED

LEAST = {"coarse": 10, "fine": 5, "style": 5}
"""Points of a hundred by which the share that is bound must rise."""


def said(task: str, found: Behaviour) -> None:
    """Prints the table of a task."""
    print(f"{task}: maps point to the right part in "
          + " ".join(f"{share:.2f}" for share in found.points_right))  # fmt: skip
    for way, readings in found.ways.items():
        change = found.change(way)
        print(
            f"  {way:10} found {readings.found.mean():.3f} overlap {readings.overlaps.mean():.3f} "
            f"bound {readings.bound.mean():.3f} exchanged {readings.exchanged.mean():.3f} "
            f"fixed {change.fixed} broken {change.broken} points {change.points:+.1f} "
            f"± {change.margin:.1f} p {change.p:.2g}",
            flush=True,
        )


def claim(task: str, found: Behaviour, drawing: Drawing, seconds: float) -> None:
    """Records what is claimed of a task, and every figure of its table."""
    facts = {"seeds": [drawing.seed], "seconds": seconds}
    plain, guided = found.ways["plain"], found.ways["guided"]
    words = f"toy, {task}, {len(plain.bound):,} pictures"
    strength = drawing.guidance.get("scg_strength", Guidance().strength)
    if strength != Guidance().strength:
        words += f", strength {strength:g}"
    middle = len(found.points_right) // 2
    record("creative", f"{words}: maps that point to the right part, half-way",
           float(found.points_right[middle]), "", ">=0.9", **facts)  # fmt: skip
    for way, readings in found.ways.items():
        for what, share in (
            ("bound", readings.bound),
            ("found", readings.found),
            ("overlap", readings.overlaps),
        ):
            record("creative", f"{words}: {what}, {way}", float(share.mean()), "", ">=0",
                   **facts)  # fmt: skip
    changes = {way: found.change(way) for way in found.ways}
    for what, value, unit, target in (
        ("points more that are bound, guided", changes["guided"].points, "points",
         f">={LEAST[task]}"),
        ("chance of such points without an effect", changes["guided"].p, "", "<=0.001"),
        ("points more that are found, guided",
         100 * float(guided.found.mean() - plain.found.mean()), "points", ">=-2"),
        ("points more of overlap, guided",
         100 * float(guided.overlaps.mean() - plain.overlaps.mean()), "points", ">=-2"),
        ("points more that are bound, oracle", changes["oracle"].points, "points", ">=1"),
        ("points more that are bound, exchanged", changes["exchanged"].points, "points", "<=-1"),
        ("points that random masks move", abs(changes["random"].points), "points", "<=3"),
    ):  # fmt: skip
        record("creative", f"{words}: {what}", value, unit, target, **facts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pipeline", type=Path, default=TRAINED)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--strength", type=float)
    parser.add_argument("--guidance-scale", type=float, default=Drawing.guidance_scale)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--task", choices=TASKS)
    parser.add_argument("--try", dest="is_try", action="store_true", help="record nothing")
    options = parser.parse_args()
    pipeline = SelfCoherencePixArtPipeline.from_pretrained(options.pipeline, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    guidance = {} if options.strength is None else {"scg_strength": options.strength}
    drawing = Drawing(guidance_scale=options.guidance_scale, seed=options.seed, guidance=guidance)
    for task in [options.task] if options.task else TASKS:
        started = time.process_time()
        found = behave(pipeline, task, options.pictures, drawing)
        said(task, found)
        if not options.is_try:
            spent = time.process_time() - started
            claim(task, found, drawing, spent)


if __name__ == "__main__":
    main()
