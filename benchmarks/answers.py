"""Claims about asking language models: what a question costs here, and that memory does not grow.

The model is free and answers at once, so what is measured is ours: making questions, their keys,
the calls, and keeping answers. One server process, one process that asks, each on any core.

    python benchmarks/answers.py [--questions 400000]
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from claims import record
from etalage.language.answers import Answers
from etalage.language.job import plan, run
from etalage.language.prompts import item_facts, template
from etalage.language.remote import RemoteModel
from etalage.language.request import Outcomes, Request, Result, Sampling, Usage

SERVER = """
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        choice = {"message": {"content": "x" * 800}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 200, "completion_tokens": 200}
        found = {"model": body["model"], "choices": [choice], "usage": usage}
        content = json.dumps(found).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


class Questions:
    """So many questions about items, made as they are taken."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __iter__(self) -> Iterator[Request]:
        goods, sampling = template("items", "goods"), Sampling()
        for number in range(self.n):
            yield goods.request(item_facts(f"Thing number {number} of the shop"), sampling)


class Echo:
    """Answers at once, and in this process."""

    name = "echo"

    def generate(self, requests: Iterable[Request]) -> Outcomes:
        for request in requests:
            yield Result(request, "x" * 800, "stop", Usage(200, 200), "echo", 0.1)


def job(n: int, url: str) -> None:
    """Plans and runs a job in this process; prints CPU seconds of each, and the peak in MB."""
    import resource

    with tempfile.TemporaryDirectory() as folder, Answers(Path(folder)) as answers:
        model = RemoteModel(url, "free") if url else Echo()
        times = [time.process_time()]
        plan(Questions(n), model.name, answers)
        times.append(time.process_time())
        report = run(Questions(n), model, answers)
        times.append(time.process_time())
        assert report.n_answered == len(answers) == n
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    print(json.dumps({"plan": times[1] - times[0], "run": times[2] - times[1], "peak": peak}))


def measured(n: int, url: str = "") -> dict[str, float]:
    words = [sys.executable, __file__, "--questions", str(n), "--job", url]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--questions", type=int, default=400_000)
    parser.add_argument("--job", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.job is not None:
        job(chosen.questions, chosen.job)
        return 0
    n, began = chosen.questions, time.time()
    few, many = measured(n // 8), measured(n)
    with subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        try:
            live = measured(n // 20, f"http://127.0.0.1:{int(server.stdout.readline())}")
        finally:
            server.kill()
    seconds, ok = time.time() - began, True
    for claim, value, unit, target in (
        (f"peak of a job of {n:,} questions", many["peak"], "MB", "<=80"),
        (f"growth of it from {n // 8:,} questions", many["peak"] - few["peak"], "MB", "<=10"),
        ("planning a question", 1e3 * many["plan"] / n, "CPU-ms", "<=0.2"),
        ("asking a question over HTTP", 1e3 * live["run"] / (n // 20), "CPU-ms", "<=1.5"),
    ):
        ok &= record("house", claim, round(value, 3), unit, target, seconds=seconds)
    return 0 if ok else 1


if __name__ == "__main__":
    sys.exit(main())
