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
    rows = {}
    for family in ("house", "ranking", "calibration", "generative", "graph", "memory", "creative"):
        path = ROOT / f"benchmarks/results/{family}.jsonl"
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            rows[row["claim"]] = row
    return rows


def check_figure(page: str, pattern: str, value: float) -> None:
    """A page says a recorded value, rounded to as many digits as it gives."""
    found = re.search(pattern, (ROOT / page).read_text(encoding="utf-8"))
    assert found is not None, "the figure is gone from the page"
    assert f"{value:.{len(found[1].partition('.')[2])}f}" == found[1]


README = {
    r"HR@10 and NDCG@10 \| ([\d.]+) and": "SASRec hit_rate@10 on S3-Rec beauty",
    r"HR@10 and NDCG@10 \| [\d.]+ and ([\d.]+)": "SASRec ndcg@10 on S3-Rec beauty",
    r"network of our own on Beauty.*\| ([\d.]+) and": (
        "TIGER, residual network hit_rate@10 on S3-Rec beauty"
    ),
    r"network of our own on Beauty.*\| [\d.]+ and ([\d.]+)": (
        "TIGER, residual network ndcg@10 on S3-Rec beauty"
    ),
    r"network of our own on Beauty.* in (\d+) CPU-minutes": (
        "CPU-minutes of TIGER, residual network on S3-Rec beauty"
    ),
    r"TIGER's own T5.*\| ([\d.]+) times": "CPU of generate over ours, 8 people at once",
    r"TIGER's own T5.*, ([\d.]+) times with 64": "CPU of generate over ours, 64 people at once",
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
    r"decay 0.2.*on Frappe.*\| ([\d.]+) and": "auc of 4 × QNN-alpha, decay 0.2 on frappe",
    r"decay 0.2.*on Frappe.*\| [\d.]+ and ([\d.]+)": (
        "log_loss_calibrated of 4 × QNN-alpha, decay 0.2 on frappe"
    ),
    r"training FM on Frappe beside FuxiCTR 2.3.10 \| ([\d.]+) times": (
        "FM on Frappe: training against FuxiCTR"
    ),
    r"\[([\d.]+) times\]\(docs/systems/rankers.md#speed\) for DeepFM": (
        "DeepFM on 910,784 synthetic codes: training against FuxiCTR"
    ),
    r"without a model, beside BM25 \| ([\d.]+) and": "LoCoMo, recall@5, ours",
    r"without a model, beside BM25 \| [\d.]+ and ([\d.]+)": "LoCoMo, recall@5 of words alone",
    r"with the same vectors \| ([\d.]+) ms": (
        "a hybrid reading at 1.01 M memories, encoding apart, p50"
    ),
    r"with the same vectors \| .* and (\d+) times the CPU": (
        "LoCoMo, ten users in a store, CPU of a read, mem0 over ours"
    ),
    r"`etalage demo` on two cores \| (\d+) s": "wall time of etalage demo, idle cores",
    r"`etalage demo` on two cores \| \d+ s, (\d+) MB": "peak memory of etalage demo",
}


@pytest.mark.parametrize("pattern", README)
def test_the_readme_says_what_was_recorded(pattern: str, newest: dict[str, dict]) -> None:
    check_figure("README.md", pattern, newest[README[pattern]]["value"])


PAPER = "QNN-alpha as written in its paper"
SPEED = {
    "FM on Frappe": "FuxiCTR",
    "DCN-V2 on Frappe": "FuxiCTR",
    "DeepFM with 910,784 codes": "FuxiCTR",
    "DeepFM with 5,000,000 codes": "FuxiCTR",
    "QNN-alpha on Frappe": PAPER,
}
"""Row of the page -> what it was timed beside."""


@pytest.mark.parametrize("name", SPEED)
def test_the_speed_of_rankers_is_what_was_recorded(name: str, newest: dict[str, dict]) -> None:
    page = (ROOT / "docs/systems/rankers.md").read_text(encoding="utf-8")
    found = re.search(rf"^\| {name} \|([^|]*)\|([^|]*)\|([^|]*)\|$", page, re.MULTILINE)
    assert found is not None, "the row is gone from the page"
    case = re.sub(r"with ([\d,]+) codes", r"on \1 synthetic codes", name)
    for what, cell in zip(("training", "evaluation", "scoring"), found.groups(), strict=True):
        claim = f"{case}: {what} against {SPEED[name]}"
        assert cell.strip() == (f"{newest[claim]['value']:.1f} times" if claim in newest else "")


