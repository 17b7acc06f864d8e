"""The whole job on a small shop: a record that adds up, files that are there, mistakes in time."""

from pathlib import Path

import pytest
from tests.conftest import SMALL, Exported

from etalage.bench.record import RunRecord
from etalage.bench.report import load_record
from etalage.errors import DataError, RecipeError
from etalage.evaluate.ranking import evaluate_recommender
from etalage.pipeline.demo import recipe
from etalage.pipeline.monitors import OF_LISTS
from etalage.pipeline.run import run
from etalage.recipe.recipe import Recipe, load, resolve
from etalage.serve.runtime.engine import Engine

QUICK = SMALL | {
    "name": "quick",
    "models": {
        "popularity": None,
        "item_knn_markov": None,
        "sasrec": {"width": 16, "n_layers": 1, "training": {"epochs": 2}},
        "tiger": {"width": 16, "n_codes": 8, "vector_width": 16, "training": {"epochs": 1}},
    },
    "ranking": {
        "n_candidates": 50,
        "ranker": {"kind": "dcn", "training": {"epochs": 1, "monitor": "auc"}},
    },
}


def quick(**more: object) -> Recipe:
    return resolve({k: dict(v) if isinstance(v, dict) else v for k, v in (QUICK | more).items()})


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[RunRecord, Path, list[str]]:
    said: list[str] = []
    folder = tmp_path_factory.mktemp("runs") / "quick"
    record = run(quick(), folder, said.append)
    assert record is not None
    return record, folder, said


def test_every_model_stands_in_the_table(done) -> None:
    record, _, said = done
    names = [row.name for row in record.models]
    assert names == ["popularity", "item_knn_markov", "sasrec", "tiger", "sasrec + dcn",
                     "best possible"]  # fmt: skip
    assert [row.role for row in record.models] == ["baseline"] * 2 + ["model"] * 3 + ["bound"]
    assert len(said) == len(record.stages) == 10
    for row in record.models:
        measure = row.quality["ndcg@10"]
        assert measure.low <= measure.value <= measure.high
    assert {"auc", "log_loss", "ece", "pcoc"} <= set(record.models[-2].quality)
    assert "log_loss" not in record.models[0].quality
    assert len(record.comparisons) == 4
    assert record.calibration is not None
    assert len(record.visitors) == 3


def test_nothing_beats_the_truth(done) -> None:
    *models, bound = done[0].models
    for metric in ("ndcg@10", "auc"):
        best = bound.quality[metric]
        for row in models:
            if metric in row.quality:
                assert row.quality[metric].value < best.high
    assert bound.quality["ece"].value < 2.5 * bound.quality["ece_floor"].value


def test_files_of_a_run(done) -> None:
    record, folder, _ = done
    assert load_record(folder) == RunRecord.model_validate_json(record.model_dump_json())
    assert load(folder / "recipe.yaml") == quick()
    assert Engine(folder / "bundle").manifest["name"] == "simulated shop"
    assert sum(row.note.startswith("served") for row in record.models) == 1


def test_the_same_recipe_gives_the_same_numbers_and_goes_on_from_its_checkpoints(done) -> None:
    record, folder, _ = done
    again = run(quick(), folder, lambda text: None)
    for one, other in zip(record.models, again.models, strict=True):
        assert one.quality == other.quality
    before = {p.name: p.stat().st_mtime_ns for p in (folder / "checkpoints").rglob("*.safetensors")}
    changed = quick(seed=1)
    run(changed, folder, lambda text: None)
    after = {p.name: p.stat().st_mtime_ns for p in (folder / "checkpoints").rglob("*.safetensors")}
    assert before != after
    assert load(folder / "recipe.yaml").seed == 1


def test_a_mistake_is_found_before_any_work(tmp_path: Path) -> None:
    said: list[str] = []
    for more, message in (
        ({"retriever": "sasrek"}, "did you mean 'sasrec'"),
        ({"models": {"sasrec": {"widht": 3}}}, "sasrec.widht: unknown key; did you mean 'width'"),
        ({"models": {"sasrek": None}}, "no model is called 'sasrek'"),
        ({"ranking": {"ranker": {"kind": "dnc"}}}, "did you mean 'dcn'"),
        ({"ranking": {"ranker": {"kind": "sasrec"}}}, "'sasrec' is a recommender; a ranker is"),
        ({"models": {"dcn": {}}}, "'dcn' is a ranker; a recommender is asked for"),
        ({"models": {"sasrec": {"width": 65}}}, "sasrec: width=65 is not divisible by n_heads=2"),
        ({"models": {"tiger": {"n_heads": 3}}}, "tiger: width=64 is not divisible by n_heads=3"),
        (
            {"models": {"sasrec": {"training": {"monitor": "ndgc@10"}}}},
            "models.sasrec.training.monitor: 'ndgc@10' is not measured; did you mean 'ndcg@10'",
        ),
        (
            {"ranking": {"ranker": {"kind": "dcn", "training": {"monitor": "ndcg@10"}}}},
            "ranking.ranker.training.monitor: 'ndcg@10' is not measured",
        ),
    ):
        with pytest.raises(RecipeError, match=message):
            run(quick(**more), tmp_path / "run", said.append)
    assert said == []
    assert not (tmp_path / "run").exists()


def test_what_may_stop_a_training_is_what_is_measured(exported: Exported) -> None:
    questions = exported.shop.split.valid
    report = evaluate_recommender(exported.served.retriever, questions, ks=(10,))
    assert sorted(report.metrics) == sorted(OF_LISTS)


@pytest.mark.parametrize(
    ("users", "items", "message"),
    [(1, 7, "too small to judge a model on"), (9, 1, "nothing to choose from"),
     (60, 1, "nothing to choose from")],
)  # fmt: skip
def test_a_log_of_one_user_or_one_item_is_told_so(
    tmp_path: Path, users: int, items: int, message: str
) -> None:
    rows = [f"u{i % users},p{i % items},{1_700_000_000 + 60 * i}\n" for i in range(60)]
    (tmp_path / "log.csv").write_text("user,item,time\n" + "".join(rows))
    with pytest.raises(DataError, match=message):
        run(quick(data={"path": str(tmp_path / "log.csv")}), tmp_path / "run", lambda text: None)


def test_a_retriever_without_vectors_cannot_be_served(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="'popularity' cannot be served"):
        run(quick(retriever="popularity", models={"popularity": None}), tmp_path, lambda text: None)


def test_the_demo_names_its_run_after_the_log() -> None:
    assert recipe(None).name == "demo"
    chosen = recipe("some/where/clicks.csv", ["seed=3"])
    assert (chosen.name, chosen.data.path, chosen.seed) == ("clicks", "some/where/clicks.csv", 3)
