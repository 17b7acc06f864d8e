"""A shop is opened, and what is wrong with its log is said."""

from pathlib import Path

from tests.conftest import SMALL

from etalage.pipeline.shop import open_shop
from etalage.recipe.recipe import resolve

NEWEST = 1_700_000_000 + 60 * 599


def test_times_in_the_future_are_reported(tmp_path: Path) -> None:
    rows = [f"u{n % 30},p{n % 20},{1_700_000_000 + 60 * n}\n" for n in range(600)]
    (tmp_path / "log.csv").write_text("user,item,time\n" + "".join(rows))
    recipe = resolve({"data": {"path": str(tmp_path / "log.csv")}})
    assert open_shop(recipe).description.problems == ()  # by the clock
    (problem,) = open_shop(recipe, now_ms=1000 * NEWEST - 1).description.problems
    assert "1 time lies in the future" in problem
    rows.append(f"u0,p0,{9_700_000_000}\n")
    (tmp_path / "log.csv").write_text("user,item,time\n" + "".join(rows))
    (problem,) = open_shop(recipe).description.problems
    assert "the latest is 2277-05-19" in problem


def test_a_simulated_shop_has_its_own_time() -> None:
    """Whenever it opens, it is the same."""
    recipe = resolve(SMALL)
    assert open_shop(recipe, now_ms=0).description == open_shop(recipe).description
