"""`etalage creative bench`: does guidance bind what belongs together, and what does it cost?"""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID
    from rich.table import Table

    from etalage.creative.shapes.behaviour import Behaviour


def bench(
    pipeline: Annotated[
        Path, typer.Option(help="Folder of a toy that draws shapes; toy is the one that is here.")
    ] = Path("toy"),
    task: Annotated[
        list[str] | None,
        typer.Option("--task", help="coarse, fine or style; may be repeated, all by default."),
    ] = None,
    n: Annotated[int, typer.Option("-n", "--n", min=1, help="Pictures of each way.")] = 200,
    strength: Annotated[
        float, typer.Option(min=0, help="Of the guidance: 1 for none, 4 as published.")
    ] = 2.0,
    exclusive: Annotated[
        bool,
        typer.Option(help="Whether a place has one part alone; published: no."),
    ] = True,
    guidance_scale: Annotated[float, typer.Option(help="Of classifier-free guidance.")] = 2.0,
    steps: Annotated[int, typer.Option(min=2, help="Steps of denoising.")] = 20,
    seed: Annotated[int, typer.Option(min=0, help="The same seed draws the same pictures.")] = 1,
) -> None:
    """Draw shapes with and without guidance from the same noise, and read off what is bound.

    Beside the guided pictures stand three controls: masks where the parts truly are, bindings
    exchanged (must be worse), and masks anywhere (must do nothing).
    """
    import sys

    from rich.console import Console
    from rich.progress import Progress

    from etalage.creative.maker import open_pipeline
    from etalage.creative.shapes.pictures import TASKS
    from etalage.errors import RecipeError, did_you_mean, naming_extras

    with naming_extras("creative"):
        from etalage.creative.shapes.behaviour import Drawing, behave

    for name in task or ():
        if name not in TASKS:
            raise RecipeError(
                f"there is no task {name!r}{did_you_mean(name, TASKS)}; choose {', '.join(TASKS)}"
            )
    opened = open_pipeline(pipeline)
    guidance = {"scg_strength": strength, "scg_exclusive": exclusive}
    drawing = Drawing(steps, guidance_scale, seed, guidance)
    found = {}
    with Progress(console=Console(stderr=True), disable=not sys.stderr.isatty()) as progress:
        for name in task or TASKS:
            told = partial(_advance, progress, progress.add_task(name, total=n))
            found[name] = behave(opened, name, n, drawing, told=told)
    console = Console()
    for name, each in found.items():
        Console(width=console.width if console.is_terminal else 120).print(_table(name, each))


def _advance(progress: "Progress", bar: "TaskID", n_done: int) -> None:
    progress.update(bar, completed=n_done)


def _table(task: str, found: "Behaviour") -> "Table":
    from rich.table import Table

    middle = len(found.points_right) // 2
    first, second = found.points_right[middle]
    table = Table(
        title=f"{task}: maps of the first part point to it in {first:.0%}, of the second in "
        f"{second:.0%}, half-way"
    )
    for column in ("way", "found", "overlap", "bound", "exchanged", "fixed", "broken", "points",
                   "p"):  # fmt: skip
        table.add_column(column, justify="left" if column == "way" else "right")
    for way, readings in found.ways.items():
        change = found.change(way)
        shares = (readings.found, readings.overlaps, readings.bound, readings.exchanged)
        beside = ["", "", "", ""]
        if way != "plain":
            beside = [f"{change.fixed}", f"{change.broken}",
                      f"{change.points:+.1f} ± {change.margin:.1f}", f"{change.p:.2g}"]  # fmt: skip
        table.add_row(way, *(f"{share.mean():.3f}" for share in shares), *beside)
    return table
