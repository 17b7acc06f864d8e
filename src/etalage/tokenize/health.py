"""Are these ids any good? What to look at before a model is trained on them.

Letters: N items, L levels, K codes of a level, D width.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from etalage.errors import DataError
from etalage.recipe.config import Config
from etalage.seeds import generator
from etalage.tokenize.neighbours import nearest_items
from etalage.tokenize.quantizer import Quantizer

N_NEIGHBOURS = 20
HEAD = 0.1
"""Share of a level's codes that are its head."""
NAN = float("nan")


@dataclass(frozen=True)
class HealthReport:
    """Figures of one spelling, before equals were told apart; levels from coarse to fine.

    What was not asked for, or cannot be told, is NaN or empty.
    """

    n_items: int
    sizes: tuple[int, ...]
    """Codes that a level has."""
    perplexity: tuple[float, ...]
    """Codes in use at a level, counted by 2 ** entropy: K when all are used alike."""
    dead_codes: tuple[int, ...]
    """Codes of a level that no item has."""
    usage: tuple[float, ...]
    """Share of a level's codes that some item has."""
    entropy: tuple[float, ...]
    """Bits that a code of a level tells by itself."""
    conditional_entropy: tuple[float, ...]
    """Bits that a code tells when those before it are known."""
    prefixes: tuple[int, ...]
    """Distinct first 1, 2, ... codes: the nodes of the tree at each depth."""
    prefix_collisions: tuple[float, ...]
    """Share of items that have the first 1, 2, ... codes in common with another."""
    collision_rate: float
    """Share of items that have all codes in common with another item."""
    duplicate_rate: float
    """1 - distinct ids / N: share of items that need another id."""
    largest_collision: int
    """Items in the largest such group; 1 when there is none."""
    explained: tuple[float, ...] = ()
    """Share of the vectors' variance that codes up to a level reproduce, at most 1."""
    neighbour_agreement: float = NAN
    """Share of the 10 nearest items by vector that share the first code; NaN for one item."""
    chance_agreement: float = NAN
    """The same for items drawn at random: what `neighbour_agreement` must beat."""
    neighbour_preservation: float = NAN
    """Share of the 20 nearest items by vector that share at least the first half of the codes.

    Fewer prefixes in use raise it, and chance with it: compare multiples of chance, too."""
    chance_preservation: float = NAN
    """The same for items drawn at random."""
    purity: tuple[float, ...] = ()
    """Share of items that carry the commonest label of those with their first 1, 2, ... codes."""
    chance_purity: tuple[float, ...] = ()
    """The same after the labels are dealt anew."""
    traffic_perplexity: tuple[float, ...] = ()
    """As `perplexity`, of interactions: what a softmax over the codes sees."""
    head_traffic: tuple[float, ...] = ()
    """Share of interactions that the most popular tenth of a level's codes have."""
    consecutive_agreement: float = NAN
    """Share of items that follow each other and share the first code."""
    chance_consecutive: float = NAN
    """The same were what follows independent of what came before."""

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON-ready values, lists for tuples."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Takes back what `to_dict` gave."""
        fields: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in values.items()
        }
        return cls(**fields)


class HealthLimits(Config):
    """Figures at which ids are too poor to train on; None asks for nothing."""

    min_usage: float | None = Field(0.5, ge=0, le=1)
    """Least share of codes in use, at any level, of those that the items could use: no more than
    there are items, and after the first level those that are not told apart yet."""
    min_perplexity: float | None = Field(None, ge=0, le=1)
    """Least perplexity of any level as a share of its codes; 0.15 to 0.3 is normal at the first."""
    max_collision_rate: float | None = Field(0.5, ge=0, le=1)
    """Greatest share of items that share all codes before they are told apart."""
    max_largest_collision: int | None = Field(None, ge=1)
    """Greatest group of items that share all codes."""
    min_explained: float | None = Field(None, le=1)
    """Least share of variance that all codes reproduce."""
    min_neighbour_lift: float | None = Field(1.0, ge=0)
    """Least `neighbour_preservation` in multiples of chance; 1 is ids that say nothing."""


