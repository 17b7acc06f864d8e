"""The HTTP interface: what is asked, what is answered, what is counted."""

import re
import subprocess
import sys
from typing import Any

import numpy as np
from fastapi.testclient import TestClient
from tests.conftest import Exported


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


def test_every_answer_tells_how_it_came_about(client: TestClient) -> None:
    history, version = ["item-00003"], client.get("/healthz").json()["model_version"]
    headers = {"x-request-id": "mine-9"}
    two = {"rank", "calibrate"}
    for method, path, asked, stages in (
        ("POST", "/recommend", {"history": history}, {"encode", "retrieve", *two}),
        ("POST", "/score", {"history": history, "items": ["item-00001"]}, two),
        ("GET", "/items/item-00003", None, {"find"}),
    ):
        body = client.request(method, path, json=asked, headers=headers).json()
        assert body["model_version"] == version
        assert body["degraded"] is False
        assert body["reason"] is None
        assert body["request_id"] == "mine-9"
        assert set(body["milliseconds"]) == stages | {"total"}
        assert sum(body["milliseconds"][s] for s in stages) <= body["milliseconds"]["total"] + 0.01


def test_request_ids_come_back(client: TestClient) -> None:
    done = client.post("/recommend", json={}, headers={"x-request-id": "mine-7"})
    assert done.json()["request_id"] == done.headers["x-request-id"] == "mine-7"
    assert len(client.post("/recommend", json={}).json()["request_id"]) == 32


def test_items_health_and_counts(client: TestClient, exported: Exported) -> None:
    assert client.get("/items/item-00003").json()["category"]
    assert client.get("/items/none").status_code == 404
    health = client.get("/healthz").json()
    assert (health["status"], health["n_items"]) == ("ok", 120)
    assert client.post("/recommend", json={"k": 0}).status_code == 422
    text = client.get("/metrics").text
    assert 'etalage_requests_total{path="/recommend",status="422"}' in text
    assert 'le="+Inf"' in text
    assert f'model_version="{health["model_version"]}"' in text


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
