"""Where do conversations come from? A file or folder of them, or the simulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from etalage.errors import DataError
from etalage.memory import trajectory
from etalage.memory.benchmark import locomo, memdaily
from etalage.memory.simulate.stream import SimulatorConfig, simulate
from etalage.memory.trajectory import Trajectory

SIMULATED_USERS = 100


def trajectories(place: Path | None = None, seed: int = 0) -> Iterator[Trajectory]:
    """Returns the conversations of a place, each read as it is needed.

    Args:
        place: a folder with the parts of MemDaily, `locomo10.json`, or JSON lines of trajectories;
            by default a hundred users are simulated.
        seed: of the simulator.

    Raises:
        DataError: for a place that is none of these.
    """
    if place is None:
        return simulate(SimulatorConfig(), n_users=SIMULATED_USERS, seed=seed)
    if place.is_dir():
        return memdaily.load(place)
    if place.suffix == ".jsonl":
        return trajectory.load(place)
    if place.suffix == ".json":
        return locomo.load(place)
    raise DataError(
        f"{place} is no folder of MemDaily, no locomo10.json and no .jsonl of trajectories; "
        "give one of these, or none for simulated users"
    )
