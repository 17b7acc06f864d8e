"""`etalage memory`: what is remembered of people, asked and forgotten from the shell, or served."""

from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etalage.cli import memory_bench

if TYPE_CHECKING:
    from etalage.memory.store import MemoryStore

app = typer.Typer(no_args_is_help=True, help="Remember what people say, recall it, and forget it.")

File = Annotated[Path, typer.Argument(help="File of a memory.")]
User = Annotated[str, typer.Argument(help="Whose memories.")]
KeyFile = Annotated[
    Path | None, typer.Option(help="File with the key that the memory was made with, if it was.")
]
NeededKeyFile = Annotated[Path, typer.Option(help="File with the key: 16 random bytes or more.")]
AsOf = Annotated[
    str | None, typer.Option(help="What held then: 2026-01-31, or 2026-01-31T09:30 (UTC).")
]


for command in (memory_bench.simulate, memory_bench.bench):
    app.command()(command)


@app.command()
def write(
    file: File,
    user: User,
    text: Annotated[str | None, typer.Argument(help="What was said; without it, stdin.")] = None,
    source: Annotated[str, typer.Option(help="user, assistant or shop.")] = "user",
    said_at: Annotated[
        str | None, typer.Option(help="When, as 2026-01-31T09:30 (UTC); now without it.")
    ] = None,
    key_file: KeyFile = None,
) -> None:
    """Remember what somebody said; of stdin, every line. The file is made where there is none."""
    import sys

    from etalage.memory.statement import Statement

    when = None if said_at is None else _time("--said-at", said_at)
    texts = [text] if text is not None else [line for line in sys.stdin if line.strip()]
    statements = [Statement(said.rstrip("\n"), source=source, said_at=when)  # type: ignore[arg-type]
                  for said in texts]  # fmt: skip
    with _store(file, key_file, is_new=True) as store:
        numbers = store.user(user).write_many(statements)
    for number in numbers:
        typer.echo(f"#{number}")


@app.command()
def read(
    file: File,
    user: User,
    question: Annotated[str, typer.Argument(help="In any words.")],
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="At most so many memories.")] = 10,
    as_of: AsOf = None,
    budget: Annotated[
        int | None, typer.Option(min=1, help="Print a reminder of so many tokens for a prompt.")
    ] = None,
    key_file: KeyFile = None,
) -> None:
    """Show which memories answer a question, best first."""
    from etalage.memory.reminder import remind

    when = None if as_of is None else _time("--as-of", as_of)
    with _store(file, key_file) as store:
        memory = store.user(user)
        if budget is not None:
            told = remind(memory, question, budget, as_of=when, actor="etalage memory read")
            typer.echo(told.text, nl=bool(told.text))
            return
        for hit in memory.read(question, k, as_of=when, actor="etalage memory read"):
            typer.echo(f"#{hit.number:<6} {hit.score:.2f}  {_date(hit.said_at)}  {_line(hit.text)}")


@app.command()
def show(
    file: File,
    user: User,
    n: Annotated[int, typer.Option("-n", "--n", min=1, help="Newest memories to show.")] = 20,
    as_of: AsOf = None,
    key_file: KeyFile = None,
) -> None:
    """Show what holds of somebody, and their newest memories."""
    when = None if as_of is None else _time("--as-of", as_of)
    with _store(file, key_file) as store:
        memory = store.user(user)
        for belief in memory.beliefs(when):
            no = "" if belief.polarity > 0 else "not "
            numbers = ", ".join(f"#{number}" for number in belief.memories)
            fact = f"{belief.subject}  {no}{belief.predicate}  {_line(belief.object)}"
            typer.echo(f"{fact}  ({belief.strength:.0%}, {_date(belief.since)}, {numbers})")
        for said in memory.newest(n):
            typer.echo(
                f"#{said.number:<6} {_date(said.said_at)}  {said.source}: {_line(said.text)}"
            )


