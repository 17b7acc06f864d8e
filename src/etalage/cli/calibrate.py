"""`etalage calibrate`: make the scores of any model probabilities, and watch that they stay so."""

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(no_args_is_help=True, help="Turn scores into probabilities, and watch them.")

Table = Annotated[str, typer.Argument(help="A table of scores (CSV, Parquet, JSON lines).")]
Score = Annotated[str, typer.Option(help="Column of scores.")]
Label = Annotated[str, typer.Option(help="Column that is 1 where it was clicked, else 0.")]
Logits = Annotated[bool, typer.Option("--logits", help="Scores are logits, not probabilities.")]
Encoding = Annotated[str, typer.Option(help="Encoding of text files, for example latin-1.")]
Picture = Annotated[
    Path | None,
    typer.Option(help="Write diagrams of all rows and by field to this file (.html or .svg)."),
]
Saved = Annotated[Path, typer.Argument(help="A calibrator, as `fit` writes it.")]


@app.command()
def fit(
    table: Table,
    out: Annotated[Path, typer.Argument(help="Where to write the calibrator (JSON).")],
    score: Score = "score",
    label: Label = "label",
    field: Annotated[
        list[str] | None,
        typer.Option(help="Column whose values get curves of their own. May be repeated."),
    ] = None,
    weight: Annotated[
        str | None,
        typer.Option(help="Column of weights, 1 in the mean: a row of 2 was there twice."),
    ] = None,
    logits: Logits = False,
    kind: Annotated[str, typer.Option(help="Which calibrator; auto chooses.")] = "auto",
    holdout: Annotated[
        float, typer.Option(min=0.01, max=0.9, help="Share of the last rows to be judged on.")
    ] = 0.2,
    picture: Picture = None,
    encoding: Encoding = "utf-8",
) -> None:
    """Fit a calibrator, and show what it does on rows that it has not seen.

    It is judged on the last rows of the table, fitted to those before them; the one that is written
    is fitted to all rows.
    """
    from etalage.errors import DataError
    from etalage.pipeline.scores import ScoreCalibrator, ScoreColumns, read_scores

    _check_picture(picture)
    columns = ScoreColumns(score, label, tuple(field or ()), weight, logits)
    scores = read_scores(table, columns, encoding)
    cut = round((1 - holdout) * len(scores))
    seen, unseen = scores.part(slice(cut)), scores.part(slice(cut, None))
    if not len(seen) or not len(unseen):
        raise DataError(f"{len(scores):,} rows are too few to hold {holdout:.0%} of them out")
    tried = ScoreCalibrator.fit(seen, columns, kind)
    before, after = unseen.probabilities, tried.probability(unseen)
    fitted = ScoreCalibrator.fit(scores, columns, kind)
    title = f"{len(unseen):,} rows held out" + _weighted_by(weight)
    if picture is not None:
        _draw(picture, before, after, unseen, f"{Path(table).name}: {title}")
    fitted.save(out)
    _show(before, after, unseen, title)
    typer.echo(f"{out}: {fitted.calibrator.kind}, fitted to {len(scores):,} rows")


@app.command()
def apply(
    table: Table,
    calibrator: Saved,
    out: Annotated[Path, typer.Argument(help="Where to write the table (.parquet or .csv).")],
    column: Annotated[str, typer.Option(help="Name of the new column.")] = "probability",
    encoding: Encoding = "utf-8",
) -> None:
    """Add calibrated probabilities to a table."""
    import polars as pl

    from etalage.artefact import whole_file
    from etalage.data.formats.source import read_columns
    from etalage.errors import DataError
    from etalage.pipeline.scores import ScoreCalibrator

    if out.suffix not in (".csv", ".parquet"):
        raise DataError(f"{out} is neither .csv nor .parquet; choose one of them")
    fitted = ScoreCalibrator.load(calibrator)
    frame = read_columns(table, encoding=encoding)
    if column in frame.columns:
        raise DataError(f"{table} has a column {column!r} already; name another with --column")
    p = fitted.probability(fitted.read(table, encoding=encoding))
    frame = frame.with_columns(pl.Series(column, p))
    with whole_file(out) as draft:
        if out.suffix == ".csv":
            frame.write_csv(draft)
        else:
            frame.write_parquet(draft)
    typer.echo(f"{out}: {len(frame):,} rows with {column!r}")


@app.command()
def tabulate(
    calibrator: Saved,
    out: Annotated[Path, typer.Argument(help="Where to write the table of curves (JSON).")],
    contexts: Annotated[
        str | None,
        typer.Option(
            help="Table of fields, whose contexts alone are kept; without it, all values."
        ),
    ] = None,
    error: Annotated[float, typer.Option(help="How far a calibrated logit may be off.")] = 1e-3,
    encoding: Encoding = "utf-8",
) -> None:
    """Write a calibrator as a table of straight pieces, with a bound on what that costs.

    It is a calibrator like any other: `apply`, `report`, `monitor` and `install` take it.
    """
    from etalage.calibrate import Table as Tabulated
    from etalage.pipeline.scores import ScoreCalibrator

    fitted = ScoreCalibrator.load(calibrator)
    short = fitted.tabulated(error, contexts, encoding)
    short.save(out)
    table = short.calibrator
    assert isinstance(table, Tabulated)
    n_contexts, n_knots = table.values.shape
    typer.echo(
        f"{out}: {n_contexts:,} curves of {n_knots:,} knots, of contexts kept and of all others; "
        f"of those kept, logits between -16 and 16 are off by at most {table.error:.1e}, "
        f"probabilities by {table.error / 4:.1e}"
    )


