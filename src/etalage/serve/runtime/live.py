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
COUNTED = ("requests", "degraded", "refused_bundles")
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
        self.buckets: Counter[tuple[str, float]] = Counter()
        self.total_ms: Counter[str] = Counter()

    async def watch(self) -> None:
        """Looks for a new bundle every `poll_seconds`, and swaps engines when it is sound."""
        while True:
            await asyncio.sleep(self.poll_seconds)
            await self.refresh()

    async def refresh(self) -> None:
        """Takes up a bundle that was written since the last look."""
        stamp = self._stamp()
        if stamp == self.stamp:
            return
        try:
            engine = await asyncio.to_thread(Engine, self.folder)
            if self._stamp() != stamp:
                return  # swapped while it was read: perhaps half of each; the next look decides
            self.stamp, self.engine, self.problem = stamp, engine, None
            LOG.info("now serving bundle %s", engine.manifest["model_version"])
        except EtalageError as error:
            self.stamp = stamp
            if str(error) != self.problem:
                self.problem = str(error)
                self.counts["refused_bundles"] += 1
                LOG.error("the new bundle is refused, the old one serves on: %s", error)

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

    def _stamp(self) -> tuple[tuple[str, int, int, int], ...] | None:
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
