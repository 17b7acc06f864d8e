"""What was published, and with which settings? One packaged YAML file a table."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from typing import Any

import yaml
from pydantic import Field

from etalage.errors import RecipeError, did_you_mean
from etalage.recipe.config import Config
from etalage.recipe.recipe import checked

FLOOR = "counts"
"""Kind of the ranker that only counts; it stands in every table."""


class Published(Config):
    """Figures on the test part, as published."""

    auc: float
    log_loss: float
    source: str


class Row(Config):
    """One line of a table."""

    name: str
    ranker: dict[str, Any]
    """Settings of the ranker."""
    data: dict[str, Any] = Field(default_factory=dict)
    """What the loader of the data is told, such as `min_count`."""
    published: Published | None = None


class Table(Config):
    """A published table."""

    data: str
    """Name of the data set."""
    title: str
    note: str = ""
    """What one must know before comparing."""
    shared: dict[str, Any] = Field(default_factory=dict)
    """Blocks that rows refer to."""
    rows: tuple[Row, ...]

    def only(self, kinds: Iterable[str]) -> Table:
        """The rows of some kinds of rankers and the floor; all rows where no kind is named.

        Raises:
            RecipeError: for a kind that no row has.
        """
        asked, known = set(kinds), {row.ranker["kind"]: row for row in self.rows}
        for kind in sorted(asked - set(known)):
            raise RecipeError(
                f"no row of this table has a ranker {kind!r}{did_you_mean(kind, known)} "
                f"(known: {', '.join(known)})"
            )
        rows = [row for row in self.rows if not asked or row.ranker["kind"] in {*asked, FLOOR}]
        return self.model_copy(update={"rows": tuple(rows)})


def click_table(data: str) -> Table:
    """Reads the packaged table of a data set.

    Raises:
        RecipeError: where there is none, with those that there are.
    """
    here = resources.files(__package__)
    names = sorted(
        path.name.removeprefix("ctr_").removesuffix(".yaml")
        for path in here.iterdir()
        if path.name.startswith("ctr_")
    )
    if data not in names:
        raise RecipeError(
            f"no table of click predictors on {data!r}{did_you_mean(data, names)} "
            f"(known: {', '.join(names)})"
        )
    text = (here / f"ctr_{data}.yaml").read_text(encoding="utf-8")
    table: Table = checked(Table, yaml.safe_load(text), "")
    return table
