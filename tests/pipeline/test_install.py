"""A calibrator refitted to new scores is served; one that does not fit changes nothing."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
import polars as pl
import pytest
from tests.conftest import Exported

from etalage.calibrate import Table
from etalage.errors import BundleError
from etalage.pipeline.export import Served, export_bundle
from etalage.pipeline.install import _places, install
from etalage.pipeline.scores import ScoreCalibrator, ScoreColumns, read_scores
from etalage.pipeline.shop import item_names
from etalage.serve.bundle import read_manifest
from etalage.serve.runtime.engine import Engine

FIELDS = ("device", "item", "category")
OF_THE_WRITING = ("model_version", "created_utc", "files")


@pytest.fixture(scope="module")
def frame(exported: Exported) -> pl.DataFrame:
    """What the ranker said of the test rows, and what came of it on strange days."""
    test, features = exported.log.test, exported.served.features
    logits = exported.served.ranker.score(test.table(features))
    devices = np.array([None, *features.contexts["device"]])[test.codes[:, 0]]
    sway = np.where(devices == "phone", 2.0, -1.0)
    p = 1 / (1 + np.exp(-logits - sway))
    return pl.DataFrame(
        {
            "score": logits.astype(np.float64),
            "label": (np.random.default_rng(0).random(len(test)) < p).astype(np.int8),
            "device": devices,
            "item": [f"item-{i:05d}" for i in test.items],
            "category": np.array(item_names(exported.shop.data)[1])[test.items],
        }
    )


def fitted(frame: pl.DataFrame, *fields: str, kind: str = "auto") -> ScoreCalibrator:
    columns = ScoreColumns("score", "label", fields, is_logit=True)
    return ScoreCalibrator.fit(read_scores(frame, columns), columns, kind)


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_what_is_served_is_what_was_fitted(
    exported: Exported, bundle: Path, frame: pl.DataFrame
) -> None:
    """Some rows are of items that the ranker never saw, some of a category that the calibrator
    never saw."""
    table = exported.log.test.table(exported.served.features)
    is_known = pl.Series(table.categories[:, 0] > 0)
    seen = frame.filter(pl.col("category") != frame["category"][0])
    new = fitted(seen, *FIELDS)
    known = frame.with_columns(item=pl.when(is_known).then("item"))
    rows = read_scores(known, ScoreColumns("score", fields=FIELDS, is_logit=True))
    assert (new.context(rows) < 0).any(0).tolist() == [False, True, True]
    assert not is_known.all()
    before = Engine(bundle).probability(rows.logits, table.categories)
    installed = install(bundle, new)
    both = known.filter(pl.col("category") != frame["category"][0])
    assert installed.n_known == {name: both[name].drop_nulls().n_unique() for name in FIELDS}
    found = Engine(bundle).probability(rows.logits, table.categories)
    np.testing.assert_allclose(found, new.probability(rows), rtol=0, atol=1e-9)
    assert np.abs(found - before).mean() > 0.05


@pytest.mark.parametrize("fields", [("device",), ("device", "category"), ()])
def test_a_table_is_served_within_its_certificate(
    exported: Exported, bundle: Path, frame: pl.DataFrame, fields: tuple[str, ...], tmp_path: Path
) -> None:
    known = frame.filter(*(pl.col(name).is_not_null() for name in fields))
    new = fitted(known, *fields, kind="mcnet" if fields else "isotonic")
    new.tabulated(1e-3, known if fields else None).save(tmp_path / "table.json")
    short = ScoreCalibrator.load(tmp_path / "table.json")
    assert isinstance(short.calibrator, Table)
    assert short.calibrator.error <= 1e-3
    install(bundle, short)
    rows = read_scores(frame, ScoreColumns("score", fields=fields, is_logit=True))
    table = exported.log.test.table(exported.served.features)
    served = Engine(bundle).probability(rows.logits, table.categories)
    off = np.abs(served - new.probability(rows))
    whole = np.all([frame[name].is_not_null().to_numpy() for name in fields] or [True], axis=0)
    assert off[np.broadcast_to(whole, off.shape)].max() <= short.calibrator.error / 4


@pytest.mark.parametrize("kind", ["auto", "isotonic"])
def test_one_curve_for_all_needs_no_values(bundle: Path, frame: pl.DataFrame, kind: str) -> None:
    new = fitted(frame, kind=kind)
    before = read_manifest(bundle)
    installed = install(bundle, new)
    engine = Engine(bundle)
    assert engine.manifest["model_version"] == installed.model_version != before["model_version"]
    assert installed.n_known == {}
    logits = np.linspace(-4, 2, 9, dtype=np.float32)
    p = engine.probability(logits, np.zeros((9, 6), np.int32))
    np.testing.assert_allclose(p, new.calibrator.probability(logits), rtol=0, atol=1e-12)
    changed = [n for n, f in engine.manifest["files"].items() if f != before["files"][n]]
    assert changed == ["calibrator.json"]
    facts = [{k: v for k, v in m.items() if k not in OF_THE_WRITING}
             for m in (engine.manifest, before)]  # fmt: skip
    assert facts[0] == facts[1]
    assert install(bundle, new) == installed


def test_a_calibrator_may_come_where_none_was(
    exported: Exported, frame: pl.DataFrame, tmp_path: Path
) -> None:
    was = exported.served
    served = Served(was.retriever, was.ids, was.ranker, was.features)
    export_bundle(tmp_path / "bundle", exported.shop.data, served, exported.recipe)
    history = np.array([3], np.int32)
    assert Engine(tmp_path / "bundle").recommend(history, 5).probabilities is None
    install(tmp_path / "bundle", fitted(frame, "device"))
    assert Engine(tmp_path / "bundle").recommend(history, 5).probabilities is not None


def renamed(new: ScoreCalibrator) -> None:
    new.values = {"devise": new.values["device"]}


def translated(new: ScoreCalibrator) -> None:
    new.values = {"device": ["Telefon", "Rechner"]}


def halved(new: ScoreCalibrator) -> None:
    new.values |= {"slot": ["0", "1"]}


def bared(new: ScoreCalibrator) -> None:
    new.values = {}


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (renamed, r"no field 'devise'; did you mean 'device'\? \(it has item, category, "),
        (translated, r"none of the calibrator's values of 'device', such as \['Telefon', "),
        (halved, r"does not fit what it calibrates by \(device, slot\): the context has 2 fields"),
        (bared, r"does not fit what it calibrates by \(nothing\): this calibrator needs a context"),
    ],
)
def test_a_calibrator_that_does_not_fit_changes_nothing(
    bundle: Path, frame: pl.DataFrame, harm: Callable[[ScoreCalibrator], None], message: str
) -> None:
    new = fitted(frame, "device")
    harm(new)
    before = bytes_of(bundle.parent)
    with pytest.raises(BundleError, match=message):
        install(bundle, new)
    assert bytes_of(bundle.parent) == before


def test_a_bundle_without_a_ranker_or_that_is_harmed_is_left_alone(
    exported: Exported, bundle: Path, frame: pl.DataFrame, tmp_path: Path
) -> None:
    new = fitted(frame)
    served = Served(exported.served.retriever)
    export_bundle(tmp_path / "plain", exported.shop.data, served, exported.recipe)
    with pytest.raises(BundleError, match="has no ranker whose scores could be calibrated"):
        install(tmp_path / "plain", new)
    (bundle / "items.json").write_bytes(b"{}")
    with pytest.raises(BundleError, match=r"items\.json is cut short or grown"):
        install(bundle, new)
    with pytest.raises(BundleError, match="no bundle in"):
        install(tmp_path / "nowhere", new)
    assert not (tmp_path / "nowhere").exists()


def test_an_export_meanwhile_is_not_mixed_with_the_old_one(
    bundle: Path, frame: pl.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = shutil.copyfile

    def exported_meanwhile(source: Path, target: Path) -> None:
        copy(source, target)
        manifest = orjson.loads((bundle / "manifest.json").read_bytes())
        (bundle / "manifest.json").write_bytes(orjson.dumps(manifest | {"name": "new"}))

    monkeypatch.setattr("etalage.serve.bundle.shutil.copyfile", exported_meanwhile)
    with pytest.raises(BundleError, match="by another process meanwhile; do it again"):
        install(bundle, fitted(frame))
    assert read_manifest(bundle)["name"] == "new"


def test_truth_values_are_found_however_they_are_spelled() -> None:
    words = [None, "False", "True", "maybe"]
    assert _places(["true", "false"], words).tolist() == [-1, 1, 0, -1]
    assert _places(["maybe", "True"], words).tolist() == [-1, -1, 1, 0]
