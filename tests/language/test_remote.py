"""A model behind HTTP: what it answers is what the model says, whatever happens on the way."""

import json
import shutil
import socket
import ssl
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from tests.language.server import TINY, Server, questions, serving, titles

from etalage.errors import AnswerError, RecipeError
from etalage.language import pace, remote
from etalage.language.chat import read_chat
from etalage.language.pace import MOST_TRIES, START, Pace
from etalage.language.remote import RemoteModel
from etalage.language.request import Failure, Request, Result, Usage
from etalage.language.wire import _wait_s


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "FIRST_WAIT_S", 0.01)


def model_of(server: Server, **changes: Any) -> RemoteModel:
    return RemoteModel(server.url, TINY, **({"deadline_s": 20.0} | changes))


def texts(found: list[Result | Failure]) -> dict[Request, str]:
    assert all(isinstance(one, Result) for one in found), found
    return {one.request: one.text for one in found if isinstance(one, Result)}


@pytest.mark.parametrize("sent", ["", "chunked"])
def test_answers_are_the_models_own(server: Server, tiny: Any, sent: str) -> None:
    server.fault = lambda call, prompt: sent
    asked = questions(titles(12))
    found = list(model_of(server).generate(asked))
    assert texts(found) == texts([next(tiny.generate([request])) for request in asked])
    assert len(set(texts(found).values())) > 6
    first = next(one for one in found if isinstance(one, Result))
    assert first.model == TINY
    assert first.usage is not None
    assert 1 <= first.usage.completion <= 8
    assert first.seconds > 0
    assert server.calls == len(server.answered) == 12


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_the_address_may_end_in_v1(server: Server, suffix: str) -> None:
    server.url += suffix
    assert len(texts(list(model_of(server).generate(questions(["Heat"]))))) == 1


@pytest.mark.parametrize(
    "fault", ["429 0", "429", "500", "502", "503", "408", "drop", "malformed", "strange", "cut"]
)
def test_what_passes_is_tried_again(server: Server, tiny: Any, fault: str) -> None:
    seen: set[str] = set()

    def once(call: int, prompt: str) -> str:
        is_first = prompt not in seen
        seen.add(prompt)
        return fault if is_first else ""

    server.fault = once
    asked = questions(titles(10))
    found = list(model_of(server).generate(asked))
    assert texts(found) == texts([next(tiny.generate([request])) for request in asked])
    assert {one.tries for one in found} == {2}
    assert server.calls == 20


@pytest.mark.parametrize("fault", ["slow 1", "trickle"])
def test_a_call_has_a_deadline_however_it_is_spent(server: Server, fault: str) -> None:
    server.learn(questions(["Heat"]))
    server.fault = lambda call, prompt: fault if call == 1 else ""
    began = time.monotonic()
    found = list(model_of(server, deadline_s=0.5).generate(questions(["Heat"])))
    assert time.monotonic() - began < 3
    assert [one.tries for one in found] == [2]


def test_after_five_tries_there_is_a_failure(server: Server) -> None:
    server.fault = lambda call, prompt: "500" if "number 3" in prompt else ""
    found = list(model_of(server).generate(questions(titles(6))))
    failed = [one for one in found if isinstance(one, Failure)]
    assert len(found) == 6
    assert [one.tries for one in failed] == [MOST_TRIES]
    assert "500" in failed[0].reason
    assert "fault 500" in failed[0].reason
    assert server.calls == 5 + MOST_TRIES


def test_what_is_refused_is_not_tried_again(server: Server) -> None:
    server.fault = lambda call, prompt: "400" if "number 3" in prompt else ""
    found = list(model_of(server).generate(questions(titles(6))))
    assert [one.tries for one in found if isinstance(one, Failure)] == [1]
    assert server.calls == 6


def test_an_empty_answer_is_a_failure_that_was_paid(server: Server) -> None:
    server.fault = lambda call, prompt: "empty"
    (found,) = model_of(server).generate(questions(["Heat"]))
    assert isinstance(found, Failure)
    assert found.usage is not None
    assert found.usage.prompt == server.prompt_tokens > 0


