"""Which ids are likeliest, when only ids that exist may be written? Beam search along a trie.

Letters: B people, K beams, l codes written so far, V codes of a level, W most children of a node.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from etalage.errors import DataError
from etalage.tokenize.trie import Trie

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
        children, codes = trie.children(level, nodes.ravel())
        shape = (*nodes.shape, children.shape[1])
        children, codes = children.reshape(shape), np.maximum(codes, 0).reshape(shape)  # (B, K, W)
        is_open = children >= 0
        logits = np.take_along_axis(step(prefixes, parent), codes, axis=2)  # (B, K, W)
        gained = logits if normalised else _log_softmax(np.where(is_open, logits, -np.inf))
        if alive is not None:
            rows = row[:, :, None] if len(alive[level]) > 1 else 0
            is_open &= alive[level][rows, children]
        totals = np.where(is_open, scores[:, :, None] + gained, -np.inf).reshape(n_people, -1)
        kept = _largest(totals, n_beams)  # (B, K')
        parent = kept // shape[2]
        scores = totals[row, kept].astype(np.float32)
        is_live = scores > -np.inf
        nodes = np.where(is_live, children.reshape(n_people, -1)[row, kept], -1)
        code = np.where(is_live, codes.reshape(n_people, -1)[row, kept], 0)
        prefixes = np.concatenate([prefixes[row, parent], code[:, :, None]], axis=2)
    items = np.where(nodes >= 0, trie.items[nodes], np.int32(-1))
    order = np.lexsort((items, -scores), axis=1)
    return items[row, order], scores[row, order]


def _log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Over the last axis, where -inf is no choice; rows without a choice stay -inf."""
    peak = logits.max(-1, keepdims=True)
    peak[peak == -np.inf] = 0
    shifted = logits - peak
    total = np.exp(shifted).sum(-1, keepdims=True)
    return shifted - np.log(np.where(total > 0, total, 1))


def _largest(totals: NDArray[np.floating], n_beams: int) -> NDArray[np.int64]:
    """Columns of the largest entries of each row, best first; as many as the fullest row has."""
    n_kept = min(n_beams, int((totals > -np.inf).sum(1).max(initial=1)))
    if n_kept < totals.shape[1]:
        columns = np.argpartition(-totals, n_kept - 1, axis=1)[:, :n_kept]
    else:
        columns = np.tile(np.arange(n_kept), (len(totals), 1))
    order = np.lexsort((columns, -np.take_along_axis(totals, columns, 1)), axis=1)
    return np.take_along_axis(columns, order, axis=1)
