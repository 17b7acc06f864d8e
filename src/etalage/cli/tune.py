"""`etalage tune`: which settings are best here?"""

from pathlib import Path
from typing import Annotated

import typer

from etalage.cli.jobs import check_folder


def tune(
    recipe: Annotated[Path, typer.Argument(help="A recipe (YAML) with a search block.")],
    trials: Annotated[
        int, typer.Option(min=1, help="Settings to try, those of earlier sessions included.")
    ] = 30,
    processes: Annotated[int, typer.Option(min=1, help="Trials at a time.")] = 1,
    out: Annotated[Path | None, typer.Option(help="Folder (runs/tune/NAME).")] = None,
) -> None:
    """Search settings of one model, and write the best as a recipe.

    The same command goes on where it was interrupted; Ctrl-C keeps all that was found.
    """
    from etalage.pipeline.tuning.search import tune as search
    from etalage.recipe.recipe import load

    folder = out or Path("runs/tune") / recipe.stem
    check_folder(folder)
    found = search(load(recipe), folder, trials, processes, typer.echo)
    typer.echo(
        f"best of {found.n_tried}: trial {found.number}, validation {found.metric} "
        f"{found.value:.4f}; run it: etalage train {folder / 'best.yaml'}"
    )
    if found.was_interrupted:
        typer.echo("interrupted; the same command goes on", err=True)
        raise typer.Exit(130)
