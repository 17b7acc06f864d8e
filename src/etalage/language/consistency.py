"""Does an answer speak of the item it was asked about? If not, the item's own text is safer.

A title can be written so that a model describes something else, and its item then stands among
what is popular. Letters: N items, D width.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from etalage.errors import DataError


def is_consistent(
    raw: NDArray[np.float32], answers: NDArray[np.float32], share: float = 0.01
) -> NDArray[np.bool_]:
    """Returns bool (N,): whether an answer is about as near its item's text as answers are.

    False for the share of answers that are least like what they were made from, by the cosine of
    their vectors; a row of zeros is like nothing.

    Args:
        raw: vectors (N, D) of the items' own texts.
        answers: vectors (N, D) of the answers, by the same encoder.

    Raises:
        DataError: when the shapes differ.

    >>> rows = np.eye(3, dtype=np.float32)
    >>> is_consistent(rows, rows[[0, 1, 0]]).tolist()
    [True, True, False]
    """
    if raw.shape != answers.shape or raw.ndim != 2:
        raise DataError(f"raw has shape {raw.shape} and answers {answers.shape}; expected (N, D)")
    if not len(raw):
        return np.zeros(0, bool)
    sizes = np.linalg.norm(raw, axis=1) * np.linalg.norm(answers, axis=1)
    cosines = np.einsum("nd,nd->n", raw, answers) / np.where(sizes > 0, sizes, 1)
    found: NDArray[np.bool_] = cosines >= np.quantile(cosines, share)
    return found
