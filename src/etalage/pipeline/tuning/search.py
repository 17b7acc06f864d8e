"""How is a search led? Processes are started, their trials told, the best is written down.

A folder holds one search: `journal.log` (optuna's), `best.yaml`, `trials.csv`, `history.svg`, and
checkpoints of the trials under way.
"""

from __future__ import annotations

import csv
import fcntl
import multiprocessing
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from optuna import Study
from optuna.trial import FrozenTrial, TrialState

from etalage import __version__
from etalage.artefact import whole_file
from etalage.bench import charts
from etalage.cores import n_cores
from etalage.errors import EtalageError, RecipeError
from etalage.pipeline.run import planned
from etalage.pipeline.stages import Say
from etalage.pipeline.tuning.space import Space, laid_over
from etalage.pipeline.tuning.worker import (
    FIRST,
    JOURNAL,
    SO_FAR,
    folder_of,
    is_that_of,
    open_study,
    work,
)
from etalage.recipe.recipe import Recipe

LOOKED = 0.2
"""Seconds between looks at the journal."""
SAID = {TrialState.COMPLETE: "whole", TrialState.PRUNED: "ended early", TrialState.FAIL: "failed"}


@dataclass(frozen=True)
class Found:
    """The best of a search so far."""

    number: int
    metric: str
    value: float
    settings: dict[str, Any]
    """By path."""
    n_tried: int
    was_interrupted: bool


