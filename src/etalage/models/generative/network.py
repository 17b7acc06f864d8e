"""What do networks that write ids have in common? Tokens, the softmax of a code, the question.

An item is L tokens, one a level. A network reads histories and gives, for the codes written so far,
the logits of the next one; how it does so is what its file is about.
Letters: B people, T history length, P positions, L levels, l codes written, K beams, D width,
V codes of a level.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from etalage.layers.dropout import Dropout
from etalage.models.sequential.batches import Sequences
from etalage.tokenize.semantic_ids import SemanticIds
from etalage.tokenize.trie import Trie

if TYPE_CHECKING:
    from etalage.models.generative.tiger import TIGERConfig
    from etalage.tokenize.beam import Step

START, END = 0, 1
"""Tokens that are no code: the one before all, and the one after a history that is read whole."""
N_SPECIAL = 2


@dataclass(frozen=True)
class Spelled:
    """What a network made of the items of a batch that it was asked for."""

    surprise: Tensor
    """Mean of -log p(item), a scalar."""
    items: Tensor  # int64 (P,)
    states: Tensor  # (P, D), what a network knows of the history, before it writes
    summaries: Tensor  # (P, D), the same after it has written all codes of the item


class CodeNetwork(nn.Module):
    """Writes the codes of the next item, level by level."""

    batches_of: ClassVar[type[Sequences]] = Sequences
    """What a batch is: everyone's history with all positions asked, or one question a row."""
    rows_at_once: ClassVar[int] = 2**15
    """Beams of all people that are searched together; fewer where each has keys of its own."""
    tokens: Tensor

    def __init__(self, ids: SemanticIds, config: TIGERConfig) -> None:
        super().__init__()
        self.codes = ids.codes
        self.trie = Trie(ids.codes)
        self.softmax = config.softmax
        firsts = N_SPECIAL + np.cumsum([0, *self.trie.sizes])  # level l: firsts[l]:firsts[l + 1]
        self.firsts: list[int] = firsts.tolist()
        tokens = torch.from_numpy(ids.codes + firsts[:-1])  # (N, L)
        self.register_buffer("tokens", tokens, persistent=False)
        n_children = [
            np.diff(offsets)[self.trie.walk(ids.codes[:, :level])]
            for level, offsets in enumerate(self.trie.offsets)
        ]  # L of (N,), codes that may follow those of an item up to a level
        self.has_siblings = torch.from_numpy(np.stack(n_children, 1) > 1)  # (N, L)
        self.table = nn.Embedding(self.firsts[-1], config.width)  # what is read, and written next
        nn.init.normal_(self.table.weight, std=0.02)
        self.drop = Dropout(config.dropout)

    def asked(self, history: Tensor) -> Tensor:
        """Which entries of a batch int64 (B, T) are to be foretold, bool (B, T)."""
        return history >= 0

    @abstractmethod
    def spell(self, history: Tensor) -> Spelled:
        """Reads a batch of histories int64 (B, T), left-padded with -1, and says how they go on."""

    @abstractmethod
    def reader(self, history: Tensor, n_beams: int) -> Step:
        """Reads histories int64 (B, T) once, for the search of what comes next."""

    def logits(self, states: Tensor, level: int) -> Tensor:
        """States (..., D) that are ready to write -> (..., V) of a level.

        Log-probabilities where the softmax is over the level or the vocabulary; over children,
        the softmax is left to who knows the codes before.
        """
        level_rows = slice(self.firsts[level], self.firsts[level + 1])
        if self.softmax == "vocabulary":
            everything = (states @ self.table.weight.T).float()
            return everything.log_softmax(-1)[..., level_rows]
        logits = (states @ self.table.weight[level_rows].T).float()
        return logits if self.softmax == "children" else logits.log_softmax(-1)

    def open_rows(self, items: Tensor, level: int) -> Tensor:
        """Which of the items (P,) have a code at a level that may surprise, int64 (<= P,).

        Over children, the only child of a node is certain, and that is most items at a last level.
        """
        if self.softmax == "children":
            return self.has_siblings[items, level].nonzero()[:, 0]
        return torch.arange(len(items))

    def surprise(self, logits: Tensor, codes: NDArray[np.int32], level: int) -> Tensor:
        """Sum of -log p of the codes of a level, given logits (P, V) and all codes (P, L)."""
        asked = torch.from_numpy(codes[:, level]).long()
        if self.softmax == "children":
            exists = torch.from_numpy(self.trie.allowed(codes[:, :level]))  # (P, V)
            logits = logits.masked_fill(~exists, -torch.inf)
            return nn.functional.cross_entropy(logits, asked, reduction="sum")
        return nn.functional.nll_loss(logits, asked, reduction="sum")

    def written(self, prefixes: NDArray[np.int32]) -> Tensor:
        """Tokens of codes written (B, K, l): int64 (B, K, l)."""
        firsts = np.array(self.firsts[: prefixes.shape[2]], dtype=np.int64)
        return torch.from_numpy(prefixes + firsts)


class Lineage:
    """Who descends from whom: which rows that were written each beam may look at."""

    def __init__(self, n_people: int) -> None:
        self.seen = torch.zeros((n_people, 1, 0), dtype=torch.bool)  # (B, K, rows so far)

    def add(self, parents: NDArray[np.int64]) -> Tensor:
        """Beams came of parents (B, K) and each wrote a row: bool (B, K, rows with the new)."""
        n_people, n_beams = parents.shape
        index = torch.from_numpy(parents)[:, :, None].expand(-1, -1, self.seen.shape[2])
        own = torch.eye(n_beams, dtype=torch.bool).expand(n_people, -1, -1)
        self.seen = torch.cat([self.seen.gather(1, index), own], 2)
        return self.seen