def test_retry_after_is_honoured_by_every_call(server: Server) -> None:
    asked = questions(titles(40))
    server.learn(asked)
    server.fault = lambda call, prompt: "429 1.5" if call == 1 else ""
    model = model_of(server, most_at_once=2)
    assert len(texts(list(model.generate(asked)))) == 40
    since = [began - server.times[0] for began in server.times]
    # a call that was under way may have been followed by few before the refusal was read
    assert sum(began < 1.5 for began in since) < 10
    assert server.bodies.index(server.bodies[0], 1) > 0, "it was asked again"


def test_a_wait_is_read_as_seconds_or_as_a_date() -> None:
    later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 90))
    assert _wait_s("7") == 7
    assert _wait_s("0.5") == 0.5
    assert 85 < (_wait_s(later) or 0) <= 90
    assert _wait_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0
    assert [_wait_s(said) for said in ("", "soon", "-3", "inf", "nan")] == [
        None,
        None,
        0,
        None,
        None,
    ]


def test_a_server_that_asks_to_wait_long_is_left(server: Server) -> None:
    server.fault = lambda call, prompt: "429 7200"
    with pytest.raises(AnswerError, match="come back in 120 minutes"):
        list(model_of(server).generate(questions(titles(3))))


@pytest.mark.parametrize("fault", ["401", "404", "403", "402", "429 quota"])
def test_a_closed_door_ends_the_run_at_once(server: Server, fault: str) -> None:
    server.fault = lambda call, prompt: fault
    with pytest.raises(AnswerError, match=f"refuses to answer as tiny.*{fault[:3]}.*Check the mo"):
        list(model_of(server).generate(questions(titles(40))))
    assert server.calls <= START


def test_a_text_that_a_host_does_not_like_ends_nothing(server: Server) -> None:
    server.fault = lambda call, prompt: "403" if "number 4" in prompt else ""
    found = list(model_of(server, most_at_once=1).generate(questions(titles(6))))
    assert [one.tries for one in found if isinstance(one, Failure)] == [1]
    assert len(found) == 6


def test_answers_under_way_come_before_the_error(server: Server) -> None:
    together = Barrier(8)  # a call that has not begun would not be made any more

    def fault(call: int, prompt: str) -> str:
        together.wait(60)
        if "number 2" in prompt:
            return "401"
        time.sleep(0.5)  # the refusal is read first
        return ""

    server.fault = fault
    run = model_of(server).generate(questions(titles(8)))
    assert len(texts([next(run) for _ in range(7)])) == 7
    with pytest.raises(AnswerError, match="401"):
        next(run)


def test_calls_at_a_time_grow_and_are_halved(server: Server) -> None:
    model = model_of(server)
    assert model.pace.now == START
    list(model.generate(questions(titles(60))))
    assert START < model.pace.now <= START + 8
    assert max(server.at_once) <= model.pace.now
    server.fault = lambda call, prompt: "503" if call == 61 else ""
    list(model.generate(questions(titles(1))))
    assert model.pace.now <= START
    one = model_of(server, most_at_once=1)
    list(one.generate(questions(titles(10))))
    assert one.pace.now == 1


def test_a_burst_of_refusals_halves_once() -> None:
    pace = Pace(64)
    began = time.monotonic()
    for _ in range(8):
        pace.overloaded(began)
    assert pace.now == START // 2
    for _ in range(9):
        pace.overloaded(time.monotonic())
    assert pace.now == 1
    for _ in range(10_000):
        pace.went_well()
    assert pace.now == 64


def test_nobody_there_is_said_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.monotonic()
    with pytest.raises(AnswerError, match=rf"cannot reach http://127.0.0.1:{port}.*Start the serv"):
        list(RemoteModel(f"http://127.0.0.1:{port}", TINY).generate(questions(titles(50))))
    assert time.monotonic() - began < 5
    with pytest.raises(AnswerError, match=r"cannot reach http://no\.invalid"):
        list(RemoteModel("http://no.invalid", TINY).generate(questions(["Heat"])))


