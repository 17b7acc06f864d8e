"""Claims about what a memory brings back: MemDaily and LoCoMo rebuilt exactly, rows of the floor
that were computed apart from this library, ours beside them, and beside mem0 with one embedder.

    python benchmarks/memory_retrieval.py [--peer PEER/bin/python] [--lines FOLDER]

The peer lives in an environment of its own; see `peers/mem0_memory.py` for how to make it. Where
it is not there, those claims are left out. Rows are kept in FOLDER, so that the same command goes
on where a kill ended it; without one they go with the run. About five CPU-minutes; a sixth
reads all turns of LoCoMo with MiniLM where that was never done before.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from claims import record
from etalage.artefact import sha256_of
from etalage.errors import MissingExtraError
from etalage.language.cache import CachedEncoder
from etalage.language.minilm import MiniLMEncoder
from etalage.memory.benchmark import locomo, memdaily
from etalage.memory.benchmark.defects import defects
from etalage.memory.benchmark.measures import mean
from etalage.memory.benchmark.mechanisms import ENCODED, NAMES, Maker, maker
from etalage.memory.benchmark.noise import infused
from etalage.memory.benchmark.outside import Outside
from etalage.memory.benchmark.report import Report
from etalage.memory.benchmark.run import run
from etalage.memory.simulate.stream import SimulatorConfig, simulate
from etalage.memory.trajectory import Question, Trajectory
from etalage.seeds import generator

HERE = Path(__file__).parent
DATA = Path(os.environ.get("ETALAGE_DATA", HERE / "../../shared/data")).resolve() / "memory"
KINDS = memdaily.KINDS
FLOOR = dict(zip(KINDS, (0.910, 0.888, 0.998, 0.746, 0.846, 0.841), strict=True))
"""Recall@5 of BM25 over characters and their pairs on MemDaily."""
RECENT = dict(zip(KINDS, ((0.514, 0.052), (0.513, 0.052), (0.698, 0.034), (0.237, 0.026),
                          (0.511, 0.053), (0.504, 0.047)), strict=True))  # fmt: skip
"""Recall@5 of the last five messages as published, and its ±."""
MEDOID = dict(zip(KINDS, (0.724, 0.678, 0.203, 0.314, 0.344, 0.658), strict=True))
"""How often the option most like the others is the right one."""
WORDS = {"multi_hop": 0.146, "temporal": 0.539, "open_domain": 0.172, "single_hop": 0.532}
"""Recall@5 of BM25 over words on LoCoMo; adversarial questions are reported apart."""
DEFECTS = {"times_go_backwards": 188, "failure_in_message": 2, "answer_twice_in_options": 7,
           "nonsense_option": 3, "relative_times": 27, "relative_times_a_week_off": 17}  # fmt: skip
NOISE = {9: 100, 49: 25}
"""Messages of others for each of one's own, and questions a kind."""
EVERY = 8
"""The peer is asked every eighth question."""
USERS, SEED = 100, 0

Comparing = Callable[[str, Iterable[Trajectory], dict[str, Maker]], Report]


def rebuilt(users: list[Trajectory], facts: dict[str, str]) -> None:
    """Counts and defects of MemDaily."""
    found, wrong = memdaily.card(users), defects(users)
    differ = sum(found["n_questions"].values()) != 2954
    differ += sum(found["n_messages"].values()) != 26_003
    differ += found["n_distinct_messages"] != 10_721
    differ += found["letters"] != {"A": 738, "B": 737, "C": 744, "D": 735}
    record(
        "memory", "counts of MemDaily that differ from the published", differ, "", "<=0", **facts
    )
    differ = sum(wrong[name] != n for name, n in DEFECTS.items())
    record("memory", "counts of known defects of MemDaily that differ", differ, "", "<=0", **facts)
    apart = 0.0
    for kind in KINDS:
        some = [each for each in users if each.questions[0].kind == kind]
        apart = max(apart, abs(defects(some)["medoid_hits"] / len(some) - MEDOID[kind]))
    record("memory", "MemDaily, hits of the option most like the others, greatest distance of a "
           "kind from those known", apart, "", "<=0.01", **facts)  # fmt: skip


