"""The HTTP interface: wrong questions, and failures within."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import Exported

from etalage.pipeline.export import Served, export_bundle
from etalage.serve.runtime.app import create_app
from etalage.serve.runtime.engine import Engine

DEEP = b"[" * 1000 + b"]" * 1000


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b"{", 400, "no JSON"),
        (b"\xff", 400, "no JSON"),
        (b"[]", 422, "must be a JSON object"),
        (b'{"histroy": []}', 422, "did you mean 'history'"),
        (b'{"k": 0}', 422, "from 1 to 200; got 0"),
        (b'{"k": true}', 422, "from 1 to 200"),
        (b'{"k": "ten"}', 422, "from 1 to 200; got str"),
        (b'{"k": ' + DEEP + b"}", 422, "from 1 to 200; got list"),
        (b'{"history": "item-00001"}', 422, "must be a list of item ids"),
        (b'{"history": [1.5]}', 422, "must be a list of item ids"),
        (b'{"user": ["a"]}', 422, "user must be text"),
        (b'{"user": ' + DEEP + b"}", 422, "user must be text or a whole number; got list"),
        (b'{"history": ' + DEEP + b"}", 422, "must be a list of item ids"),
        (b'{"context": 3}', 422, "context must be an object"),
        (b'{"context": 0}', 422, "context must be an object"),
        (b'{"context": ""}', 422, "context must be an object"),
        (b'{"context": []}', 422, "context must be an object"),
        (b'{"context": {"device": ' + DEEP + b"}}", 422, "context 'device' must be text"),
        (b'{"context": {"device": {}}}', 422, "got dict"),
        (b'{"user": "' + b"x" * 300_000 + b'"}', 413, "larger than 256 kB"),
    ],
)
def test_a_mistake_is_answered_with_what_to_do(
    client: TestClient, content: bytes, status: int, message: str
) -> None:
    done = client.post("/recommend", content=content)
    assert done.status_code == status
    assert message in done.json()["error"]
    assert done.json()["request_id"]


@pytest.mark.parametrize(
    ("path", "name", "most"),
    [("/score", "items", 1000), ("/score", "history", 10_000), ("/recommend", "history", 10_000),
     ("/recommend", "exclude", 10_000)],
)  # fmt: skip
def test_a_list_that_would_hold_up_others_is_refused(
    client: TestClient, path: str, name: str, most: int
) -> None:
    fields = {"items": ["item-00001"]} if path == "/score" else {"k": 1}
    done = client.post(path, json=fields | {name: ["item-00002"] * most})
    assert done.status_code == 200
    done = client.post(path, json=fields | {name: [2] * (most + 1)})
    assert done.status_code == 422
    assert f"{name} may hold {most:,} ids at most; got {most + 1:,}" in done.json()["error"]


def test_a_body_that_hides_its_size_is_cut_off(client: TestClient) -> None:
    done = client.post("/recommend", content=(b"x" * 50_000 for _ in range(10)))
    assert done.status_code == 413
    assert done.headers["connection"] == "close"  # nothing more of it is waited for


@pytest.mark.parametrize("fields", ['{"k": "%s"}', '{"%s": 1}', '{"context": {"%s": []}}'])
def test_a_refusal_does_not_repeat_all_that_was_sent(client: TestClient, fields: str) -> None:
    done = client.post("/recommend", content=fields % ("x" * 200_000))
    assert done.status_code == 422
    assert len(done.content) < 500


def test_a_context_may_hold_whatever_is_one_value(client: TestClient) -> None:
    context = {"a": "x", "b": 1, "c": 1.5, "d": True, "e": None}
    for sent in (context, {}, None):
        assert client.post("/recommend", json={"context": sent}).status_code == 200


def test_a_body_that_never_ends_is_given_up(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etalage.serve.runtime.bodies.SECONDS", 0.05)

    async def drip() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.sleep(60)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(exported.folder))
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
            return await client.post("/recommend", content=drip())

    done = asyncio.run(ask())
    assert done.status_code == 408
    assert "did not arrive within 0.05 seconds" in done.json()["error"]
    assert done.json()["request_id"]
    assert done.headers["connection"] == "close"


def test_an_answer_that_is_no_json_is_a_failure_that_is_counted(
    exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Engine, "probability", lambda *asked: object())
    fields = {"history": ["item-00003"], "items": ["item-00001"]}
    with TestClient(create_app(exported.folder)) as client:
        done = client.post("/score", json=fields, headers={"x-request-id": "mine-8"})
        assert done.status_code == 500
        assert done.json()["request_id"] == "mine-8"
        text = client.get("/metrics").text
    assert 'etalage_requests_total{path="/score",status="500"} 1' in text
    assert 'path="/score",status="200"' not in text


def test_paths_and_methods_that_are_not_there(client: TestClient) -> None:
    gone, wrong = client.get("/nowhere"), client.get("/recommend")
    assert (gone.status_code, wrong.status_code) == (404, 405)
    assert gone.json()["error"] == "Not Found: GET /nowhere"
    assert gone.json()["request_id"] == gone.headers["x-request-id"]
    assert wrong.headers["allow"] == "POST"


def test_a_failure_within_is_an_answer_too(
    exported: Exported, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*asked: object) -> np.ndarray:
        raise RuntimeError("out of order")

    with TestClient(create_app(exported.folder)) as client:
        monkeypatch.setattr(Engine, "logits", broken)
        fields = {"history": ["item-00003"], "items": ["item-00001"]}
        done = client.post("/score", json=fields, headers={"x-request-id": "mine-8"})
        assert done.status_code == 500
        assert done.json()["request_id"] == "mine-8"
        assert "out of order" not in done.text
        assert "mine-8" in caplog.text
        body = client.post("/recommend", json={"history": ["item-00003"]}).json()
        assert body["degraded"] is True
        assert body["reason"] == "ranking failed"
        assert len(body["items"]) == 10
        text = client.get("/metrics").text
        assert 'etalage_requests_total{path="/score",status="500"} 1' in text
        assert "etalage_degraded_total 1" in text
        page = client.get("/", params={"history": "item-00003"})
        assert page.status_code == 200
        assert "Not at its best: ranking failed." in page.text


ids = st.one_of(st.integers(), st.text(max_size=5), st.sampled_from(["item-00003", "item-00007"]))
odd = st.recursive(
    st.one_of(ids, st.none(), st.booleans(), st.floats()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
lists = st.lists(ids, max_size=5)


@settings(max_examples=150, deadline=None)
@given(
    fields=st.fixed_dictionaries(
        {},
        optional={
            "user": ids | odd,
            "history": lists | odd,
            "exclude": lists | odd,
            "k": st.integers(1, 9) | odd,
            "context": st.dictionaries(st.sampled_from(["device", "slot", "x"]), odd) | odd,
        },
    )
)
def test_whatever_is_asked_is_answered(client: TestClient, fields: dict[str, Any]) -> None:
    done = client.post("/recommend", content=json.dumps(fields))
    body = done.json()
    assert done.status_code in (200, 400, 422)
    if done.status_code == 200:
        assert body["degraded"] is False
        assert len(body["items"]) == fields.get("k", 10)
    else:
        assert body["error"]


def test_score_needs_items_and_a_ranker(
    client: TestClient, exported: Exported, tmp_path: Path
) -> None:
    assert client.post("/score", json={"items": ["none"]}).status_code == 422
    folder = tmp_path / "plain"
    served = Served(exported.served.retriever)
    export_bundle(folder, exported.shop.data, served, exported.recipe)
    with TestClient(create_app(folder)) as plain:
        assert plain.post("/score", json={"items": ["item-00001"]}).status_code == 409
        assert plain.post("/recommend", json={}).json()["items"][0]["probability"] is None
