"""How does a job go without a live server? As batch files: questions out, answers in.

The form is that of OpenAI's batches, which vLLM (`vllm run-batch`) and others read, too: a JSON
object a line, named by the key of its answer, so that answers may come back in any order.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etalage.artefact import Kind, sha256_of, whole_folder
from etalage.errors import DataError
from etalage.language.answers import Answers, KeySet
from etalage.language.chat import CHAT, chat_body, read_chat
from etalage.language.costs import Price, Report
from etalage.language.job import plan, settled
from etalage.language.request import Failure, Request, Result, named
from etalage.language.wire import Trouble

LINES, BYTES = 50_000, 100_000_000
"""The least of what hosts take as one file."""
BATCH = Kind("batch of requests", "batch.json", "batch_of")


def export(
    requests: Iterable[Request],
    model: str,
    answers: Answers,
    folder: Path,
    *,
    revision: str = "",
) -> int:
    """Writes what is not answered yet as batch files in a folder, and returns how many requests.

    The folder is written whole or not at all; an older batch there is replaced.

    Raises:
        DataError: when the folder holds something else.
        CapacityError: when it cannot be written.
    """
    name, seen = named(model, revision), KeySet()

    def lines() -> Iterator[bytes]:
        for request in requests:
            key = request.key(name)
            if key in answers or not seen.add(key):
                continue
            line = {"custom_id": key, "method": "POST", "url": CHAT}
            yield json.dumps(line | {"body": chat_body(request, model)}).encode() + b"\n"

    with whole_folder(folder, BATCH) as draft:
        counts: dict[str, int] = {}
        for part in _parts(lines()):
            path = draft / f"requests-{len(counts) + 1:05d}.jsonl"
            with path.open("wb") as file:
                counts[path.name] = sum(bool(file.write(line)) for line in part)
        files = {n: {"requests": c, "sha256": sha256_of(draft / n)} for n, c in counts.items()}
        manifest = {"batch_of": name, "files": files}
        (draft / BATCH.marker).write_text(json.dumps(manifest, indent=1))
    return sum(counts.values())


def _parts(lines: Iterator[bytes]) -> Iterator[Iterator[bytes]]:
    """Parts lines as they come, so that none is held; each part must be read to its end."""
    first = next(lines, None)

    def part() -> Iterator[bytes]:
        nonlocal first
        n_lines = n_bytes = 0
        while first is not None and n_lines < LINES and n_bytes + len(first) <= BYTES:
            n_lines, n_bytes = n_lines + 1, n_bytes + len(first)
            yield first
            first = next(lines, None)

    while first is not None:
        if len(first) > BYTES:
            raise DataError(f"one request has {len(first):,} bytes; a file may have {BYTES:,}")
        yield part()


@dataclass
class Imported:
    """What was in files of answers."""

    report: Report
    n_strange: int = 0
    """Answers to what was not asked here."""
    n_known: int = 0
    """Answers that were here before."""
    n_damaged: int = 0
    """Lines that are no answer: a file that was cut has one at its end."""

    def rows(self) -> list[tuple[str, str]]:
        """Names and values, to show."""
        extra = {
            "answers here before": self.n_known,
            "answers to other requests": self.n_strange,
            "damaged lines": self.n_damaged,
        }
        return [*self.report.rows(), *((name, f"{n:,}") for name, n in extra.items() if n)]


def import_(
    requests: Iterable[Request],
    model: str,
    answers: Answers,
    files: Sequence[Path],
    *,
    revision: str = "",
    price: Price | None = None,
) -> Imported:
    """Keeps the answers in files that a batch came back as.

    Args:
        requests: what was asked; read twice.

    Raises:
        DataError: when a file cannot be read, answers nothing that was asked, or was written by
            another model.
        CapacityError: when another job is at work on these answers.
    """
    with answers.alone():
        name = named(model, revision)
        found = Imported(Report(plan(requests, name, answers, price=price), by_batch=True))
        asked, kinds = KeySet(), list[Request]()
        places: dict[tuple[str, str], int] = {}
        for request in requests:  # requests of a kind differ in what nobody needs to know now
            kind = (request.template, request.schema)
            if kind not in places:
                places[kind] = len(kinds)
                kinds.append(request)
            asked.add(request.key(name), places[kind])
        for path in files:
            _import_file(path, model, name, answers, asked, kinds, found)
        return found


def _import_file(
    path: Path,
    model: str,
    name: str,
    answers: Answers,
    asked: KeySet,
    kinds: list[Request],
    found: Imported,
) -> None:
    report, n_here = found.report, 0
    for where, line in _lines(path):
        key, body, reason = _line(line)
        number = asked.number(key) if key else None
        if not key:
            found.n_damaged += 1
        elif number is None:
            found.n_strange += 1
        elif key in answers:
            found.n_known, n_here = found.n_known + 1, n_here + 1
        else:
            n_here += 1
            report.n_asked += 1
            request = kinds[number]
            outcome = _outcome(request, body, reason)
            if isinstance(outcome, Result):
                _check_model(outcome.model, model, f"{path}, line {where}")
            settled(outcome, key, name, answers, report, by_batch=True)
    if not n_here:
        raise DataError(
            f"{path} answers nothing that was asked here: {found.n_strange:,} lines answer "
            f"something else, {found.n_damaged:,} are no answers. Name the data, the model and the "
            "settings of its requests"
        )


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}") from error


def _line(line: bytes) -> tuple[str, dict[str, Any], str]:
    """The key, the body and the error of a line; no key where it is none."""
    with suppress(ValueError, RecursionError, AttributeError, TypeError):
        said = json.loads(line)
        key = str(said["custom_id"])
        if len(bytes.fromhex(key)) == 32:
            response = said.get("response") or {}
            body = response.get("body") or {}
            error = said.get("error") or (
                body.get("error") if response.get("status_code") != 200 else None
            )
            return key, body, "" if error is None else f"in the batch: {json.dumps(error)[:200]}"
    return "", {}, ""


def _outcome(request: Request, body: dict[str, Any], reason: str) -> Result | Failure:
    if reason:
        return Failure(request, reason)
    try:
        return read_chat(request, body)
    except Trouble as trouble:
        return Failure(request, trouble.reason)


def _check_model(found: str, asked: str, where: str) -> None:
    """Hosts answer with a model's full name, which begins with the one it is called by."""
    if found and found != asked and not found.startswith(f"{asked}-"):
        raise DataError(
            f"{where}: the answer is of {found}, but {asked} was asked; import it where {found} "
            "was asked, with what that was asked"
        )
