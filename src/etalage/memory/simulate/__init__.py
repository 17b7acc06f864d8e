"""Does a memory remember? Users whose facts are known, what they say, and questions about it.

Facts come first: a relation network (`network/`, `world.py`) settles a user's world, the user tells
a part of it (`telling.py`), and questions, answers, options and evidence follow from what was told
(`questions.py`). `reading.py` reads the texts back, and `check.py` works everything out again.
"""

from etalage.memory.simulate.check import Checker, Fault, check
from etalage.memory.simulate.reading import answer, read
from etalage.memory.simulate.stream import SimulatorConfig, simulate

__all__ = ["Checker", "Fault", "SimulatorConfig", "answer", "check", "read", "simulate"]
