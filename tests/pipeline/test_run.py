"""The whole job on a small shop: a record that adds up, files that are there, mistakes in time."""

from pathlib import Path

import numpy as np
import pytest
from tests.conftest import SMALL, Exported

from etalage.bench.record import RunRecord
from etalage.bench.report import load_record, render
from etalage.errors import DataError, RecipeError
from etalage.evaluate.ranking import evaluate_recommender
from etalage.pipeline.demo import recipe
from etalage.pipeline.monitors import OF_LISTS
from etalage.pipeline.run import run
from etalage.pipeline.shop import token_settings
from etalage.recipe.recipe import Recipe, load, resolve
from etalage.serve.runtime.engine import Engine

QUICK = SMALL | {
    "name": "quick",
    "models": {
        "popularity": None,
        "item_knn_markov": None,
        "sasrec": {"width": 16, "n_layers": 1, "training": {"epochs": 2}},
        "tiger": {
            "width": 16,
            "tokens": {
                "n_codes": 8,
                "vector_width": 16,
                "limits": {"max_collision_rate": None},
            },
            "training": {"epochs": 1},
        },
    },
    "retriever": "sasrec",
    "ranking": {
        "n_candidates": 50,
        "ranker": {"kind": "dcn_v2", "training": {"epochs": 1, "monitor": "auc"}},
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
    assert names == ["popularity", "item_knn_markov", "sasrec", "tiger", "sasrec + dcn_v2",
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
    (served,) = [row for row in record.models if row.note.startswith("served")]
    assert 20 < served.latency_ms["peak_mb"] < 250
    assert served.latency_ms["per_second"] > 1


def test_a_generator_may_be_served(tmp_path: Path) -> None:
    models = {name: QUICK["models"][name] for name in ("popularity", "item_knn_markov", "tiger")}
    record = run(quick(models=models, retriever="tiger"), tmp_path / "quick", [].append)
    assert record is not None
    assert "tiger + dcn_v2" in [row.name for row in record.models]
    (served,) = [row for row in record.models if row.note.startswith("served")]
    assert served.latency_ms["peak_mb"] < 250
    engine = Engine(tmp_path / "quick" / "bundle")
    answer = engine.recommend(np.array([1, 2], np.int32), 5)
    assert answer.degraded is None
    assert len({1, 2, *answer.items.tolist()}) == 7
    assert engine.catalogue.codes is not None
    assert len(np.unique(engine.catalogue.codes, axis=0)) == len(engine.catalogue.ids)
    # the report speaks of the ids that the window shows
    shown = {item.id: item.codes for group in record.tokens.examples for item in group}
    written = engine.catalogue.codes[[engine.catalogue.ids.index(item) for item in shown]]
    assert list(shown.values()) == written.tolist()


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

    def written() -> dict[str, int]:
        found = (folder / "checkpoints").rglob("*.safetensors")
        return {str(p): p.stat().st_mtime_ns for p in found}

    before = written()
    assert len(before) == 3
    again = run(quick(), folder, lambda text: None)
    for one, other in zip(record.models, again.models, strict=True):
        assert one.quality == other.quality
    assert written() == before  # nothing was trained again
    said: list[str] = []
    run(quick(repeats="show"), folder, said.append)  # what no training depends on
    assert written() == before
    run(quick(seed=1), folder, said.append)
    assert all(written()[path] != then for path, then in before.items())
    afresh = [line for line in said if "an older checkpoint was of something else" in line]
    assert [line.split()[1] for line in afresh] == ["sasrec", "tiger"]
    assert load(folder / "recipe.yaml").seed == 1


def test_another_log_at_the_same_path_is_learned_afresh(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)

    def write(n_items: int, step: int) -> None:
        rows = [
            f"u{user},p{(start + step * n) % n_items},{1_700_000_000 + 3600 * n + user}\n"
            for user, start in enumerate(rng.integers(0, n_items, 60))
            for n in range(20)
        ]
        (tmp_path / "log.csv").write_text("user,item,time\n" + "".join(rows))

    given = {"data": {"path": str(tmp_path / "log.csv")}, "retriever": None, "name": "log"}
    sasrec = {"width": 16, "n_layers": 1, "training": {"epochs": 3, "batch_size": 16}}
    recipe = quick(**given, models={"sasrec": sasrec})
    write(20, 1)
    run(recipe, tmp_path / "run", lambda text: None)
    write(23, 7)
    again = run(recipe, tmp_path / "run", lambda text: None)
    fresh = run(recipe, tmp_path / "fresh", lambda text: None)
    assert [row.quality for row in again.models] == [row.quality for row in fresh.models]


def test_models_can_be_compared_without_serving_one(tmp_path: Path) -> None:
    said: list[str] = []
    record = run(quick(retriever=None, models={"ease": None}), tmp_path / "run", said.append)
    names = [row.name for row in record.models]
    assert names == ["popularity", "item_knn_markov", "ease", "best possible"]
    assert record.calibration is None
    assert record.visitors == []
    assert not (tmp_path / "run" / "bundle").exists()
    assert "ease" in render(load_record(tmp_path / "run"))


def test_what_people_take_again_may_be_shown_where_the_recipe_says_so(tmp_path: Path) -> None:
    """Everyone drinks one of two coffees, over and over."""
    rows = [
        f"u{u},coffee{u % 2},{1_700_000_000 + 3600 * n + u}\n" for u in range(30) for n in range(20)
    ]
    rows += [f"u{u},p{u % 7},{1_700_000_000 + u}\n" for u in range(30)]
    (tmp_path / "log.csv").write_text("user,item,time\n" + "".join(rows))
    given = {"data": {"path": str(tmp_path / "log.csv")}, "retriever": None, "models": {}}
    hidden = run(quick(**given), tmp_path / "hide", lambda text: None)
    shown = run(quick(**given, repeats="show"), tmp_path / "show", lambda text: None)
    for record, value in ((hidden, 0.0), (shown, 1.0)):
        assert record.models[0].quality["recall@10"].value == value
    assert any("100 % of test questions ask only for" in note for note in hidden.notes)
    assert not any("hidden here" in note for note in shown.notes)


def test_a_mistake_is_found_before_any_work(tmp_path: Path) -> None:
    said: list[str] = []
    for more, message in (
        ({"retriever": "sasrek"}, "did you mean 'sasrec'"),
        ({"models": {"sasrec": {"widht": 3}}}, "sasrec.widht: unknown key; did you mean 'width'"),
        ({"models": {"sasrek": None}}, "there is no kind of model 'sasrek'"),
        ({"ranking": {"ranker": {"kind": "dnc_v2"}}}, "did you mean 'dcn_v2'"),
        ({"ranking": {"ranker": {"kind": "sasrec"}}}, "'sasrec' is a recommender; a ranker is"),
        ({"models": {"dcn_v2": {}}}, "'dcn_v2' is a ranker; a recommender is asked for"),
        ({"models": {"sasrec": {"width": 65}}}, "sasrec: width=65 is not divisible by n_heads=2"),
        ({"models": {"tiger": {"n_heads": 3}}}, "tiger: width=64 is not divisible by n_heads=3"),
        (
            {"models": {"sasrec": {"training": {"monitor": "ndgc@10"}}}},
            "models.sasrec.training.monitor: 'ndgc@10' is not measured; did you mean 'ndcg@10'",
        ),
        (
            {"ranking": {"ranker": {"kind": "dcn_v2", "training": {"monitor": "ndcg@10"}}}},
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
    said: list[str] = []
    with pytest.raises(RecipeError, match="'popularity' cannot be served"):
        run(quick(retriever="popularity"), tmp_path / "run", said.append)
    assert said == []


def test_the_demo_names_its_run_after_the_log() -> None:
    assert recipe(None).name == "demo"
    chosen = recipe("some/where/clicks.csv", ["seed=3"])
    assert (chosen.name, chosen.data.path, chosen.seed) == ("clicks", "some/where/clicks.csv", 3)


def test_tiles_are_refused_by_limits_that_a_recipe_names_and_no_others() -> None:
    assert set(token_settings(resolve({})).limits.to_dict().values()) == {None}
    settings = token_settings(resolve({"tokens": {"limits": {"min_usage": 0.9}}}))
    assert settings.limits.min_usage == 0.9
    assert settings.limits.max_collision_rate is settings.limits.min_neighbour_lift is None
    for wrong in ({"min_use": 0.9}, None, 3):
        with pytest.raises(RecipeError, match="limits"):
            token_settings(resolve({"tokens": {"limits": wrong}}))
