"""The HTTP interface: answers, mistakes, counts, and a new bundle taken up or refused."""

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import Exported

from etalage.pipeline.export import Served, export_bundle
from etalage.serve.runtime.app import create_app
from etalage.serve.runtime.engine import Engine
from etalage.serve.runtime.live import Live


@pytest.fixture(scope="module")
def client(exported: Exported) -> Iterator[TestClient]:
    with TestClient(create_app(exported.folder)) as client:
        yield client


def test_a_stored_visitor_gets_a_window(client: TestClient, exported: Exported) -> None:
    log = exported.shop.data.interactions
    user = int(np.argmax(np.diff(log.offsets)))
    done = client.post("/recommend", json={"user": f"visitor-{user:05d}", "k": 7})
    body = done.json()
    assert done.status_code == 200
    assert len(body["items"]) == 7
    seen = {f"item-{i:05d}" for i in log.items[log.offsets[user] : log.offsets[user + 1]]}
    assert not seen & {card["id"] for card in body["items"]}
    card = body["items"][0]
    assert set(card) == {"id", "title", "category", "codes", "score", "probability", "why"}
    assert 0 < card["probability"] < 1
    assert {why["id"] for why in card["why"]} <= seen
    assert set(body["milliseconds"]) == {"encode", "retrieve", "rank", "calibrate", "total"}
    assert body["degraded"] is False
    assert body["reason"] is None
    scores = [card["score"] for card in body["items"]]
    assert scores == sorted(scores, reverse=True)


def test_an_inline_history_wins_and_unknown_ids_are_named(client: TestClient) -> None:
    history = ["item-00003", "nothing", "item-00005"]
    one = client.post("/recommend", json={"history": history, "user": "visitor-00001"}).json()
    two = client.post("/recommend", json={"history": ["item-00003", "item-00005"]}).json()
    assert one["unknown"] == ["nothing"]
    assert [c["id"] for c in one["items"]] == [c["id"] for c in two["items"]]


def test_someone_new_is_no_mistake(client: TestClient) -> None:
    body = client.post("/recommend", json={"user": "never seen"}).json()
    assert len(body["items"]) == 10
    assert "is new" in body["reason"]
    assert body["degraded"] is False
    assert client.post("/recommend", json={}).json()["reason"] is None
    body = client.post("/recommend", json={"history": ["nothing"]}).json()
    assert "no item of the history" in body["reason"]
    assert body["unknown"] == ["nothing"]


def test_context_changes_probabilities_and_oddities_do_not(client: TestClient) -> None:
    def ask(context: dict[str, Any]) -> list[float]:
        fields = {"history": ["item-00003"], "items": ["item-00001"], "context": context}
        return client.post("/score", json=fields).json()["probabilities"]

    assert ask({"device": "phone"}) != ask({"device": "desktop"})
    assert ask({"weather": "rain", "device": "toaster"}) == ask({})


def test_excluded_items_stay_out(client: TestClient) -> None:
    fields = {"history": ["item-00003"], "k": 5}
    first = [c["id"] for c in client.post("/recommend", json=fields).json()["items"]]
    again = client.post("/recommend", json=fields | {"exclude": first}).json()["items"]
    assert not set(first) & {c["id"] for c in again}


def test_scores_are_those_of_the_list(client: TestClient) -> None:
    top = client.post("/recommend", json={"history": ["item-00003"], "k": 5}).json()["items"]
    fields = {"history": ["item-00003"], "items": [c["id"] for c in top]}
    body = client.post("/score", json=fields).json()
    np.testing.assert_allclose(body["logits"], [c["score"] for c in top], atol=1e-5)
    np.testing.assert_allclose(body["probabilities"], [c["probability"] for c in top], atol=1e-5)


def test_request_ids_come_back(client: TestClient) -> None:
    done = client.post("/recommend", json={}, headers={"x-request-id": "mine-7"})
    assert done.json()["request_id"] == done.headers["x-request-id"] == "mine-7"
    assert len(client.post("/recommend", json={}).json()["request_id"]) == 32


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b"{", 400, "no JSON"),
        (b"\xff", 400, "no JSON"),
        (b"[]", 422, "must be a JSON object"),
        (b'{"histroy": []}', 422, "did you mean 'history'"),
        (b'{"k": 0}', 422, "from 1 to 200; got 0"),
        (b'{"k": true}', 422, "from 1 to 200"),
        (b'{"k": "ten"}', 422, "from 1 to 200; got 'ten'"),
        (b'{"history": "item-00001"}', 422, "must be a list of item ids"),
        (b'{"history": [1.5]}', 422, "must be a list of item ids"),
        (b'{"user": ["a"]}', 422, "user must be text"),
        (b'{"context": 3}', 422, "context must be an object"),
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


