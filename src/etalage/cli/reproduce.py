"""`etalage reproduce`: do published figures hold here?"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from etalage.cli.jobs import check_folder

app = typer.Typer(no_args_is_help=True, help="Compute published tables again.")


@app.command()
def ctr(
    data: Annotated[
        str, typer.Option(help="frappe or movielens-1m, from ETALAGE_DATA.")
    ] = "frappe",
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="KIND", help="Rankers of this kind alone. May be repeated."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each row.")] = 3,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where networks train.")] = "cpu",
    out: Annotated[
        Path | None, typer.Option(help="Folder of the results (runs/reproduce/ctr/DATA).")
    ] = None,
) -> None:
    """Fit, calibrate and judge click predictors, beside what was published of them.

    The same command goes on where it was interrupted.
    """
    import sys

    from rich.console import Console

    from etalage.pipeline.reproduce.ctr import loader, reproduce
    from etalage.pipeline.reproduce.published import click_table
    from etalage.pipeline.reproduce.summary import rich_table

    table = click_table(data)
    asked = table.only(only or []).rows
    folder = out or Path("runs/reproduce/ctr") / data
    check_folder(folder)
    lines = reproduce(
        table,
        loader(data),
        folder,
        seeds,
        typer.echo,
        asked=asked,
        progress=sys.stderr.isatty(),
        device=device,
    )
    Console(width=None if sys.stdout.isatty() else 130).print(rich_table(table, lines))
    typer.echo(f"table: {folder / 'table.md'}, picture: {folder / 'table.svg'}")
