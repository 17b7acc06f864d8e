"""Questions out as files, answers in as files: the same answers as from a live server."""

import json
import random
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.language.server import TINY, Server, questions, titles

from etalage.artefact import sha256_of
from etalage.errors import DataError
from etalage.language import exchange
from etalage.language.answers import Answers
from etalage.language.costs import Price
from etalage.language.exchange import export, import_
from etalage.language.job import plan, run
from etalage.language.prompts import item_facts, template
from etalage.language.remote import RemoteModel
from etalage.language.request import Request, Sampling, Usage

PRICE = Price(prompt=3.0, completion=15.0, batch=0.5)
Line = dict[str, Any]


@pytest.fixture
def answers(tmp_path: Path) -> Iterator[Answers]:
    with Answers(tmp_path / "answers") as answers:
        yield answers


def asked_of(folder: Path) -> list[Line]:
    lines = []
    for path in sorted(folder.glob("*.jsonl")):
        lines += [json.loads(line) for line in path.read_text().splitlines()]
    return lines


def answered(
    server: Server, folder: Path, path: Path, change: Callable[[Line], Any] = bool
) -> Path:
    """Does what a host does with a folder of batch files; answers come back in any order."""
    lines = []
    for n, line in enumerate(asked_of(folder)):
        assert (line["method"], line["url"]) == ("POST", "/v1/chat/completions")
        response = {"status_code": 200, "request_id": f"r{n}", "body": server.chat(line["body"])}
        lines.append({"id": f"b{n}", "custom_id": line["custom_id"], "response": response,
                      "error": None})  # fmt: skip
        change(lines[-1])
    random.Random(0).shuffle(lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def kept(answers: Answers, requests: list[Request]) -> list[Any]:
    found = [answers.get(request.key(TINY)) for request in requests]
    return [one and (one.text, one.finish_reason, one.usage, one.model) for one in found]


def test_answers_in_a_file_are_those_of_a_live_server(
    server: Server, answers: Answers, tmp_path: Path
) -> None:
    asked = questions([*titles(25), "Film number 3"])
    with Answers(tmp_path / "live") as live:
        run(asked, RemoteModel(server.url, TINY), live)
        assert export(asked, TINY, answers, tmp_path / "batch") == 25
        file = answered(server, tmp_path / "batch", tmp_path / "out.jsonl")
        found = import_(asked, TINY, answers, [file], price=PRICE)
        assert kept(answers, asked) == kept(live, asked)
    assert None not in kept(answers, asked)
    report = found.report
    assert (report.n_answered, report.n_failed, report.coverage) == (25, 0, 1.0)
    assert report.usage == Usage(server.prompt_tokens, server.completion_tokens)
    assert report.cost == pytest.approx(0.5 * PRICE.cost(report.usage))
    again = import_(asked, TINY, answers, [file])
    assert (again.n_known, again.report.n_answered) == (25, 0)
    assert run(asked, RemoteModel(server.url, TINY), answers).n_asked == 0
    assert export(asked, TINY, answers, tmp_path / "rest") == 0


def test_a_batch_asks_what_a_live_job_would(
    server: Server, answers: Answers, tmp_path: Path
) -> None:
    asked = questions(titles(6))
    export(asked, TINY, answers, tmp_path / "batch")
    with Answers(tmp_path / "live") as live:
        run(asked, RemoteModel(server.url, TINY), live)
    bodies = sorted(json.dumps(line["body"]) for line in asked_of(tmp_path / "batch"))
    assert bodies == sorted(json.dumps(body) for body in server.bodies)
    keys = [line["custom_id"] for line in asked_of(tmp_path / "batch")]
    assert keys == [request.key(TINY) for request in asked]


def test_only_what_is_not_answered_is_exported(
    server: Server, answers: Answers, tmp_path: Path
) -> None:
    asked = questions(titles(10))
    run(asked, RemoteModel(server.url, TINY), answers, max_requests=4)
    assert export(asked, TINY, answers, tmp_path / "batch") == 6
    assert export(asked, TINY, answers, tmp_path / "batch", revision="2") == 10
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").write_text("")
    with pytest.raises(DataError, match="is no batch of requests"):
        export(asked, TINY, answers, tmp_path / "other")


@pytest.mark.parametrize(
    ("lines", "size", "expected"),
    [(4, 10**9, [4, 4, 2]), (100, 10**9, [10]), (10, 10**9, [10]), (100, 3000, None)],
)
def test_files_are_as_large_as_hosts_take(
    answers: Answers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: int, size: int,
    expected: list[int] | None,
) -> None:  # fmt: skip
    monkeypatch.setattr(exchange, "LINES", lines)
    monkeypatch.setattr(exchange, "BYTES", size)
    asked = questions(titles(10))
    export(asked, TINY, answers, tmp_path / "batch")
    parts = sorted((tmp_path / "batch").glob("*.jsonl"))
    sizes = [len(part.read_text().splitlines()) for part in parts]
    assert sum(sizes) == 10
    assert sizes == expected or expected is None
    assert all(part.stat().st_size <= size for part in parts)
    if expected is None:  # no file could have taken one more
        for part, following in pairwise(parts):
            first = following.read_bytes().split(b"\n")[0] + b"\n"
            assert part.stat().st_size + len(first) > size
    assert [line["custom_id"] for line in asked_of(tmp_path / "batch")] == [
        request.key(TINY) for request in asked
    ]
    manifest = json.loads((tmp_path / "batch" / "batch.json").read_text())
    assert manifest["batch_of"] == TINY
    for part in parts:
        assert manifest["files"][part.name]["sha256"] == sha256_of(part)
    monkeypatch.setattr(exchange, "BYTES", 100)
    with pytest.raises(DataError, match="a file may have 100"):
        export(asked, TINY, answers, tmp_path / "small")
    assert not (tmp_path / "small").exists()


def test_answers_of_another_model_are_refused(
    server: Server, answers: Answers, tmp_path: Path
) -> None:
    asked = questions(titles(3))
    export(asked, TINY, answers, tmp_path / "batch")

    def by(model: str) -> Path:
        def change(line: Line) -> None:
            line["response"]["body"]["model"] = model

        return answered(server, tmp_path / "batch", tmp_path / "out.jsonl", change)

    with pytest.raises(DataError, match=r"out\.jsonl, line 1: the answer is of other, but ti"):
        import_(asked, TINY, answers, [by("other")])
    assert len(answers) == 0
    found = import_(asked, TINY, answers, [by("tiny-2026-05-01")])
    assert found.report.n_answered == 3


def test_what_went_wrong_in_a_batch_is_told(
    server: Server, answers: Answers, tmp_path: Path
) -> None:
    asked = questions(titles(6))
    export(asked, TINY, answers, tmp_path / "batch")
    changes: list[Callable[[Line], Any]] = [
        lambda line: line.update(response=None, error={"message": "expired"}),
        lambda line: line["response"].update(status_code=400, body={"error": {"message": "no"}}),
        lambda line: line["response"].update(body={}),
        lambda line: line["response"]["body"]["choices"][0]["message"].update(content=None),
        lambda line: line.update(custom_id="ab" * 32),
    ]

    def change(line: Line) -> None:
        if changes:
            changes.pop(0)(line)

    file = answered(server, tmp_path / "batch", tmp_path / "out.jsonl", change)
    with file.open("a") as more:
        more.write('{"custom_id": "' + asked[0].key(TINY))  # the download was cut
    found = import_(asked, TINY, answers, [file])
    assert (found.report.n_answered, found.report.n_failed) == (1, 4)
    assert (found.n_strange, found.n_damaged) == (1, 1)
    assert ("damaged lines", "1") in found.rows()
    reasons = answers.dead_letters.read_text()
    for said in ("expired", "in the batch: ", "no chat completion", "the answer is empty"):
        assert said in reasons
    assert plan(asked, TINY, answers).n_to_ask == 5


def test_a_file_of_something_else_is_named(
    server: Server, answers: Answers, tmp_path: Path
) -> None:
    export(questions(titles(3)), TINY, answers, tmp_path / "batch")
    file = answered(server, tmp_path / "batch", tmp_path / "out.jsonl")
    with pytest.raises(DataError, match=r"answers nothing that was asked here: 3 lines answer som"):
        import_(questions(titles(3), seed=1), TINY, answers, [file])
    with pytest.raises(DataError, match="cannot read"):
        import_(questions(titles(3)), TINY, answers, [tmp_path / "nowhere.jsonl"])


def test_a_file_is_held_to_the_schema(server: Server, answers: Answers, tmp_path: Path) -> None:
    asking = template("items", "books")
    sampling = Sampling(max_tokens=8)
    asked = [asking.request(item_facts(title), sampling, as_json=True) for title in titles(4)]
    export(asked, TINY, answers, tmp_path / "batch")
    good = json.dumps({facet: ["x"] for facet in asking.facets})
    left = ["", good, good, good]

    def change(line: Line) -> None:
        assert line["response"]["body"]["choices"]
        said = left.pop()
        if said:
            line["response"]["body"]["choices"][0]["message"]["content"] = said

    file = answered(server, tmp_path / "batch", tmp_path / "out.jsonl", change)
    found = import_(asked, TINY, answers, [file])
    assert (found.report.n_answered, found.report.n_failed) == (3, 1)
    assert found.report.usage.completion > 3
