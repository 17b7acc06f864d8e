"""Trains the toy that draws shapes, and writes it as an ordinary folder of diffusers.

    python benchmarks/creative_toy.py FOLDER [--steps 20000] [--device cuda] [--minutes 60]

A run that was stopped goes on when it is started again. `FOLDER/log.jsonl` has its loss, and
`FOLDER/pipeline` the toy with the data card of what it was made of.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict
from pathlib import Path

from claims import commit, machine
from etalage.creative.shapes.pictures import COLOURS, SHAPES, SIDE, TASKS, TEXTURES, all_pairs
from etalage.creative.shapes.toy import save
from etalage.creative.shapes.training import Recipe, train

CARD = """# A toy that draws shapes

An ordinary folder of diffusers (PixArt-alpha) in half precision, {side} pixels a side, made for
tests of attribute binding and for nothing else. It was trained from nothing on pictures that are
drawn by rule; no photograph, no text of anybody and no weights of another model are in it.

- Tasks: {tasks}; {n_prompts} prompts in all, of the shapes {shapes}, the colours {colours} and the
  textures {textures}.
- Planted error: {exchanged:.0%} of the captions give each part the attribute of the other.
- Trained for {n_steps:,} steps of {batch} pictures, {minutes:.0f} CPU-minutes, on {machine}.
- Licence: that of the project.

Made by `python benchmarks/creative_toy.py FOLDER --steps {n_steps}` at commit {commit}:

```json
{recipe}
```
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=Recipe.n_steps)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--minutes", type=float, help="stop after so many, to go on another time")
    options = parser.parse_args()
    recipe, started = Recipe(n_steps=options.steps), time.monotonic()
    log = options.folder / "log.jsonl"

    def told(step: int, loss: float, seconds: float) -> None:
        line = {"step": step, "loss": round(loss, 5), "cpu_seconds": round(seconds, 1)}
        with log.open("a") as lines:
            lines.write(json.dumps(line) + "\n")
        if options.minutes and time.monotonic() - started > 60 * options.minutes:
            raise SystemExit(f"stopped after {step:,} of {recipe.n_steps:,} steps")

    toy = train(recipe, options.folder, options.device, told)
    save(toy, options.folder / "pipeline")
    seconds = json.loads(log.read_text().splitlines()[-1])["cpu_seconds"]
    card = CARD.format(
        side=SIDE,
        tasks=", ".join(TASKS),
        n_prompts=sum(len(all_pairs(task)) for task in TASKS),
        shapes=", ".join(SHAPES),
        colours=", ".join(COLOURS),
        textures=", ".join(TEXTURES),
        exchanged=recipe.exchanged,
        n_steps=recipe.n_steps,
        batch=recipe.training.batch_size,
        minutes=seconds / 60,
        machine=machine(),
        commit=commit(),
        recipe=json.dumps(asdict(recipe) | {"training": recipe.training.to_dict()}, indent=2),
    )
    (options.folder / "pipeline" / "README.md").write_text(card, encoding="utf-8")


if __name__ == "__main__":
    main()
