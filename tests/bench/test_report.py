"""The report: complete, safe, readable in a browser, and silent about what is not there."""

import io
from html.parser import HTMLParser
from pathlib import Path

import pytest
from rich.console import Console
from tests.browser import chromium, faults

from etalage.bench.record import (
    CalibrationRecord,
    FactorRecord,
    ItemCard,
    Measure,
    ModelRow,
    ReliabilityBin,
    RunRecord,
    TokenRecord,
    VisitorRecord,
)
from etalage.bench.report import headline, load_record, render, write_report
from etalage.bench.table import models_table
from etalage.errors import BundleError

EVIL = "<script>alert('x')</script>"
EPOCHS = [{"epoch": float(n), "loss": 1 / n, "ndcg@10": 0.1 + n / 100} for n in (1, 2, 3)]
VOID = {"meta", "link", "br"}


def row(name: str, ndcg: float, role: str = "model", **more: object) -> ModelRow:
    quality = {"ndcg@10": Measure(value=ndcg, low=ndcg - 0.01, high=ndcg + 0.01)}
    quality |= {"recall@10": Measure(value=2 * ndcg), "auc": Measure(value=0.7)}
    times = {} if role == "bound" else {"p50": 1.5, "p90": 2.0, "p99": 3.0, "cpu": 1.4}
    return ModelRow(name=name, kind=name, role=role, quality=quality, latency_ms=times, **more)


@pytest.fixture
def record() -> RunRecord:
    bins = [
        ReliabilityBin(predicted=p, observed=1.1 * p, low=p, high=1.2 * p, count=100)
        for p in (0.02, 0.1, 0.3)
    ]
    found = {"ece": 0.01, "ece_floor": 0.009, "pcoc": 1.02, "slope": 0.98, "intercept": 0.0,
             "log_loss": 0.4, "brier": 0.1}  # fmt: skip
    cards = [
        ItemCard(id=str(n), title=f"{EVIL} {n}", category="tea", codes=[n, 3]) for n in range(4)
    ]
    health = {"explained": [0.5, 0.7], "perplexity": [6.0, 5.0], "dead_codes": [0, 1],
              "collision_rate": 0.1, "largest_collision": 3, "neighbour_agreement": 0.6,
              "chance_agreement": 0.1}  # fmt: skip
    return RunRecord(
        name=f"tea shop {EVIL}",
        created_utc="2026-01-02T03:04:05+00:00",
        data={"rows": [["users", "12"]], "problems": [EVIL], "split": "global_time",
              "source": EVIL, "test questions": 1234},
        models=[
            row("popularity", 0.05, "baseline", train_seconds=0.0),
            row("sasrec", 0.2, train_seconds=12.0, n_parameters=123_456, note="served; here"),
            row("best possible", 0.4, "bound"),
        ],
        tokens=TokenRecord(quantizer="k-means", depth=2, width=8, health=health, examples=[cards]),
        factors=[FactorRecord(model=EVIL, size=1_234, examples=cards),
                 FactorRecord(model=EVIL, size=617, examples=cards)],
        calibration=CalibrationRecord(
            method="platt", before=bins, after=bins, metrics={"before": found, "after": found}
        ),
        visitors=[VisitorRecord(visitor=EVIL, history=cards, shown=cards, scores=[1.0] * 4,
                                probabilities=[0.1] * 4, next_items=cards[:1])],
        comparisons=[{"metric": "ndcg@10", "a": "sasrec", "b": "popularity", "n": 99, "p": 0.0005,
                      "difference": 0.15, "low": 0.14, "high": 0.16, "p_holm": 0.0005}],
        curves={"sasrec": EPOCHS},
        stages=[{"name": "data", "seconds": 1.0, "summary": EVIL}],
        provenance={"recipe": "a: 1", "seed": 0, "packages": {"numpy": "2"}},
        notes=[EVIL],
    )  # fmt: skip


class WellFormed(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [v for k, v in attrs if k == "id"]
        self.links += [v for k, v in attrs if k in ("href", "src")]

    def handle_startendtag(self, tag: str, attrs: list) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_needs_nothing_else(record: RunRecord) -> None:
    page = WellFormed()
    html = render(record)
    page.feed(html)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert page.links == ["data:,"]
    assert "http" not in html.replace("http://www.w3.org/2000/svg", "")


def test_nothing_can_be_smuggled_in(record: RunRecord) -> None:
    assert "<script" not in render(record)


def test_every_figure_is_said(record: RunRecord) -> None:
    html = render(record)
    for text in ("0.200 (0.190 to 0.210)", "123,456", "&lt; 0.001", "1,234", "+0.1500", "0.0090",
                 "1,234 items", "--share:50.0%"):  # fmt: skip
        assert text in html
    assert html.count("–") >= 3  # measures that do not apply


def test_the_headline_tells_what_was_found(record: RunRecord) -> None:
    said = " ".join(headline(record))
    assert "sasrec orders best: NDCG@10 0.200 (0.190 to 0.210)." in said
    assert "4.0 times that of popularity" in said
    assert "50 % of it is reached" in said
    assert "served, in 1.5 ms" in said
    assert "off by 1.00 points on average, no more than chance" in said


def test_what_is_not_there_is_not_shown() -> None:
    html = render(RunRecord(name="bare", created_utc="2026-01-02", data={}, models=[]))
    assert "<section" not in html
    assert "<h1>bare</h1>" in html


def test_a_record_survives_its_file(record: RunRecord, tmp_path: Path) -> None:
    (tmp_path / "record.json").write_text(record.model_dump_json())
    assert load_record(tmp_path) == record
    (tmp_path / "record.json").write_text("{")
    with pytest.raises(BundleError, match="etalage demo"):
        load_record(tmp_path)
    with pytest.raises(BundleError, match="no finished run"):
        load_record(tmp_path / "nowhere")


def test_the_table_fits_a_terminal(record: RunRecord) -> None:
    out = io.StringIO()
    Console(file=out, width=100).print(models_table(record))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 100
    assert any("sasrec" in line and "0.200 ±0.010" in line for line in lines)
    assert any("best possible" in line and "–" in line for line in lines)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1440])
def test_the_report_stands_in_a_browser(
    record: RunRecord, tmp_path: Path, width: int, scheme: str
) -> None:
    write_report(record, tmp_path / "report.html")
    with chromium(width, scheme) as page:
        wrong = faults(page)
        page.goto(f"file://{tmp_path}/report.html")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("svg").count() >= 6
        sizes = page.evaluate("[...document.querySelectorAll('svg')].map(s => s.clientWidth)")
        assert min(sizes) > 0
        assert wrong == []