RATES = {
    r"trains (\d+) thousand rows a second on Frappe": ("QNN-alpha on Frappe: training", 1e3),
    r"and (\d+) thousand on\s+MovieLens": ("QNN-alpha on ML-1M: training", 1e3),
    r"one row is scored in (\d+) µs": ("QNN-alpha on Frappe: one row, as served", 1),
    r"([\d.]+) million a second and thread": (
        "loading shuffled rows of frappe, one thread", 1e6,
    ),
    r"([\d.]+) million with 39 fields": (
        "loading shuffled rows of synthetic-910784, one thread", 1e6,
    ),
}  # fmt: skip


@pytest.mark.parametrize("pattern", RATES)
def test_rates_of_rankers_are_what_was_recorded(pattern: str, newest: dict[str, dict]) -> None:
    claim, unit = RATES[pattern]
    check_figure("docs/systems/rankers.md", pattern, newest[claim]["value"] / unit)


def test_the_quality_of_rankers_is_what_was_recorded(newest: dict[str, dict]) -> None:
    page = (ROOT / "docs/systems/rankers.md").read_text(encoding="utf-8")
    _, frappe, movielens = re.split(r"\| (?:Frappe_x1-R|MovieLens-1M, own shuffle) \|", page)
    lines = 0
    for data, part in (("frappe", frappe), ("movielens-1m", movielens)):
        for name, *figures in re.findall(
            r"^\| ([^|]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|", part, re.MULTILINE
        ):
            measures = ("auc", "log_loss", "log_loss_calibrated")
            for measure, figure in zip(measures, figures, strict=True):
                record = newest[f"{measure} of {name} on {data}"]
                assert f"{record['value']:.4f}" == figure, (name, measure)
                assert record["ok"], (name, measure)
                assert len(record["seeds"]) == 3
            lines += 1
    assert lines == 18


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


FALLS_SHORT = {
    "ranking": "rankers",
    "generative": "semantic-ids",
    "graph": "graphs",
    "creative": "self-coherence",
}
"""Family of claims -> the page that lists those that do not hold; all others hold."""


@pytest.mark.parametrize("family", FALLS_SHORT)
def test_what_falls_short_is_said(family: str, newest: dict[str, dict]) -> None:
    page = ROOT / f"docs/systems/{FALLS_SHORT[family]}.md"
    said = page.read_text(encoding="utf-8").partition("## What falls short")[2]
    lines = [
        f"| {name} | {row['value']:.4g} {row['unit']} | {row['target']} |"
        for name, row in newest.items()
        if not row["ok"] and row["family"] == family
    ]
    assert [line for line in said.splitlines() if line.startswith("| ")][1:] == lines
    assert all(row["ok"] for row in newest.values() if row["family"] not in FALLS_SHORT)


METRICS = ("hit_rate@5", "ndcg@5", "hit_rate@10", "ndcg@10", "hit_rate@20", "ndcg@20")


@pytest.mark.parametrize("name", ["semantic-ids", "prorec"])
def test_the_quality_of_generators_is_what_was_recorded(name: str, newest: dict[str, dict]) -> None:
    page = (ROOT / f"docs/systems/{name}.md").read_text(encoding="utf-8")
    n_figures = 0
    for part in page.split("\n### ")[1:]:
        data = part.partition("\n")[0].lower()
        for row, *cells in re.findall(r"^\| ([^|]+) " + r"\| ([^|]+) " * 6, part, re.MULTILINE):
            for metric, cell in zip(METRICS, cells, strict=True):
                value, _, spread = cell.partition(" ± ")
                if not value.startswith(".") or row.endswith("as published"):
                    continue  # missing, or not ours
                claim = f"{row} {metric} on S3-Rec {data}"
                assert f"{newest[claim]['value']:.4f}" == f"0{value}", claim
                if spread:
                    half = newest[f"{claim}, half of the 95 % interval over seeds"]["value"]
                    assert f"{half:.4f}" == f"0{spread}", claim
                n_figures += 1
    assert n_figures >= 50


COSTS = {
    r"a summary of 10 million rows \| ([\d.]+)": "10 million rows summarised",
    r"100 million rows, streamed \| ([\d.]+) CPU-s": "100 million rows streamed into a summary",
    r"100 million rows, streamed \| [\d.]+ CPU-s, (\d+) MB": (
        "memory of 100 million rows streamed, the program included"
    ),
    r"isotonic regression of 10 million rows \| ([\d.]+) times": (
        "isotonic regression of 10 million rows, less CPU than scikit-learn"
    ),
    r"10,000 values, a million rows \| ([\d.]+) CPU-s": (
        "curves of 10,000 values fitted to a million rows"
    ),
    r"by the table of its value \| ([\d.]+) µs": (
        "a row mapped by the table of its value, which is the curve itself"
    ),
    r"certified to 0.001 \| ([\d.]+) µs": (
        "a row of one of 500 contexts mapped by the table of MCNet"
    ),
}


