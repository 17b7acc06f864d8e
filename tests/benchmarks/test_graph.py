"""Do the scripts about graphs ask what they say they ask?"""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy.sparse import csr_array

from etalage.models.registry import build

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def module(name: str) -> ModuleType:
    sys.path.insert(0, str(BENCHMARKS))
    try:
        return __import__(name)
    finally:
        sys.path.remove(str(BENCHMARKS))


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
