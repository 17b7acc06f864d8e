"""Which bundle is served now? The newest that is sound; a broken one changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from pathlib import Path

from etalage.errors import EtalageError
from etalage.serve.runtime.engine import Engine

LOG = logging.getLogger("etalage.serve")
EDGES_MS = (0.5, 1.0, 2.0, 5.0, 10.0, 25.0, 100.0)


class Live:
    """The engine in use, and what is counted while it is."""

    def __init__(self, folder: Path, poll_seconds: float = 1.0) -> None:
        """Loads the bundle; BundleError when there is none to begin with."""
        self.folder = folder
        self.poll_seconds = poll_seconds
        self.stamp = self._stamp()
        self.engine = Engine(folder)
        self.problem: str | None = None
        """Why the newest bundle is not in use; None when it is."""
        self.counts: Counter[str] = Counter()
        self.buckets: Counter[float] = Counter()
        self.total_ms = 0.0

    async def watch(self) -> None:
        """Looks for a new manifest every `poll_seconds`, and swaps engines when it is sound."""
        while True:
            await asyncio.sleep(self.poll_seconds)
            await self.refresh()

    async def refresh(self) -> None:
        """Takes up a bundle that was written since the last look.

        A refused one is looked at again each time: it may still be on its way, file by file.
        """
        stamp = self._stamp()
        if stamp == self.stamp and self.problem is None:
            return
        self.stamp = stamp
        try:
            self.engine = await asyncio.to_thread(Engine, self.folder)
            self.problem = None
            LOG.info("now serving bundle %s", self.engine.manifest["model_version"])
        except EtalageError as error:
            if str(error) != self.problem:
                self.problem = str(error)
                self.counts["refused_bundles"] += 1
                LOG.error("the new bundle is refused, the old one serves on: %s", error)

    def answered(self, path: str, status: int, milliseconds: float) -> None:
        """Counts one answer."""
        self.counts[f'requests{{path="{path}",status="{status}"}}'] += 1
        self.total_ms += milliseconds
        self.buckets[next((e for e in EDGES_MS if milliseconds <= e), float("inf"))] += 1

    def metrics(self) -> str:
        """What was counted, in the text format of Prometheus."""
        lines = ["# TYPE etalage_requests_total counter"]
        for name, count in sorted(self.counts.items()):
            head, brace, labels = name.partition("{")
            lines.append(f"etalage_{head}_total{brace}{labels} {count}")
        lines.append("# TYPE etalage_request_milliseconds histogram")
        so_far = 0
        for edge in (*EDGES_MS, float("inf")):
            so_far += self.buckets[edge]
            label = "+Inf" if edge == float("inf") else f"{edge:g}"
            lines.append(f'etalage_request_milliseconds_bucket{{le="{label}"}} {so_far}')
        lines.append(f"etalage_request_milliseconds_sum {self.total_ms:.3f}")
        lines.append(f"etalage_request_milliseconds_count {so_far}")
        version = self.engine.manifest["model_version"]
        lines.append("# TYPE etalage_bundle_info gauge")
        lines.append(f'etalage_bundle_info{{model_version="{version}"}} 1')
        return "\n".join(lines) + "\n"

    def _stamp(self) -> tuple[int, int] | None:
        # the inode too: a bundle that is swapped in within the clock's grain is still another file
        with contextlib.suppress(OSError):
            facts = (self.folder / "manifest.json").stat()
            return facts.st_mtime_ns, facts.st_ino
        return None