def clean(report: Report, facts: dict[str, str], seconds: float) -> None:
    """MemDaily without noise."""
    for kind, value in FLOOR.items():
        record("memory", f"MemDaily {kind}, recall@5 of characters alone",
               report.value("characters", "recall@5", kind), "", f"{value}±0.01",
               seconds=seconds, **facts)  # fmt: skip
    apart = max(abs(report.value("recent", "recall@5", kind) - value) / room
                for kind, (value, room) in RECENT.items())  # fmt: skip
    record("memory", "MemDaily, recall@5 of the last five, in published ± of a kind", apart, "±",
           "<=1", **facts)  # fmt: skip
    ceiling = (187 + 275 * 5 / 8) / 462  # of eight messages five fit
    record("memory", "MemDaily aggregative, recall@5 of the oracle",
           report.value("oracle", "recall@5", "aggregative"), "", f"{ceiling:.4f}±0.0001",
           **facts)  # fmt: skip
    for measure in ("recall@5", "recall@10"):
        gap = report.value("etalage", measure) - report.value("characters", measure)
        record("memory", f"MemDaily, {measure}, ours less characters alone", gap, "", ">=-0.01",
               **facts)  # fmt: skip
    safe("MemDaily", report)


def noisy(users: list[Trajectory], compare: Comparing, facts: dict[str, str]) -> None:
    """MemDaily with messages of others between."""
    for ratio, n in NOISE.items():
        rng = generator(SEED, "noise", ratio)
        chosen = []
        for kind in KINDS:
            some = [each for each in users if each.questions[0].kind == kind]
            chosen += [some[at] for at in rng.permutation(len(some))[:n].tolist()]
        began = time.process_time()
        sides = makers("oracle", "recent", "characters", "encoder", "etalage")
        report = compare(f"MemDaily x{ratio + 1}", infused(chosen, ratio, rng), sides)
        gap = report.value("etalage", "recall@5") - report.value("characters", "recall@5")
        record("memory", f"MemDaily x{ratio + 1}, recall@5, ours less characters alone", gap, "",
               ">=-0.01", seconds=time.process_time() - began, seeds=[SEED], **facts)  # fmt: skip


def talks(users: list[Trajectory], compare: Comparing, facts: dict[str, str]) -> None:
    """LoCoMo."""
    began = time.process_time()
    sides = makers("recent", "words", "characters", "encoder", "etalage")
    try:
        minilm = CachedEncoder(MiniLMEncoder())
        texts = [said.text for each in users for said in each.messages]
        minilm.encode(texts + [asked.text for each in users for asked in each.questions])
        for name in ENCODED:
            sides[f"{name} minilm"] = maker(name, minilm)
    except MissingExtraError:
        pass
    report = compare("LoCoMo", users, sides)
    seconds = time.process_time() - began
    for kind, value in WORDS.items():
        record("memory", f"LoCoMo {kind}, recall@5 of words alone",
               report.value("words", "recall@5", kind), "", f"{value}±0.001", seconds=seconds,
               **facts)  # fmt: skip
    asked = {name: pooled(report, name) for name in sides}
    record("memory", "LoCoMo, questions with evidence that are not adversarial",
           asked["words"]["n"], "", "1531±0", **facts)  # fmt: skip
    for measure, value in (("recall@5", 0.442), ("recall@10", 0.521)):
        record("memory", f"LoCoMo, {measure} of words alone", asked["words"][measure], "",
               f"{value}±0.001", **facts)  # fmt: skip
    record("memory", "LoCoMo, recall@5, ours", asked["etalage"]["recall@5"], "", ">=0.48", **facts)
    record("memory", "LoCoMo, recall@10, ours", asked["etalage"]["recall@10"], "", ">=0.6", **facts)
    gap = asked["etalage"]["recall@5"] - asked["words"]["recall@5"]
    record("memory", "LoCoMo, recall@5, ours less words alone", gap, "", ">=0.04", **facts)
    if "etalage minilm" in asked:
        record("memory", "LoCoMo, recall@5, ours with MiniLM", asked["etalage minilm"]["recall@5"],
               "", ">=0.55", **facts)  # fmt: skip
    safe("LoCoMo", report)


def pooled(report: Report, name: str) -> dict[str, float]:
    """Recall over the questions of categories 1 to 4."""
    rows = [row for row in report.rows if row.mechanism == name and row.kind != "adversarial"]
    five, ten = mean(rows, lambda row: row.recall_5), mean(rows, lambda row: row.recall_10)
    assert five is not None
    assert ten is not None
    return {"recall@5": five.value, "recall@10": ten.value, "n": five.n}


