"""A search by several processes: it counts right, bears kills, and its best can be run."""

import csv
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from itertools import accumulate
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from tests.conftest import SMALL

from etalage.errors import EtalageError, RecipeError
from etalage.models.registry import build
from etalage.pipeline.job import Job
from etalage.pipeline.shop import open_shop
from etalage.recipe.recipe import load, resolve

pytest.importorskip("optuna", reason="the extra 'tune' is not installed")

from optuna.trial import TrialState

from etalage.pipeline.tuning import search, worker
from etalage.pipeline.tuning.search import tune
from etalage.pipeline.tuning.space import Space, laid_over
from etalage.pipeline.tuning.trial import Subject

KNN = SMALL | {
    "models": {"item_knn": {"n_neighbours": 1}},
    "search": {"models.item_knn.n_neighbours": [1, 40], "models.item_knn.recency": [0.0, 1.0]},
}
TRAINING = {"epochs": 40, "batch_size": 64, "patience": 60}
SASREC = SMALL | {
    "data": {"simulated": {"users": 80, "items": 60, "days": 60}},
    "models": {"sasrec": {"width": 8, "n_layers": 1, "max_length": 10, "training": TRAINING}},
    "search": {"models.sasrec.dropout": {"low": 0.0, "high": 0.5}},
}


def journal(folder: Path):
    return worker.open_study(folder).get_trials()


def rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "trials.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("tune") / "knn"
    said: list[str] = []
    found = tune(resolve(KNN | {}), folder, 9, 2, said.append)
    return folder, found, said


def test_two_processes_try_as_many_as_asked_and_measure_as_a_run_does(searched) -> None:
    folder, found, said = searched
    assert found.n_tried == len(rows(folder)) == len(said) == 9
    recipe = resolve(KNN | {})
    shop = open_shop(recipe)
    values = {}
    for row in rows(folder):
        n, recency = int(row["models.item_knn.n_neighbours"]), float(row["models.item_knn.recency"])
        if (n, recency) not in values:
            model = build({"kind": "item_knn", "n_neighbours": n, "recency": recency})
            model.fit(shop.training_data)
            values[n, recency] = Job(recipe, folder, False).validated(model, shop)["ndcg@10"]
        assert float(row["ndcg@10"]) == pytest.approx(values[n, recency], abs=1e-12)
    assert found.value == pytest.approx(max(values.values()), abs=1e-12)
    first = rows(folder)[0]
    assert first["models.item_knn.n_neighbours"] == "1", "the recipe's own settings come first"
    same = sum(bool(row["same_as"]) for row in rows(folder))
    assert same >= 9 - 2 * 4, "each process fits each of four settings once at most"


def test_the_best_is_a_recipe_that_runs(searched) -> None:
    folder, found, _ = searched
    best = load(folder / "best.yaml")
    assert best.search == {}
    assert best.models["item_knn"] == {"kind": "item_knn"} | {
        path.rpartition(".")[2]: value for path, value in found.settings.items()
    }
    build(best.models["item_knn"], "recommender")
    text = (folder / "best.yaml").read_text()
    assert f"the best of 9 trials, number {found.number}" in text
    dots = [n for n in ElementTree.parse(folder / "history.svg").iter() if n.tag.endswith("circle")]
    assert len(dots) == 9


def test_a_search_goes_on_but_not_with_another_recipe(searched) -> None:
    folder, found, _ = searched
    said: list[str] = []
    assert tune(resolve(KNN | {}), folder, 9, 1, said.append).value == found.value
    assert not said
    assert tune(resolve(KNN | {}), folder, 10, 1, said.append).n_tried == 10
    assert len(said) == 1
    with pytest.raises(RecipeError, match="holds the search of another recipe"):
        tune(resolve(KNN | {"seed": 1}), folder, 11, 1, said.append)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(EtalageError, match="another process searches in"):
            tune(resolve(KNN | {}), folder, 11, 1, said.append)


