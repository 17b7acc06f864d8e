"""What if most of what was said matters to no question? Messages of other users between one's own.

MemSim's levels ×10, ×50 and ×100 with nine, 49 and 99 other messages for each. Its own noise, posts
from the web, is not published; messages of other trajectories are harder, since they speak of the
same things in the same words.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from etalage.errors import DataError
from etalage.memory.trajectory import Message, Trajectory


def infused(
    trajectories: Sequence[Trajectory], ratio: int, rng: np.random.Generator
) -> Iterator[Trajectory]:
    """Yields the trajectories with `ratio` messages of others for each of their own.

    One's own messages keep ids, times and order; each of the others stands somewhere between them,
    with an id of its own and the time of the one in front of it. None is taken twice for one user.

    Raises:
        DataError: for a ratio below 0, or where the others say too little.
    """
    if ratio < 0:
        raise DataError(f"the ratio of others' messages must be at least 0; got {ratio}")
    pool = [message for each in trajectories for message in each.messages]
    starts = np.cumsum([0, *(len(each.messages) for each in trajectories)])
    for at, each in enumerate(trajectories):
        n_own, n_others = len(each.messages), ratio * len(each.messages)
        if n_others > len(pool) - n_own:
            raise DataError(
                f"{each.user} needs {n_others} messages of others, and they have "
                f"{len(pool) - n_own}; give more trajectories, or a smaller ratio"
            )
        drawn = rng.choice(len(pool) - n_own, n_others, replace=False)
        drawn = np.where(drawn < starts[at], drawn, drawn + n_own)  # none of one's own
        yield replace(each, messages=_mixed(each.messages, [pool[n] for n in drawn], rng))


def _mixed(
    own: Sequence[Message], others: Sequence[Message], rng: np.random.Generator
) -> tuple[Message, ...]:
    places = set(rng.choice(len(own) + len(others), len(own), replace=False).tolist())
    kept, strange, time = iter(own), iter(others), own[0].time
    mixed = []
    for place in range(len(own) + len(others)):
        if place in places:
            message = next(kept)
            time = message.time
        else:
            other = next(strange)
            message = replace(other, id=f"{own[0].id}+{place}", time=time, facts=())
        mixed.append(message)
    return tuple(mixed)
