"""What will it cost to ask, and what did it cost?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import Field

from etalage.errors import RecipeError, did_you_mean
from etalage.language.request import Request, Usage
from etalage.recipe.config import Config

MILLION = 10**6
LETTERS_A_TOKEN = 4
"""Of English, by which tokens are estimated before a model has counted them."""
TURN = 16
"""Tokens of a chat template a message, at most."""


class Price(Config):
    """What a host takes for a million tokens, in any currency."""

    prompt: float = Field(ge=0)
    """A million tokens that are read."""
    completion: float = Field(ge=0)
    """A million tokens that are written."""
    batch: float = Field(0.5, gt=0, le=1)
    """Share of these prices that is taken for batch files."""

    def cost(self, usage: Usage, *, by_batch: bool = False) -> float:
        """Returns the price of so many tokens."""
        whole = (usage.prompt * self.prompt + usage.completion * self.completion) / MILLION
        return whole * (self.batch if by_batch else 1.0)

    def most(self, request: Request) -> float:
        """Returns what one request can cost: a token has one byte at least."""
        read = sum(len(said.content.encode("utf-8", "replace")) for said in request.messages)
        read += TURN * len(request.messages)
        return self.cost(Usage(read, request.sampling.max_tokens))


def price_of(prices: Mapping[str, Price], model: str) -> Price | None:
    """Returns the price of a model in a table; None where the table is empty.

    Raises:
        RecipeError: when the table has other models only.
    """
    if prices and model not in prices:
        raise RecipeError(
            f"there is no price of {model!r}{did_you_mean(model, prices)}; there are prices of "
            f"{', '.join(prices)}"
        )
    return prices.get(model)


def estimated(request: Request) -> int:
    """Returns about how many tokens a request has, before anybody has counted."""
    letters = sum(len(said.content) for said in request.messages)
    return -(-letters // LETTERS_A_TOKEN)


@dataclass(frozen=True)
class Plan:
    """What a job would do, before it does anything."""

    n_requests: int
    n_distinct: int
    """Requests that differ; equal ones are asked once."""
    n_kept: int
    """Of these, those whose answers are there."""
    kept: Usage
    """Tokens of the answers that are there, as the model counted them."""
    ahead: Usage
    """Tokens still to come: read by a quarter of the letters; written by the mean of the latest
    answers of this model, or, before there are any, as many as an answer may have."""
    price: Price | None
    seconds: float | None
    """Until it is done, at the pace of the latest answers; None before there are any."""

    @property
    def n_to_ask(self) -> int:
        """Requests still to be asked."""
        return self.n_distinct - self.n_kept

    def rows(self) -> list[tuple[str, str]]:
        """Names and values, to show."""
        rows = [
            ("requests", f"{self.n_requests:,}"),
            ("distinct", f"{self.n_distinct:,}"),
            ("answered already", f"{self.n_kept:,}"),
            ("to ask", f"{self.n_to_ask:,}"),
            ("tokens to read, estimated", f"{self.ahead.prompt:,}"),
            ("tokens to write, estimated", f"{self.ahead.completion:,}"),
        ]
        if self.price is not None:
            live, batch = (self.price.cost(self.ahead, by_batch=b) for b in (False, True))
            rows += [("cost, estimated", f"{live:,.2f}"), ("as a batch file", f"{batch:,.2f}")]
        if self.n_to_ask:
            known = self.seconds is not None
            rows.append(("time", _time(self.seconds or 0.0) if known else "not known yet"))
        return rows


@dataclass
class Report:
    """What a job did, in tokens as the model counted them."""

    plan: Plan
    n_asked: int = 0
    n_answered: int = 0
    n_failed: int = 0
    usage: Usage = field(default_factory=Usage)
    """Tokens of this run, those of answers that could not be used included."""
    n_uncounted: int = 0
    """Answers without a count; they are not in `usage`."""
    n_lost_tries: int = 0
    """Calls that ended without an answer; what a host counted for them is not known here."""
    seconds: float = 0.0
    stopped_by: str = ""
    """The limit that ended it, if one did."""
    by_batch: bool = False

    @property
    def coverage(self) -> float:
        """Share of the distinct requests that have an answer now."""
        n = self.plan.n_distinct
        return (self.plan.n_kept + self.n_answered) / n if n else 1.0

    @property
    def cost(self) -> float | None:
        """Of this run; None without a price."""
        price = self.plan.price
        return None if price is None else price.cost(self.usage, by_batch=self.by_batch)

    def rows(self) -> list[tuple[str, str]]:
        """Names and values, to show."""
        rows = [
            ("asked", f"{self.n_asked:,}"),
            ("answered", f"{self.n_answered:,}"),
            ("without an answer", f"{self.n_failed:,}"),
            ("coverage", f"{self.coverage:.2%}"),
            ("tokens read", f"{self.usage.prompt:,}"),
            ("tokens written", f"{self.usage.completion:,}"),
        ]
        if self.cost is not None:
            rows.append(("cost", f"{self.cost:,.4f}"))
        if self.n_uncounted:
            rows.append(("answers without a count", f"{self.n_uncounted:,}"))
        if self.n_lost_tries:
            rows.append(("tries without an answer", f"{self.n_lost_tries:,}"))
        if self.seconds:
            rows.append(("time", _time(self.seconds)))
        return rows

    def to_dict(self) -> dict[str, Any]:
        """Returns plain JSON-ready values."""
        return {
            "asked": self.n_asked,
            "answered": self.n_answered,
            "failed": self.n_failed,
            "coverage": self.coverage,
            "prompt_tokens": self.usage.prompt,
            "completion_tokens": self.usage.completion,
            "uncounted": self.n_uncounted,
            "lost_tries": self.n_lost_tries,
            "cost": self.cost,
            "seconds": self.seconds,
            "stopped_by": self.stopped_by,
        }


def _time(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes / 60:.1f} h"
