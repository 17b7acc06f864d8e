"""How is one request answered? Encode, retrieve, rank, calibrate; with numpy and ONNX alone.

Letters: L history length, N items, D width, C candidates, k places.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etalage.calibrate import Calibrator
from etalage.errors import BundleError
from etalage.serve.bundle import read_manifest
from etalage.serve.runtime.calibration import CalibrationFields, read_calibrator
from etalage.serve.runtime.catalogue import Catalogue, Visitors
from etalage.serve.runtime.features import RankingFeatures
from etalage.serve.runtime.networks import session
from etalage.serve.runtime.retrieval import retrieval_of

LOG = logging.getLogger("etalage.serve")
N_REASONS = 3
"""Most history items named as the reason for an item."""


@dataclass
class Answer:
    """One list: items int32 (k,), what orders them, and what it cost."""

    items: NDArray[np.int32]
    scores: NDArray[np.float32]
    probabilities: NDArray[np.float64] | None
    milliseconds: dict[str, float] = field(default_factory=dict)
    degraded: str | None = None
    """Which stage failed, so that the list is not what it should be; None when all is well."""


class Engine:
    """A bundle in memory. Safe to share between threads: nothing changes after loading."""

    def __init__(self, folder: Path) -> None:
        """Loads a bundle; BundleError when a file is missing, changed or cannot be read."""
        self.manifest = read_manifest(folder)
        try:
            self._load(folder)
            self._check()
        except BundleError:
            raise
        except Exception as error:
            # onnxruntime raises classes of its own, and what is wrong in a file can break anything
            raise BundleError(
                f"the bundle {folder} cannot be served: {type(error).__name__}: {error}; "
                "export it again with: etalage export"
            ) from error

    def _load(self, folder: Path) -> None:
        self.catalogue = Catalogue.load(folder)
        self.visitors = Visitors.load(folder)
        self.vectors = np.load(folder / "item_vectors.npy", allow_pickle=False)  # (N, D)
        lengths = np.linalg.norm(self.vectors, axis=1)
        self.lengths = np.maximum(lengths, 1e-12)
        self.popular = np.load(folder / "popular.npy", allow_pickle=False)
        self.encoder = session(folder / "encoder.onnx")
        self.history_length = int(self.manifest["history_length"])
        self.retrieve = retrieval_of(folder, self.vectors)
        self.ranker = self.features = None
        self.calibrator: Calibrator | None = None
        self.fields = CalibrationFields()
        if (folder / "ranker.onnx").exists():
            self.ranker = session(folder / "ranker.onnx")
            self.features = RankingFeatures.load(folder / "features")
        if (folder / "calibrator.json").exists():
            path = folder / "calibrator.json"
            self.calibrator, self.fields = read_calibrator(path, self.features)
        self.n_candidates = int(self.manifest["n_candidates"])
        self.hides_seen = self.manifest["repeats"] == "hide"
        self.ranker_orders = self.manifest["order"] == "ranker"
        if self.ranker_orders and self.ranker is None:
            raise ValueError("the order is that of a ranker, and ranker.onnx is missing")

    def _check(self) -> None:
        """Raises ValueError where parts do not fit together, or a first question has no answer."""
        n_items = len(self.catalogue.ids)
        if self.vectors.ndim != 2 or len(self.vectors) != n_items:
            raise ValueError(f"item_vectors.npy is {self.vectors.shape}, of {n_items:,} items")
        if not np.isfinite(self.vectors).all():
            raise ValueError("item_vectors.npy holds values that are not finite")
        if not np.array_equal(np.sort(self.popular), np.arange(n_items)):
            raise ValueError("popular.npy does not list every item once")
        self.catalogue.check()
        self.visitors.check(n_items)
        answer = self.recommend(self.popular[:2], 20)
        if answer.degraded is not None:
            raise ValueError(f"{answer.degraded} for a first question; the log says why")

    def recommend(
        self,
        history: NDArray[np.int32],
        k: int,
        *,
        exclude: NDArray[np.int32] | None = None,
        context: Mapping[str, Any] | None = None,
    ) -> Answer:
        """The k best items for a history, oldest first, int32 (any length).

        Nothing of the history is shown again, unless the bundle says that repeats are welcome.
        Without a history, what is popular is shown.
        """
        clock = Clock()
        hidden = history if self.hides_seen else history[:0]
        if exclude is not None:
            hidden = np.concatenate([hidden, exclude])
        degraded = None
        reorders = self.ranker_orders and len(history) > 0
        n = max(k, self.n_candidates) if reorders else k
        if len(history):
            try:
                state = self._encode(history)
                clock.lap("encode")
                items, scores = self.retrieve(state, n, hidden)
            except Exception:  # a visitor must see a window, whatever broke
                degraded = "retrieval failed"
                LOG.exception(degraded)
                items, scores = self._popular(k, hidden)
        else:
            items, scores = self._popular(k, hidden)
        clock.lap("retrieve")
        probabilities = None
        if self.ranker is not None and len(items):
            try:
                rows = self.rows(history, items, context)
                logits, categories = self.logits(rows), rows["categories"]
                clock.lap("rank")
                if reorders:
                    order = (-logits).argsort(kind="stable")[:k]
                    items, scores, logits = items[order], logits[order], logits[order]
                    categories = categories[order]
                probabilities = self.probability(logits, categories)
                clock.lap("calibrate")
            except Exception:  # then in the order of what came before
                degraded = degraded or "ranking failed"
                LOG.exception("ranking failed")
        return Answer(items[:k], scores[:k], probabilities, clock.laps, degraded)

    def rows(
        self,
        history: NDArray[np.int32],
        items: NDArray[np.int32],
        context: Mapping[str, Any] | None = None,
    ) -> dict[str, NDArray[Any]]:
        """What the ranker reads of items (C,), where the bundle has a ranker."""
        assert self.features is not None
        return self.features.rows(history, items, context or {})

    def logits(self, rows: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Ranker logits (C,) of what `rows` gave."""
        assert self.ranker is not None
        logits: NDArray[np.float32] = self.ranker.run(["logit"], rows)[0]
        return logits

    def probability(
        self, logits: NDArray[np.float32], categories: NDArray[np.int32]
    ) -> NDArray[np.float64] | None:
        """Calibrated click probabilities of logits (C,) and the `categories` of the same rows; None
        where the bundle has no calibrator."""
        if self.calibrator is None:
            return None
        return self.calibrator.probability(logits, self.fields.context(categories))

    def reasons(
        self, history: NDArray[np.int32], items: NDArray[np.int32]
    ) -> list[list[tuple[int, float]]]:
        """For each item, the nearest items of a history and their cosines, nearest first."""
        past = np.array(list(dict.fromkeys(history[-self.history_length :].tolist())), np.int64)
        likeness = self.vectors.take(items, 0) @ self.vectors.take(past, 0).T  # (k, L)
        likeness /= self.lengths.take(items)[:, None] * self.lengths.take(past)
        nearest = (-likeness).argsort(1)[:, :N_REASONS]
        cosines = likeness[np.arange(len(items))[:, None], nearest].tolist()
        return [
            [(item, cosine) for item, cosine in zip(*row, strict=True) if cosine > 0]
            for row in zip(past.take(nearest).tolist(), cosines, strict=True)
        ]

    def _encode(self, history: NDArray[np.int32]) -> NDArray[np.float32]:
        newest = history[None, -self.history_length :].astype(np.int64)
        state: NDArray[np.float32] = self.encoder.run(["state"], {"history": newest})[0][0]
        if not np.isfinite(state).all():  # no score would be one, and the window empty
            raise ValueError("the encoder gives a state that is not finite")
        return state

    def _popular(
        self, n: int, hidden: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        newest = self.popular[: n + len(hidden)]
        items = newest[~np.isin(newest, hidden)][:n].astype(np.int32)
        return items, -np.arange(len(items), dtype=np.float32)


class Clock:
    """Milliseconds between laps."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self.last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = 1000 * (now - self.last)
        self.last = now
