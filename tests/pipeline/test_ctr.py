"""One ranker on a split table: figures known from theory, interruptions, results that are found."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.pipeline.split_tables import RATES, quick, split_tables

from etalage.data.features import FeatureTable
from etalage.errors import BundleError, DataError, RecipeError
from etalage.evaluate.classification import auc
from etalage.models.registry import build
from etalage.pipeline import ctr
from etalage.pipeline.ctr import ClickJob, Results, forget, hash_of
from etalage.pipeline.monitors import check_monitors, click_metrics

TABLES = split_tables()


def job(seed: int = 0, **more: object) -> ClickJob:
    return ClickJob.of(quick(**more), seed, hash_of(TABLES))


def truth(table: FeatureTable) -> np.ndarray:
    return RATES[table.categories[:, 0]]


def test_a_table_that_one_field_explains_is_judged_as_theory_has_it(tmp_path: Path) -> None:
    counted = {c: TABLES.test.labels[TABLES.test.categories[:, 0] == c].mean() for c in (1, 2, 3)}
    entropy = np.mean([-p * np.log(p) - (1 - p) * np.log(1 - p) for p in RATES[1:]])
    found = job().run(TABLES, tmp_path)
    assert counted[1] < counted[2] < counted[3]
    assert found["auc"] == pytest.approx(auc(truth(TABLES.test), TABLES.test.labels), abs=0.01)
    assert found["auc_interval"][0] < found["auc"] < found["auc_interval"][1]
    low, high = found["log_loss_calibrated_interval"]
    assert low < entropy < high
    assert low < found["log_loss_calibrated"] < high
    assert abs(found["gauc"] - 0.5) < 0.06, "within a person there is only noise"
    assert found["epochs"] == len((tmp_path / "log.jsonl").read_text().splitlines())
    assert set(found["valid"]) == {"auc", "log_loss", "auc-log_loss"}
    assert found == json.loads(json.dumps(found))


def test_an_interrupted_job_ends_as_one_that_was_not(tmp_path: Path, monkeypatch) -> None:
    whole = job().run(TABLES, tmp_path / "whole")
    calls = []

    def interrupts(ranker, table):
        calls.append(0)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return click_metrics(ranker, table)

    monkeypatch.setattr(ctr, "click_metrics", interrupts)
    with pytest.raises(KeyboardInterrupt):
        job().run(TABLES, tmp_path / "cut")
    assert (tmp_path / "cut" / "checkpoint.safetensors").exists()
    again = job().run(TABLES, tmp_path / "cut")
    costs = {"seconds", "cpu_seconds", "rows_per_second"}
    assert {k: v for k, v in again.items() if k not in costs} == {
        k: v for k, v in whole.items() if k not in costs
    }
    assert len(calls) == 3 + whole["epochs"] - 2, "two epochs were done before, the third was lost"
    assert (tmp_path / "cut" / "checkpoint.safetensors").exists(), "until its result is kept"
    forget(tmp_path / "cut")
    assert not (tmp_path / "cut" / "checkpoint.safetensors").exists()


def test_a_result_is_found_by_all_that_it_follows_from(tmp_path: Path) -> None:
    results = Results(tmp_path / "deep" / "results.jsonl")
    assert results.of(job()) is None
    results.append(job().key | {"auc": 0.7})
    results.append(job(1).key | {"auc": 0.8})
    assert results.of(job())["auc"] == 0.7
    assert results.of(job(1))["auc"] == 0.8
    assert results.of(job(2)) is None
    assert results.of(job(width=8)) is None
    other = ClickJob.of(quick(), 0, hash_of(split_tables(seed=1)))
    assert results.of(other) is None


def test_a_line_that_a_kill_cut_off_is_no_result_and_harms_none(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.jsonl")
    results.append(job().key)
    with results.path.open("ab") as file:
        file.write(json.dumps(job(1).key).encode()[:-9])
    assert results.of(job(1)) is None
    results.append(job(2).key)
    assert [row["seed"] for row in results.all()] == [0, 2]
    results.path.write_text("[1]\n")
    with pytest.raises(BundleError, match=r"line 1 of .* is no result; give another folder"):
        results.all()


def test_a_part_with_misses_alone_is_refused_before_fitting(tmp_path: Path) -> None:
    empty = TABLES.valid.take(TABLES.valid.labels == 0)
    with pytest.raises(DataError, match="clicks must hold both 0 and 1"):
        job().run(TABLES._replace(valid=empty), tmp_path / "fit")
    assert not (tmp_path / "fit").exists()


def test_a_monitor_must_be_better_where_it_is_higher() -> None:
    ranker = build(quick(training={"monitor": "log_loss"}))
    with pytest.raises(RecipeError, match="did you mean 'auc-log_loss'"):
        check_monitors({}, ranker)
    members = [quick(), quick(training={"monitor": "ndcg@10"})]
    told = r"^ranking\.ranker\.members\.1\.training\.monitor: 'ndcg@10' is not measured"
    with pytest.raises(RecipeError, match=told):
        ClickJob.of({"kind": "ensemble", "members": members}, 0, "")
    with pytest.raises(RecipeError, match=r"qnn\.widht: unknown key; did you mean 'width'"):
        ClickJob.of(quick(widht=3), 0, "")
