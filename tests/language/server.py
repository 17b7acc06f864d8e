"""A server on this machine that speaks OpenAI's protocol, and fails when it is told to."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ssl import SSLContext
from threading import Event, Lock, Thread
from typing import Any

from etalage.language.chat import chat_body
from etalage.language.request import Message, Request, Result, Sampling

TINY = "tiny"
ANSWERED: dict[str, str] = {}
"""What the model of the session said: it says the same again, and so computes it once."""


@dataclass
class Server:
    """What it was asked, what it answered, and what it does wrong."""

    model: Any
    fault: Callable[[int, str], str] = lambda call, prompt: ""
    """Given the number of a call and its last message, what goes wrong; '' for nothing."""
    calls: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    answered: Counter[str] = field(default_factory=Counter)
    """Answers by last message, whole ones that were sent."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    at_once: list[int] = field(default_factory=list)
    """Calls under way, as each began."""
    times: list[float] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)
    gate: Event = field(default_factory=Event)
    """Calls with the fault "held" wait for this, and are then dropped."""
    url: str = ""
    lock: Lock = field(default_factory=Lock)
    under_way: int = 0

    def chat(self, body: dict[str, Any]) -> dict[str, Any]:
        """What a chat completion answers; nothing is counted."""
        sampling = Sampling(body["temperature"], body["top_p"], body["max_tokens"], body["seed"])
        known = json.dumps(body, sort_keys=True)
        if known in ANSWERED:
            return json.loads(ANSWERED[known])
        said = tuple(Message(m["role"], m["content"]) for m in body["messages"])
        with self.lock:
            found = next(iter(self.model.generate([Request(said, sampling)])))
        assert isinstance(found, Result), found
        usage = {
            "prompt_tokens": found.usage.prompt,
            "completion_tokens": found.usage.completion,
            "total_tokens": found.usage.prompt + found.usage.completion,
        }
        message = {"role": "assistant", "content": found.text}
        choice = {"index": 0, "message": message, "finish_reason": found.finish_reason}
        answer = {"object": "chat.completion", "model": body["model"], "choices": [choice],
                  "usage": usage}  # fmt: skip
        ANSWERED[known] = json.dumps(answer)
        return answer

    def learn(self, requests: Sequence[Request]) -> None:
        """Thinks of answers before they are asked for, where a test has a deadline."""
        for request in requests:
            self.chat(chat_body(request, TINY))

    def embeddings(self, body: dict[str, Any]) -> dict[str, Any]:
        with self.lock:
            rows = self.model.embed(body["input"])
        data = [{"index": n, "embedding": row.tolist()} for n, row in enumerate(rows)]
        return {"object": "list", "model": body["model"], "data": data[::-1]}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, *_: Any) -> None:
        pass

    def do_POST(self) -> None:
        state: Server = self.server.state
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with state.lock:
            state.calls += 1
            state.under_way += 1
            state.bodies.append(body)
            state.at_once.append(state.under_way)
            state.times.append(time.monotonic())
            state.headers.append(self.headers)
            call = state.calls
        try:
            self.respond(state, body, call)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with state.lock:
                state.under_way -= 1

    def respond(self, state: Server, body: dict[str, Any], call: int) -> None:
        prompt = body["messages"][-1]["content"] if "messages" in body else ""
        fault, _, more = state.fault(call, prompt).partition(" ")
        if fault.isdigit():
            code = {"code": "insufficient_quota"} if more == "quota" else {}
            error = {"error": {"message": f"fault {fault}"} | code}
            headers = {"Retry-After": more} if more and more != "quota" else {}
            self.send(int(fault), json.dumps(error).encode(), headers)
        elif fault == "slow":
            time.sleep(float(more))
            self.send(200, b"{}")
        elif fault == "trickle":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            for _ in range(100):
                self.wfile.write(b" ")
                time.sleep(0.05)
        elif fault == "held":
            state.gate.wait(60)
            self.close_connection = True
        elif fault == "drop":
            self.close_connection = True
        elif fault == "malformed":
            self.send(200, b'{"choices": [')
        elif fault == "strange":
            self.send(200, b'{"choices": [{}]}')
        elif self.path.endswith("/embeddings"):
            self.send(200, json.dumps(state.embeddings(body)).encode())
        else:
            found = state.chat(body)
            message = found["choices"][0]["message"]
            if fault == "empty":
                message["content"] = ""
            elif fault == "says":
                message["content"] = more
            elif fault == "uncounted":
                del found["usage"]
            content = json.dumps(found).encode()
            if fault == "cut":
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[:-10])
                self.close_connection = True
                return
            # counted before it is sent: whoever has the answer may look at once
            with state.lock:
                state.answered[prompt] += 1
                if "usage" in found:
                    state.prompt_tokens += found["usage"]["prompt_tokens"]
                    state.completion_tokens += found["usage"]["completion_tokens"]
            if fault == "chunked":
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for part in (content[:50], content[50:]):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                self.wfile.write(b"0\r\n\r\n")
            else:
                self.send(200, content)

    def send(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


@contextmanager
def serving(model: Any, context: SSLContext | None = None) -> Iterator[Server]:
    """Yields a server that answers as `model` does; over https with a context."""
    state = Server(model)
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    httpd.daemon_threads = True
    httpd.state = state  # type: ignore[attr-defined]
    if context is not None:
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
        httpd.handle_error = lambda *_: None  # type: ignore[method-assign]
    scheme = "http" if context is None else "https"
    state.url = f"{scheme}://127.0.0.1:{httpd.server_port}"
    thread = Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.gate.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()


def questions(titles: Sequence[str], **changes: Any) -> list[Request]:
    """A question about each title, short enough for a tiny model."""
    from etalage.language.prompts import item_facts, template

    sampling = Sampling(
        **({"temperature": 0.9, "top_p": 0.6, "max_tokens": 8, "seed": 42} | changes)
    )
    return [template("items", "movies").request(item_facts(title), sampling) for title in titles]


def titles(n: int) -> list[str]:
    return [f"Film number {number}" for number in range(n)]
