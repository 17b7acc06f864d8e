"""Which bundle is served now? The newest that is sound; a broken one changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from pathlib import Path

from etalage.errors import BundleError
from etalage.serve.runtime.engine import Engine

LOG = logging.getLogger("etalage.serve")
Stamp = tuple[tuple[str, int, int, int], ...] | None
COUNTED = ("requests", "degraded", "refused_bundles")
EDGES_MS = (0.5, 1.0, 2.0, 5.0, 10.0, 25.0, 100.0)


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
        self.counts: Counter[str] = Counter()
        self.buckets: Counter[tuple[str, float]] = Counter()
        self.total_ms: Counter[str] = Counter()

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
            self.counts["refused_bundles"] += 1
            LOG.error(
                "the new bundle is refused, the old one serves on: %s", problem, exc_info=unforeseen
            )

    def answered(self, path: str, status: int, milliseconds: float) -> None:
        """Counts one answer."""
        self.counts[f'requests{{path="{path}",status="{status}"}}'] += 1
        self.total_ms[path] += milliseconds  # type: ignore[assignment]  # any number may be counted
        edge = next((e for e in EDGES_MS if milliseconds <= e), float("inf"))
        self.buckets[path, edge] += 1

    def metrics(self) -> str:
        """What was counted, in the text format of Prometheus."""
        lines = []
        for family in COUNTED:
            lines.append(f"# TYPE etalage_{family}_total counter")
            labelled = [n for n in sorted(self.counts) if n.startswith(f"{family}{{")]
            for name in labelled or [family]:
                head, brace, labels = name.partition("{")
                lines.append(f"etalage_{head}_total{brace}{labels} {self.counts[name]}")
        lines.append("# TYPE etalage_request_milliseconds histogram")
        for path, total in sorted(self.total_ms.items()):
            so_far = 0
            for edge in (*EDGES_MS, float("inf")):
                so_far += self.buckets[path, edge]
                labels = f'path="{path}",le="{"+Inf" if edge == float("inf") else f"{edge:g}"}"'
                lines.append(f"etalage_request_milliseconds_bucket{{{labels}}} {so_far}")
            lines.append(f'etalage_request_milliseconds_sum{{path="{path}"}} {total:.3f}')
            lines.append(f'etalage_request_milliseconds_count{{path="{path}"}} {so_far}')
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
