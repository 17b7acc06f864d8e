"""A verdict counts the worst pair, and nothing that is no number."""

import json
import math

import pytest

from etalage.creative.judge import Verdict
from etalage.errors import DataError

MUG, BOWL = ("red", "mug"), ("blue", "bowl")


def test_one_wrong_pair_refuses_the_picture() -> None:
    assert Verdict({MUG: 0.5, BOWL: 0.9}).accepted
    verdict = Verdict({MUG: 0.99, BOWL: 0.49})
    assert not verdict.accepted
    assert (verdict.worst, verdict.least) == (BOWL, 0.49)
    assert Verdict({MUG: 0.99, BOWL: 0.49}, threshold=0.4).accepted


@pytest.mark.parametrize("score", [math.nan, math.inf, -0.1, 1.01])
def test_what_is_no_score_is_refused(score: float) -> None:
    """NaN is not below a threshold, and would let every picture through."""
    with pytest.raises(DataError, match="from 0 to 1 for"):
        Verdict({MUG: score})
    with pytest.raises(DataError, match="from 0 to 1 for the threshold"):
        Verdict({MUG: 0.5}, threshold=score)


def test_a_verdict_on_nothing_accepts_nothing() -> None:
    with pytest.raises(DataError, match="at least one pair"):
        Verdict({})


def test_a_verdict_survives_json() -> None:
    verdict = Verdict({MUG: 1 / 3, BOWL: 0.1}, threshold=0.2)
    assert Verdict.of(json.loads(json.dumps(verdict.told()))) == verdict
