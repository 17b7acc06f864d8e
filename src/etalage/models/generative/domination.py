"""Which knowledge do the codes speak of? Diagnostics of codes made of two blocks of vectors.

Quantising two blocks side by side may serve one and forget the other; the paper (arXiv 2502.06269)
calls it semantic domination. Letters: N items, D width of a block, L levels.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from etalage.language.projection import unit_rows
from etalage.tokenize.neighbours import nearest_items

N_NEIGHBOURS = 20


@dataclass(frozen=True)
class BlockReport:
    """What codes keep of one block."""

    overlap: float
    """Share of an item's 20 nearest by the block that share at least two leading codes."""
    likeness: float
    """Linear CKA of the block with what was quantised, 0 to 1."""
    explained: float
    """Share of the block's variance that what the codes stand for reproduces, at most 1."""


def block_reports(
    codes: NDArray[np.int32],
    blocks: Mapping[str, NDArray[np.float32]],
    said: NDArray[np.float32],
) -> dict[str, dict[str, float]]:
    """Reports each block float32 (N, D) of items with codes (N, L).

    Side by side the blocks are what was quantised, (N, E); `said` (N, E) is what its codes stand
    for.
    `domination` of a block is its overlap over the largest of the others; above 2, the others are
    hardly spoken of.
    """
    quantised = np.hstack(list(blocks.values()))
    ends = np.cumsum([block.shape[1] for block in blocks.values()])
    reports = {}
    for (name, block), part in zip(blocks.items(), np.split(said, ends[:-1], 1), strict=True):
        report = BlockReport(
            _overlap(codes, block), _cka(block, quantised), _explained(block, part)
        )
        reports[name] = asdict(report)
    for name, found in reports.items():
        others = [other["overlap"] for key, other in reports.items() if key != name]
        found["domination"] = found["overlap"] / max([*others, 1e-12]) if others else 1.0
    return reports


def _overlap(codes: NDArray[np.int32], block: NDArray[np.float32]) -> float:
    group = np.unique(codes[:, :2], axis=0, return_inverse=True)[1].ravel()
    asked, near = nearest_items(unit_rows(block), N_NEIGHBOURS)
    return float((group[near] == group[asked, None]).mean()) if near.size else 1.0


def _cka(one: NDArray[np.float32], two: NDArray[np.float32]) -> float:
    """|A'B|^2 / (|A'A| |B'B|) of centred columns (Kornblith et al., 2019, 1905.00414)."""
    a, b = (x - x.mean(0, dtype=np.float64) for x in (one, two))
    across, own = np.linalg.norm(a.T @ b) ** 2, np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b)
    return float(across / own) if own > 0 else 0.0


def _explained(block: NDArray[np.float32], said: NDArray[np.float32]) -> float:
    total = ((block - block.mean(0, dtype=np.float64)) ** 2).sum()
    left = ((block - said) ** 2).sum(dtype=np.float64)
    return float(1 - left / total) if total > 0 else 1.0
