"""How are millions of questions asked, once each? In one pass that can be killed and goes on.

A job is what is asked, less what is answered: nothing else is kept of it, so the same call goes on
where a killed one was. Calls that were under way at a kill are asked again, as many as ran at a
time. Memory is bounded by these and by failures, of which at most one in a hundred is borne.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from time import monotonic

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    track,
)

from etalage.errors import AnswerError, RecipeError
from etalage.language.answers import Answers, KeySet
from etalage.language.costs import Plan, Price, Report, estimated
from etalage.language.request import Failure, LanguageModel, Request, Result, Usage
from etalage.language.schema import fault

COVERAGE = 0.99
"""Share of the requests that must have an answer in the end."""
BORNE = 20
"""Failures after which a job that cannot reach its coverage ends early."""


def plan(
    requests: Iterable[Request],
    model: str,
    answers: Answers,
    *,
    price: Price | None = None,
    progress: bool = False,
) -> Plan:
    """Counts what would be asked of a model, named with its revision; asks nothing.

    Args:
        requests: read to the end, and once more by `run`: a list, or what makes them anew.

    Raises:
        RecipeError: when the requests can be read only once.
    """
    if iter(requests) is requests:
        raise RecipeError(
            "requests are read twice, to plan and to ask; give a list, or an object whose __iter__ "
            "makes them anew"
        )
    seen = KeySet()
    n_requests = n_distinct = n_kept = n_read = n_cap = 0
    kept = Usage()
    # nothing to draw a share of before the end is known
    counted = track(requests, "Planning", console=Console(stderr=True), disable=not progress)
    for request in counted:
        n_requests += 1
        key = request.key(model)
        if not seen.add(key):
            continue
        n_distinct += 1
        found = answers.get(key)
        if found is None:
            n_read += estimated(request)
            n_cap += request.sampling.max_tokens
        else:
            n_kept += 1
            kept += found.usage or Usage()
    pace, n_to_ask = answers.pace(model), n_distinct - n_kept
    n_written = n_cap if pace is None else min(round(n_to_ask * pace[1]), n_cap)
    seconds = None if pace is None else n_to_ask * pace[0]
    return Plan(n_requests, n_distinct, n_kept, kept, Usage(n_read, n_written), price, seconds)


def run(
    requests: Iterable[Request],
    model: LanguageModel,
    answers: Answers,
    *,
    price: Price | None = None,
    max_cost: float | None = None,
    max_requests: int | None = None,
    progress: bool = False,
) -> Report:
    """Asks what is not answered yet, in the order given, and keeps every answer at once.

    Args:
        requests: as for `plan`; what is worth most comes first, since a run may be cut short.
        price: what the model's host takes.
        max_cost: nothing is asked that could cost more than what is left of this.
        max_requests: requests asked at most; tries of one count once.
        progress: show a bar on stderr.

    Raises:
        AnswerError: when the server cannot be asked, or fewer than 99 % of the requests have an
            answer in the end. All answers are kept, and the same call goes on.
        CapacityError: when another job is at work on these answers.
        RecipeError: when the requests can be read only once, or a cost has no price.
    """
    if max_cost is not None and price is None:
        raise RecipeError("a largest cost means nothing without a price; give the model's price")
    with answers.alone():
        planned = plan(requests, model.name, answers, price=price, progress=progress)
        job = _Job(requests, model, answers, Report(planned), max_cost, max_requests)
        return job.run(progress)


def settled(
    outcome: Result | Failure,
    key: str,
    model: str,
    answers: Answers,
    report: Report,
    *,
    by_batch: bool = False,
) -> Result | Failure:
    """Keeps an answer that is what was asked for, or buries it, and counts it either way."""
    request = outcome.request
    if isinstance(outcome, Result) and request.schema:
        why = fault(outcome.text, request.schema)
        if why:
            outcome = Failure(request, why, outcome.tries, outcome.usage)
    report.usage += outcome.usage or Usage()
    if isinstance(outcome, Result):
        report.n_uncounted += outcome.usage is None
        report.n_answered += answers.keep(key, outcome, model, by_batch=by_batch)
    else:
        report.n_failed += 1
        answers.bury(key, outcome)
    return outcome


class _Job:
    def __init__(
        self,
        requests: Iterable[Request],
        model: LanguageModel,
        answers: Answers,
        report: Report,
        max_cost: float | None,
        max_requests: int | None,
    ) -> None:
        self.left = iter(requests)
        self.model = model
        self.answers = answers
        self.report = report
        self.price = report.plan.price
        self.max_cost = max_cost
        self.max_requests = max_requests
        self.running: dict[str, float] = {}
        """What each call under way can cost."""
        self.failed: set[str] = set()
        self.reasons: Counter[str] = Counter()
        self.put_off: Request | None = None
        self.is_over = False

    def run(self, progress: bool) -> Report:
        began = monotonic()
        try:
            with _bar(progress) as bar:
                task = bar.add_task("Asking", total=self.report.plan.n_to_ask)
                # more than one round only where what is left of a budget is less than all that is
                # under way could cost
                while not self.is_over:
                    # closed whatever happens here, or calls under way would outlive the job
                    with closing(self.model.generate(self._feed())) as outcomes:
                        for outcome in outcomes:
                            self._take(outcome)
                            bar.advance(task)
        except AnswerError as error:
            raise AnswerError(f"{error}. {self._state()}") from error
        finally:
            self.report.seconds = monotonic() - began
        is_short = self.report.coverage < COVERAGE
        if is_short and self.report.stopped_by in ("", "failures"):
            why = "; ".join(f"{n:,} times: {reason}" for reason, n in self.reasons.most_common(3))
            raise AnswerError(
                f"{self.report.n_failed:,} requests failed ({why}); they are listed in "
                f"{self.answers.dead_letters}. {self._state()}"
            )
        return self.report

    def _feed(self) -> Iterator[Request]:
        """What is still to be asked, until a limit is met."""
        while not self.is_over:
            request = self.put_off or next(self.left, None)
            self.put_off = None
            if request is None:
                self.is_over = True
                return
            key = request.key(self.model.name)
            if key in self.running or key in self.failed or key in self.answers:
                continue
            if self.max_requests is not None and self.report.n_asked >= self.max_requests:
                self._stop("max_requests")
                return
            most = self.price.most(request) if self.price is not None else 0.0
            if self.max_cost is not None:
                spent = self.report.cost or 0.0
                if spent + sum(self.running.values()) + most > self.max_cost:
                    self.put_off = request
                    if not self.running:
                        self._stop("max_cost")
                    return
            self.running[key] = most
            self.report.n_asked += 1
            yield request

    def _take(self, outcome: Result | Failure) -> None:
        report, name = self.report, self.model.name
        key = outcome.request.key(name)
        outcome = settled(outcome, key, name, self.answers, report)
        if isinstance(outcome, Result):
            report.n_lost_tries += outcome.tries - 1
        else:
            self.failed.add(key)
            self.reasons[outcome.reason] += 1
            report.n_lost_tries += outcome.tries - (outcome.usage is not None)
            if report.n_failed > max((1 - COVERAGE) * report.plan.n_distinct, BORNE):
                self._stop("failures")
        self.running.pop(key, None)

    def _stop(self, by: str) -> None:
        self.is_over = True
        self.report.stopped_by = by

    def _state(self) -> str:
        plan = self.report.plan
        n_have = plan.n_kept + self.report.n_answered
        return (
            f"{n_have:,} of {plan.n_distinct:,} answers are kept in {self.answers.folder}; the "
            "same call asks only for the rest"
        )


def _bar(is_shown: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not is_shown,
    )
