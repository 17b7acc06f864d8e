"""`etalage demo`, `train`, `tokenize`, `export`, `report`, `serve`: the main job and its parts."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from etalage.errors import BundleError, RecipeError

Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a setting: models.sasrec.width=128. May be repeated."),
]
Run = Annotated[Path, typer.Argument(help="Folder of a run, as `etalage demo` leaves it.")]


def demo(
    data: Annotated[
        str | None, typer.Option(help="A log to run on; the simulated shop without one.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the run (runs/demo).")] = None,
    overrides: Set = None,
) -> None:
    """Run the whole job on the simulated shop or your own log, and write a report."""
    from etalage.pipeline.demo import recipe

    chosen = recipe(data, overrides)
    _run(chosen, out or Path("runs") / chosen.name)


def train(
    recipe: Annotated[Path, typer.Argument(help="A recipe (YAML).")],
    out: Annotated[Path | None, typer.Option(help="Folder of the run (runs/NAME).")] = None,
    overrides: Set = None,
) -> None:
    """Run a recipe: every model in it, measured, with a report and a bundle to serve."""
    from etalage.recipe.recipe import load

    chosen = load(recipe, overrides)
    _run(chosen, out or Path("runs") / chosen.name)


def tokenize(
    data: Annotated[str | None, typer.Argument(help="A log, or the simulated shop.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the ids to this .npz file.")] = None,
    overrides: Set = None,
) -> None:
    """Spell every item by semantic ids and show how healthy they are."""
    from etalage.pipeline.demo import recipe
    from etalage.pipeline.shop import item_names, open_shop, spell_items

    chosen = recipe(data, overrides)
    shop = open_shop(chosen)
    spelling = spell_items(shop, chosen)
    for name, value in spelling.health.to_dict().items():
        typer.echo(f"{name.replace('_', ' '):<24} {_short(value)}")
    titles, _ = item_names(shop.data)
    for item in range(min(5, len(titles))):
        codes = "-".join(map(str, spelling.ids.codes[item]))
        typer.echo(f"{codes:<24} {titles[item] or shop.data.items.ids[item]}")
    if out is not None:
        spelling.ids.save(out)
        typer.echo(f"{out}: ids of {len(spelling.ids):,} items")


def export(
    run: Run,
    out: Annotated[Path, typer.Argument(help="Where the bundle should lie.")],
) -> None:
    """Copy a run's bundle, checked, to where a server watches; one that is there is replaced."""
    import shutil

    from etalage.artefact import whole_folder
    from etalage.serve.bundle import BUNDLE, read_manifest

    source = bundle_of(run)
    manifest = read_manifest(source)
    with whole_folder(out, BUNDLE) as draft:
        shutil.copytree(source, draft, dirs_exist_ok=True)
    size = sum(facts["bytes"] for facts in manifest["files"].values()) / 2**20
    typer.echo(f"{out}: {manifest['name']}, model {manifest['model_version']}, {size:.1f} MB")


def report(run: Run) -> None:
    """Write a run's report again."""
    from etalage.bench.report import load_record, write_report

    write_report(load_record(run), run / "report.html")
    typer.echo(str(run / "report.html"))


def serve(
    run: Annotated[Path, typer.Argument(help="Folder of a run, or a bundle.")],
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    memory: Annotated[
        Path | None, typer.Option(help="File of memories to serve as well; made if need be.")
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(help="File with the key of the memory and of its tokens.")
    ] = None,
) -> None:
    """Open the shop window: a page and an HTTP interface, without torch in the process."""
    from etalage.cli.memory import read_key
    from etalage.serve.runtime.app import serve as run_server

    if (memory is None) != (key_file is None):
        raise RecipeError("a memory is served with its key: give both --memory and --key-file")
    bundle = bundle_of(run)
    kept = (memory, read_key(key_file)) if memory and key_file else None
    run_server(bundle, host, port, partial(typer.echo, err=True), kept)


def bundle_of(run: Path) -> Path:
    """The bundle of a run, or the folder itself; BundleError where there is no folder."""
    if not run.is_dir():
        raise BundleError(
            f"there is no folder {run}; give that of a run, as `etalage demo` leaves it"
        )
    return run / "bundle" if (run / "bundle").is_dir() else run


def check_folder(folder: Path) -> None:
    """Raises RecipeError where a run cannot be written."""
    for place in (folder, *folder.parents):
        if place.exists() and not place.is_dir():
            raise RecipeError(f"{place} is a file; choose another folder with --out")


def _run(recipe: Any, folder: Path) -> None:
    import sys

    from rich.console import Console

    from etalage.bench.report import write_report
    from etalage.bench.table import models_table
    from etalage.pipeline.run import run

    check_folder(folder)
    record = run(recipe, folder, typer.echo, progress=sys.stderr.isatty())
    if record is None:  # not the first process of torchrun
        return
    write_report(record, folder / "report.html")
    Console(width=None if sys.stdout.isatty() else 100).print(models_table(record))
    for note in record.notes:
        typer.echo(f"! {note}")
    typer.echo(f"report: {folder / 'report.html'}")
    if recipe.retriever is not None:
        typer.echo(f"window: etalage serve {folder}")


def _short(value: Any) -> str:
    if isinstance(value, list):
        return "  ".join(_short(v) for v in value)
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}"
