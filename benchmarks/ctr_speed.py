"""Claims about the speed of rankers beside FuxiCTR and a plain QNN-alpha, in one run.

Both sides take the same rows, model, batch size and threads, in turns, each in a process of its
own; a figure is the median of its turns, and FuxiCTR's the better of 0 and 2 loader workers. The
matrix products of every model are timed alone in the same run: what no code can do without.

The peer lives in an environment of its own; see `peers/fuxictr_rankers.py` for how to make it.

    python benchmarks/ctr_speed.py [--try] [--only NAME] [--seconds 15] [--rounds 3]
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from claims import holds, record
from ctr_cases import CASES, DATA, Case, maps, write

HERE = Path(__file__).parent
PEER = HERE / "peers/.venv-fuxictr/bin/python"
FUXICTR, PAPER = "FuxiCTR 2.3.10", "QNN-alpha as written in its paper"
JUDGING, SCORING, LOADING, ONE_ROW = 5, 10, 3_000_000, 130
AT_ROOF = 0.8
"""Share of the matrix products' own speed that counts as reaching it, calls and memory aside."""
Figures = dict[str, float]


def answer(python: object, script: Path, job: dict[str, Any]) -> Any:
    """Runs one side in a process of its own and reads its last line; None where it failed."""
    threads = str(job["threads"])
    environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    command = [str(python), str(script), json.dumps(job)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        print(f"  {script.name} failed: {done.stderr.strip().splitlines()[-1]}", flush=True)
        return None
    return json.loads(done.stdout.splitlines()[-1])


class Judge:
    """Says each claim, and records it unless this is a try; remembers what was not measured."""

    def __init__(self, is_try: bool) -> None:
        self.is_try, self.is_whole, self.started = is_try, True, time.perf_counter()

    def says(self, claim: str, value: float, unit: str, target: str, **facts: Any) -> None:
        if self.is_try:
            verdict = "holds" if holds(value, target) else "does NOT hold"
            print(f"  {claim}: {value:.4g} {unit}, {target}: {verdict}", flush=True)
            return
        seconds = time.perf_counter() - self.started
        record("ranking", claim, value, unit, target, seconds=seconds, **facts)


def turns(case: Case, job: dict[str, Any], peer: str, rounds: int) -> dict[str, Figures] | None:
    """Medians of each side's figures; None where a side failed."""
    ours = (sys.executable, HERE / "ctr_sides.py", job | {"side": "ours"})
    sides: dict[str, tuple[object, Path, dict[str, Any]]] = {"ours": ours}
    if case.peer == "fuxictr":
        script = HERE / "peers/fuxictr_rankers.py"
        sides |= {f"{n} workers": (peer, script, job | {"workers": n}) for n in (0, 2)}
    if case.peer == "paper":
        sides["paper"] = (sys.executable, HERE / "peers/paper_qnn.py", job)
    if maps(case.settings, job["n_fields"]):
        sides["roof"] = (*ours[:2], job | {"side": "roof"})
    found: dict[str, list[Figures]] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, how in sides.items():
            figures = answer(*how)
            if figures is None:
                return None
            print(f"  {side}: {said(figures)}", flush=True)
            found[side].append(figures)
    return {side: middle(each) for side, each in found.items()}


def middle(rounds: list[Figures]) -> Figures:
    """The median of each figure."""
    return {name: median(row[name] for row in rounds) for name in rounds[0]}


def best(peers: list[Figures]) -> Figures:
    """The better of several ways to run a peer, figure by figure."""
    return {name: max(row[name] for row in peers) for name in peers[0]}


def said(figures: Figures) -> str:
    """Figures as text."""
    return "  ".join(f"{name} {value:,.0f}" for name, value in figures.items())


def compare(mine: Figures, theirs: Figures, roof: Figures) -> None:
    """Prints the figures of a case beside the peer's and those of the products alone."""
    for name in ("train", "train_cpu", "judge", "score", "score_one_core"):
        beside = [f"{mine[name] / theirs[name]:.2f} times the peer's"] if name in theirs else []
        beside += [
            f"{mine[name] / rows:.0%} of the products in {kind} ({rows:,.0f})"
            for (kind, what), rows in ((key.split(), rows) for key, rows in roof.items())
            if what == name
        ]
        print(f"  {'; '.join([f'{name} {mine[name]:,.0f} rows/s', *beside])}", flush=True)
    one, served = mine["one_row_us"], mine["one_row_served_us"]
    print(f"  one row: {one:.0f} µs by the library, {served:.0f} µs as served", flush=True)


def claim(
    case: Case, mine: Figures, theirs: Figures, roof: Figures, judge: Judge, data_hash: str
) -> None:
    """Says what is claimed of a case."""
    if case.rows:
        judge.says(f"{case.name}: training", mine["train"], "rows/s", f">={case.rows:.0f}",
                   data_hash=data_hash)  # fmt: skip
        judge.says(f"{case.name}: one row, as served", mine["one_row_served_us"], "µs",
                   f"<={ONE_ROW}", data_hash=data_hash)  # fmt: skip
    if not theirs:
        return
    peer = FUXICTR if case.peer == "fuxictr" else PAPER
    scoring = float(SCORING)
    if roof:  # the products alone may take more than a tenth of the peer's time
        scoring = min(scoring, AT_ROOF * roof["float32 score"] / theirs["score"])
    bars = {"training": ("train", case.times), "evaluation": ("judge", JUDGING),
            "scoring": ("score", scoring)}  # fmt: skip
    for what, (name, bar) in bars.items():
        if name in theirs:
            judge.says(f"{case.name}: {what} against {peer.removesuffix(' 2.3.10')}",
                       mine[name] / theirs[name], "times", f">={bar:.3g}", peer=peer,
                       data_hash=data_hash)  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", default=PEER, help="python of the peer's environment")
    parser.add_argument("--try", dest="is_try", action="store_true", help="record nothing")
    parser.add_argument("--only", default="", help="cases with this in their name")
    parser.add_argument("--seconds", type=float, default=15, help="of training, a turn")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each side")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    if not DATA.exists():
        sys.exit("no ctr in the data folder; set ETALAGE_DATA")
    cases = [case for case in CASES if options.only in case.name]
    if any(case.peer == "fuxictr" for case in cases) and not Path(options.peer).exists():
        sys.exit(f"no {options.peer}; peers/fuxictr_rankers.py says how to make it")
    judge = Judge(options.is_try)
    for data in dict.fromkeys(case.data for case in cases):
        with TemporaryDirectory() as place:
            measure([case for case in cases if case.data == data], place, options, judge)
    return int(not judge.is_whole)


def measure(cases: list[Case], place: str, options: argparse.Namespace, judge: Judge) -> None:
    """Measures all cases on one data set, and says their claims."""
    table, _ = write(cases[0].data, Path(place))
    job = {"folder": place, "sizes": list(table.sizes.values()), "seconds": options.seconds,
           "threads": options.threads,
           "n_fields": len(table.sizes) + len(table.bag_forms)}  # fmt: skip
    loading = job | {"side": "loader", "batch_size": cases[0].batch_size}
    loaded = answer(sys.executable, HERE / "ctr_sides.py", loading)
    if loaded:
        judge.says(f"loading shuffled rows of {cases[0].data}, one thread", loaded["rows"],
                   "rows/s", f">={LOADING}", data_hash=table.hash)  # fmt: skip
    judge.is_whole &= loaded is not None
    for case in cases:
        print(case.name, flush=True)
        job |= {"settings": case.settings, "batch_size": case.batch_size}
        found = turns(case, job, options.peer, options.rounds)
        if found is None:
            judge.is_whole = False
            continue
        mine, roof = found.pop("ours"), found.pop("roof", {})
        theirs = best([*found.values()]) if found else {}
        compare(mine, theirs, roof)
        if theirs and abs(mine["n_parameters"] / theirs["n_parameters"] - 1) > 0.01:
            print("  not the same model: the parameters differ; nothing is claimed", flush=True)
            judge.is_whole = False
            continue
        claim(case, mine, theirs, roof, judge, table.hash)


if __name__ == "__main__":
    sys.exit(main())
