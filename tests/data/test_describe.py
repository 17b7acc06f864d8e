"""A description counts what it says, and names what is wrong."""

import json
from collections import Counter
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.realdata import need

from etalage.data.dataset import Dataset
from etalage.data.describe import Description, describe
from etalage.data.ingest import open_dataset
from etalage.data.interactions import Interactions
from etalage.data.picture import picture
from etalage.ids import Vocabulary

START = 1_700_000_000_000  # in milliseconds; 2023-11-14


def shop(rows: list[tuple[int, int, int]], n_users: int = 6, n_items: int = 6) -> Dataset:
    columns = [list(c) for c in zip(*rows, strict=True)] or [[], [], []]
    log = Interactions.from_arrays(*columns, n_users=n_users, n_items=n_items)
    return Dataset("<shop>", log, Vocabulary(range(n_users)), Vocabulary(range(n_items)))


def of(rows: list[tuple[int, int, int]], **sizes: int) -> Description:
    return describe(shop(rows, **sizes), now_ms=START + 1000)


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(START, START + 9)), max_size=60
    )
)
@settings(max_examples=150, deadline=None)
def test_every_share_is_what_counting_by_hand_gives(rows: list) -> None:
    d = of(rows)
    n = len(rows)
    assert sum(d.events) == n
    assert sum(users for _, users in d.histories) == len({u for u, _, _ in rows})
    assert d.n_duplicates == n - len(set(rows))
    ElementTree.fromstring(picture(d))
    json.dumps(d.to_dict(), allow_nan=False)
    if not n:
        return
    pairs = {(u, i) for u, i, _ in rows}
    assert d.sparsity == pytest.approx(1 - len(pairs) / 36)
    assert d.repeated == pytest.approx(1 - len(pairs) / n)
    moments = Counter((u, t) for u, _, t in rows)
    assert d.tied == pytest.approx(sum(c for c in moments.values() if c > 1) / n)
    popular = sorted(Counter(i for _, i, _ in rows).values(), reverse=True)
    assert d.top_share == pytest.approx(popular[0] / n)
    assert sum(popular[: d.n_half]) >= n / 2 > sum(popular[: d.n_half - 1])
    cut = sorted(t for _, _, t in rows)[int(n * 0.9)]
    late = [r for r in rows if r[2] >= cut]
    known = {i for _, i, t in rows if t < cut}
    if known:
        assert d.cold_items == pytest.approx(np.mean([i not in known for _, i, _ in late]))
    else:
        assert d.cold_items is None


GOOD = [(u, i, START + 10 * u + i) for u in range(6) for i in range(6)]


def test_a_good_log_has_no_problems() -> None:
    assert of(GOOD).problems == ()
    assert dict(of(GOOD).rows())["time"] == "2023-11-14 to 2023-11-14"


@pytest.mark.parametrize(
    ("rows", "sizes", "problem"),
    [
        ([], {}, "the log is empty"),
        ([(0, 1, START), (0, 2, START + 1)], {"n_users": 1}, "only one user"),
        ([(0, 0, START), (1, 0, START + 1)], {"n_items": 1}, "only one item"),
        ([(u, i, START) for u, i, _ in GOOD], {}, "all times are equal"),
        ([*GOOD, (0, 0, -5)], {}, "1 times are negative"),
        ([*GOOD, (0, 0, START // 1000)], {}, "1 time lies before 1973 beside later ones"),
        ([*GOOD, (0, 0, START + 2000)], {}, "1 time lies in the future; the latest is 2023-11-14"),
        ([(u, i, 86_400_000 * (10_000 + i)) for u, i, _ in GOOD], {}, "times are days"),
        ([*GOOD, GOOD[3], GOOD[3]], {}, "2 rows repeat another"),
        ([(u, u, START + u) for u in range(6)], {}, "most users have a single interaction"),
    ],
)
def test_problems_are_named(rows: list, sizes: dict[str, int], problem: str) -> None:
    description = of(rows, **sizes)
    assert any(problem in p for p in description.problems), description.problems
    ElementTree.fromstring(picture(description))


def test_the_picture_shows_the_counts_in_any_colours() -> None:
    text = picture(of(GOOD))
    assert "&lt;shop&gt;: 36 interactions" in text
    root = ElementTree.fromstring(text)
    bars = root.findall(".//{http://www.w3.org/2000/svg}rect")
    assert sum(int(bar[0].text or 0) for bar in bars) == 36 + 6  # events, and users by length
    colours = {e.get(k) for e in root.iter() for k in ("fill", "stroke")} - {None, "none"}
    assert all(c is not None and c.startswith("var(--") and ", #" in c for c in colours)


def test_places_are_not_called_moments() -> None:
    description = of([(u, i, i) for u, i, _ in GOOD])
    assert not description.has_clock
    assert description.cold_items is None
    assert dict(description.rows())["time"] == "order only, no clock"


@pytest.mark.realdata
def test_the_known_facts_of_a_public_log() -> None:
    d = describe(open_dataset(need("sequences/ml-100k")))
    assert round(d.sparsity, 4) == 0.9370  # published
    assert (d.n_duplicates, d.repeated, d.popularity[0]) == (0, 0, (1, 583))  # Star Wars
    assert d.histories[0][1] + d.histories[1][1] == 0  # everyone rated at least 20 films