def test_a_body_that_hides_its_size_is_cut_off(client: TestClient) -> None:
    done = client.post("/recommend", content=(b"x" * 50_000 for _ in range(10)))
    assert done.status_code == 413


def test_items_health_and_counts(client: TestClient, exported: Exported) -> None:
    assert client.get("/items/item-00003").json()["category"]
    assert client.get("/items/none").status_code == 404
    health = client.get("/healthz").json()
    assert (health["status"], health["n_items"]) == ("ok", 120)
    text = client.get("/metrics").text
    assert 'etalage_requests_total{path="/recommend",status="422"}' in text
    assert 'le="+Inf"' in text
    assert f'model_version="{health["model_version"]}"' in text


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
        assert len(body["items"]) == 10
        text = client.get("/metrics").text
        assert 'etalage_requests_total{path="/score",status="500"} 1' in text
        assert "etalage_degraded_total 1" in text
        page = client.get("/", params={"history": "item-00003"})
        assert page.status_code == 200
        assert "Not at its best: ranking failed." in page.text


def test_counts_are_in_the_format_of_prometheus(client: TestClient) -> None:
    client.post("/recommend", json={})
    label = r'[a-z_]+="[^"\n]*"'
    sample = rf"[a-z_]+(\{{{label}(,{label})*\}})? [0-9.]+"
    lines = client.get("/metrics").text.splitlines()
    assert all(re.fullmatch(rf"# TYPE [a-z_]+ [a-z]+|{sample}", line) for line in lines)
    assert len(set(lines)) == len(lines)
    bucket = 'etalage_request_milliseconds_bucket{path="/recommend",le='
    counts = [int(line.split()[-1]) for line in lines if line.startswith(bucket)]
    assert counts == sorted(counts)
    assert f'etalage_request_milliseconds_count{{path="/recommend"}} {counts[-1]}' in lines


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


def version(client: TestClient) -> str:
    return client.get("/healthz").json()["model_version"]


def wait_until(true: Any) -> None:
    for _ in range(100):
        if true():
            return
        time.sleep(0.05)
    raise AssertionError("nothing happened in 5 seconds")


def test_a_new_bundle_is_taken_up_and_a_broken_one_is_not(
    exported: Exported, bundle: Path, tmp_path: Path
) -> None:
    with TestClient(create_app(bundle, poll_seconds=0.05)) as client:
        first = version(client)
        served = Served(exported.served.retriever, exported.served.ids)
        export_bundle(bundle, exported.shop.data, served, exported.recipe)
        wait_until(lambda: version(client) != first)
        second = version(client)
        broken = shutil.copytree(exported.folder, tmp_path / "broken")
        (broken / "encoder.onnx").write_bytes(b"no network")
        shutil.rmtree(bundle)
        os.rename(broken, bundle)
        wait_until(lambda: client.get("/healthz").json()["status"] == "old bundle")
        assert version(client) == second
        assert "encoder.onnx" in client.get("/healthz").json()["problem"]
        assert client.post("/recommend", json={"history": ["item-00003"]}).status_code == 200
        assert "etalage_refused_bundles_total 1" in client.get("/metrics").text
        shutil.rmtree(bundle)
        shutil.copytree(exported.folder, bundle)
        wait_until(lambda: client.get("/healthz").json()["status"] == "ok")
        assert version(client) == first


def test_a_bundle_that_is_swapped_while_read_is_read_again(
    exported: Exported, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read in between may be half of one and half of the other."""
    live = Live(bundle)
    first = live.engine

    class Swapped(Engine):
        def __init__(self, folder: Path) -> None:
            super().__init__(folder)
            os.utime(folder / "manifest.json")

    os.utime(bundle / "items.json")
    monkeypatch.setattr("etalage.serve.runtime.live.Engine", Swapped)
    asyncio.run(live.refresh())
    assert live.engine is first
    monkeypatch.undo()
    asyncio.run(live.refresh())
    assert live.engine is not first
    assert live.problem is None
    second = live.engine
    asyncio.run(live.refresh())
    assert live.engine is second


def test_the_serving_process_never_sees_torch(exported: Exported) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from fastapi.testclient import TestClient\n"
        "from etalage.serve.runtime.app import create_app\n"
        "with TestClient(create_app(Path(sys.argv[1]))) as client:\n"
        "    fields = {'history': ['item-00003']}\n"
        "    assert client.post('/recommend', json=fields).status_code == 200\n"
        "    assert client.get('/').status_code == 200\n"
        "heavy = {'torch', 'scipy', 'polars', 'pandas', 'matplotlib', 'sklearn'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, exported.folder], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
