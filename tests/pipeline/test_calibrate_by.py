"""Curves by value in a run: fitted, judged and served with the same codes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import pytest
from tests.conftest import SMALL, Exported

from etalage.calibrate import FieldEffects
from etalage.calibrate.measures import measures
from etalage.data.features import FeatureTable
from etalage.errors import RecipeError
from etalage.pipeline.export import Served, export_bundle
from etalage.pipeline.ranking import Calibrated, Trained, calibrate
from etalage.pipeline.run import run
from etalage.recipe.recipe import Recipe, resolve
from etalage.serve.runtime.engine import Engine
from etalage.train.context import FitReport

FIELDS = ["category", "device", "slot"]


def by(*fields: str) -> Recipe:
    return resolve({**SMALL, "ranking": {**SMALL["ranking"], "calibrate_by": list(fields)}})


class Swayed:
    """A ranker that thinks too much of phones, and too little of desktops."""

    def __init__(self, served: Served) -> None:
        self.ranker, self.device = served.ranker, list(served.features.sizes).index("device")

    def score(self, table: FeatureTable) -> np.ndarray:
        return self.ranker.score(table) + 3 * (table.categories[:, self.device] - np.float32(1.5))


@pytest.fixture(scope="module")
def swayed(exported: Exported) -> Trained:
    served = exported.served
    return Trained(Swayed(served), served.features, exported.log, FitReport())


@pytest.fixture(scope="module")
def calibrated(swayed: Trained) -> Calibrated:
    return calibrate(swayed, by(*FIELDS))


@pytest.fixture(scope="module")
def engine(
    exported: Exported, calibrated: Calibrated, tmp_path_factory: pytest.TempPathFactory
) -> Engine:
    served = replace(exported.served, calibrator=calibrated.calibrator, fields=calibrated.fields)
    folder = tmp_path_factory.mktemp("by") / "bundle"
    export_bundle(folder, exported.shop.data, served, exported.recipe)
    return Engine(folder)


def test_values_that_differ_are_put_right_and_all_rows_alike_are_not(
    swayed: Trained, calibrated: Calibrated
) -> None:
    clicks = swayed.clicks.test.clicks
    alike = calibrate(swayed, by())
    assert alike.fields.codes == {}
    assert alike.fields.context(np.zeros((1, 6), np.int32)) is None
    loss, plain = (measures(c.probabilities, clicks)["log_loss"] for c in (calibrated, alike))
    assert loss < plain - 0.01
    assert calibrated.record.method == "fields by category, device, slot"
    assert calibrated.record.metrics["after"]["log_loss"] == loss


def test_what_is_served_is_what_was_fitted(
    swayed: Trained, calibrated: Calibrated, engine: Engine
) -> None:
    test, features = swayed.clicks.test, swayed.features
    table = test.table(features)
    served = engine.probability(calibrated.logits, table.categories)
    np.testing.assert_allclose(served, calibrated.probabilities, rtol=0, atol=1e-9)
    for visit in range(0, len(test.starts), 9):
        of_visit = np.flatnonzero(test.visits == visit)
        for row in of_visit:  # each was shown in another slot
            known = zip(features.contexts.items(), test.codes[row].tolist(), strict=True)
            said = {name: values[code - 1] if code else None for (name, values), code in known}
            history = test.flat[test.starts[visit] : test.ends[visit]]
            asked = engine.rows(history, test.items[[row]], said)
            p = engine.probability(calibrated.logits[[row]], asked["categories"])
            np.testing.assert_allclose(p, calibrated.probabilities[[row]], rtol=0, atol=1e-9)


def test_an_unknown_value_has_the_curve_of_all(calibrated: Calibrated, engine: Engine) -> None:
    assert isinstance(calibrated.calibrator, FieldEffects)
    logits = np.linspace(-5, 3, 20, dtype=np.float32)
    found = engine.probability(logits, np.zeros((20, 6), np.int32))
    np.testing.assert_allclose(found, calibrated.calibrator.curve.probability(logits), atol=1e-12)
    desktops, phones = np.zeros((2, 20, 6), np.int32)
    device = list(engine.features.sizes).index("device")
    desktops[:, device], phones[:, device] = 1, 2
    assert (engine.probability(logits, phones) < engine.probability(logits, desktops)).all()


def test_the_list_is_in_the_order_of_logits_and_tells_each_items_probability(
    engine: Engine,
) -> None:
    history, said = np.array([3, 9, 50], np.int32), {"device": "phone"}
    answer = engine.recommend(history, 10, context=said)
    rows = engine.rows(history, answer.items, said)
    assert (np.diff(answer.scores) <= 0).all()
    expected = engine.probability(answer.scores, rows["categories"])
    np.testing.assert_allclose(answer.probabilities, expected, atol=1e-6)


def test_a_run_reports_and_serves_with_its_fields(tmp_path: Path) -> None:
    training = {"epochs": 1, "batch_size": 256}
    models = {"sasrec": {"width": 16, "n_layers": 1, "training": training}}
    settings = {"n_candidates": 30, "ranker": {"kind": "lr", "training": training}}
    recipe = {**SMALL, "models": models, "retriever": "sasrec", "ranking": settings}
    said: list[str] = []
    fields = "ranking.calibrate_by=[category, slot]"
    record = run(resolve(recipe, [fields]), tmp_path / "run", said.append)
    assert record is not None
    assert record.calibration is not None
    assert record.calibration.method == "fields by category, slot"
    assert any("fields by category, slot: error" in line for line in said)
    (row,) = [row for row in record.models if row.kind == "ranked"]
    assert row.quality["log_loss"].value == record.calibration.metrics["after"]["log_loss"]
    facts = orjson.loads((tmp_path / "run" / "bundle" / "calibrator.json").read_bytes())
    assert list(facts["calibrate_by"]) == ["category", "slot"]
    assert (
        Engine(tmp_path / "run" / "bundle").recommend(np.array([1], np.int32), 5).degraded is None
    )


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (
            "[catgory]",
            r"this log has no field 'catgory'; did you mean 'category'\? \(it has item, ",
        ),
        ("[slot, slot]", "names 'slot' twice"),
        ("slot", "ranking.calibrate_by: Input should be a valid tuple; got 'slot'"),
    ],
)
def test_a_field_that_is_not_there_is_named_before_any_training(
    tmp_path: Path, field: str, message: str
) -> None:
    said: list[str] = []
    tree = {**SMALL, "ranking": {}, "models": {"sasrec": None}, "retriever": "sasrec"}
    change = f"ranking.calibrate_by={field}"
    with pytest.raises(RecipeError, match=message):
        run(resolve(tree, [change]), tmp_path / "run", said.append)
    assert said == []


def test_a_field_without_values_is_not_there(tmp_path: Path) -> None:
    """A log that does not say what was shown, of items without categories."""
    rows = [f"u{n % 30},p{n % 20},{1_700_000_000 + 60 * n}\n" for n in range(600)]
    (tmp_path / "log.csv").write_text("user,item,time\n" + "".join(rows))
    tree = {"data": {"path": str(tmp_path / "log.csv")}, "models": {"sasrec": None},
            "retriever": "sasrec", "ranking": {"calibrate_by": ["category"]}}  # fmt: skip
    with pytest.raises(RecipeError, match=r"no field 'category' \(it has item\)"):
        run(resolve(tree), tmp_path / "run", lambda text: None)