def test_a_run_that_is_left_ends_its_calls(server: Server) -> None:
    server.fault = lambda call, prompt: "held" if call > 4 else ""
    run = model_of(server, deadline_s=60.0).generate(questions(titles(50)))
    next(run)
    began = time.monotonic()
    run.close()
    assert time.monotonic() - began < 2


def test_vectors_are_the_models_own_in_order(server: Server, tiny: Any) -> None:
    said = [f"text {n} {'x' * (n % 7)}" for n in range(2 * remote.TEXTS_AT_ONCE + 5)]
    found = model_of(server).embed(said)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, tiny.embed(said), rtol=0, atol=1e-6)
    assert model_of(server).embed([]).shape == (0, 0)
    server.fault = lambda call, prompt: "400"
    with pytest.raises(AnswerError, match="gives no vectors of tiny: 400"):
        model_of(server).embed(["Heat"])


def test_a_key_comes_from_the_environment_and_is_never_shown(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_KEY", "secret-123")
    model = model_of(server, api_key_env="SHOP_KEY")
    list(model.generate(questions(["Heat"])))
    assert server.headers[-1]["Authorization"] == "Bearer secret-123"
    assert "secret" not in repr(model) + str(vars(model))
    list(model_of(server).generate(questions(["Heat"])))
    assert server.headers[-1]["Authorization"] is None
    monkeypatch.delenv("SHOP_KEY")
    with pytest.raises(RecipeError, match="SHOP_KEY is not set"):
        model_of(server, api_key_env="SHOP_KEY")


@pytest.mark.parametrize(
    "bad", ["localhost:8000", "ftp://shop", "", "http://", "http://me:secret@shop.example"]
)
def test_an_address_that_is_none_is_named(bad: str) -> None:
    with pytest.raises(RecipeError, match="address of a server") as caught:
        RemoteModel(bad, TINY)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        ({"prompt_tokens": 3, "completion_tokens": 4, "more": {}}, Usage(3, 4)),
        ({"prompt_tokens": 3}, None),
        ({"prompt_tokens": None, "completion_tokens": None}, None),
        ({}, None),
        (None, None),
    ],
)
def test_what_is_not_counted_is_no_error(counted: Any, expected: Usage | None) -> None:
    said = {"message": {"content": "half \ud83c"}, "finish_reason": None}
    found = read_chat(questions(["Heat"])[0], {"choices": [said], "usage": counted})
    assert isinstance(found, Result)
    assert (found.usage, found.finish_reason, found.text) == (expected, "", "half ?")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")
def test_a_certificate_must_be_trusted(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out",
         certificate, "-days", "2", "-subj", "/CN=127.0.0.1", "-addext",
         "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serving(server.model, context) as safe:
        assert safe.url.startswith("https://")
        with pytest.raises(AnswerError, match="its certificate is not accepted"):
            list(model_of(safe).generate(questions(["Heat"])))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert len(texts(list(model_of(safe).generate(questions(titles(5)))))) == 5


def test_what_somebody_did_stays_here_unless_allowed(server: Server) -> None:
    personal = Request(questions(["Heat"])[0].messages, is_personal=True)
    assert len(list(model_of(server).generate([personal]))) == 1
    with pytest.raises(RecipeError, match=r"another machine.*may_leave=True"):
        list(RemoteModel("http://shop.invalid", TINY).generate([personal]))
    with pytest.raises(AnswerError, match="cannot reach"):
        list(RemoteModel("http://shop.invalid", TINY, may_leave=True).generate([personal]))


def test_a_schema_is_sent_as_the_response_format(server: Server) -> None:
    plain = questions(["Heat"])[0]
    list(model_of(server).generate([plain, replace(plain, schema='{"type":"object"}')]))
    forms = {json.dumps(body.get("response_format")) for body in server.bodies}
    assert forms == {
        "null",
        '{"type": "json_schema", "json_schema": {"name": "answer", "strict": true, '
        '"schema": {"type": "object"}}}',
    }