@app.command()
def forget(
    file: File,
    user: User,
    numbers: Annotated[list[int] | None, typer.Argument(help="Memories to forget.")] = None,
    everything: Annotated[bool, typer.Option("--everything", help="Forget the user.")] = False,
    key_file: KeyFile = None,
) -> None:
    """Delete memories, or everything of somebody; the bytes leave the file."""
    from etalage.errors import DataError

    if everything == bool(numbers):
        raise DataError("name the memories to forget by their numbers, or give --everything")
    with _store(file, key_file) as store:
        memory = store.user(user)
        receipt = memory.erase() if everything else memory.forget(*numbers or (), actor="shell")
    typer.echo(f"forgotten: {receipt.n_memories:,} memories, {receipt.n_facts:,} facts")
    if not receipt.is_scrubbed:
        typer.echo("another process was reading: the bytes leave the file a little later", err=True)


@app.command()
def export(
    file: File,
    user: User,
    out: Annotated[Path | None, typer.Argument(help="File to write; stdout without it.")] = None,
    key_file: KeyFile = None,
) -> None:
    """Write everything that is kept of somebody as JSON lines."""
    from etalage.artefact import whole_file
    from etalage.memory.disk import make_private

    with _store(file, key_file) as store:
        lines = store.user(user).export()
        if out is None:
            for line in lines:
                typer.echo(line, nl=False)
            return
        with whole_file(out) as draft:
            make_private(draft)
            with draft.open("wb") as stream:
                stream.writelines(lines)
    typer.echo(str(out))


@app.command()
def verify(file: File, key_file: KeyFile = None) -> None:
    """Check that the file is whole and that no trail was changed; say what is wrong."""
    from etalage.memory.upkeep import verify as verified

    with _store(file, key_file) as store:
        problems = verified(store)
    for problem in problems:
        typer.echo(problem, err=True)
    if problems:
        raise typer.Exit(1)
    typer.echo(f"{file}: whole")


@app.command()
def stats(file: File, key_file: KeyFile = None) -> None:
    """Show how many users, memories and facts there are, and how large the file is."""
    from etalage.memory.upkeep import stats as counted

    with _store(file, key_file) as store:
        for name, value in counted(store).items():
            typer.echo(f"{name.removeprefix('n_'):<12} {value:,}")


@app.command()
def token(
    user: User,
    key_file: NeededKeyFile,
    days: Annotated[float, typer.Option(min=0, help="For how long it is good.")] = 30.0,
) -> None:
    """Make a token by which a user's memories can be asked over HTTP."""
    from etalage.memory.facts import check_name
    from etalage.memory.tokens import issue

    check_name(user)

    until = datetime.now(UTC) + timedelta(days=min(days, 36_500))
    typer.echo(issue(read_key(key_file), user, int(1000 * until.timestamp())))


@app.command()
def serve(
    file: File,
    key_file: NeededKeyFile,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
) -> None:
    """Serve a memory alone over HTTP, each user their own by token."""
    from etalage.serve.runtime.memory import serve as run_server

    run_server(file, read_key(key_file), host, port, partial(typer.echo, err=True))


def read_key(path: Path) -> bytes:
    """The key in a file; DataError where there is none."""
    from etalage.errors import DataError
    from etalage.memory.tokens import LEAST_KEY

    try:
        key = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"no key can be read from {path}: {error.strerror}; make one: "
            f"head -c 32 /dev/urandom > {path} && chmod 600 {path}"
        ) from error
    if len(key) < LEAST_KEY:
        least = f"a key has at least {LEAST_KEY}, drawn at random"
        raise DataError(f"{path} holds {len(key)} bytes; {least}")
    return key


def _store(file: Path, key_file: Path | None, *, is_new: bool = False) -> "MemoryStore":
    from etalage.errors import DataError
    from etalage.memory.store import MemoryStore

    if not is_new and not file.is_file():
        raise DataError(f"there is no memory {file}; `etalage memory write` makes one")
    return MemoryStore(file, key=None if key_file is None else read_key(key_file))


def _time(option: str, given: str) -> int:
    """Milliseconds UTC of a date or time as it is typed."""
    from etalage.errors import DataError

    try:
        time = datetime.fromisoformat(given)
    except ValueError as error:
        what = f"{option} is a time as 2026-01-31 or 2026-01-31T09:30; got {given!r}"
        raise DataError(what) from error
    return int(1000 * (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())


def _date(at: int) -> str:
    seconds = min(at / 1000, 253_402_300_799)
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M")


def _line(text: str) -> str:
    """A text as one line that cannot move the cursor, cut to what one reads."""
    seen = "".join(letter if letter.isprintable() else " " for letter in text[:400])
    return " ".join(seen.split())[:200]
