"""Do the scripts about graphs ask what they say they ask?"""

from pathlib import Path

import numpy as np
import pytest
from scipy.sparse import csr_array
from tests.benchmarks.scripts import module

from etalage.models.registry import build


def test_every_row_is_a_model_and_no_two_are_one() -> None:
    script = module("graph_quality")
    for row in script.ROWS:
        config = build(script.settings_of(row, "yelp")).config
        assert not hasattr(config, "training") or config.training.monitor is None
    assert len({script.key_of(row, "yelp", 1) for row in script.ROWS}) == len(script.ROWS)
    assert script.key_of("MF", "yelp", 1) != script.key_of("MF", "yelp", 2)
    assert script.key_of("MF", "yelp", 1) != script.key_of("MF", "gowalla", 1)


def test_what_is_asked_lies_behind_what_was_learnt_from() -> None:
    rng = np.random.default_rng(0)
    train, test = (csr_array((rng.random((9, 7)) < 0.3).astype(np.float32)) for _ in range(2))
    log = module("graph_data").asked_of("toy", train, test, "")
    assert (log.data.interactions.matrix() != train).nnz == 0
    assert log.queries.users.tolist() == np.flatnonzero(np.diff(test.indptr)).tolist()
    pairs = zip(log.queries.users, log.queries.seen(), log.queries.targets(), strict=True)
    for user, seen, targets in pairs:
        assert seen.tolist() == np.flatnonzero(train[[user]].toarray()).tolist()
        assert targets.tolist() == np.flatnonzero(test[[user]].toarray()).tolist()


@pytest.mark.parametrize("name", ["graph_quality", "graph_truth"])
def test_scripts_can_be_read_without_running(name: str) -> None:
    assert callable(module(name).main)


def test_every_row_of_autograph_is_a_model_and_no_two_are_one() -> None:
    script = module("autograph_quality")
    rows = script.rows_of("books")
    for row in rows:
        assert build(script.settings_of(row)).config.kind
    keys = {script.key_of(row, "books", "global_time", 1) for row in rows}
    assert len(keys) == len(rows) > len(script.rows_of("movies"))
    assert script.key_of("MF", "books", "leave_one_out", 1) not in keys


def test_a_run_is_kept_and_what_a_kill_cut_off_is_passed_over(tmp_path: Path) -> None:
    runs = module("runs")
    kept = runs.Runs(tmp_path)
    assert kept.known() == {}
    one, two = ({"key": key, "row": "MF", "commit": "abc"} for key in "ab")
    kept.keep(one)
    with kept.path.open("a") as file:
        file.write('{"key": "torn", "ro')
    kept.keep(two)
    assert kept.known() == {"a": one, "b": two}
    assert runs.measured_at([one, two]) == "abc"
    with pytest.raises(SystemExit, match="MF was run with code that no commit has"):
        runs.measured_at([one, two | {"commit": "abc-dirty"}])
