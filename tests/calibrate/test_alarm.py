"""The alarm: false as seldom as it says, and as fast as it may be."""

import numpy as np
import pytest

from etalage.calibrate.alarm import DriftAlarm, rows_to_find
from etalage.errors import DataError


def stream(n: int, seed: int, error: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Served probabilities, and clicks that come at those over 1 + error."""
    rng = np.random.default_rng(seed)
    truth = rng.beta(2, 30, n)
    return truth * (1 + error), (rng.random(n) < truth).astype(int)


def test_it_is_false_as_seldom_as_it_says() -> None:
    alpha = 0.05
    rang = sum(DriftAlarm(alpha).add(*stream(5000, seed)).rings for seed in range(1000))
    assert rang <= 1000 * alpha
    assert rang > 0, "it is no alarm that never rings"


@pytest.mark.parametrize("error", [-0.1, 0.1])
def test_a_tenth_is_found_in_twice_the_rows_that_theory_asks_for(error: float) -> None:
    alpha, rate = 0.01, 2 / 32
    expected = rows_to_find(rate, error, alpha)
    found = []
    for seed in range(25):
        alarm = DriftAlarm(alpha).add(*stream(6 * int(expected), seed, error))
        found.append(alarm.rang_at or np.inf)
        assert np.sign(alarm.shift) == -np.sign(error)
    assert np.median(found) <= 2 * expected


def test_parts_are_the_whole() -> None:
    p, y = stream(9000, 0, 0.5)
    whole, parts = DriftAlarm().add(p, y), DriftAlarm()
    for some in np.array_split(np.arange(9000), 7):
        parts.add(p[some], y[some])
    assert parts.rang_at == whole.rang_at
    assert parts.evidence == pytest.approx(whole.evidence)
    assert parts.n_rows == 9000


def test_evidence_is_the_likelihood_ratio() -> None:
    p, y = np.array([0.2, 0.5, 0.01]), np.array([1, 0, 0])
    alarm = DriftAlarm().add(p, y)
    odds = (p / (1 - p))[:, None] * np.exp(alarm.shifts)
    q = odds / (1 + odds)
    ratios = np.where(y[:, None] == 1, q / p[:, None], (1 - q) / (1 - p[:, None])).prod(0)
    assert alarm.evidence == pytest.approx(np.log(ratios.mean()))


def test_probabilities_of_none_and_all_are_borne() -> None:
    alarm = DriftAlarm().add([0.0, 1.0, 0.0, 1.0], [0, 1, 1, 0])
    assert np.isfinite(alarm.evidence)
    assert alarm.n_rows == 4


def test_bad_rows_are_refused() -> None:
    with pytest.raises(DataError, match="between 0 and 1"):
        DriftAlarm().add([1.5], [1])
    with pytest.raises(DataError, match="alpha"):
        DriftAlarm(alpha=1.0)
