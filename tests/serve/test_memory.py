"""A memory over HTTP: every endpoint, every mistake, and nobody else's memories."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import apsw
import httpx
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.serve.remembering import HOUR_MS, KEY, served, token

from etalage.errors import BusyError, DamagedError, DataError
from etalage.memory.store import MemoryStore, now_ms
from etalage.memory.user import UserMemory
from etalage.serve.runtime.keeper import Keeper
from etalage.serve.runtime.memory import create_memory_app

ANN, BEN = token("ann"), token("ben")
DAY_MS = 24 * HOUR_MS


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with served(tmp_path_factory.mktemp("memory") / "memory.sqlite") as (client, _):
        yield client


def write(client: TestClient, who: dict[str, str], *texts: str) -> list[int]:
    body = {"statements": [{"text": text} for text in texts]}
    done = client.post("/memory", json=body, headers=who)
    assert done.status_code == 200, done.text
    return done.json()["numbers"]


def test_what_was_said_is_found_again_and_told_to_a_model(client: TestClient) -> None:
    who = token("told")
    statement = {"text": "I moved to Lyon", "said_at": now_ms() - DAY_MS, "meta": {"a": [1]}}
    assert client.post("/memory", json=statement, headers=who).json()["numbers"] == [1]
    assert write(client, who, "I like tea", "My shoe size is 42") == [2, 3]
    hits = client.post("/memory/read", json={"question": "where do I live?"}, headers=who).json()
    assert [hit["number"] for hit in hits["hits"]] == [1]
    assert hits["hits"][0]["text"] == "I moved to Lyon"
    asked = {"question": "which shoe size?", "budget": 200}
    told = client.post("/memory/read", json=asked, headers=who).json()
    assert told["numbers"] == [3]
    assert "#3" in told["reminder"]
    assert 0 < told["n_tokens"] <= 200
    asked["question"] = "zebra"
    told = client.post("/memory/read", json=asked, headers=who).json()
    assert (told["reminder"], told["numbers"], told["n_tokens"]) == ("", [], 0)


def test_what_held_at_a_time_is_asked_as_of_then(client: TestClient) -> None:
    who, now = token("mover"), now_ms()
    for place, days in (("Lyon", 20), ("Nice", 2)):
        said = {"text": f"I live in {place}", "said_at": now - days * DAY_MS}
        client.post("/memory", json=said, headers=who)

    def lives(as_of: int) -> tuple[str, str]:
        asked = {"question": "where do I live?", "as_of": as_of}
        hits = client.post("/memory/read", json=asked, headers=who).json()["hits"]
        held = client.get("/memory", params={"as_of": as_of}, headers=who).json()["beliefs"]
        return hits[0]["text"], held[0]["object"]

    assert lives(now) == ("I live in Nice", "Nice")
    assert lives(now - 10 * DAY_MS) == ("I live in Lyon", "Lyon")


def test_facts_that_are_given_hold_as_they_are(client: TestClient) -> None:
    who, now = token("giver"), now_ms()
    event = {"text": "bought Red mug", "kind": "event", "source": "shop", "key": "order 1"}
    event["facts"] = [{"predicate": "likes", "object": "Red mug", "strength": 0.6}]  # type: ignore[assignment]
    for _ in range(2):
        assert client.post("/memory", json=event, headers=who).json()["numbers"] == [1]
    lent = {"predicate": "has", "object": "a tent", "subject": "user.sister", "polarity": 1,
            "is_single": True, "valid_from": now - DAY_MS, "valid_to": now + DAY_MS}  # fmt: skip
    client.post("/memory", json={"text": "lent", "facts": [lent]}, headers=who)
    held = client.get("/memory", headers=who).json()["beliefs"]
    assert [(b["subject"], b["object"], b["strength"]) for b in held] == [
        ("user", "Red mug", 0.6), ("user.sister", "a tent", 1.0)]  # fmt: skip
    later = client.get("/memory", params={"as_of": now + 2 * DAY_MS}, headers=who).json()
    assert [b["object"] for b in later["beliefs"]] == ["Red mug"]


def test_pages_list_everything_once_newest_first(client: TestClient) -> None:
    who = token("pager")
    write(client, who, *(f"statement {n}" for n in range(1, 8)), "I like tea")
    client.delete("/memory/4", headers=who)
    seen, before = [], None
    while before is not None or not seen:
        params = {"n": 3} | ({} if before is None else {"before": before})
        page = client.get("/memory", params=params, headers=who).json()
        assert page["n_memories"] == 7
        assert ("beliefs" in page) == (before is None)
        seen += [memory["number"] for memory in page["memories"]]
        before = page["before"]
    assert seen == [8, 7, 6, 5, 3, 2, 1]
    belief = client.get("/memory", headers=who).json()["beliefs"][0]
    assert (belief["predicate"], belief["object"], belief["memories"]) == ("likes", "tea", [8])


def test_someone_unknown_gets_empty_answers(client: TestClient) -> None:
    who = token("never seen")
    assert client.post("/memory/read", json={"question": "x y"}, headers=who).json()["hits"] == []
    page = client.get("/memory", headers=who).json()
    assert (page["memories"], page["beliefs"], page["before"], page["n_memories"]) == (
        [],
        [],
        None,
        0,
    )
    assert client.delete("/memory/1", headers=who).status_code == 404
    done = client.post("/memory/forget", json={"everything": True}, headers=who).json()
    assert (done["n_memories"], done["n_facts"]) == (0, 0)
    assert len(client.get("/memory/export", headers=who).text.splitlines()) == 1


def test_forgetting_leaves_nothing_in_the_file(tmp_path: Path) -> None:
    needle = "xylophone-7731"
    with served(tmp_path / "memory.sqlite") as (client, _):
        write(client, ANN, "I like tea", f"I bought a {needle}", "I own a cat")
        assert any(needle.encode() in file.read_bytes() for file in tmp_path.iterdir())
        done = client.delete("/memory/2", headers=ANN)
        assert done.status_code == 200
        assert (done.json()["n_memories"], done.json()["is_scrubbed"]) == (1, True)
        assert not any(needle.encode() in file.read_bytes() for file in tmp_path.iterdir())
        assert client.delete("/memory/2", headers=ANN).status_code == 404
        done = client.post("/memory/forget", json={"numbers": [1, 1, 99, -3]}, headers=ANN).json()
        assert done["n_memories"] == 1
        assert client.get("/memory", headers=ANN).json()["n_memories"] == 1
        done = client.post("/memory/forget", json={"everything": True}, headers=ANN).json()
        assert done["n_memories"] == 1
        assert client.get("/memory", headers=ANN).json()["n_memories"] == 0
        assert write(client, ANN, "I am back") == [1]


def test_an_export_is_all_there_is_and_can_be_loaded(client: TestClient, tmp_path: Path) -> None:
    who = token("mover out")
    write(client, who, *(f"I like thing {n}" for n in range(600)), "with \x00 and ünïcode 我")
    done = client.get("/memory/export", headers=who)
    assert done.headers["content-type"].startswith("application/jsonl")
    assert "attachment" in done.headers["content-disposition"]
    assert done.headers["x-request-id"]
    lines = [json.loads(line) for line in done.text.splitlines()]
    assert [line["number"] for line in lines[1:]] == list(range(1, 602))
    assert lines[-1]["text"] == "with \x00 and ünïcode 我"
    with MemoryStore(tmp_path / "other.sqlite") as store:
        assert store.user("x").load(done.content.splitlines()) == 601
        assert {b.object for b in store.user("x").beliefs()} == {f"thing {n}" for n in range(600)}


# who may ask


ENDPOINTS = [
    ("POST", "/memory", {"text": "I like tea"}),
    ("POST", "/memory/read", {"question": "tea?"}),
    ("GET", "/memory", None),
    ("DELETE", "/memory/1", None),
    ("POST", "/memory/forget", {"numbers": [1]}),
    ("POST", "/memory/forget", {"everything": True}),
    ("GET", "/memory/export", None),
]


@pytest.mark.parametrize(("method", "path", "body"), ENDPOINTS)
def test_nobody_gets_in_without_a_token_of_their_own(
    client: TestClient, method: str, path: str, body: dict[str, Any] | None
) -> None:
    write(client, ANN, "I like tea")
    before = client.get("/memory", headers=ANN).json()["memories"]
    good = ANN["authorization"].removeprefix("Bearer ")
    bad = [
        {},
        {"authorization": good},
        {"authorization": f"Basic {good}"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer ünïcode".encode("latin-1").decode("latin-1")},
        {"authorization": f"Bearer {good[:-4]}AAAA"},
        {"authorization": f"Bearer {'A' * 60}"},
        token("ann", key=b"x" * 16),
        token("ann", until=now_ms() - 1),
    ]
    for headers in bad:
        raw = {name.encode(): value.encode("latin-1") for name, value in headers.items()}
        done = client.request(method, path, json=body, headers=raw)
        assert done.status_code == 401, headers
        assert done.headers["www-authenticate"].startswith("Bearer")
        assert done.json()["request_id"] == done.headers["x-request-id"]
    if body is None:
        done = client.request(method, path, params={"user": "ann"}, headers=BEN)
    else:
        done = client.request(method, path, json=body | {"user": "ann"}, headers=BEN)
    assert done.status_code == 403
    assert client.get("/memory", headers=ANN).json()["memories"] == before


def test_the_user_may_be_named_where_it_is_the_tokens(client: TestClient) -> None:
    who = token("17")
    assert client.post("/memory", json={"user": 17, "text": "a"}, headers=who).status_code == 200
    assert client.get("/memory", params={"user": "17"}, headers=who).status_code == 200
    for other in (True, 17.0, ["17"], "18", ""):
        done = client.post("/memory", json={"user": other, "text": "a"}, headers=who)
        assert done.status_code == 403, other


def test_no_number_reaches_another_user(tmp_path: Path) -> None:
    with served(tmp_path / "memory.sqlite") as (client, _):
        write(client, ANN, "secret of ann")
        write(client, BEN, "secret of ben")
        for number in (2**32 + 1, -(2**32) + 1, 2**33 + 1, 2**62):
            client.post("/memory/forget", json={"numbers": [number]}, headers=ANN)
            client.post("/memory/forget", json={"numbers": [number]}, headers=BEN)
            assert client.delete(f"/memory/{number}", headers=ANN).status_code in (404, 422)
        for who, name in ((ANN, "ann"), (BEN, "ben")):
            page = client.get("/memory", headers=who).json()
            assert [memory["text"] for memory in page["memories"]] == [f"secret of {name}"]
            page = client.get("/memory", params={"before": 2**40}, headers=who).json()
            assert [memory["text"] for memory in page["memories"]] == [f"secret of {name}"]


# mistakes


@pytest.mark.parametrize(
    ("path", "content", "status", "message"),
    [
        ("/memory", b"{", 400, "no JSON"),
        ("/memory", b'{"text": "\xff\xfe"}', 400, "no JSON"),
        ("/memory", b'{"text": "\\ud800"}', 400, "no JSON"),
        ("/memory", b"[]", 422, "must be a JSON object"),
        ("/memory", b"{}", 422, "a statement has a text"),
        ("/memory", b'{"text": ""}', 422, "nothing to remember"),
        ("/memory", b'{"text": " \\n "}', 422, "nothing to remember"),
        ("/memory", b'{"text": 3}', 422, "a memory is a text; got int"),
        ("/memory", b'{"txt": "a"}', 422, "did you mean 'text'?"),
        ("/memory", b'{"text": "a", "kind": "dream"}', 422, "got kind 'dream'"),
        ("/memory", b'{"text": "a", "kind": []}', 422, "kind must be a text"),
        ("/memory", b'{"text": "a", "source": "me"}', 422, "got 'me'"),
        ("/memory", b'{"text": "a", "said_at": "now"}', 422, "milliseconds UTC"),
        ("/memory", b'{"text": "a", "said_at": 99999999999999}', 422, "days ahead of the clock"),
        ("/memory", b'{"text": "a", "said_at": 1e30}', 422, "milliseconds UTC"),
        ("/memory", b'{"text": "a", "meta": [1]}', 422, "meta must be an object"),
        ("/memory", b'{"text": "a", "key": 3}', 422, "key must be a text"),
        ("/memory", b'{"text": "a [remembered] b"}', 422, "recalled from memory"),
        ("/memory", b'{"text": "a", "statements": []}', 422, "either statements, or"),
        ("/memory", b'{"statements": []}', 422, "a list of 1 to 1,000"),
        ("/memory", b'{"statements": {"text": "a"}}', 422, "a list of 1 to 1,000"),
        ("/memory", b'{"statements": ["a"]}', 422, "must be an object; got str"),
        ("/memory", b'{"text": "' + b"x" * 100_001 + b'"}', 422, "at most 100000"),
        ("/memory", b'{"text": "' + b"x" * 2**20 + b'"}', 413, "larger than 1024 kB"),
        ("/memory", b"x" * 10_000_000, 413, "larger than 1024 kB"),
        ("/memory", b'{"text": "a", "meta": {"a": ' + b"[" * 500 + b"]" * 500 + b"}}", 422, "meta"),
        ("/memory", b'{"text": "a", "facts": {}}', 422, "facts must be a list"),
        ("/memory", b'{"text": "a", "facts": [{}]}', 422, "a predicate and an object"),
        ("/memory", b'{"text": "a", "facts": [3]}', 422, "a predicate and an object"),
        (
            "/memory",
            b'{"text": "a", "facts": ['
            + b'{"predicate": "a", "object": "b"},' * 64
            + b'{"predicate": "a", "object": "b"}]}',
            422,
            "at most 64",
        ),
        ("/memory", b'{"text": "a", "facts": [{"predicate": "a", "object": ""}]}', 422, "a word"),
        *(
            (
                "/memory",
                b'{"text": "a", "facts": [{"predicate": "a", "object": "b", %b}]}' % part,
                422,
                said,
            )
            for part, said in (
                (b'"origin": "model"', "unknown field 'origin'"),
                (b'"polarity": 0', "a polarity of 1 or -1"),
                (b'"polarity": true', "must be int; got bool"),
                (b'"strength": 2', "a strength in (0, 1]"),
                (b'"strength": "1"', "must be float or int; got str"),
                (b'"valid_from": -1', "must be milliseconds"),
                (b'"valid_to": 1e30', "valid_to of a fact must be int or null"),
                (b'"subject": "' + b"x" * 501 + b'"', "at most 500 characters"),
            )
        ),
        ("/memory/read", b"{}", 422, "question must be a text"),
        ("/memory/read", b'{"question": " "}', 422, "question is empty"),
        ("/memory/read", b'{"question": "a", "k": 0}', 422, "k must be a whole number from 1"),
        ("/memory/read", b'{"question": "a", "k": true}', 422, "got bool"),
        ("/memory/read", b'{"question": "a", "budget": 5}', 422, "give at least 100"),
        ("/memory/read", b'{"question": "a", "as_of": -1}', 422, "as_of must be a whole number"),
        ("/memory/read", b'{"question": "a", "actor": ""}', 422, "actor must be a text"),
        ("/memory/forget", b"{}", 422, "everything"),
        ("/memory/forget", b'{"numbers": [1], "everything": true}', 422, "everything"),
        ("/memory/forget", b'{"everything": 1}', 422, "everything"),
        ("/memory/forget", b'{"numbers": 1}', 422, "numbers must be a list"),
        ("/memory/forget", b'{"numbers": ["1"]}', 422, "numbers must be a list"),
        ("/memory/forget", b'{"numbers": [true]}', 422, "numbers must be a list"),
    ],
)
def test_a_mistake_is_answered_with_what_to_do(
    client: TestClient, path: str, content: bytes, status: int, message: str
) -> None:
    who = token("clumsy")
    done = client.post(path, content=content, headers=who)
    assert done.status_code == status
    assert message in done.json()["error"]
    assert done.json()["request_id"]
    assert client.get("/memory", headers=who).json()["n_memories"] == 0


@pytest.mark.parametrize(
    "query",
    ["n=0", "n=201", "n=x", "n=-1", "before=0", "as_of=1.5", "n=" + "9" * 5000, "colour=red"],
)
def test_a_query_that_is_none_is_refused(client: TestClient, query: str) -> None:
    assert client.get(f"/memory?{query}", headers=ANN).status_code == 422


@pytest.mark.parametrize("number", ["x", "-1", "1.5", "9" * 5000, "%00", "١"])
def test_a_number_that_is_none_is_refused(client: TestClient, number: str) -> None:
    assert client.delete(f"/memory/{number}", headers=ANN).status_code == 422


def test_several_are_written_all_or_none(client: TestClient) -> None:
    who = token("careful")
    for last in ({"text": ""}, {"text": "late", "said_at": now_ms() + 9 * DAY_MS}):
        done = client.post("/memory", json={"statements": [{"text": "a b"}, last]}, headers=who)
        assert done.status_code == 422
        assert client.get("/memory", headers=who).json()["n_memories"] == 0


def test_the_same_statement_is_kept_once(client: TestClient) -> None:
    who = token("again")
    said = {"text": "I like tea", "key": "turn 7"}
    numbers = [client.post("/memory", json=said, headers=who).json()["numbers"] for _ in range(3)]
    assert numbers == [[1]] * 3


NASTY = [
    "'; DROP TABLE memory; --",
    '" OR 1=1 --',
    'tea AND NOT NEAR("a" "b", 3)*',
    "text:tea* ^ { } ( )",
    "nul \x00 inside \x00",
    "%s %(x)s {0} ${HOME} \\x00",
]


@pytest.mark.parametrize("text", NASTY)
def test_the_language_of_a_database_is_plain_text(client: TestClient, text: str) -> None:
    who = token(f"nasty {text}")
    write(client, who, text, "something else")
    page = client.get("/memory", headers=who).json()
    assert [memory["text"] for memory in page["memories"]] == ["something else", text]
    done = client.post("/memory/read", json={"question": text}, headers=who)
    assert done.status_code == 200
    assert client.get("/memory", headers=ANN).status_code == 200


odd = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=5)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
FIELDS = ("text", "kind", "source", "said_at", "until", "meta", "key", "statements", "question",
          "k", "as_of", "facts", "budget", "actor", "numbers", "everything", "user")  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    path=st.sampled_from(["/memory", "/memory/read", "/memory/forget"]),
    fields=st.dictionaries(st.sampled_from(FIELDS), odd, max_size=4),
)
def test_whatever_is_sent_is_answered(client: TestClient, path: str, fields: Any) -> None:
    done = client.post(path, content=json.dumps(fields), headers=token("fuzz"))
    assert done.status_code in (200, 400, 403, 422)
    assert done.json()["request_id"]


# failures within


def test_a_full_disk_is_said_and_loses_nothing(tmp_path: Path) -> None:
    with served(tmp_path / "memory.sqlite") as (client, keeper):
        write(client, ANN, "kept")
        with keeper.store.database.outside() as run:
            size = run("PRAGMA page_count")[0][0]
            run(f"PRAGMA max_page_count={size}")
        text = "x y " * 20_000
        done = client.post("/memory", json={"text": text}, headers=ANN)
        assert done.status_code == 507
        assert "nothing of this was kept" in done.json()["error"]
        assert str(tmp_path) not in done.text
        with keeper.store.database.outside() as run:
            run("PRAGMA max_page_count=1000000")
        assert client.get("/memory", headers=ANN).json()["n_memories"] == 1
        assert write(client, ANN, text) == [2]


def test_a_busy_or_broken_file_is_no_fault_of_the_client(
    client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(error: Exception, cause: Exception) -> Any:
        def read(*asked: Any, **named: Any) -> None:
            raise error from cause

        return read

    for error, cause, status in (
        (BusyError("/srv/x is busy"), apsw.BusyError(), 503),
        (DamagedError("/srv/x is damaged"), apsw.CorruptError(), 500),
        (RuntimeError("I like tea"), ValueError("I like tea"), 500),
    ):
        monkeypatch.setattr(UserMemory, "read", failing(error, cause))
        done = client.post("/memory/read", json={"question": "a b"}, headers=ANN)
        assert done.status_code == status
        assert "/srv/x" not in done.text
        assert "tea" not in done.text


def test_no_log_tells_what_was_said(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(memory: UserMemory, question: str, *more: Any, **named: Any) -> None:
        raise KeyError(f"no {question}")

    caplog.set_level(0)
    write(client, ANN, "canary-in-a-text")
    client.post("/memory", json={"text": "canary-too-late", "said_at": 2**52}, headers=ANN)
    monkeypatch.setattr(UserMemory, "read", failing)
    headers = ANN | {"x-request-id": "mine-3"}
    done = client.post("/memory/read", json={"question": "canary-in-a-question"}, headers=headers)
    assert done.status_code == 500
    assert "mine-3 failed: KeyError" in caplog.text
    assert 'raise KeyError(f"no {question}")' in caplog.text
    assert "canary" not in caplog.text


def test_requests_are_counted_without_a_name(client: TestClient) -> None:
    client.delete("/memory/123456", headers=token("a-name"))
    text = client.get("/metrics").text
    assert 'etalage_requests_total{path="/memory/{number}",status="404"}' in text
    assert 'etalage_request_milliseconds_count{path="/memory"}' in text
    assert "a-name" not in text
    assert "123456" not in text
    health = client.get("/healthz").json()
    assert health["status"] == "ok"
    assert health["n_users"] > 1
    assert client.get("/memory/nowhere/at/all").status_code == 404
    assert client.put("/memory", headers=ANN).status_code == 405


def test_more_than_memory_holds_must_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etalage.serve.runtime.keeper.MOST_WAITING", 300)
    with served(tmp_path / "memory.sqlite") as (client, keeper):
        lock = keeper.store.database._lock
        with ThreadPoolExecutor(8) as pool, lock:  # the writer has to wait for it
            asked = [
                pool.submit(client.post, "/memory", json={"text": "x" * 150}, headers=ANN)
                for _ in range(8)
            ]
            done = next(f for f in asked_until_done(asked) if f.result().status_code == 503)
            assert done.result().headers["retry-after"] == "1"
        statuses = sorted(future.result().status_code for future in asked)
        assert set(statuses) == {200, 503}
        assert client.get("/memory", headers=ANN).json()["n_memories"] == statuses.count(200)


def asked_until_done(futures: list[Any]) -> Any:
    from concurrent.futures import FIRST_COMPLETED, wait

    return wait(futures, timeout=20, return_when=FIRST_COMPLETED).done


# time and many at once


def test_a_restart_keeps_everything_and_needs_the_same_key(tmp_path: Path) -> None:
    path = tmp_path / "memory.sqlite"
    with served(path) as (client, _):
        write(client, ANN, "I like tea")
        write(client, BEN, "I like rum")
    with served(path) as (client, _):
        page = client.get("/memory", headers=ANN).json()
        assert [memory["text"] for memory in page["memories"]] == ["I like tea"]
        assert write(client, ANN, "more") == [2]
    with pytest.raises(DataError, match="the key is not the one"):
        Keeper.open(path, b"another key of 16 bytes")
    with pytest.raises(DataError, match="at least 16"):
        Keeper.open(path, b"short")


def test_what_has_an_end_is_forgotten_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etalage.serve.runtime.keeper.EXPIRY_SECONDS", 0.05)
    with served(tmp_path / "memory.sqlite") as (client, keeper):
        soon = {"text": "my code is needle-55", "until": now_ms() + 100}
        client.post("/memory", json=soon, headers=ANN)
        write(client, ANN, "I like tea")
        for _ in range(200):
            if client.get("/memory", headers=ANN).json()["n_memories"] == 1:
                break
            threading.Event().wait(0.02)
        assert client.get("/memory", headers=ANN).json()["n_memories"] == 1
        keeper.store.scrub()
        assert not any(b"needle-55" in file.read_bytes() for file in tmp_path.iterdir())


def test_two_clients_at_once_lose_and_mix_nothing(tmp_path: Path) -> None:
    """Each writes, reads and forgets beside the other; both end with exactly what is theirs."""

    async def one(client: httpx.AsyncClient, name: str) -> list[int]:
        numbers = []
        who = token(name)
        for n in range(30):
            body = {"text": f"{name} keeps mug{n}"}
            numbers += (await client.post("/memory", json=body, headers=who)).json()["numbers"]
            asked = {"question": f"who keeps mug{n}"}
            hits = (await client.post("/memory/read", json=asked, headers=who)).json()["hits"]
            assert hits[0]["text"] == f"{name} keeps mug{n}"
            assert all(name in hit["text"] for hit in hits)
            if n % 3 == 0:
                done = await client.delete(f"/memory/{numbers[-1]}", headers=who)
                assert done.json()["n_memories"] == 1
        return numbers

    async def both(keeper: Keeper) -> list[list[int]]:
        transport = httpx.ASGITransport(create_memory_app(keeper))
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await asyncio.gather(one(client, "ann"), one(client, "ben"))

    keeper = Keeper.open(tmp_path / "memory.sqlite", KEY)
    try:
        assert asyncio.run(both(keeper)) == [list(range(1, 31))] * 2
        for name in ("ann", "ben"):
            left = [f"{name} keeps mug{n}" for n in range(30) if n % 3]
            assert [memory.text for memory in keeper.store.user(name).memories()] == left
    finally:
        keeper.close()


def test_many_writes_share_a_wait_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def many(keeper: Keeper) -> list[int]:
        transport = httpx.ASGITransport(create_memory_app(keeper))
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:

            async def one(n: int) -> int:
                body = {"text": f"statement {n}"}
                done = await client.post("/memory", json=body, headers=token(f"user {n % 7}"))
                return int(done.json()["numbers"][0])

            with keeper.store.database._lock:  # meanwhile they queue, and the loop answers
                sent = [asyncio.ensure_future(one(n)) for n in range(70)]
                await asyncio.sleep(0.3)
                read = await client.post("/memory/read", json={"question": "a b"}, headers=ANN)
                assert read.json()["hits"] == []
                assert not any(future.done() for future in sent)
            return list(await asyncio.gather(*sent))

    n_commits, original = 0, MemoryStore.write_many

    def counting(self: MemoryStore, statements: Any) -> list[int]:
        nonlocal n_commits
        n_commits += 1
        return original(self, statements)

    monkeypatch.setattr(MemoryStore, "write_many", counting)
    keeper = Keeper.open(tmp_path / "memory.sqlite", KEY)
    try:
        numbers = asyncio.run(many(keeper))
        assert sorted(numbers) == sorted([*range(1, 11)] * 7)
        assert n_commits <= 3
    finally:
        keeper.close()


def test_forgetting_while_an_export_is_read_slowly(tmp_path: Path) -> None:
    with served(tmp_path / "memory.sqlite") as (client, keeper):
        write(client, ANN, *(f"statement {n} " + "x" * 1000 for n in range(1, 701)))
        lines = keeper.store.user("ann").export()
        read = [next(lines) for _ in range(10)]
        done = client.post("/memory/forget", json={"numbers": [5, 650]}, headers=ANN).json()
        assert (done["n_memories"], done["is_scrubbed"]) == (2, True)
        write(client, ANN, "new")
        numbers = [json.loads(line)["number"] for line in [*read, *lines][1:]]
        assert numbers == [n for n in range(1, 701) if n != 650]


def test_what_was_sent_before_is_not_written_after_forgetting(tmp_path: Path) -> None:
    async def race(keeper: Keeper) -> None:
        with keeper.store.database._lock:  # what is sent has to wait
            memory = keeper.store.user("ann")
            waiting = [
                asyncio.ensure_future(keeper.write("ann", [statement(n)], 10)) for n in range(20)
            ]
            await asyncio.sleep(0.01)
            erased = asyncio.ensure_future(keeper.erase(memory))
            await asyncio.sleep(0.05)
            assert not erased.done()
        await asyncio.gather(*waiting)
        assert (await erased).n_memories == 20
        assert memory.count() == 0

    def statement(n: int) -> Any:
        from etalage.memory.statement import Statement

        return Statement(f"sent {n}")

    keeper = Keeper.open(tmp_path / "memory.sqlite", KEY)
    try:
        asyncio.run(race(keeper))
    finally:
        keeper.close()