def tune(recipe: Recipe, folder: Path, n_trials: int, n_processes: int, say: Say) -> Found:
    """Searches until `n_trials` settings have been tried, those of earlier sessions included.

    The first are the recipe's own, where the search has them. Others that show less by the same
    epoch are ended early (successive halving). A search that was killed goes on, as do
    the fits that it was at. Ctrl-C ends a session with all that was found written down.

    Args:
        recipe: with a `search`.
        folder: of the search.
        n_trials: settings to try in all.
        n_processes: trials at a time; threads are shared out among them.
        say: takes one line a trial, as it ends.

    Raises:
        RecipeError: for a search that cannot be run, before any work, or a folder with the search
            of another recipe.
        EtalageError: where another process searches in the folder, a process fails, or no trial
            ends well.
    """
    space = Space.of(recipe)
    planned(recipe)
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        study = open_study(folder)
        _check_recipe(study, recipe, folder)
        _take_up(study, space.first(recipe))
        told = {trial.number for trial in _ended(study)}
        context = multiprocessing.get_context("spawn")
        left = context.Semaphore(max(n_trials - len(told), 0))
        problems = context.SimpleQueue()
        threads = max(n_cores() // n_processes, 1)
        workers = [
            context.Process(target=work, args=(recipe, folder, left, n, threads, problems))
            for n in range(n_processes if len(told) < n_trials else 0)
        ]
        was_interrupted = False
        try:
            for worker in workers:
                worker.start()
            while any(worker.is_alive() for worker in workers):
                time.sleep(LOOKED)
                _tell(study, recipe, space, folder, told, say)
        except KeyboardInterrupt:
            was_interrupted = True
        finally:
            for worker in workers:
                if worker.pid is not None:
                    worker.terminate()
                    worker.join()
        _tell(study, recipe, space, folder, told, say)
        if not problems.empty():
            raise EtalageError(problems.get())
        broken = [worker.exitcode for worker in workers if worker.exitcode]
        if broken and not was_interrupted:
            raise EtalageError(
                f"a process of the search ended with code {broken[0]}; what it said stands above. "
                "The same command goes on"
            )
        return _found(study, space, was_interrupted)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds the folder for this process; mends what a kill left of the journal."""
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EtalageError(
                f"another process searches in {folder}; wait for it, or give another folder"
            ) from None
        journal = folder / JOURNAL
        if journal.exists():
            text = journal.read_bytes()
            os.truncate(journal, text.rfind(b"\n") + 1)
        yield


def _check_recipe(study: Study, recipe: Recipe, folder: Path) -> None:
    made_of = {"version": __version__, "recipe": recipe.to_dict()}
    if not is_that_of(study, "made_of", made_of):
        raise RecipeError(
            f"{folder} holds the search of another recipe, or of another version of Etalage; give "
            "another folder with --out"
        )


def _take_up(study: Study, first: dict[str, Any] | None) -> None:
    """Puts in line what an earlier session was at when it ended, or else the first trial."""
    if first is not None and not study.trials:
        study.enqueue_trial(first, user_attrs={"folder": FIRST})
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        so_far = sorted(trial.intermediate_values.items())
        taken_up = {"folder": folder_of(trial), SO_FAR: so_far}
        study.enqueue_trial(trial.params, user_attrs=taken_up)


def _ended(study: Study) -> list[FrozenTrial]:
    """Trials that ended by themselves; one that was cut off has failed for no reason."""
    trials = study.get_trials(deepcopy=False, states=tuple(SAID))
    return [t for t in trials if t.state != TrialState.FAIL or "reason" in t.user_attrs]


def _tell(
    study: Study, recipe: Recipe, space: Space, folder: Path, told: set[int], say: Say
) -> None:
    """Says what has ended since the last look, and writes all that is known by now."""
    ended = _ended(study)
    new = [trial for trial in ended if trial.number not in told]
    for trial in new:
        chosen = space.chosen(trial.params)
        settings = ", ".join(f"{space.short(path)}={_short(v)}" for path, v in chosen.items())
        value = "" if trial.value is None else f"{space.metric} {trial.value:.4f}, "
        reason = trial.user_attrs.get("reason", "")
        state = SAID[trial.state] + (f" ({reason})" if reason else "")
        say(f"trial {trial.number}: {value}{state}: {settings}")
    told |= {trial.number for trial in new}
    if not new and (folder / "trials.csv").exists():
        return
    texts = {"trials.csv": _as_csv(ended, space)}
    if any(trial.value is not None for trial in ended):
        texts["history.svg"] = _picture(ended, space)
    if any(trial.state == TrialState.COMPLETE for trial in ended):
        best = _found(study, space, was_interrupted=False)
        texts["best.yaml"] = (
            f"# etalage {__version__}: the best of {best.n_tried} trials, number {best.number}, "
            f"validation {best.metric} {best.value:.4f}\n"
            + laid_over(recipe, best.settings).to_yaml()
        )
    for name, text in texts.items():
        with whole_file(folder / name) as draft:
            draft.write_text(text, encoding="utf-8")


def _found(study: Study, space: Space, was_interrupted: bool) -> Found:
    ended = _ended(study)
    whole = [trial for trial in ended if trial.state == TrialState.COMPLETE]
    if not whole:
        reasons = [trial.user_attrs["reason"] for trial in ended if "reason" in trial.user_attrs]
        raise EtalageError(
            f"none of {len(ended)} trials has ended well"
            + (f"; the last: {reasons[-1]}" if reasons else "; the same command goes on")
        )
    best = max(whole, key=lambda trial: trial.value or 0.0)
    assert best.value is not None
    settings = space.chosen(best.params)
    return Found(best.number, space.metric, best.value, settings, len(ended), was_interrupted)


def _as_csv(ended: list[FrozenTrial], space: Space) -> str:
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    facts = ("best_epoch", "seconds", "same_as", "reason")
    writer.writerow(["trial", "state", space.metric, *space.values, *facts])
    for trial in ended:
        values = space.chosen(trial.params)
        row = [trial.number, SAID[trial.state], trial.value, *(values.get(p) for p in space.values)]
        writer.writerow([*row, *(trial.user_attrs.get(fact) for fact in facts)])
    return text.getvalue()


def _picture(ended: list[FrozenTrial], space: Space) -> str:
    points = [
        (trial.number, trial.value, trial.state == TrialState.COMPLETE)
        for trial in ended
        if trial.value is not None
    ]
    return charts.standalone(charts.tries(points, space.metric))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