def test_data_that_cannot_be_read_ends_the_search(tmp_path: Path) -> None:
    recipe = resolve(KNN | {"data": {"path": str(tmp_path / "nowhere.csv")}})
    with pytest.raises(EtalageError, match=r"nowhere\.csv"):
        tune(recipe, tmp_path / "out", 2, 1, lambda text: None)


def started(recipe: dict[str, object], tmp_path: Path, out: Path) -> subprocess.Popen[str]:
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    command = [sys.executable, "-m", "etalage", "tune", str(tmp_path / "recipe.yaml")]
    return subprocess.Popen(
        [*command, "--trials", "3", "--processes", "2", "--out", str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def until(holds, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class _Reported(Exception):
    pass


def _stop(epochs: int, best: float) -> None:
    raise _Reported(epochs)


@pytest.mark.slow
def test_a_killed_search_goes_on_from_the_epoch_it_was_at(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = started(SASREC, tmp_path, out)
    until(lambda: any(f.read_text() for f in out.glob("trials/*/log.jsonl")))
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    process.communicate()
    until(lambda: not any(is_alive(int(pid)) for pid in children), 30)
    before = journal(out)
    running = {worker.folder_of(t): t for t in before if t.state == TrialState.RUNNING}
    logs = [out / "trials" / name / "log.jsonl" for name in running]
    done = {f.parent.name: len(f.read_text().splitlines()) for f in logs if f.exists()}
    assert done
    subject = Subject(resolve(SASREC | {}), Space.of(resolve(SASREC | {})))
    for name, epochs in done.items():
        shutil.copytree(out / "trials" / name, tmp_path / name)
        recipe = laid_over(resolve(SASREC | {}), subject.space.chosen(running[name].params))
        with pytest.raises(_Reported) as first:
            subject.fit(recipe, tmp_path / name, 1, _stop)
        # a checkpoint is written just before its line of the log
        assert first.value.args[0] in {epochs + 1, epochs + 2}
    with (out / "journal.log").open("a") as file:
        file.write('{"op_code": 6, "wor')  # a line that a kill cut off
    found = tune(resolve(SASREC | {}), out, 3, 2, lambda text: None)
    assert found.n_tried == len(rows(out)) == 3
    after = journal(out)[len(before) :]
    again = {t.user_attrs["folder"]: t for t in after if "folder" in t.user_attrs}
    assert set(again) == set(running)
    for name, trial in again.items():
        assert running[name].intermediate_values.items() <= trial.intermediate_values.items()
    assert not list(out.glob("trials/*")), "checkpoints of trials that ended are of no use"


@pytest.mark.slow
def test_ctrl_c_leaves_what_was_found(tmp_path: Path) -> None:
    """The first trial is of one epoch; most others would take very long."""
    long = {"models.sasrec.training.epochs": [1, *range(900, 999)]}
    sasrec = SASREC["models"]["sasrec"] | {"training": TRAINING | {"epochs": 1, "patience": 999}}
    recipe = SASREC | {"models": {"sasrec": sasrec}, "search": long}
    out = tmp_path / "out"
    process = started(recipe, tmp_path, out)
    until(lambda: (out / "best.yaml").exists() and list(out.glob("trials/*/log.jsonl")))
    os.killpg(process.pid, signal.SIGINT)
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 130, text
    assert "interrupted; the same command goes on" in text
    assert "Traceback" not in text
    assert any(t.state == TrialState.RUNNING for t in journal(out))
    assert load(out / "best.yaml").search == {}


class Pretended:
    """A subject whose trials reach what they are told, epoch by epoch."""

    data_hash = "d"
    broken: BaseException | None = None
    begins_at, dies_after = 1, None

    def __init__(self, curves: dict[int, list[float]]) -> None:
        self.curves, self.fits = curves, 0
        self.space = Space.of(resolve(KNN | {}))

    def fit(self, recipe, folder, threads, report):
        from etalage.train.context import FitReport

        self.fits += 1
        if self.broken is not None:
            raise self.broken
        for epoch, value in enumerate(self.curves[recipe.models["item_knn"]["n_neighbours"]], 1):
            if epoch >= self.begins_at:
                report(epoch, value)
            if epoch == self.dies_after:
                raise KeyboardInterrupt
        return value, FitReport(seconds=1.0, best_epoch=epoch)


def test_a_trial_that_falls_behind_is_ended_and_not_fitted_again(tmp_path: Path) -> None:
    study = worker.open_study(tmp_path)
    subject = Pretended({40: [0.1, 0.5, 0.6, 0.7], 1: [0.3, 0.4, 0.9, 0.9]})
    for n in (40, 1, 1, 40):
        params = {"models.item_knn.n_neighbours": n, "models.item_knn.recency": 0.0}
        study.enqueue_trial({path: json.dumps(value) for path, value in params.items()})
        worker._try(study, resolve(KNN | {}), subject, tmp_path, 1)
    best, behind, same, again = study.trials
    assert (best.state.name, best.value) == ("COMPLETE", 0.7)
    assert (behind.state.name, behind.last_step) == ("PRUNED", 2), "0.4 after 0.5, at epoch 2"
    assert (same.state.name, same.value, same.user_attrs["same_as"]) == ("PRUNED", 0.4, 1)
    assert (again.state.name, again.value, again.user_attrs["same_as"]) == ("COMPLETE", 0.7, 0)
    assert subject.fits == 2


def test_a_trial_taken_up_again_is_compared_as_if_it_had_not_been_killed(tmp_path: Path) -> None:
    """Its later epochs say nothing of the rungs it has passed; see what others are held to."""
    recipe = resolve(KNN | {})
    study = worker.open_study(tmp_path)
    slow = [0.1 + 0.05 * epoch for epoch in range(8)]
    subject = Pretended({40: slow, 1: [value + 0.02 for value in slow]})
    params = {"models.item_knn.n_neighbours": 40, "models.item_knn.recency": 0.0}
    first = {path: json.dumps(value) for path, value in params.items()}
    search._take_up(study, first)
    subject.dies_after = 7
    with pytest.raises(KeyboardInterrupt):
        worker._try(study, recipe, subject, tmp_path, 1)
    search._take_up(study, first)
    subject.dies_after, subject.begins_at = None, 6  # the checkpoint may be an epoch behind
    worker._try(study, recipe, subject, tmp_path, 1)
    assert study.trials[1].intermediate_values == dict(enumerate(slow, 1))
    subject.begins_at = 1
    study.enqueue_trial(first | {"models.item_knn.n_neighbours": "1"})
    worker._try(study, recipe, subject, tmp_path, 1)
    assert study.trials[-1].state == TrialState.COMPLETE, "it is better at every epoch"


def test_a_trial_taken_up_again_is_not_ended_at_an_epoch_it_went_past(tmp_path: Path) -> None:
    recipe = resolve(KNN | {})
    study = worker.open_study(tmp_path)
    low = [0.1 * epoch for epoch in range(1, 8)]
    subject = Pretended({40: low, 1: [value + 0.2 for value in low]})
    recency = {"models.item_knn.recency": json.dumps(0.0)}
    study.enqueue_trial(recency | {"models.item_knn.n_neighbours": "40"})
    subject.dies_after = 4
    with pytest.raises(KeyboardInterrupt):
        worker._try(study, recipe, subject, tmp_path, 1)
    study.enqueue_trial(recency | {"models.item_knn.n_neighbours": "1"})
    search._take_up(study, None)
    subject.dies_after = None
    worker._try(study, recipe, subject, tmp_path, 1)
    worker._try(study, recipe, subject, tmp_path, 1)
    _, better, again = study.trials
    assert better.state == TrialState.COMPLETE
    assert again.state == TrialState.PRUNED
    assert again.intermediate_values == dict(enumerate(low[:6], 1)), "compared anew at epoch 6"


def test_a_recipe_that_could_not_run_is_not_searched(tmp_path: Path) -> None:
    broken = {"models": {"item_knn": {}, "tiger": {}}, "retriever": "item_knn"}
    with pytest.raises(RecipeError, match="cannot be served"):
        tune(resolve(KNN | broken), tmp_path / "tune", 2, 1, lambda _: None)
    assert not (tmp_path / "tune").exists()


def test_a_fit_that_breaks_is_a_failed_trial_and_ends_no_worker(tmp_path: Path) -> None:
    recipe, study, subject = resolve(KNN | {}), worker.open_study(tmp_path), Pretended({})
    said: list[str] = []
    for broken in (EtalageError("no"), RuntimeError("bad shapes"), MemoryError()):
        subject.broken = broken
        worker._try(study, recipe, subject, tmp_path, 1)
    search._tell(study, recipe, subject.space, tmp_path, set(), said.append)
    assert [row["state"] for row in rows(tmp_path)] == ["failed"] * 3
    reasons = ["no", "RuntimeError('bad shapes')", "MemoryError()"]
    assert [row["reason"] for row in rows(tmp_path)] == reasons
    assert len(said) == 3
    assert not (tmp_path / "history.svg").exists(), "there is nothing to draw"
    subject.broken = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        worker._try(study, recipe, subject, tmp_path, 1)
    assert study.trials[-1].state == TrialState.RUNNING, "the next session takes it up"


def test_the_recipes_own_settings_are_never_ended_early(tmp_path: Path) -> None:
    study = worker.open_study(tmp_path)
    subject = Pretended({40: [0.5, 0.5, 0.5], 1: [0.1, 0.1, 0.6]})
    for n, attrs in ((40, None), (1, {"folder": worker.FIRST})):
        params = {"models.item_knn.n_neighbours": n, "models.item_knn.recency": 0.0}
        study.enqueue_trial({path: json.dumps(v) for path, v in params.items()}, user_attrs=attrs)
        worker._try(study, resolve(KNN | {}), subject, tmp_path, 1)
    assert [(t.state.name, t.value) for t in study.trials] == [("COMPLETE", 0.5), ("COMPLETE", 0.6)]


def _keep(reported: list[tuple[int, float]], epochs: int, best: float) -> None:
    reported.append((epochs, best))


def test_a_ranker_is_searched_by_what_it_stops_by(tmp_path: Path) -> None:
    training = {"epochs": 3, "monitor": "auc-log_loss", "patience": 3}
    ranker = {"kind": "qnn", "n_layers": 1, "training": training}
    recipe = resolve(
        SMALL
        | {"models": {"sasrec": None}, "retriever": "sasrec"}
        | {"ranking": {"ranker": ranker}, "search": {"ranking.ranker.width": [4, 8]}}
    )
    subject = Subject(recipe, Space.of(recipe))
    sizes = set()
    for width in (4, 8):
        reported: list[tuple[int, float]] = []
        chosen = laid_over(recipe, {"ranking.ranker.width": width})
        report = partial(_keep, reported)
        value, fit = subject.fit(chosen, tmp_path / str(width), 1, report)
        assert [epoch for epoch, _ in reported] == [1, 2, 3]
        values = [row["auc"] - row["log_loss"] for row in fit.history]
        assert [best for _, best in reported] == pytest.approx(list(accumulate(values, max)))
        assert value == pytest.approx(max(values))
        sizes.add(fit.n_parameters)
    assert len(sizes) == 2


def test_the_epochs_of_an_ensemble_are_counted_over_its_members(tmp_path: Path) -> None:
    member = {"kind": "qnn", "n_layers": 1, "width": 4}
    member |= {"training": {"epochs": 2, "monitor": "auc", "patience": 3}}
    members = [[member, member], [member, member | {"width": 8}]]
    recipe = resolve(
        SMALL
        | {"models": {"sasrec": None}, "retriever": "sasrec"}
        | {"ranking": {"ranker": {"kind": "ensemble", "members": members[0]}}}
        | {"search": {"ranking.ranker.members": members}}
    )
    reported: list[tuple[int, float]] = []
    value, fit = Subject(recipe, Space.of(recipe)).fit(
        laid_over(recipe, {}), tmp_path, 1, partial(_keep, reported)
    )
    assert [epoch for epoch, _ in reported] == [1, 2, 3, 4, 5], "two of each, and the mean"
    values = [*(row["auc"] for row in fit.history), value]
    assert [best for _, best in reported] == pytest.approx(list(accumulate(values, max)))
