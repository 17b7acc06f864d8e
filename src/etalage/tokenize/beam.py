"""Which ids are likeliest, when only ids that exist may be written? Beam search along a trie.

Letters: B people, K beams, l codes written so far, V codes of a level, W most children of a node.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from etalage.errors import DataError
from etalage.tokenize.trie import Trie

LEAST = np.finfo(np.float32).min
Step = Callable[[NDArray[np.int32], NDArray[np.int64]], NDArray[np.float32]]
"""Prefixes int32 (B, K, l) -> logits of the next code, float32 (B, K, V).

With them goes which beam of the step before each one came of, int64 (B, K), for models that keep
what they computed; nothing is ever moved.
"""


def beam_search(
    step: Step,
    trie: Trie,
    n_people: int,
    n_beams: int,
    wanted: NDArray[np.bool_] | None = None,
    *,
    normalised: bool = False,
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Returns the likeliest items, best first: log p(i) is the sum over the levels of its code.

    Only children in the trie are ever considered, so no beam is spent on an id that does not exist,
    and none on a prefix whose items are all unwanted. The softmax of a node is over its children,
    wanted or not, so the probabilities of the whole catalogue add up to one. With as many beams as
    items nothing is dropped, and the answer is that of scoring every item.

    Args:
        step: the model; beams that lead nowhere are given as code 0.
        trie: the ids that exist.
        n_people: B.
        n_beams: K at most, and most items of an answer.
        wanted: bool (B, N), or (1, N) for everyone: items that may be answered; None allows all.
        normalised: the model gives log-probabilities, of a softmax over more than the children.

    Returns:
        items (B, <= n_beams), as many as someone has, and their log-probabilities; -1 and -inf
        where there are no more. Equal scores are ordered by item index.
    """
    if n_beams < 1:
        raise DataError(f"n_beams must be at least 1; got {n_beams}")
    alive = None if wanted is None else trie.alive(wanted)
    row = np.arange(n_people)[:, None]
    nodes = np.zeros((n_people, 1), dtype=np.int64)  # (B, K)
    scores = np.zeros((n_people, 1), dtype=np.float32)  # (B, K)
    prefixes = np.zeros((n_people, 1, 0), dtype=np.int32)  # (B, K, l)
    parent = np.zeros((n_people, 1), dtype=np.int64)
    for level in range(trie.n_levels):
        logits = step(prefixes, parent)  # (B, K, V)
        children, codes = trie.children(level, nodes.ravel())  # (B K, W)
        width = children.shape[1]
        # one index into all logits; the -1 of a child that is not there hits some other, unread
        entry = codes + logits.shape[2] * np.arange(len(codes))[:, None]
        gained = logits.ravel().take(entry)  # (B K, W)
        np.copyto(gained, -np.inf, where=children < 0)
        if not normalised:
            gained = _log_softmax(gained)
        gained = gained.reshape(n_people, -1)  # (B, K W)
        children, codes = children.reshape(gained.shape), codes.reshape(gained.shape)
        totals = scores.repeat(width, axis=1) + gained
        if alive is not None:
            rows = row if len(alive[level]) > 1 else 0
            np.copyto(totals, -np.inf, where=~alive[level][rows, children])
        kept = _largest(totals, n_beams)  # (B, K')
        parent = kept // width
        scores = totals[row, kept]
        is_live = scores > -np.inf
        nodes = np.where(is_live, children[row, kept], -1)
        code = np.where(is_live, codes[row, kept], 0)
        prefixes = np.concatenate([prefixes[row, parent], code[:, :, None]], axis=2)
    items = np.where(nodes >= 0, trie.items[nodes], np.int32(-1))
    order = np.lexsort((items, -scores), axis=1)
    return items[row, order], scores[row, order]


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Over the last axis, where -inf is no choice; rows without a choice stay -inf."""
    shifted = logits - np.maximum(logits.max(-1, keepdims=True), LEAST)
    total: NDArray[np.float32] = np.exp(shifted).sum(-1, keepdims=True)
    return shifted - np.log(np.maximum(total, 1))  # the peak itself is exp(0)


def _largest(totals: NDArray[np.float32], n_beams: int) -> NDArray[np.int64]:
    """Columns of the largest entries of each row, best first; as many as the fullest row has."""
    n_kept = min(n_beams, int((totals > -np.inf).sum(1).max(initial=1)))
    row = np.arange(len(totals))[:, None]
    columns = np.argpartition(-totals, min(n_kept, totals.shape[1] - 1), axis=1)[:, :n_kept]
    columns.sort(axis=1)  # equals in the order of their columns
    order = np.argsort(-totals[row, columns], axis=1, kind="stable")
    return columns[row, order]
