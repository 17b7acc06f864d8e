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
from etalage.memory.statement import DAY_MS
from etalage.memory.trajectory import Message, Trajectory


def infused(
    trajectories: Sequence[Trajectory], ratio: int, rng: np.random.Generator
) -> Iterator[Trajectory]:
    """Yields the trajectories with `ratio` messages of others for each of their own.

    One's own messages keep ids, times and order. Each of the others stands somewhere between them,
    or up to a day before the first, with an id of its own; those in one gap are spread over it
    evenly. None is taken twice for one user, and all come before the first question.

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
        yield replace(each, messages=_mixed(each, [pool[n] for n in drawn], rng))


def _mixed(
    user: Trajectory, others: Sequence[Message], rng: np.random.Generator
) -> tuple[Message, ...]:
    own = user.messages
    n_before = np.sort(rng.integers(0, len(own) + 1, len(others)))  # own messages in front of each
    asked = min((question.time for question in user.questions), default=own[-1].time)
    edges = [own[0].time - DAY_MS, *(message.time for message in own), max(asked, own[-1].time)]
    mixed: list[Message] = []
    strange = iter(others)
    for gap in range(len(own) + 1):
        n = int((n_before == gap).sum())
        start, width = edges[gap], max(edges[gap + 1] - edges[gap], 0)
        for place in range(n):
            time = start + width * (place + 1) // (n + 1)
            name = f"{user.user}/other-{gap}-{place}"
            mixed.append(replace(next(strange), id=name, time=time, facts=()))
        mixed += own[gap : gap + 1]
    return tuple(mixed)
