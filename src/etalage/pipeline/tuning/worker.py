"""Who tries? A process that takes one trial after another from the journal it shares."""

from __future__ import annotations

import fcntl
import multiprocessing
import os
import shutil
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from threading import Thread
from typing import IO, Any, cast

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from etalage.errors import DataError, EtalageError
from etalage.pipeline.tuning.space import Space, laid_over
from etalage.pipeline.tuning.trial import Subject
from etalage.recipe.recipe import Recipe
from etalage.seeds import torch_seed

JOURNAL = "journal.log"
FIRST = "first"
"""Folder of the trial of the recipe's own settings, which is never ended early."""
SO_FAR = "so_far"
"""What a trial that is taken up again has shown already, as (epochs, best value)."""
LEAST_EPOCHS = 2
"""Epochs before a trial may be ended: after one, what learns fast at first looks best."""
KEPT = 3
"""One of so many goes on at 2, 6, 18 ... epochs."""


class _KernelLock:
    """Holds the journal for one writer; a killed one lets go at once, not after optuna's 30 s."""

    def __init__(self, journal: Path) -> None:
        self._journal, self._file = journal, cast("IO[bytes]", None)

    def acquire(self) -> bool:
        self._file = self._journal.open("ab")
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return True

    def release(self) -> None:
        self._file.close()


def open_study(folder: Path, seed: int = 0) -> optuna.Study:
    """Opens the journal of a folder, or begins one."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    journal = folder / JOURNAL
    backend = JournalFileBackend(str(journal), cast("Any", _KernelLock(journal)))
    return optuna.create_study(
        storage=JournalStorage(backend),
        study_name="tune",
        direction="maximize",
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=seed, constant_liar=True),
        pruner=optuna.pruners.SuccessiveHalvingPruner(LEAST_EPOCHS, KEPT),
    )


def work(
    recipe: Recipe,
    folder: Path,
    left: Semaphore,
    number: int,
    threads: int,
    problems: SimpleQueue[str],
) -> None:
    """Tries until none of the trials in `left` remains; ends with the process that started it."""
    Thread(target=_end_with_parent, daemon=True).start()
    try:
        space = Space.of(recipe)
        subject = Subject(recipe, space)
        n_before = len(open_study(folder).trials)
        # not the draws of an earlier session again
        seed = torch_seed(recipe.seed, "tune", number, n_before) % 2**32
        study = open_study(folder, seed)
        _check_data(study, subject.data_hash)
        while left.acquire(block=False):
            _try(study, recipe, subject, folder, threads)
    except KeyboardInterrupt:
        pass  # what was begun is taken up again by the next session
    except EtalageError as error:
        problems.put(str(error))


def folder_of(trial: Any) -> str:
    """Name of the folder of a trial's checkpoints; one that goes on has that of its beginning."""
    return str(trial.user_attrs.get("folder", f"trial-{trial.number}"))


def _try(study: optuna.Study, recipe: Recipe, subject: Subject, folder: Path, threads: int) -> None:
    """One trial, from asking for its settings to telling what they reached."""
    trial = study.ask()
    values = subject.space.suggest(trial)
    place = folder / "trials" / folder_of(trial)
    same = _same(study, trial)
    if same is not None:
        trial.set_user_attr("same_as", same.number)
        for epochs, best in same.intermediate_values.items():
            trial.report(best, epochs)
        study.tell(trial, same.value if same.state == TrialState.COMPLETE else None, same.state)
        return

    so_far = dict(trial.user_attrs.get(SO_FAR, ()))

    def told(epochs: int, best: float) -> bool:
        """Whether a trial falls behind by what it shows; all tell it, to be held against."""
        trial.report(best, epochs)
        return trial.should_prune()

    def report(epochs: int, best: float) -> None:
        if epochs in so_far:  # judged again after a kill
            return
        if told(epochs, best) and place.name != FIRST:
            raise optuna.TrialPruned

    try:
        for epochs, best in so_far.items():
            told(epochs, best)  # it was not ended there before the kill, and is not now
        value, fit = subject.fit(laid_over(recipe, values), place, threads, report)
        trial.set_user_attr("seconds", fit.seconds)
        trial.set_user_attr("best_epoch", fit.best_epoch)
        study.tell(trial, value)
    except optuna.TrialPruned:
        study.tell(trial, state=TrialState.PRUNED)
    except Exception as error:  # left under way, it would be the first to be tried again
        is_ours = isinstance(error, EtalageError)
        trial.set_user_attr("reason", str(error) if is_ours else repr(error))
        study.tell(trial, state=TrialState.FAIL)
    shutil.rmtree(place, ignore_errors=True)


def _same(study: optuna.Study, trial: optuna.Trial) -> optuna.trial.FrozenTrial | None:
    """A trial of the same settings that has ended: the same fit would end the same."""
    ended = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    return next((other for other in ended if other.params == trial.params), None)


def is_that_of(study: optuna.Study, fact: str, value: Any) -> bool:
    """Whether a search began with the same value; one that only begins takes it down."""
    known = study.user_attrs.get(fact)
    if known is None:
        study.set_user_attr(fact, value)
    return known in (None, value)


def _check_data(study: optuna.Study, data_hash: str) -> None:
    if not is_that_of(study, "data", data_hash):
        raise DataError(
            f"this search began on data {study.user_attrs['data']}, the log now is {data_hash}: "
            "values could not be compared. Give another folder with --out"
        )


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)  # at once, in the middle of a fit too: the journal and checkpoints bear it
