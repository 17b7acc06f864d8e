"""`etalage memory simulate` and `bench`: users who do not exist, and which memory knows them."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

Seed = Annotated[int, typer.Option(help="The same seed makes the same users.")]


def simulate(
    out: Annotated[Path, typer.Argument(help="File of JSON lines to write, one user each.")],
    users: Annotated[int, typer.Option(min=1, help="How many users.")] = 100,
    domain: Annotated[str, typer.Option(help="daily, or shopping.")] = "shopping",
    language: Annotated[
        list[str] | None, typer.Option(help="en or zh; may be repeated, both by default.")
    ] = None,
    noise: Annotated[int, typer.Option(min=0, help="Idle messages beside each that matters.")] = 0,
    seed: Seed = 0,
    checked: Annotated[
        bool, typer.Option("--check", help="Work every answer out again from the texts alone.")
    ] = False,
) -> None:
    """Make users whose facts are known: what they say, what they are asked, and the answers."""
    import sys

    from pydantic import ValidationError
    from rich.progress import track

    from etalage.errors import DataError
    from etalage.memory.simulate import Checker, SimulatorConfig
    from etalage.memory.simulate import simulate as simulated
    from etalage.memory.trajectory import Trajectory, write

    given = {"domain": domain, "noise": noise} | ({"languages": language} if language else {})
    try:
        config = SimulatorConfig.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise DataError(f"--{first['loc'][0]}: {first['msg']}") from error
    checker, kinds, faults = Checker(), Counter[str](), 0
    n_messages = 0

    def counted(made: Trajectory) -> Trajectory:
        nonlocal n_messages, faults
        n_messages += len(made.messages)
        kinds.update(question.kind for question in made.questions)
        for fault in checker.check(made) if checked else ():
            faults += 1
            typer.echo(f"{fault.user} {fault.where}: {fault.kind}, {fault.detail}", err=True)
        return made

    made = track(
        simulated(config, n_users=users, seed=seed),
        "users",
        total=users,
        disable=not sys.stderr.isatty(),
    )
    write(out, map(counted, made))
    questions = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
    typer.echo(f"{out}: {users} users, {n_messages} messages, {kinds.total()} questions")
    typer.echo(f"  {questions}")
    if checked:
        typer.echo(f"  {faults} faults found by reading it all again")
    if faults:
        raise typer.Exit(1)


def bench(
    place: Annotated[
        Path | None,
        typer.Argument(
            help="MemDaily's folder, locomo10.json, or JSON lines of trajectories; "
            "simulated users by default."
        ),
    ] = None,
    mechanisms: Annotated[
        list[str] | None,
        typer.Option("--mechanism", "-m", help="May be repeated; all by default."),
    ] = None,
    encoder: Annotated[
        str, typer.Option(help="ngrams, minilm, a folder with a model, or owner/name of one.")
    ] = "ngrams",
    lines: Annotated[
        Path, typer.Option(help="Where results are kept; the same command goes on from there.")
    ] = Path("runs/memory.jsonl"),
    seed: Seed = 0,
) -> None:
    """Ask memories about conversations: what they bring back, what it costs, what they forget."""
    import sys

    from rich.console import Console

    from etalage.errors import RecipeError
    from etalage.language.choose import text_encoder
    from etalage.memory.benchmark.mechanisms import NAMES
    from etalage.memory.benchmark.run import bench as compared

    if encoder == "hashing":
        raise RecipeError("hashing is fitted to the texts of a catalogue; use ngrams")
    chosen = None if encoder == "ngrams" else text_encoder(encoder)
    lines.parent.mkdir(parents=True, exist_ok=True)
    report = compared(
        place,
        mechanisms or NAMES,
        lines,
        encoder=chosen,
        seed=seed,
        progress=sys.stderr.isatty(),
    )
    console = Console()
    wide = 20 + 14 * len(report.sides)  # a file has no width, and a terminal folds what it must
    Console(width=console.width if console.is_terminal else wide).print(report.table())