@app.command()
def install(
    bundle: Annotated[Path, typer.Argument(help="Folder of a run, or a bundle.")],
    calibrator: Saved,
) -> None:
    """Put a calibrator into a bundle, in place of its own; a server takes it up as it runs.

    It must have been fitted to what the bundle's ranker says before calibration, as logits or as
    probabilities; `/score` answers the logits. Columns of fields are called as in the bundle (item,
    category, last_category, or what requests say as context), and their values as in the log.
    """
    from etalage.cli.jobs import bundle_of
    from etalage.pipeline.install import install as put
    from etalage.pipeline.scores import ScoreCalibrator

    place, fitted = bundle_of(bundle), ScoreCalibrator.load(calibrator)
    installed = put(place, fitted)
    for name, n_known in installed.n_known.items():
        typer.echo(f"{name}: the bundle knows {n_known:,} of {len(fitted.values[name]):,} values")
    typer.echo(f"{place}: {fitted.calibrator.kind}, model {installed.model_version}")


@app.command()
def report(
    table: Table,
    calibrator: Saved,
    label: Label = "label",
    picture: Picture = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            help="Column of games, users: their rows depend on one another, and widen "
            "the picture's bands."
        ),
    ] = None,
    encoding: Encoding = "utf-8",
) -> None:
    """Show how right the probabilities of a table are, before and after calibration.

    Rows are weighted if they were when it was fitted, and the table has that column.
    """
    from dataclasses import replace

    from etalage.data.formats.source import columns_of
    from etalage.errors import RecipeError
    from etalage.pipeline.scores import ScoreCalibrator, read_scores

    _check_picture(picture)
    if cluster is not None and picture is None:
        raise RecipeError("--cluster widens the bands of a picture; name its file with --picture")
    fitted = ScoreCalibrator.load(calibrator)
    weight = fitted.columns.weight
    if weight not in columns_of(table, encoding):
        weight = None
    columns = replace(fitted.columns, label=label, weight=weight, cluster=cluster)
    scores = read_scores(table, columns, encoding)
    before, after = scores.probabilities, fitted.probability(scores)
    title = f"{len(scores):,} rows" + _weighted_by(weight)
    if fitted.columns.weight != weight:
        title += f", each counted once: there is no {fitted.columns.weight!r}"
    if picture is not None:
        _draw(picture, before, after, scores, f"{Path(table).name}: {title}")
    _show(before, after, scores, title)


@app.command()
def monitor(
    table: Table,
    calibrator: Saved,
    label: Label = "label",
    alpha: Annotated[
        float, typer.Option(min=1e-9, max=0.5, help="Chance of a false alarm, however long.")
    ] = 0.01,
    encoding: Encoding = "utf-8",
) -> None:
    """Ring where probabilities are no longer right; rows are in the order of time.

    Ends with status 3 where it rings.
    """
    from etalage.calibrate.alarm import DriftAlarm
    from etalage.pipeline.scores import ScoreCalibrator

    fitted = ScoreCalibrator.load(calibrator)
    scores = fitted.read(table, label, encoding)
    assert scores.clicks is not None
    alarm = DriftAlarm(alpha).add(fitted.probability(scores), scores.clicks)
    if not alarm.rings:
        typer.echo(f"no alarm in {len(scores):,} rows (evidence {alarm.evidence:.1f})")
        return
    typer.echo(
        f"the probabilities are not right: alarm after {alarm.rang_at:,} of {len(scores):,} rows; "
        f"clicks speak for logits moved by {alarm.shift:+g}"
    )
    raise typer.Exit(3)


def _weighted_by(weight: str | None) -> str:
    return "" if weight is None else f", weighted by {weight!r}"


def _check_picture(picture: Path | None) -> None:
    from etalage.errors import DataError

    if picture is not None and picture.suffix not in (".html", ".svg"):
        raise DataError(f"{picture} is neither .html nor .svg; choose one of them")


def _draw(picture: Path, before: Any, after: Any, scores: Any, title: str) -> None:
    """Writes what `sections` shows of rows."""
    from etalage.artefact import whole_file
    from etalage.calibrate.sheet import Field, as_html, as_svg, sections

    fields = {name: Field(*scores.coded(name)) for name in scores.fields}
    parts = sections(
        before, after, scores.clicks, fields, weights=scores.weights, clusters=scores.clusters
    )
    drawn = as_html if picture.suffix == ".html" else as_svg
    with whole_file(picture) as draft:
        draft.write_text(drawn(title, parts), encoding="utf-8")


def _show(before: Any, after: Any, scores: Any, title: str) -> None:
    """Measures before and after, with those of each field beside their floors."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table as RichTable

    from etalage.calibrate.field_measures import field_measures
    from etalage.calibrate.measures import measures

    weights = scores.weights
    found = [measures(p, scores.clicks, weights=weights) for p in (before, after)]
    names = {
        "log_loss": "log-loss",
        "pcoc": "predicted / observed",
        "ece": "calibration error",
        "ece_floor": "  … by chance alone",
        "kuiper_p": "chance of such a walk",
        "slope": "slope (1 is right)",
    }
    for name in scores.fields:
        codes, _ = scores.coded(name)
        for each, p in zip(found, (before, after), strict=True):
            measured = field_measures(p, scores.clicks, codes, weights=weights)
            each |= {f"{name} {key}": value for key, value in measured.items()}
        names |= {
            f"{name} f_rce": f"relative error by {escape(name)}",
            f"{name} f_rce_floor": "  … by chance alone",
        }
    shown = RichTable("measure", "before", "after", title=escape(title))
    for key, text in names.items():
        cells = [f"{each[key]:.4f}" if key in each else "–" for each in found]
        shown.add_row(text, *cells)
    Console().print(shown)