def simulated(compare: Comparing) -> None:
    """Users of the simulator, whose answers are right by construction."""
    sides = makers("none", "recent", "oracle", "words", "characters", "encoder", "etalage")
    for domain in ("daily", "shopping"):
        users = simulate(SimulatorConfig(domain=domain), n_users=USERS, seed=SEED)
        name, facts = f"simulated users ({domain})", {"seeds": [SEED]}
        report = compare(f"simulated {domain}", users, sides)
        record("memory", f"{name}, accuracy of the oracle", report.value("oracle", "accuracy"), "",
               "1±0", **facts)  # fmt: skip
        for measure in ("recall@5", "accuracy"):
            gap = report.value("etalage", measure) - report.value("characters", measure)
            record("memory", f"{name}, {measure}, ours less characters alone", gap, "", ">=0",
                   **facts)  # fmt: skip
        kinds = "abstain", "cross_user"
        missed = [1 - report.value("etalage", "abstention recall", kind) for kind in kinds]
        record("memory", f"{name}, answers to what they never told", max(missed), "share", "<=0.01",
               **facts)  # fmt: skip
        safe(name, report)


def safe(where: str, report: Report) -> None:
    """What must never happen."""
    side = report.sides["etalage"]
    record("memory", f"{where}, questions that brought back what another said",
           side.whole["leak"].value, "share", "<=0")  # fmt: skip
    record("memory", f"{where}, forgotten messages that came back or are in the file, of "
           f"{side.residue['n_forgotten']}", side.residue["n_returned"] + side.residue["n_on_disk"],
           "", "<=0")  # fmt: skip


def against_mem0(
    users: list[Trajectory], python: Path, compare: Comparing, facts: dict[str, str]
) -> None:
    """Ours and mem0, the same embedder, in one run: ten users in one store, and one alone."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [str(python), str(HERE / "peers/mem0_memory.py")]
    sides = makers("etalage")
    sides["mem0"] = lambda folder: Outside(command, folder, environment)
    few = [replace(each, questions=_usual(each)[::EVERY]) for each in users]
    alone = [replace(users[0], questions=_usual(users[0]))]
    facts = {"peer": "mem0ai 2.2.1, Qdrant on the local disk"} | facts
    for name, some, least in (("ten users", few, ">=10"), ("one user", alone, ">=5")):
        report = compare(f"LoCoMo, {name}, beside mem0", some, sides)
        ours, theirs = report.sides["etalage"], report.sides["mem0"]
        of = f"LoCoMo, {name} in a store"
        ratio = theirs.whole["read µs"].value / ours.whole["read µs"].value
        record("memory", f"{of}, CPU of a read, mem0 over ours", ratio, "times", least, **facts)
        ratio = theirs.write_us / ours.write_us
        record("memory", f"{of}, CPU of a write, mem0 over ours", ratio, "times", ">=5", **facts)
        gap = ours.whole["recall@5"].value - theirs.whole["recall@5"].value
        record("memory", f"{of}, recall@5, ours less mem0", gap, "", ">=0", **facts)
        for side, found in report.sides.items():
            print(side, found.residue, flush=True)


def _usual(user: Trajectory) -> tuple[Question, ...]:
    return tuple(asked for asked in user.questions if asked.kind != "adversarial")


def makers(*names: str) -> dict[str, Maker]:
    return {name: maker(name) for name in names}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", type=Path, default=HERE / "peers/.venv-mem0/bin/python")
    parser.add_argument("--lines", type=Path, help="folder that rows are kept in")
    options = parser.parse_args()
    if not DATA.exists():
        sys.exit("no memory folder in the data folder; set ETALAGE_DATA")
    with TemporaryDirectory() as folder:
        place = options.lines or Path(folder)
        place.mkdir(parents=True, exist_ok=True)

        def compare(name: str, users: Iterable[Trajectory], sides: dict[str, Maker]) -> Report:
            report = run(users, sides, place / f"{name.replace(' ', '-').replace(',', '')}.jsonl")
            console = Console(width=200)
            console.print(f"[bold]{name}", report.table(), report.kinds())
            return report

        daily = list(memdaily.load(DATA / "memdaily"))
        facts = {"data_hash": sha256_of(*sorted((DATA / "memdaily").glob("*.json")))[:16]}
        rebuilt(daily, facts)
        began = time.process_time()
        report = compare("MemDaily", daily, makers(*NAMES))
        clean(report, facts, time.process_time() - began)
        noisy(daily, compare, facts)
        users = list(locomo.load(DATA / "locomo10.json"))
        facts = {"data_hash": sha256_of(DATA / "locomo10.json")[:16]}
        talks(users, compare, facts)
        simulated(compare)
        if options.peer.exists():
            against_mem0(users, options.peer, compare, facts)


if __name__ == "__main__":
    main()
