"""How often is each value drawn, and how often should it be? Exact tests of counts over worlds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy.stats import binom

from etalage.memory.simulate.samplers import Parents, Pmf
from etalage.memory.simulate.schema import network
from etalage.memory.simulate.world import World, parents_of, sample
from etalage.memory.trajectory import Value

Row = tuple[str, str, Parents]
"""Group, attribute and values of its parents: what one distribution belongs to."""
EXPECTED = 20
"""Values with fewer expected draws are taken together: alone they could hardly show anything."""
LEVEL = 0.01
"""Chance that any cell at all is called wrong where none is (Bonferroni)."""


@dataclass(frozen=True)
class Frequencies:
    """What was tested, and what failed."""

    n_cells: int
    n_rows: int
    wrong: list[tuple[Row, Value, int, float]]
    """Cells outside of their interval: the row, the value, how often, how often expected."""


def frequencies(worlds: Iterable[World]) -> Frequencies:
    """Tests every conditional probability of the network against draws of it."""
    counts: dict[Row, Counter[Value]] = {}
    net = network()
    for world in worlds:
        for entity, name in world.values:
            row = (net.group_of(entity), name, parents_of(world, (entity, name)))
            counts.setdefault(row, Counter())[world.values[entity, name]] += 1
    cells, wrong = [], []
    for row, counted in counts.items():
        sampler = net.attributes[row[:2]].sampler
        pmf = sampler.pmf(row[2]) if sampler else {}
        if not pmf:
            continue
        n = counted.total()
        wrong += [(row, value, counted[value], 0.0) for value in counted if not pmf.get(value)]
        cells += [(row, *cell) for cell in _cells(counted, pmf)]
    k, n, p = (np.array(column) for column in zip(*(cell[2:] for cell in cells), strict=True))
    tail = np.minimum(binom.cdf(k, n, p), binom.sf(k - 1, n, p))  # the likelier side is no news
    for at in np.flatnonzero(2 * tail < LEVEL / len(cells)):
        row, value, found, drawn, share = cells[at]
        wrong.append((row, value, found, float(drawn * share)))
    return Frequencies(len(cells), len({cell[0] for cell in cells}), wrong)


def _cells(counted: Counter[Value], pmf: Pmf) -> Iterator[tuple[Value, int, int, float]]:
    """Values, taken together with those after them until enough are expected: the first of them,
    how often they were drawn, of how many draws, and their probability."""
    n, together, share = counted.total(), list[Value](), 0.0
    for value, p in pmf.items():
        together.append(value)
        share += p
        if n * share >= EXPECTED:
            if share < 1 - 1e-9:  # a certain one was looked at already
                yield together[0], sum(counted[one] for one in together), n, share
            together, share = [], 0.0


def sampled(n: int, seed: int) -> Iterable[World]:
    """Worlds of both domains, n of each."""
    return chain.from_iterable(
        (sample(seed, user, domain) for user in range(n)) for domain in network().domains
    )
