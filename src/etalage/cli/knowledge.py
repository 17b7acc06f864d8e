"""`etalage knowledge`: what a language model knows of your items and people, one question each."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True, help="Ask a language model about items or users: plan, run, use."
)

File = Annotated[Path, typer.Argument(help="A recipe of questions (YAML).")]
Set = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a setting: sampling.max_tokens=200. May be repeated."),
]


@app.command()
def plan(recipe: File, overrides: Set = None) -> None:
    """Show what would be asked, what it would cost and how long it would take; ask nothing."""
    import sys

    from etalage.language.answers import Answers
    from etalage.language.job import plan as planned
    from etalage.pipeline.knowledge import load, requests_of

    chosen = load(recipe, overrides)
    requests = requests_of(chosen)
    with Answers(chosen.answers) as answers:
        found = planned(
            requests,
            chosen.model_name,
            answers,
            price=chosen.price,
            progress=sys.stderr.isatty(),
        )
    _show(found.rows())


@app.command()
def run(
    recipe: File,
    max_cost: Annotated[
        float | None, typer.Option(min=0, help="Ask nothing that could cost more than this.")
    ] = None,
    max_requests: Annotated[
        int | None, typer.Option(min=0, help="Ask at most so many questions.")
    ] = None,
    overrides: Set = None,
) -> None:
    """Ask what is not answered yet, most popular first, and keep every answer at once.

    The same command goes on where it was killed, cut short or refused.
    """
    import sys

    from etalage.language.answers import Answers
    from etalage.language.job import run as asked
    from etalage.pipeline.knowledge import load, model_of, requests_of

    chosen = load(recipe, overrides)
    requests, price, model = requests_of(chosen), chosen.price, model_of(chosen)
    with Answers(chosen.answers) as answers:
        try:
            report = asked(
                requests,
                model,
                answers,
                price=price,
                max_cost=max_cost,
                max_requests=max_requests,
                progress=sys.stderr.isatty(),
            )
        except KeyboardInterrupt:
            typer.echo("interrupted; the same command goes on", err=True)
            raise typer.Exit(130) from None
    _show(report.rows())
    if report.stopped_by:
        limit = report.stopped_by.replace("_", "-")
        typer.echo(f"stopped by --{limit}; the same command goes on", err=True)


@app.command()
def export(
    recipe: File,
    out: Annotated[Path, typer.Argument(help="Folder to write batch files in.")],
    overrides: Set = None,
) -> None:
    """Write what is not answered yet as batch files, for a host or `vllm run-batch`."""
    from etalage.errors import RecipeError
    from etalage.language.answers import Answers
    from etalage.language.exchange import export as exported
    from etalage.pipeline.knowledge import load, requests_of

    chosen = load(recipe, overrides)
    if chosen.server is None:
        raise RecipeError("batch files are for a model on a server; name it as `server`")
    with Answers(chosen.answers) as answers:
        n = exported(requests_of(chosen), chosen.model, answers, out, revision=chosen.revision)
    typer.echo(f"{out}: {n:,} requests in {len(list(out.glob('*.jsonl'))):,} files")


@app.command("import")
def import_(
    recipe: File,
    files: Annotated[list[Path], typer.Argument(help="Files of answers, as the host gives them.")],
    overrides: Set = None,
) -> None:
    """Keep the answers to batch files."""
    from etalage.language.answers import Answers
    from etalage.language.exchange import import_ as imported
    from etalage.pipeline.knowledge import load, requests_of

    chosen = load(recipe, overrides)
    with Answers(chosen.answers) as answers:
        found = imported(
            requests_of(chosen),
            chosen.model,
            answers,
            files,
            revision=chosen.revision,
            price=chosen.price,
        )
    _show(found.rows())


@app.command()
def texts(
    recipe: File,
    out: Annotated[Path, typer.Argument(help="File to write: a JSON object a line.")],
    overrides: Set = None,
) -> None:
    """Write a text for every item or user: the answer, or what the shop itself says."""
    from etalage.language.answers import Answers
    from etalage.pipeline.knowledge import load, write_texts

    chosen = load(recipe, overrides)
    with Answers(chosen.answers) as answers:
        n_texts, n_answers = write_texts(chosen, answers, out)
    typer.echo(f"{out}: {n_texts:,} texts, of which {n_answers:,} are answers")


def _show(rows: list[tuple[str, str]]) -> None:
    for name, value in rows:
        typer.echo(f"{name:<28} {value}")
