"""Was it worth learning? How MCNet is fitted: a start, a trial on rows held out, and then on all.

Letters: n rows, F fields.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch

from etalage.calibrate.bases import Bases, Codes, rows_of
from etalage.calibrate.calibrator import Calibrator, Floats
from etalage.calibrate.distinct import DistinctRows
from etalage.calibrate.fields import FieldEffects
from etalage.calibrate.integral import ExactIntegral
from etalage.calibrate.mcnet import BalanceKind, Pairs
from etalage.calibrate.neural import Balance, Batch, Plan, learn, losses

WIDTH = 4
"""Of a vector, where there are several fields."""
EPOCHS, RATE = 4, 0.01
HELD_OUT = 0.1
"""Share of the rows that say whether it was worth it."""
DRAWN = 1 << 15
"""Rows to draw batches from, at least: of those that are there a hundred times, parts."""
FEW_ROWS = 2000
"""Below this many rows there is nothing to hold out."""


class Found(NamedTuple):
    """What MCNet keeps."""

    bases: Bases
    mass: Floats  # (M,)
    codes: list[Codes]  # (V,) of each field
    shapes: list[Floats]  # (V, K) of each field
    pairs: Pairs | None
    is_worth_it: bool


class _Start:
    """What `FieldEffects` finds, as a network that is the same."""

    def __init__(self, rows: DistinctRows, curve: Calibrator, n_fields: int, seed: int) -> None:
        plain = FieldEffects(curve)
        plain.fit(rows.x, rows.y, rows.codes[:, :n_fields], rows.scales)
        assert plain.bases is not None
        self.curve, self.bases, self.codes = curve, plain.bases, plain.codes
        self.mass = plain.bases.mass(curve.logit(rows.x), rows.scales)
        torch.manual_seed(seed)
        width = WIDTH if n_fields > 1 else 0
        self.network = ExactIntegral(plain.bases, self.mass, plain.effects, width)
        self.plan = Plan(EPOCHS, RATE, seed=seed)
        self.rows = self.batch(rows.split(DRAWN))
        self.network.count(self.rows)

    def batch(self, rows: DistinctRows) -> Batch:
        """Rows of values in place of codes, and logits of the curve; values of a column that is
        only balanced are counted as they come."""
        known = list(self.codes)
        if rows.codes.shape[1] > len(known):
            only = rows.codes[:, -1]
            known.append(np.unique(only[only >= 0]))
        codes = [rows_of(of, column) for of, column in zip(known, rows.codes.T, strict=True)]
        return Batch.of(self.curve.logit(rows.x), np.stack(codes, 1), rows.y, rows.scales)

    def found(self, is_worth_it: bool) -> Found:
        pairs = self.network.paired() if is_worth_it else None
        shapes = self.network.shapes()
        return Found(self.bases, self.mass, self.codes, shapes, pairs, is_worth_it)


def found(
    rows: DistinctRows, curve: Calibrator, balance: float, balance_kind: BalanceKind, seed: int
) -> Found:
    """Fits to rows; with `balance`, their last column is that whose values are balanced."""
    n_fields = rows.codes.shape[1] - bool(balance)
    asked = Balance(balance_kind, balance, -1) if balance else None
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        is_worth_it = False
        if rows.scales.sum() >= FEW_ROWS:
            seen, unseen = rows.parted(HELD_OUT, np.random.default_rng(seed))
            trial = _Start(seen, curve, n_fields, seed)
            is_worth_it = _gains(trial, trial.batch(unseen), asked)
        start = _Start(rows, curve, n_fields, seed)
        if is_worth_it:
            learn(start.network, start.rows, start.plan, balance=asked)
        return start.found(is_worth_it)


def _gains(trial: _Start, held: Batch, balance: Balance | None) -> bool:
    """Whether rows held out gain by learning, by more than one standard error. Balance, which grows
    with rows, is counted on those that were seen."""
    before = losses(trial.network, held)
    lacked = 0.0 if balance is None else balance.look(trial.network, trial.rows)
    learn(trial.network, trial.rows, trial.plan, balance=balance)
    gain = before - losses(trial.network, held)
    mass = held.weights.double().numpy()
    mean = float(mass @ gain / mass.sum())
    error = np.sqrt(mass @ (gain - mean) ** 2 / mass.sum() / (mass.sum() * held.worth))
    lacks = 0.0 if balance is None else balance.look(trial.network, trial.rows)
    return bool(mean + lacked - lacks > error)