def said(newest: dict[str, dict], claim: str, value: str, scale: float = 1) -> bool:
    """Whether a number of a page is the newest record, rounded."""
    digits = len(value.partition(".")[2])
    return f"{scale * newest[claim]['value']:.{digits}f}" == value


def test_the_page_of_calibration_says_what_was_recorded(newest: dict[str, dict]) -> None:
    text = (ROOT / "docs/calibration.md").read_text(encoding="utf-8")
    for pattern, claim in COSTS.items():
        found = re.search(pattern, text)
        assert found is not None, pattern
        assert said(newest, claim, found[1]), claim
    slowest = max(row["value"] for claim, row in newest.items() if "fitted from the" in claim)
    assert f"the slowest fit from a summary | {slowest:.1f} CPU-ms" in text


N_METHODS = 20
"""Rows of a table of calibrators."""


def test_the_page_of_mcnet_says_what_was_recorded(newest: dict[str, dict]) -> None:
    text = (ROOT / "docs/systems/mcnet.md").read_text(encoding="utf-8")
    known = re.findall(r"^\| ([a-z_, ]+) ((?:\| [\d.]+ ){7})\|$", text, re.MULTILINE)
    real = re.findall(r"^\| ([a-z_, ]+) ((?:\| [\d.]+ ){9})\|$", text, re.MULTILINE)
    assert len(known) == N_METHODS
    assert len(real) == N_METHODS + 1, "and the scores as they were"
    for name, cells in known:
        claims = [
            claim.format(name=name, world=world)
            for world in ("lines", "own shapes", "pairs")
            for claim in (
                "divergence of {name} from the truth, {world}",
                "F-RCE of {name}, {world}",
            )
        ]
        for value, claim in zip(
            re.findall(r"[\d.]+", cells), [*claims, f"fit CPU-s of {name}, lines"], strict=True
        ):
            assert said(newest, claim, value), claim
    for name, cells in real:
        judged = [
            (f"{measure} of {name} on {log}", scale)
            for log in ("movielens-1m", "frappe", "forecasts")
            for measure, scale in (("log-loss", 1), ("ECE", 1000), ("F-RCE excess", 1))
        ]
        for value, (claim, scale) in zip(re.findall(r"[\d.]+", cells), judged, strict=True):
            assert said(newest, claim, value, scale), claim


def test_the_pages_of_graphs_say_what_was_recorded(newest: dict[str, dict]) -> None:
    n_figures = 0
    for page in ("systems/graphs.md", "scale.md"):
        text = (
            (ROOT / "docs" / page).read_text(encoding="utf-8").partition("## What falls short")[0]
        )
        for claim, value in re.findall(r"^\| ([^|]+) \| ([\d.e+-]+)", text, re.MULTILINE):
            assert f"{newest[claim]['value']:.3g}" == value, claim
            n_figures += 1
    assert n_figures >= 14


STORE = "1.01 M memories"
MEMORY = {
    r"when it returns \| ([\d.]+) and": f"a durable write at {STORE}, p50",
    r"when it returns \| [\d.]+ and ([\d.]+) ms": f"a durable write at {STORE}, p95",
    r"median and 99 % \| ([\d.]+) and": f"a hybrid reading at {STORE}, encoding apart, p50",
    r"median and 99 % \| [\d.]+ and ([\d.]+) ms": (
        f"a hybrid reading at {STORE}, encoding apart, p99"
    ),
    r"from the disk and again \| (\d+) and": "a reading of a user with 10,000 memories, cold, p95",
    r"from the disk and again \| \d+ and ([\d.]+) ms": (
        "a reading of a user with 10,000 memories, warm, p95"
    ),
    r"no byte is left \| ([\d.]+) ms": "erasing a user of 100 memories until no byte is left, p95",
    r"beside ten thousand \| ([\d.]+) times": "a reading at 10^6 memories beside 10^4, p50",
    r"memory of the process \| (\d+) MB": (f"resident after 3,700 readings and writes at {STORE}"),
    r"on the disk, a memory \| (\d+) bytes": f"bytes on disk of one memory at {STORE}",
}


@pytest.mark.parametrize("pattern", MEMORY)
def test_what_a_memory_costs_is_what_was_recorded(pattern: str, newest: dict[str, dict]) -> None:
    check_figure("docs/memory.md", pattern, newest[MEMORY[pattern]]["value"])


def share(value: float) -> str:
    """As the page has it: .545."""
    return f"{value:.3f}".removeprefix("0")


