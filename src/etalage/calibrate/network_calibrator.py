"""How does any network become a calibrator? One to be compared with: torch in `fit` and `logit`.

It learns from nine tenths of the rows, and keeps the epoch that was best on the others.

Letters: n rows, F fields.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import ArrayLike

from etalage.calibrate.bases import Codes, rows_of
from etalage.calibrate.calibrator import Calibrator, Floats, checked_logits, checked_rows
from etalage.calibrate.fields import checked_context
from etalage.calibrate.neural import Balance, Batch, Curve, Plan, learn
from etalage.calibrate.summary import LogitSummary

HELD_OUT = 0.1
Arguments = dict[str, Any]


class NetworkCalibrator(Calibrator):
    """A calibrator that is a network; the context has a column a field, or is left out."""

    plan: ClassVar[Plan] = Plan(epochs=10, rate=3e-3)
    network_type: ClassVar[type[Curve]]

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self.network: Curve | None = None
        self.codes: list[Codes] = []
        self.arguments: Arguments = {}

    def fit(
        self,
        logits: ArrayLike,
        clicks: ArrayLike,
        context: ArrayLike | None = None,
        weights: ArrayLike | None = None,
    ) -> Self:
        x, y, scales = checked_rows(logits, clicks, weights)
        columns = np.zeros((0, len(x)), np.int64)
        if context is not None:
            columns = checked_context(context, len(x))
        self.codes = [np.unique(codes[codes >= 0]) for codes in columns]
        rows = Batch.of(x, self._rows(columns, len(x)), y, scales)
        rng = np.random.default_rng(self.seed)
        held = torch.tensor(rng.random(len(x)) < HELD_OUT)
        seen, unseen = rows.take(~held), rows.take(held)
        self.arguments = self.prepared(seen)
        with torch.random.fork_rng(devices=[]), torch.enable_grad():
            torch.manual_seed(self.seed)
            self.network = self.network_type(**self.arguments)
            learn(self.network, seen, self.plan, held=unseen, balance=self.balanced())
        return self

    def prepared(self, rows: Batch) -> Arguments:
        """Arguments of the network, as JSON has them."""
        raise NotImplementedError

    def balanced(self) -> Balance | None:
        """What is asked of a field besides."""
        return None

    def learn(self, summary: LogitSummary) -> Self:
        x, came, weights = summary.rows().labelled()
        return self.fit(x, came, weights=weights)

    def logit(self, logits: ArrayLike, context: ArrayLike | None = None) -> Floats:
        if self.network is None:
            raise self.not_fitted()
        x = torch.tensor(checked_logits(logits), dtype=torch.float32)
        columns = np.zeros((0, len(x)), np.int64)
        if self.codes:
            columns = checked_context(context, len(x), len(self.codes))
        codes = torch.tensor(self._rows(columns, len(x)))
        found: Floats = self.network.logits_of(x, codes).double().numpy()
        return found

    def to_dict(self) -> dict[str, Any]:
        if self.network is None:
            raise self.not_fitted()
        state = {name: value.tolist() for name, value in self.network.state_dict().items()}
        codes = [known.tolist() for known in self.codes]
        return {"kind": self.kind, "codes": codes, "arguments": self.arguments, "state": state}

    @classmethod
    def from_dict(cls, facts: dict[str, Any]) -> Self:
        fitted = cls()
        fitted.codes = [np.array(codes, dtype=np.int64) for codes in facts["codes"]]
        fitted.arguments = facts["arguments"]
        fitted.network = cls.network_type(**fitted.arguments)
        state = {name: torch.tensor(value) for name, value in facts["state"].items()}
        fitted.network.load_state_dict(state)
        return fitted

    def _rows(self, columns: Codes, n_rows: int) -> Codes:
        """Rows of values (n, F), 0 for one not seen."""
        rows = [rows_of(known, codes) for known, codes in zip(self.codes, columns, strict=True)]
        return np.stack(rows, 1) if rows else np.zeros((n_rows, 0), np.int64)

    @property
    def sizes(self) -> list[int]:
        """Values of each field."""
        return [len(known) for known in self.codes]
