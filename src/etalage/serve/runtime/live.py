"""Which bundle is served now? The newest that is sound; a broken one changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

from etalage.errors import BundleError
from etalage.serve.runtime.counts import Counts
from etalage.serve.runtime.engine import Engine

LOG = logging.getLogger("etalage.serve")
Stamp = tuple[tuple[str, int, int, int], ...] | None


class Live:
    """The engine in use, and what is counted while it is."""

    def __init__(self, folder: Path, poll_seconds: float = 1.0) -> None:
        """Loads the bundle; BundleError when there is none to begin with."""
        self.folder = folder
        self.poll_seconds = poll_seconds
        stamp = self._stamp()
        self.engine = Engine(folder)
        self.verdicts: dict[Stamp, str | None] = {stamp: None}
        """What is wrong with a state of the folder; None for the one that is served."""
        self.problem: str | None = None
        """Why the newest bundle is not in use; None when it is."""
        self.counts = Counts("degraded", "refused_bundles")

    async def watch(self) -> None:
        """Looks for a new bundle every `poll_seconds`, and swaps engines when it is sound."""
        while True:
            await asyncio.sleep(self.poll_seconds)
            try:
                await self.refresh()
            except Exception as error:  # a watch that ends would leave the old bundle for ever
                self._refuse(f"{type(error).__name__}: {error}", error)

    async def refresh(self) -> None:
        """Takes up a bundle that was written since the last look."""
        stamp = self._stamp()
        if stamp in self.verdicts:
            self.problem = self.verdicts[stamp]
            return
        try:
            engine = await asyncio.to_thread(Engine, self.folder)
        except BundleError as error:
            self._refuse(str(error))
            served = next(s for s, problem in self.verdicts.items() if problem is None)
            self.verdicts = {served: None}
            if not isinstance(error.__cause__, OSError):  # the system may think better of it
                self.verdicts[stamp] = str(error)
            return
        if self._stamp() != stamp:
            return  # swapped while it was read: perhaps half of each; the next look decides
        self.verdicts, self.engine, self.problem = {stamp: None}, engine, None
        LOG.info("now serving bundle %s", engine.manifest["model_version"])

    def _refuse(self, problem: str, unforeseen: Exception | None = None) -> None:
        """Says once why the newest bundle is not in use; counts it."""
        if problem != self.problem:
            self.problem = problem
            self.counts.add("refused_bundles")
            LOG.error(
                "the new bundle is refused, the old one serves on: %s", problem, exc_info=unforeseen
            )

    def metrics(self) -> str:
        """What was counted, in the text format of Prometheus."""
        lines = self.counts.lines()
        version = self.engine.manifest["model_version"]
        lines.append("# TYPE etalage_bundle_info gauge")
        lines.append(f'etalage_bundle_info{{model_version="{version}"}} 1')
        return "\n".join(lines) + "\n"

    def _stamp(self) -> Stamp:
        """What tells one state of the folder from another; None while it is moved.

        The inode too: a bundle that is swapped in within the clock's grain is still another file.
        """
        with contextlib.suppress(OSError):
            return tuple(
                (str(path), facts.st_mtime_ns, facts.st_size, facts.st_ino)
                for path in sorted(self.folder.rglob("*"))
                if (facts := path.stat())
            )
        return None
