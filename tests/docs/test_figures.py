"""Every figure on a page is the newest record of its claim, rounded."""

import json
import re
import runpy
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def newest() -> dict[str, dict]:
    lines = (ROOT / "benchmarks/results/house.jsonl").read_text(encoding="utf-8").splitlines()
    return {row["claim"]: row for row in map(json.loads, lines)}


README = {
    r"HR@10 and NDCG@10 \| ([\d.]+) and": "SASRec hit_rate@10 on S3-Rec beauty",
    r"HR@10 and NDCG@10 \| [\d.]+ and ([\d.]+)": "SASRec ndcg@10 on S3-Rec beauty",
    r"list metrics for 10,000 people and top-100 lists \| ([\d.]+) CPU-ms": (
        "seven ranking metrics of 10,000 users x top-100, 5 targets each"
    ),
    r"all of HTTP included \| ([\d.]+) CPU-ms": (
        "CPU time of a /recommend at 50,000 items, history 30"
    ),
    r"all of HTTP included \| [\d.]+ CPU-ms, (\d+) MB": (
        "memory of the serving process at 50,000 items, history 30"
    ),
    r"full softmax\) \| ([\d.]+) times": "SASRec training throughput against RecTools (auto)",
    r"RecTools' ranking \| ([\d.]+) times": "full-catalogue evaluation against RecTools' ranking",
    r"imported, stored and split \| ([\d.]+) CPU-s": (
        "CPU time of importing, storing and splitting 10 million interactions from CSV"
    ),
    r"imported, stored and split \| [\d.]+ CPU-s, (\d+) MB": (
        "peak memory of importing, storing and splitting 10 million interactions from CSV"
    ),
    r"`etalage demo` on two cores \| (\d+) s": "wall time of etalage demo, idle cores",
    r"`etalage demo` on two cores \| \d+ s, (\d+) MB": "peak memory of etalage demo",
}


@pytest.mark.parametrize("pattern", README)
def test_the_readme_says_what_was_recorded(pattern: str, newest: dict[str, dict]) -> None:
    found = re.search(pattern, (ROOT / "README.md").read_text(encoding="utf-8"))
    assert found is not None, "the figure is gone from the README"
    digits = len(found[1].partition(".")[2])
    assert f"{newest[README[pattern]]['value']:.{digits}f}" == found[1]


def test_results_on_real_logs_are_what_was_recorded(
    newest: dict[str, dict], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])
    demos = runpy.run_path(str(ROOT / "benchmarks" / "demos.py"))
    said = demos["published"]((ROOT / "docs" / "results.md").read_text(encoding="utf-8"))
    assert len(said) == 57  # three logs, 19 figures each
    for (log, model, measure), value in said.items():
        recorded = newest[f"{measure} of {model} in the demo on {log}"]["value"]
        assert round(recorded, demos["COLUMNS"][measure]) == value, (log, model, measure)


def test_published_figures_were_recorded_on_commits(newest: dict[str, dict]) -> None:
    dirty = [name for name, row in newest.items() if row["commit"].endswith("-dirty")]
    assert dirty == []
    assert [name for name, row in newest.items() if not row["ok"]] == []
