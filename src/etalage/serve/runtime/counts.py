"""What is counted while it serves? Answers and their milliseconds, as Prometheus reads them."""

from __future__ import annotations

from collections import Counter

EDGES_MS = (0.5, 1.0, 2.0, 5.0, 10.0, 25.0, 100.0)


class Counts:
    """Counters by name, and how long answers took.

    Args:
        families: names that are shown from the beginning, at 0.
    """

    def __init__(self, *families: str) -> None:
        self._families = families
        self._counts: Counter[str] = Counter()
        self._buckets: Counter[tuple[str, float]] = Counter()
        self._total_ms: Counter[str] = Counter()

    def add(self, family: str) -> None:
        """Counts one of a family."""
        self._counts[family] += 1

    def answered(self, path: str, status: int, milliseconds: float) -> None:
        """Counts one answer."""
        self._counts[f'requests{{path="{path}",status="{status}"}}'] += 1
        self._total_ms[path] += milliseconds  # type: ignore[assignment]  # any number may be counted
        edge = next((e for e in EDGES_MS if milliseconds <= e), float("inf"))
        self._buckets[path, edge] += 1

    def lines(self) -> list[str]:
        """What was counted, in the text format of Prometheus."""
        lines = []
        for family in ("requests", *self._families):
            lines.append(f"# TYPE etalage_{family}_total counter")
            labelled = [n for n in sorted(self._counts) if n.startswith(f"{family}{{")]
            for name in labelled or [family]:
                head, brace, labels = name.partition("{")
                lines.append(f"etalage_{head}_total{brace}{labels} {self._counts[name]}")
        lines.append("# TYPE etalage_request_milliseconds histogram")
        for path, total in sorted(self._total_ms.items()):
            so_far = 0
            for edge in (*EDGES_MS, float("inf")):
                so_far += self._buckets[path, edge]
                labels = f'path="{path}",le="{"+Inf" if edge == float("inf") else f"{edge:g}"}"'
                lines.append(f"etalage_request_milliseconds_bucket{{{labels}}} {so_far}")
            lines.append(f'etalage_request_milliseconds_sum{{path="{path}"}} {total:.3f}')
            lines.append(f'etalage_request_milliseconds_count{{path="{path}"}} {so_far}')
        return lines