def test_what_memories_bring_back_is_what_was_recorded(newest: dict[str, dict]) -> None:
    page = (ROOT / "docs/systems/memsim.md").read_text(encoding="utf-8")
    kinds = ("simple", "conditional", "comparative", "aggregative", "post_processing", "noisy")
    bm25 = re.search(r"^\| BM25 \| [^|]+ \|(.*)\|$", page, re.MULTILINE)
    assert bm25 is not None
    for kind, cell in zip(kinds, bm25[1].split("|"), strict=True):
        record = newest[f"MemDaily {kind}, recall@5 of characters alone"]
        assert record["ok"]
        assert cell.strip() == share(record["value"])
    for pattern, claim in {
        r"etalage has (\.\d+) on LoCoMo at five": "LoCoMo, recall@5, ours",
        r"at five and (\.\d+) at ten, BM25": "LoCoMo, recall@10, ours",
        r"BM25 (\.\d+) and": "LoCoMo, recall@5 of words alone",
        r"BM25 \.\d+ and (\.\d+), etalage with": "LoCoMo, recall@10 of words alone",
        r"MiniLM (\.\d+) at five": "LoCoMo, recall@5, ours with MiniLM",
    }.items():
        found = re.search(pattern, page.replace("\n", " "))
        assert found is not None, pattern
        assert found[1] == share(newest[claim]["value"])


def test_what_mem0_costs_beside_ours_is_what_was_recorded(newest: dict[str, dict]) -> None:
    page = (ROOT / "docs/systems/memsim.md").read_text(encoding="utf-8")
    for act in ("read", "write"):
        found = re.search(rf"CPU of a {act}, mem0 over etalage \| (\d+) times \| (\d+)", page)
        assert found is not None
        for users, figure in zip(("ten users", "one user"), found.groups(), strict=True):
            record = newest[f"LoCoMo, {users} in a store, CPU of a {act}, mem0 over ours"]
            assert f"{record['value']:.0f}" == figure


LOGS = {"Amazon Beauty": "beauty", "Amazon Books": "books", "MovieLens-1M": "movies"}


def test_the_quality_of_autograph_is_what_was_recorded(newest: dict[str, dict]) -> None:
    page = (ROOT / "docs/systems/autograph.md").read_text(encoding="utf-8")
    lines = 0
    for part in page.split("<!-- quality -->")[1].split("<!-- end of quality -->")[0].split("\n\n"):
        log = next(log for name, log in LOGS.items() if name in part)
        split = "global time" if "cut by time" in part else "leave one out"
        for name, recall, ndcg, seeds in re.findall(
            r"^\| ([^|]+) \| (\.\d+) \| (\.\d+)[^|]* \| (\d) \|", part, re.MULTILINE
        ):
            for metric, figure in (("hit_rate@20", recall), ("ndcg@20", ndcg)):
                record = newest[f"{name} {metric} on {log}, {split}"]
                assert f"{record['value']:.4f}".removeprefix("0") == figure, (name, metric)
                assert len(record["seeds"]) == int(seeds)
            lines += 1
    assert lines > 20


COST = {
    r"calls of the network more \| (\d+)": "calls of the network that guidance adds to 8 steps",
    r"whole matrices of attention \| (\d+)": (
        "matrices of pixels by tokens that three guided steps at 1024 px make"
    ),
    r"kept for two objects at 1024 px \| ([\d.]+) kB": (
        "kept between layers and steps for two objects at 1024 px"
    ),
    r"CPU time of a step more \| (-?[\d.]+) %": (
        "CPU time of a guided step above a plain one, width of PixArt-XL, 512 px"
    ),
    r"off the published loop \| ([\d.]+)": "guided latents off the published loop written out",
}


def test_what_guidance_does_is_what_was_recorded(newest: dict[str, dict]) -> None:
    page = (ROOT / "docs/systems/self-coherence.md").read_text(encoding="utf-8")
    n_lines = 0
    for task in ("coarse", "fine", "style"):
        words = f"toy, {task}, 1,000 pictures"

        def value(claim: str, words: str = words) -> float:
            return float(newest[f"{words}: {claim}"]["value"])

        for way, *cells in re.findall(
            rf"^\| {task} \| (\w+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", page, re.MULTILINE
        ):
            figures = (value(f"{what}, {way}") for what in ("found", "overlap", "bound"))
            assert [f"{figure:.3f}" for figure in figures] == cells, (task, way)
            n_lines += 1
        points = value("points more that are bound, guided")
        margin = value("half of the 95 % interval of these points")
        chance = value("chance of such points without an effect")
        found, overlap = (
            value(f"points more {what}, guided") for what in ("that are found", "of overlap")
        )
        first, second = (
            value(f"maps of the {part} part that point to it, half-way")
            for part in ("first", "second")
        )
        line = (
            f"| {task} | {points:.1f} ± {margin:.1f} | {chance:.1g} | {found:+.1f}, {overlap:+.1f} "
            f"| {first:.2f}, {second:.2f} |"
        )
        assert line in page.splitlines()
    assert n_lines == 18
    for pattern, claim in COST.items():
        check_figure("docs/systems/self-coherence.md", pattern, newest[claim]["value"])
