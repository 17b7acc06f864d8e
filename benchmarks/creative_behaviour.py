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
from etalage.creative.pipelines import SelfCoherencePixArtPipeline
from etalage.creative.shapes.behaviour import WAYS, Behaviour, Drawing, behave
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


def claim(task: str, found: Behaviour, n: int, seconds: float, seed: int) -> None:
    """Records what is claimed of a task."""
    facts = {"seeds": [seed], "seconds": seconds}
    words = f"toy, planted error .35, {task}, {n:,} pictures"
    middle = len(found.points_right) // 2
    record("creative", f"{words}: maps that point to the right part, half-way",
           float(found.points_right[middle]), "", ">=0.9", **facts)  # fmt: skip
    plain, guided = found.ways["plain"], found.ways["guided"]
    change = found.change("guided")
    record("creative", f"{words}: bound, guided beside plain", change.points, "points",
           f">={LEAST[task]}", **facts)  # fmt: skip
    record("creative", f"{words}: chance of that without an effect", change.p, "", "<=0.001",
           **facts)  # fmt: skip
    for what, before, after in (
        ("found", plain.found, guided.found),
        ("overlap of objects", plain.overlaps, guided.overlaps),
    ):
        record("creative", f"{words}: {what}, guided beside plain",
               100 * float(after.mean() - before.mean()), "points", ">=-2", **facts)  # fmt: skip
    record("creative", f"{words}: bound, exchanged masks beside plain",
           found.change("exchanged").points, "points", "<=-1", **facts)  # fmt: skip
    record("creative", f"{words}: bound, random masks beside plain, off by",
           abs(found.change("random").points), "points", "<=3", **facts)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pipeline", type=Path, default=TRAINED)
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--strength", type=float)
    parser.add_argument("--guidance-scale", type=float, default=Drawing.guidance_scale)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--task", choices=TASKS)
    parser.add_argument("--ways", nargs="*", default=WAYS)
    parser.add_argument("--try", dest="is_try", action="store_true", help="record nothing")
    options = parser.parse_args()
    pipeline = SelfCoherencePixArtPipeline.from_pretrained(options.pipeline, dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    guidance = {} if options.strength is None else {"scg_strength": options.strength}
    drawing = Drawing(guidance_scale=options.guidance_scale, seed=options.seed, guidance=guidance)
    for task in [options.task] if options.task else TASKS:
        started = time.process_time()
        found = behave(pipeline, task, options.pictures, drawing, options.ways)
        said(task, found)
        if not options.is_try:
            spent = time.process_time() - started
            claim(task, found, options.pictures, spent, options.seed)


if __name__ == "__main__":
    main()
