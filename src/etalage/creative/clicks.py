"""How well does it choose, where the truth is known? A small world of creatives and clicks.

Creatives have attributes out of a closed list. Each attribute, each pair of an attribute and a
context, and each creative by itself moves the log-odds of a click. Clicks come after a delay. A
click model knows the log-odds up to noise.

Letters: K creatives, V views.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from etalage.creative.beliefs import BetaThompson
from etalage.creative.linear import Linear
from etalage.creative.select import CreativeSelector
from etalage.errors import DataError
from etalage.seeds import generator

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ClickWorld:
    """An item whose creatives are clicked with known probabilities."""

    attributes: Floats
    """(K, n_attributes), 0 or 1."""
    probabilities: Floats
    """Of a click by context and creative, (C, K)."""
    foreseen: Floats
    """A click model's probability of each creative (K,), blind to the context."""
    mean_delay_s: float
    """Mean of the exponential delay of a click."""

    @property
    def names(self) -> list[str]:
        """Names of the creatives."""
        return [f"creative {k}" for k in range(len(self.foreseen))]


def click_world(
    seed: int,
    *,
    n_creatives: int = 8,
    n_attributes: int = 6,
    n_contexts: int = 1,
    click_rate: float = 0.05,
    model_noise: float = 0.5,
    mean_delay_s: float = 20.0,
) -> ClickWorld:
    """Draws a world; the same seed gives the same one.

    Args:
        seed: where it comes from.
        n_creatives: creatives of the item.
        n_attributes: attributes, of which each creative has about half.
        n_contexts: kinds of views, equally common.
        click_rate: of a creative whose attributes do nothing.
        model_noise: standard deviation of the click model's error, in log-odds.
        mean_delay_s: mean seconds from view to click.
    """
    if min(n_creatives, n_attributes, n_contexts) < 1 or not 0 < click_rate < 1:
        raise DataError("a world has a creative, an attribute, a context, and a rate in (0, 1)")
    rng = generator(seed, "click_world")
    attributes = rng.integers(0, 2, (n_creatives, n_attributes)).astype(np.float64)
    shared = rng.normal(0, 0.35, n_attributes)
    by_context = rng.normal(0, 0.35, (n_contexts, n_attributes)) * (n_contexts > 1)
    own = rng.normal(0, 0.15, n_creatives)
    start = np.log(click_rate / (1 - click_rate))
    logits = start + (shared + by_context) @ attributes.T + own  # (C, K)
    foreseen = logits.mean(axis=0) + rng.normal(0, model_noise, n_creatives)
    return ClickWorld(attributes, _sigmoid(logits), _sigmoid(foreseen), mean_delay_s)


def _sigmoid(logits: Floats) -> Floats:
    found: Floats = 1 / (1 + np.exp(-logits))
    return found


class Uniform(BetaThompson):
    """Shows all alike: what there is to beat, and the log that tells most. Needs a cap of 1."""

    kind = "uniform"

    def chances(self, rows: Floats, rng: np.random.Generator) -> Floats:
        return np.full(len(rows), 1 / len(rows))


class Greedy(BetaThompson):
    """Shows what has been clicked most so far, and nothing else but for the floor."""

    kind = "greedy"

    def chances(self, rows: Floats, rng: np.random.Generator) -> Floats:
        chances = np.zeros(len(rows))
        chances[self.means(rows).argmax()] = 1
        return chances


@dataclass(frozen=True)
class Played:
    """The log of a run, and what only the world knows of it; all (V,) but `probabilities`."""

    contexts: NDArray[np.int64]
    shown: NDArray[np.int64]
    best: NDArray[np.int64]
    """What was the current best when the view was chosen."""
    probabilities: Floats
    """Propensity of every creative, (V, K)."""
    clicks: NDArray[np.int64]
    """1 where a click came before the view's window was over."""
    regret: Floats
    """Clicks a view that the best creative there, in that context, would have had more."""

    @property
    def propensities(self) -> Floats:
        """Of what was shown, (V,)."""
        found: Floats = self.probabilities[np.arange(len(self.shown)), self.shown]
        return found

    @property
    def explored(self) -> Floats:
        """Probability at each view of all that was not the current best, (V,)."""
        others = self.probabilities.copy()
        others[np.arange(len(others)), self.best] = 0
        found: Floats = others.sum(axis=1)
        return found


def filled(selector: CreativeSelector, world: ClickWorld, n_late: int = 0) -> None:
    """Gives a selector the creatives of a world, but for the last few, with the click model's
    word."""
    for k, name in enumerate(world.names[: len(world.foreseen) - n_late]):
        selector.add(name, world.foreseen[k], _attributes(selector, world, k))


def _attributes(selector: CreativeSelector, world: ClickWorld, k: int) -> Floats:
    return world.attributes[k] if isinstance(selector.belief, Linear) else np.zeros(0)


def play(
    world: ClickWorld,
    selector: CreativeSelector,
    n_views: int,
    seed: int,
    *,
    settle_every: int = 50,
    with_context: bool = False,
) -> Played:
    """Shows `n_views`, one a second, and settles them every so many.

    Who comes and what is clicked hangs on the seed alone, so that runs of two selectors differ by
    what they show. Creatives of the world that the selector lacks come one by one, at even
    distances, and without a click model's word.
    """
    people, choices = generator(seed, "people"), generator(seed, "choices")
    n_contexts, n_creatives = world.probabilities.shape
    contexts = people.integers(0, n_contexts, n_views)
    fancies, delays = people.random(n_views), people.exponential(world.mean_delay_s, n_views)
    number = {name: k for k, name in enumerate(world.names)}
    shown, best, clicks = (np.zeros(n_views, np.int64) for _ in range(3))
    probabilities = np.zeros((n_views, n_creatives))
    coming: list[tuple[float, int, int]] = []
    late = list(range(len(selector.creatives), n_creatives))
    arrivals = {(i + 1) * n_views // (len(late) + 1): k for i, k in enumerate(late)}
    attainable = np.zeros(n_views)
    for v in range(n_views):
        if v in arrivals:
            k = arrivals[v]
            selector.add(world.names[k], None, _attributes(selector, world, k))
        if v % settle_every == 0:
            for at, view, row in [c for c in coming if c[0] <= v]:
                clicks[row] = selector.clicked(view, at)
            coming = [c for c in coming if c[0] > v]
            selector.settle(float(v))
        context = np.eye(n_contexts)[contexts[v]] if with_context else None
        choice = selector.choose(choices, float(v), context)
        shown[v], best[v] = number[choice.creative], number[choice.best]
        for name, share in choice.probabilities.items():
            probabilities[v, number[name]] = share
        attainable[v] = world.probabilities[contexts[v], : len(selector.creatives)].max()
        if fancies[v] < world.probabilities[contexts[v], shown[v]]:
            coming.append((v + delays[v], choice.view, v))
    for at, view, row in coming:
        clicks[row] = selector.clicked(view, at)
    regret = attainable - world.probabilities[contexts, shown]
    return Played(contexts, shown, best, probabilities, clicks, regret)
