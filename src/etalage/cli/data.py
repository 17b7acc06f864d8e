"""`etalage data`: bring a log in, and look at it before believing it."""

from pathlib import Path
from typing import Annotated

import typer

from etalage.errors import DataError

app = typer.Typer(no_args_is_help=True, help="Import logs, and describe their health.")

Source = Annotated[str, typer.Argument(help="A file, a glob pattern, or a folder with a log.")]
User = Annotated[str | None, typer.Option(help="Column of user ids, where its name is unusual.")]
Item = Annotated[str | None, typer.Option(help="Column of item ids, where its name is unusual.")]
Time = Annotated[str | None, typer.Option(help="Column of times; 'none' takes the order of rows.")]
Value = Annotated[
    str | None, typer.Option(help="Column of ratings or counts; 'none' goes without one.")
]
Clicked = Annotated[
    str | None,
    typer.Option(help="Column that is 1 where what was shown was clicked, else 0; 'none': ignore."),
]
Encoding = Annotated[str, typer.Option(help="Encoding of text files, for example latin-1.")]


@app.command("import")
def import_(
    source: Source,
    folder: Annotated[
        Path,
        typer.Argument(
            help="Folder to store the dataset in; what it holds of the same source is replaced."
        ),
    ],
    user: User = None,
    item: Item = None,
    time: Time = None,
    value: Value = None,
    clicked: Clicked = None,
    encoding: Encoding = "utf-8",
    terms: Annotated[
        str | None, typer.Option(help="Under which terms the data may be used; kept with it.")
    ] = None,
    user_events: Annotated[
        int, typer.Option(min=1, help="Drop users with fewer events (with --item-events: k-core).")
    ] = 1,
    item_events: Annotated[int, typer.Option(min=1, help="Drop items with fewer events.")] = 1,
) -> None:
    """Read a log in any form and store it as Parquet with a manifest.

    Understands CSV and TSV, Parquet, JSON lines, RecBole's atomic files, the original files of
    MovieLens, and sequence files; an item table that lies beside the log comes along. A table with
    a column of clicks is a log of what was shown.
    """
    from etalage.data import store
    from etalage.data.ingest import open_dataset
    from etalage.data.kcore import k_core

    names = {"user": user, "item": item, "time": time, "value": value, "clicked": clicked}
    data = open_dataset(source, **names, encoding=encoding)
    if store.is_stored(folder):
        held = store.read_manifest(folder)["source"]
        if held != data.manifest["source"]:
            raise DataError(
                f"{folder} holds a dataset from {held}; give a new folder, or delete it"
            )
    if user_events > 1 or item_events > 1:
        data = k_core(data, users=user_events, items=item_events)
    store.save(data, folder, terms=terms)
    shown = "" if data.impressions is None else f" of {len(data.impressions):,} impressions"
    typer.echo(
        f"{folder}: {data.n_users:,} users, {data.n_items:,} items, "
        f"{len(data.interactions):,} interactions{shown}, from {data.manifest['source']}"
    )


@app.command()
def describe(
    source: Source,
    user: User = None,
    item: Item = None,
    time: Time = None,
    value: Value = None,
    clicked: Clicked = None,
    encoding: Encoding = "utf-8",
    picture: Annotated[
        Path | None, typer.Option(help="Write a picture of the log to this SVG file.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Show what is in a log and what is wrong with it."""
    import json
    from time import time as now

    from etalage.data import describe as health
    from etalage.data import picture as drawing
    from etalage.data.ingest import open_dataset

    names = {"user": user, "item": item, "time": time, "value": value, "clicked": clicked}
    data = open_dataset(source, **names, encoding=encoding)
    found = health.describe(data, now_ms=int(1000 * now()))
    if picture is not None:
        drawing.write(drawing.picture(found), picture)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), ensure_ascii=False))
        return
    _show(found.name, found.rows(), found.problems)


def _show(name: str, rows: list[tuple[str, str]], problems: tuple[str, ...]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(name), show_header=False)
    for fact, value in rows:
        table.add_row(fact, value)
    console = Console()
    console.print(table)
    for problem in problems:
        console.print(Text(f"! {problem}", style="yellow"))
    if not problems:
        console.print(Text("no problems found", style="green"))