def check_health(
    quantizer: Quantizer,
    vectors: NDArray[np.float32],
    *,
    codes: NDArray[np.int32] | None = None,
    labels: NDArray[Any] | None = None,
    counts: NDArray[np.integer] | None = None,
    pairs: NDArray[np.integer] | None = None,
) -> HealthReport:
    """Spells the vectors float32 (N, D) with a fitted quantiser and measures the result.

    `codes` int32 (N, L), if given, are taken for those of the quantiser; the rest is as in
    `measure_codes`.
    """
    codes = quantizer.encode(vectors) if codes is None else codes
    spread = ((vectors - vectors.mean(0)) ** 2).sum(dtype=np.float64)
    missed = [
        ((vectors - quantizer.decode(codes[:, : level + 1])) ** 2).sum(dtype=np.float64)
        for level in range(codes.shape[1])
    ]
    # equal vectors have no variance, and any code reproduces it
    explained = tuple(float(1 - m / spread) if spread > 0 else 1.0 for m in missed)
    return measure_codes(
        codes,
        quantizer.sizes,
        vectors=vectors,
        explained=explained,
        labels=labels,
        counts=counts,
        pairs=pairs,
    )


def measure_codes(
    codes: NDArray[np.int32],
    sizes: tuple[int, ...],
    *,
    vectors: NDArray[np.float32] | None = None,
    explained: tuple[float, ...] = (),
    labels: NDArray[Any] | None = None,
    counts: NDArray[np.integer] | None = None,
    pairs: NDArray[np.integer] | None = None,
) -> HealthReport:
    """Measures codes int32 (N, L) wherever they come from; sizes (L,) are the codes of a level.

    `vectors` float32 (N, D) tell what is near; `labels` (N,) are categories of items; `counts` (N,)
    their interactions; `pairs` int (P, 2) items that someone took one after the other.
    DataError when one of these is of another number of items.
    """
    n_items, n_levels = codes.shape
    for name, given in (("vectors", vectors), ("labels", labels), ("counts", counts)):
        if given is not None and len(given) != n_items:
            raise DataError(f"{name} must have a row for each of {n_items} items; got {len(given)}")
    groups = _groups_by_depth(codes)
    bits = [_bits(np.bincount(group)) for group in groups]  # joint entropy of each depth
    used = [np.bincount(code, minlength=size) for code, size in zip(codes.T, sizes, strict=True)]
    crowd = [np.bincount(group) for group in groups]
    figures: dict[str, Any] = {}
    if vectors is not None:
        half = -(-n_levels // 2)
        asked, near = nearest_items(vectors, N_NEIGHBOURS)
        figures |= {
            "neighbour_agreement": _shared(near[:, :10], groups[0], asked),
            "chance_agreement": _chance(crowd[0], n_items),
            "neighbour_preservation": _shared(near, groups[half - 1], asked),
            "chance_preservation": _chance(crowd[half - 1], n_items),
        }
    if labels is not None:
        known = np.unique(labels, return_inverse=True)[1].ravel()
        dealt = generator(0, "purity").permutation(known)
        figures["purity"] = tuple(_purity(group, known) for group in groups)
        figures["chance_purity"] = tuple(_purity(group, dealt) for group in groups)
    if counts is not None:
        traffic = [
            np.bincount(code, counts, size) for code, size in zip(codes.T, sizes, strict=True)
        ]
        figures["traffic_perplexity"] = tuple(2 ** _bits(seen) for seen in traffic)
        figures["head_traffic"] = tuple(_head(seen) for seen in traffic)
    if pairs is not None and len(pairs):
        before, after = groups[0][pairs[:, 0]], groups[0][pairs[:, 1]]
        figures["consecutive_agreement"] = float((before == after).mean())
        n_first = len(crowd[0])
        by_chance = np.bincount(before, minlength=n_first) @ np.bincount(after, minlength=n_first)
        figures["chance_consecutive"] = float(by_chance / len(pairs) ** 2)
    entropy = tuple(_bits(count) for count in used)
    return HealthReport(
        n_items=n_items,
        sizes=tuple(sizes),
        perplexity=tuple(2**b for b in entropy),
        dead_codes=tuple(int((count == 0).sum()) for count in used),
        usage=tuple(float((count > 0).mean()) for count in used),
        entropy=entropy,
        conditional_entropy=tuple(np.diff(bits, prepend=0.0).tolist()),
        prefixes=tuple(map(len, crowd)),
        prefix_collisions=tuple(float(count[count > 1].sum() / n_items) for count in crowd),
        collision_rate=float(crowd[-1][crowd[-1] > 1].sum() / n_items),
        duplicate_rate=float(1 - len(crowd[-1]) / n_items),
        largest_collision=int(crowd[-1].max()),
        explained=explained,
        **figures,
    )


def check(report: HealthReport, limits: HealthLimits) -> None:
    """Raises DataError that names every figure past its limit, and what to do about it.

    A figure that was not measured (NaN, empty) is not judged.
    """
    kept, chance = report.neighbour_preservation, report.chance_preservation
    # where no two items share a prefix there is nothing to keep; of few items all are neighbours
    lift = round(kept / chance, 6) if chance else NAN
    # items that a level can tell apart: all, then those that were not alone and end so
    left = [1.0, *(share - report.collision_rate for share in report.prefix_collisions)]
    items = [max(round(share * report.n_items), 1) for share in left]
    able = [min(size, n) for size, n in zip(report.sizes, items, strict=False)]
    spread = min(p / n for p, n in zip(report.perplexity, able, strict=True))
    dead = zip(report.dead_codes, report.sizes, able, strict=True)
    usage = min((size - unused) / n for unused, size, n in dead)
    fewer = "use fewer codes, or more varied vectors"
    more = "use more codes or levels, or vectors that tell items apart"
    better = "use vectors that know what items have in common"
    found = [
        ("usage of a level", usage, ">=", limits.min_usage, fewer),
        ("perplexity / codes of a level", spread, ">=", limits.min_perplexity, fewer),
        ("collision rate", report.collision_rate, "<=", limits.max_collision_rate, more),
        ("largest collision", report.largest_collision, "<=", limits.max_largest_collision, more),
        ("explained variance", (report.explained or (NAN,))[-1], ">=", limits.min_explained, more),
        ("neighbours kept / chance", lift, ">=", limits.min_neighbour_lift, better),
    ]
    past = [
        f"{name} is {value:.4g} and must be {sign} {limit:.4g}: {advice}"
        for name, value, sign, limit, advice in found
        if limit is not None and (value < limit if sign == ">=" else value > limit)
    ]
    if past:
        raise DataError(
            f"the ids of {report.n_items:,} items are not healthy; change what they are made of or "
            f"HealthLimits. " + "; ".join(past)
        )


def _groups_by_depth(codes: NDArray[np.int32]) -> list[NDArray[np.int64]]:
    """The group of items that share their first 1, 2, ... codes: L arrays int64 (N,)."""
    groups, group = [], np.zeros(len(codes), dtype=np.int64)
    for code in codes.T:
        key = group * (int(code.max()) + 1) + code
        group = np.unique(key, return_inverse=True)[1]
        groups.append(group)
    return groups


def _bits(counts: NDArray[Any]) -> float:
    share = counts[counts > 0] / max(counts.sum(), 1)
    return float(-(share * np.log2(share)).sum()) + 0.0  # no -0.0


def _head(counts: NDArray[Any]) -> float:
    n_head = max(round(HEAD * len(counts)), 1)
    return float(np.sort(counts)[-n_head:].sum() / max(counts.sum(), 1))


def _purity(group: NDArray[np.int64], label: NDArray[np.int64]) -> float:
    pair, count = np.unique(np.stack([group, label]), axis=1, return_counts=True)
    most = np.zeros(int(group.max()) + 1)
    np.maximum.at(most, pair[0], count)
    return float(most.sum() / len(group))


def _chance(counts: NDArray[np.int64], n_items: int) -> float:
    share = counts.astype(np.float64)
    return float((share * (share - 1)).sum() / max(n_items * (n_items - 1), 1))


def _shared(near: NDArray[np.int64], group: NDArray[np.int64], asked: NDArray[np.int64]) -> float:
    return float((group[near] == group[asked, None]).mean()) if near.size else NAN
