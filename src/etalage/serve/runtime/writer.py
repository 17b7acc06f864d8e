"""How does a generator answer? It writes the ids of items, code by code, along those that exist.

Letters: N items, D width, K beams, T tokens, l levels, V codes of a level.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from etalage.serve.runtime.networks import session
from etalage.tokenize.beam import Step, beam_search
from etalage.tokenize.trie import Trie

SOFTMAXES = ("children", "level", "vocabulary")


@dataclass(frozen=True)
class Writer:
    """The score of an item is log p of its codes, of which beams write the likeliest."""

    network: onnxruntime.InferenceSession  # said (K, D) -> ready (K, D)
    trie: Trie
    said: NDArray[np.float32]  # (T, D), what a code adds to what was said
    table: NDArray[np.float32]  # (T, D), what is compared with it
    levels: NDArray[np.float32]  # (l, D)
    firsts: NDArray[np.int32]  # (l + 1,), level j has the tokens firsts[j] to firsts[j + 1]
    softmax: str
    n_beams: int

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Reads `writer.onnx`, `writer.npz` and `codes.npy`; ValueError where they do not fit."""
        trie = Trie(np.load(folder / "codes.npy", allow_pickle=False))
        with np.load(folder / "writer.npz", allow_pickle=False) as file:
            said, table, levels, firsts = (file[n] for n in ("said", "table", "levels", "firsts"))
            softmax, n_beams = str(file["softmax"]), int(file["n_beams"])
        if tuple(np.diff(firsts).tolist()) != trie.sizes or len(levels) != trie.n_levels:
            raise ValueError(f"writer.npz has levels {firsts.tolist()}, codes.npy {trie.sizes}")
        if not said.shape == table.shape == (firsts[-1], levels.shape[1]):
            raise ValueError(f"said is {said.shape} and table {table.shape} in writer.npz")
        if not all(np.isfinite(part).all() for part in (said, table, levels)):
            raise ValueError("writer.npz holds values that are not finite")
        if softmax not in SOFTMAXES or n_beams < 1:
            raise ValueError(f"writer.npz has softmax {softmax!r} and {n_beams} beams")
        network = session(folder / "writer.onnx")
        return cls(network, trie, said, table, levels, firsts, softmax, n_beams)

    def __call__(
        self, state: NDArray[np.float32], n: int, hidden: NDArray[np.int32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The n likeliest items after a state (D,), as `Retrieval` tells; ValueError for no number.

        No beam is spent on hidden items.
        """
        wanted = np.ones((1, self.trie.n_items), dtype=bool)
        wanted[0, hidden] = False
        items, scores = beam_search(
            self._step(state),
            self.trie,
            1,
            min(max(n, self.n_beams), self.trie.n_items),
            wanted,
            normalised=self.softmax != "children",
        )
        n_found = min(n, int((items[0] >= 0).sum()))
        if not n_found and wanted.any():
            raise ValueError("the writer gives logits that are no numbers")
        return items[0, :n_found], scores[0, :n_found]

    def _step(self, state: NDArray[np.float32]) -> Step:
        def step(prefixes: NDArray[np.int32], parents: NDArray[np.int64]) -> NDArray[np.float32]:
            level = prefixes.shape[2]
            codes = self.said[prefixes[0] + self.firsts[:level]]  # (K, level, D)
            said = codes.sum(1) + (state + self.levels[level])
            ready = self.network.run(["ready"], {"said": said})[0]
            return self._logits(ready, level)[None]

        return step

    def _logits(self, ready: NDArray[np.float32], level: int) -> NDArray[np.float32]:
        """Logits of a level (K, V); log-probabilities where more than children compete."""
        of_level = slice(self.firsts[level], self.firsts[level + 1])
        if self.softmax == "vocabulary":
            return _log_softmax(ready @ self.table.T)[:, of_level]
        logits: NDArray[np.float32] = ready @ self.table[of_level].T
        return logits if self.softmax == "children" else _log_softmax(logits)


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    shifted = logits - logits.max(1, keepdims=True)
    total: NDArray[np.float32] = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return total
