"""Which picture of the item is shown? One that is clicked, or one that might be, within limits.

Every choice tells the propensity with which it was made, so that other ways to choose can be
judged on the log later (`off_policy`). Clicks come late: a view counts when its window is over,
clicked or not, since clicks that count at once and misses that count later would flatter what is
new.

Letters: K creatives of the item.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from etalage.creative.beliefs import Belief
from etalage.errors import DataError, did_you_mean

Floats = NDArray[np.float64]
BELOW_ONE = 1 - 1e-12
"""Keeps the rounding of a sum from passing the cap."""


@dataclass(frozen=True)
class Choice:
    """One view: what is shown, and what the log must keep of how it was chosen."""

    view: int
    """Number of the view, by which its click is told."""
    creative: str
    propensity: float
    """Probability with which this creative was chosen; never 0."""
    best: str
    """The creative that was clicked most, as far as was known."""
    probabilities: dict[str, float]
    """Propensity of every creative; sums to 1."""


@dataclass
class OpenView:
    """A view whose window is not known to be over."""

    creative: str
    row: Floats
    shown_at: float
    clicked: bool = False


def limited(chances: ArrayLike, best: int, cap: float, floor: float) -> Floats:
    """Chances (K,) held within limits: all but the best share `cap` at most, all have `floor`.

    What the others have above the floor is scaled by one factor, so their order stays.

    >>> limited([0.2, 0.6, 0.2], best=0, cap=0.25, floor=0.01).round(3).tolist()
    [0.75, 0.184, 0.066]
    """
    found = np.asarray(chances, np.float64).copy()
    if len(found) == 1:
        return np.ones(1)
    most = min(cap, 1 - floor) * BELOW_ONE
    floor = min(floor, most / (len(found) - 1))
    room = most - floor * (len(found) - 1)
    found[best] = 0
    above = np.maximum(found - floor, 0)
    above[best] = 0
    total = above.sum()
    found = floor + above * (min(1.0, max(room, 0) / total) if total else 0.0)
    found[best] = 0
    found[best] = 1 - found.sum()
    return found


class CreativeSelector:
    """Chooses among the creatives of one item, and learns from the clicks.

    >>> from etalage.creative.beliefs import BetaThompson
    >>> from etalage.seeds import generator
    >>> selector = CreativeSelector(BetaThompson(pseudo_views=50), window_s=3600)
    >>> selector.add("beach", click_probability=0.03)
    >>> selector.add("forest", click_probability=0.02)
    >>> choice = selector.choose(generator(1, "views"), now_s=0)
    >>> choice.best, round(sum(choice.probabilities.values()), 9)
    ('beach', 1.0)
    >>> selector.clicked(choice.view, at_s=60), selector.settle(now_s=3600)
    (True, 1)
    """

    def __init__(
        self, belief: Belief, *, cap: float = 0.2, floor: float = 0.005, window_s: float = 0.0
    ) -> None:
        """Args:
            belief: what is thought of clicks, and how it would choose.
            cap: greatest probability, at every view, of a creative that is not the current best.
            floor: least probability of every creative, at every view.
            window_s: seconds after a view in which its click counts.

        Raises:
            DataError: for limits that cannot be kept.
        """
        if not (0 < cap <= 1 and 0 < floor < 1):
            raise DataError(
                f"cap is {cap} and floor {floor}; cap is above 0 and at most 1, floor between 0 "
                "and 1"
            )
        if not (math.isfinite(window_s) and window_s >= 0):
            raise DataError(f"window_s is {window_s}; give seconds, 0 or more")
        self.belief, self.cap, self.floor = belief, float(cap), float(floor)
        self.window_s = float(window_s)
        self.n_views = 0
        self.open_views: dict[int, OpenView] = {}
        """By number of the view."""
        self._check_room(len(belief.creatives))

    @property
    def creatives(self) -> list[str]:
        """Names of what may be shown, oldest first."""
        return self.belief.creatives

    def add(
        self, creative: str, click_probability: float | None = None, attributes: ArrayLike = ()
    ) -> None:
        """Lets a creative be shown from now on.

        Args:
            creative: its name.
            click_probability: a click model's word; None starts it as what is usual for the item.
            attributes: its numbers (n_attributes,), for a linear belief.

        Raises:
            DataError: when it is there already, or the floors of all would pass the cap.
        """
        self._check_room(len(self.creatives) + 1)
        self.belief.add(creative, click_probability, attributes)

    def remove(self, creative: str) -> None:
        """Never shows a creative again; its open views are dropped, and count for nothing."""
        if creative not in self.creatives:
            raise DataError(
                f"there is no creative {creative!r} to remove"
                + did_you_mean(creative, self.creatives)
            )
        self.belief.remove(creative)
        self.open_views = {
            n: view for n, view in self.open_views.items() if view.creative != creative
        }

    def choose(
        self, rng: np.random.Generator, now_s: float, context: ArrayLike | None = None
    ) -> Choice:
        """Chooses what one view shows.

        Args:
            rng: where the draw comes from; the same generator gives the same choices.
            now_s: time of the view, in seconds of any one clock.
            context: numbers (n_context,) of who looks, for a linear belief that takes some.

        Raises:
            DataError: when there is no creative, or the context does not fit.
        """
        self._check_time(now_s)
        names = self.creatives
        if not names:
            raise DataError("there is no creative to choose from; add one first")
        rows = self.belief.rows(context)
        best = int(self.belief.means(rows).argmax())
        chances = limited(self.belief.chances(rows, rng), best, self.cap, self.floor)
        drawn = int(np.searchsorted(np.cumsum(chances), rng.random(), side="right"))
        k = min(drawn, len(names) - 1)  # the sum may round to less than 1
        view = self.n_views
        self.n_views += 1
        self.open_views[view] = OpenView(names[k], rows[k].copy(), float(now_s))
        shares = dict(zip(names, chances.tolist(), strict=True))
        return Choice(view, names[k], shares[names[k]], names[best], shares)

    def clicked(self, view: int, at_s: float) -> bool:
        """Tells of a click; says whether it counts.

        It does not where it comes after its window, twice, or on a creative that was removed.

        Raises:
            DataError: for a view that never was, or a click before its view.
        """
        self._check_time(at_s)
        if not 0 <= view < self.n_views:
            raise DataError(f"there was no view {view}; views so far are 0 to {self.n_views - 1}")
        found = self.open_views.get(view)
        if found is None:
            return False
        if at_s < found.shown_at:
            raise DataError(f"view {view} was at {found.shown_at}, after its click at {at_s}")
        if found.clicked or at_s > found.shown_at + self.window_s:
            return False
        found.clicked = True
        return True

    def settle(self, now_s: float) -> int:
        """Learns from every view whose window is over; returns how many there were.

        Call it when the clicks up to `now_s` have been told, once an hour or once a day.
        """
        self._check_time(now_s)
        over = [n for n, view in self.open_views.items() if view.shown_at + self.window_s <= now_s]
        for n in over:
            view = self.open_views.pop(n)
            self.belief.learn(view.creative, view.row, view.clicked)
        return len(over)

    def _check_room(self, n_creatives: int) -> None:
        needed = self.floor * max(n_creatives - 1, 0)
        if needed > min(self.cap, 1 - self.floor) * (1 + 1e-12):
            raise DataError(
                f"{n_creatives} creatives with a floor of {self.floor} need {needed:g} of the "
                f"views beside the best, and the cap is {self.cap}; lower the floor, raise the "
                "cap, or remove a creative"
            )

    @staticmethod
    def _check_time(seconds: float) -> None:
        if not math.isfinite(seconds):
            raise DataError(f"a time is {seconds}; give seconds")
