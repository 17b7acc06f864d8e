"""Which of our figures hold? Records claims, and prints the table behind `make claims`.

A claim is one JSON line in `results/<family>.jsonl`, appended by the script that measured it. The
newest line of a claim counts. Quick scripts run now; of long ones the last recorded line is read.
One recorded while the code differed from its commit does not hold: nobody can repeat it.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
QUICK = {
    "house": ["evaluation.py", "baselines_truth.py", "ingest.py", "serving.py", "demo.py"],
    "ranking": [],
    "calibration": ["calibration_cost.py", "calibration_promises.py"],
    "generative": ["generator_serving.py"],
    "graph": ["graph_truth.py"],
    "memory": ["memory_simulator.py"],
    "creative": ["creative_selection.py"],
}
LONG = {
    "house": ["sasrec_quality.py", "demos.py", "peer_speed.py", "answers.py"],
    "ranking": [
        "ctr_quality.py",
        "ctr_speed.py",
        "neuron_formats.py",
        "training_ways.py",
        "features_at_scale.py",
    ],
    "calibration": ["calibration_quality.py", "calibration_real.py", "calibration_parity.py"],
    "generative": [
        "text_encoders.py",
        "quantisers.py",
        "decoding.py",
        "generative_training.py",
        "generative_quality.py",
    ],
    "graph": ["graph_quality.py", "graph_scale.py", "autograph_quality.py"],
    "memory": [
        "memory_simulator_full.py",
        "memory_store.py",
        "memory_promises.py",
        "memory_retrieval.py",
        "memory_serving.py",
    ],
    "creative": ["creative_cost.py", "creative_promises.py", "creative_behaviour.py"],
}


def is_kept(row: dict[str, Any]) -> bool:
    """Whether a recorded claim holds, and on code that a commit has."""
    return bool(row["ok"]) and not row["commit"].endswith("-dirty")


def holds(value: float, target: str) -> bool:
    """Judges a value: '>=3', '<=20', or '0.0152±0.00005' for a value with a tolerance.

    >>> holds(3.7, ">=3"), holds(21, "<=20"), holds(0.0153, "0.0152±0.00005")
    (True, False, False)
    """
    if match := re.fullmatch(r"(>=|<=)(-?[\d.e-]+)", target):
        bound = float(match[2])
        return value >= bound if match[1] == ">=" else value <= bound
    if match := re.fullmatch(r"(-?[\d.e-]+)±([\d.e-]+)", target):
        return abs(value - float(match[1])) <= float(match[2])
    raise ValueError(f"target {target!r} is none of '>=x', '<=x', 'x±y'")


def record(
    family: str,
    claim: str,
    value: float,
    unit: str,
    target: str,
    *,
    peer: str | None = None,
    seeds: Sequence[int] = (),
    data_hash: str = "",
    seconds: float = 0.0,
    device: str = "",
    measured_at: str = "",
) -> bool:
    """Prints one claim as a JSON line, appends it to its family's file, says whether it holds.

    `device` is named where not the processor did the work, and the commit that was `measured_at`
    where it is not the one that is here now.
    """
    line = {
        "family": family,
        "claim": claim,
        "value": value,
        "unit": unit,
        "target": target,
        "ok": holds(value, target),
        "peer": peer,
        "seeds": list(seeds),
        "data_hash": data_hash,
        "commit": measured_at or commit(),
        "machine": device or machine(),
        "seconds": round(seconds, 2),
        "when_utc": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    text = json.dumps(line, ensure_ascii=False)
    print(text, flush=True)
    with (HERE / "results" / f"{family}.jsonl").open("a") as file:
        file.write(text + "\n")
    return bool(line["ok"])


def commit() -> str:
    """The commit measured, with '-dirty' when the code differs from it."""

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=HERE, capture_output=True, text=True)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--", "../src", ".", ":!results")
    return (git("rev-parse", "--short=12", "HEAD") or "unknown") + ("-dirty" if changed else "")


def machine() -> str:
    """Cores and processor, and nothing that names the machine."""
    import os

    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    model = re.search(r"model name\s*:\s*(.+)", text)
    n_all, n_ours = os.cpu_count(), len(os.sched_getaffinity(0))
    cores = f"{n_ours} cores" if n_ours == n_all else f"{n_ours} of {n_all} cores"
    return f"{cores} {model[1].strip() if model else platform.machine()}"


def newest(family: str) -> dict[str, dict[str, Any]]:
    """The last line of each claim of a family, by claim."""
    path = HERE / "results" / f"{family}.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return {row["claim"]: row for row in map(json.loads, lines)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=sorted(QUICK), help="only this family")
    parser.add_argument("--recorded", action="store_true", help="run nothing, read what is there")
    parser.add_argument("--all", action="store_true", help="run the long scripts too")
    options = parser.parse_args()
    families = [options.family] if options.family else sorted(QUICK)
    started = datetime.now(UTC).isoformat(timespec="seconds")
    failed = []
    for family in families:
        scripts = [] if options.recorded else QUICK[family]
        for script in scripts + (LONG[family] if options.all else []):
            done = subprocess.run([sys.executable, HERE / script], stdout=subprocess.DEVNULL)
            if done.returncode:
                failed.append(script)
    rows = [row for family in families for row in newest(family).values()]
    show(rows, started)
    for script in failed:
        print(f"{script} ended with an error")
    return int(bool(failed) or not rows or not all(map(is_kept, rows)))


def show(rows: list[dict[str, Any]], started: str) -> None:
    """Prints the table of claims."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Claims")
    for name in ("claim", "value", "target", "holds", "measured"):
        table.add_column(name, justify="right" if name == "value" else "left")
    for row in rows:
        when = "now" if row["when_utc"] >= started else row["when_utc"][:10]
        verdict = "[green]yes[/]" if is_kept(row) else "[red]NO[/]"
        if row["ok"] and not is_kept(row):
            verdict = "[red]not on a commit[/]"
        value = f"{row['value']:.4g} {row['unit']}"
        table.add_row(row["claim"], value, row["target"], verdict, when)
    Console(width=None if sys.stdout.isatty() else 130).print(table)


if __name__ == "__main__":
    sys.exit(main())
