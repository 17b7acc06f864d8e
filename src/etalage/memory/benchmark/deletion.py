"""Is what was forgotten gone? Asked again, and looked for in every file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from etalage.memory.benchmark.mechanisms import Mechanism
from etalage.memory.trajectory import Trajectory

LEAST_BYTES = 16
"""Of a text that is looked for: shorter ones stand in many files by chance."""


@dataclass(frozen=True, slots=True)
class Residue:
    """What was left."""

    n_forgotten: int = 0
    n_returned: int = 0
    """Forgotten messages that came back when the questions were asked again."""
    n_looked_for: int = 0
    """Forgotten texts that nothing else repeats."""
    n_on_disk: int = 0
    """Of these, texts that still stand in a file."""

    def to_dict(self) -> dict[str, int]:
        """Returns what JSON can hold."""
        return asdict(self)


def residue(mechanism: Mechanism, group: Sequence[Trajectory], folder: Path, k: int) -> Residue:
    """Has the first user of a group forget what the answers to their questions rest on, asks the
    questions again, and looks for the bytes of the texts in the folder of the mechanism."""
    user = group[0]
    wanted = {name for asked in user.questions for ids in asked.evidence for name in ids}
    gone = [message for message in user.messages if message.id in wanted]
    if not gone:
        return Residue()
    mechanism.forget(user.user, [message.id for message in gone])
    back: set[str] = set()
    for asked in user.questions:
        back.update(mechanism.read(user.user, asked, k))
    others = [each.text for other in group for each in other.messages if each.id not in wanted]
    kept = "\n".join(others).encode()
    needles = {text for each in gone if len(text := each.text.encode()) >= LEAST_BYTES}
    needles = {text for text in needles if text not in kept}
    files = [path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()]
    return Residue(
        n_forgotten=len(gone),
        n_returned=len(back.intersection(message.id for message in gone)),
        n_looked_for=len(needles),
        n_on_disk=sum(any(text in file for file in files) for text in needles),
    )
