"""What every registered ranker must do, whatever is inside."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import yaml
from tests.contracts.broken import check_broken_copies

import etalage
from etalage.data.features import FeatureTable
from etalage.errors import DataError, NotFittedError
from etalage.models.exportable import Exportable
from etalage.models.registry import RANKERS, build, model_type
from etalage.train.context import TrainContext

TRAINING = {"epochs": 12, "batch_size": 128, "learning_rate": 0.01, "monitor": "auc"}
NETWORK = {"width": 16, "vector_decay": 0.0, "training": TRAINING}
DEEP = NETWORK | {"hidden": (32,), "dropout": 0.0}
SETTINGS = {
    "counts": {},
    "lr": {"vector_decay": 0.0, "training": TRAINING},
    "fm": NETWORK,
    "dnn": DEEP,
    "wide_deep": DEEP,
    "deepfm": DEEP | {"batch_norm": True},
    "xdeepfm": DEEP | {"cin": (8,)},
    "autoint": DEEP | {"n_layers": 1, "hidden": (16,), "batch_norm": True},
    "dcn": DEEP,
    "dcn_v2": DEEP,
    "gdcn": DEEP | {"n_crosses": 1},
    "masknet": DEEP | {"blocks": (16, 16), "hidden": (16,), "training": TRAINING | {"epochs": 5}},
    "finalmlp": NETWORK
    | {"streams": ((32,), (32,)), "dropout": 0.0, "gate_fields": (0, None), "n_heads": 2},
    "finalnet": NETWORK | {"blocks": ((32,), (32,)), "dropout": 0.0},
    "din": DEEP | {"attention_hidden": (16,)},
    "qnn": NETWORK
    | {"dropout": 0.02, "training": TRAINING | {"epochs": 24, "learning_rate": 0.005}},
    "ensemble": {"members": (DEEP | {"kind": "dcn_v2"}, DEEP | {"kind": "deepfm"})},
}
LEARNT = sorted(set(SETTINGS) - {"counts", "ensemble"})
"""What has a loop of its own."""
ADDITIVE = {"counts", "lr"}
"""What looks at one field at a time, and cannot learn which go together."""
ROOM = dict.fromkeys(SETTINGS, 0.13) | {"fm": 0.2}
ROOM |= dict.fromkeys(["dcn_v2", "din", "finalmlp", "qnn", "xdeepfm"], 0.06)
"""How far the mean probabilities may be from the truth, which one that knows nothing misses by 0.3:
what multiplies comes close, a few hidden units less so, and pairs alone cannot say "or"."""

EXPORTABLE = dict.fromkeys(SETTINGS, True)
"""Whether a ranker can be served; ONNX is then held against it."""


def impressions(n: int = 3000, seed: int = 0) -> FeatureTable:
    """Clicked where the parities of item and device agree, or the history holds the item."""
    rng = np.random.default_rng(seed)
    item, device = rng.integers(0, 12, n), rng.integers(0, 3, n)
    history = rng.integers(-1, 11, (n, 4))
    likes = ((item % 2) == (device % 2)) | (history == item[:, None] - 1).any(1)
    probability = 1 / (1 + np.exp(-np.where(likes, 1.5, -1.5)))
    return FeatureTable(
        {"item": 12, "device": 3},
        np.column_stack([item, device]).astype(np.int32),
        ("noise",),
        rng.normal(size=(n, 1)).astype(np.float32),
        clicks=(rng.random(n) < probability).astype(np.int8),
        history=history.astype(np.int32),
    )


@pytest.fixture(params=sorted(RANKERS))
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def fitted(kind: str, table: FeatureTable | None = None):
    model = build({"kind": kind} | SETTINGS[kind])
    model.fit(impressions() if table is None else table)
    return model


def test_every_ranker_is_tested() -> None:
    assert sorted(RANKERS) == sorted(SETTINGS) == sorted(EXPORTABLE)


def test_asking_before_fitting_is_an_error(kind: str) -> None:
    with pytest.raises(NotFittedError, match="call fit"):
        build({"kind": kind}).score(impressions())


def test_fitting_again_gives_the_same(kind: str) -> None:
    model = fitted(kind, impressions(500, seed=1))
    model.fit(impressions(500))
    again, fresh = (m.score(impressions(50)) for m in (model, fitted(kind, impressions(500))))
    assert again.tobytes() == fresh.tobytes()


def test_rows_are_scored_alike_alone_and_together(kind: str) -> None:
    model, table = fitted(kind, impressions(500)), impressions(40, seed=2)
    together = model.score(table)
    assert together.dtype == np.float32
    alone = [model.score(table.take(slice(i, i + 1)))[0] for i in range(len(table))]
    # sums of float32 are exact to a share of their largest terms
    np.testing.assert_allclose(alone, together, atol=1e-6 * max(1, np.abs(together).max()))
    assert model.score(table.take(slice(0, 0))).shape == (0,)


def test_saving_and_loading_changes_nothing(kind: str, tmp_path: Path) -> None:
    model, table = fitted(kind, impressions(500)), impressions(40, seed=2)
    model.save(tmp_path / "ranker")
    loaded = model_type(kind).load(tmp_path / "ranker")
    assert loaded.config == model.config
    assert loaded.score(table).tobytes() == model.score(table).tobytes()
    facts = json.loads((tmp_path / "ranker" / "config.json").read_text())
    assert facts["library_version"] == etalage.__version__
    assert facts["data_hash"] == loaded.data_hash == impressions(500).hash
    assert facts["config"] == model.config.to_dict()
    check_broken_copies(tmp_path / "ranker", model_type(kind))


def test_settings_survive_writing(kind: str) -> None:
    config = build({"kind": kind} | SETTINGS[kind]).config
    assert type(config).model_validate(json.loads(config.model_dump_json())) == config
    assert build(yaml.safe_load(yaml.safe_dump(config.to_dict()))).config == config


def test_unknown_codes_stand_for_nothing(kind: str) -> None:
    """Rows of which nothing is known are finite and all alike, and say what clicks say overall."""
    model, table = fitted(kind, impressions(500)), impressions(6, seed=2)
    blank = replace(
        table,
        categories=np.zeros_like(table.categories),
        numbers=np.zeros_like(table.numbers),
        history=np.full_like(table.history, -1),
    )
    logits = model.score(blank)
    assert np.isfinite(logits).all()
    np.testing.assert_allclose(logits, logits[0], atol=1e-6)
    rate = impressions(500).labels.mean()
    assert logits[0] == pytest.approx(np.log(rate / (1 - rate)), abs=1.0)


def test_codes_beyond_the_vocabulary_are_named() -> None:
    table = impressions(6)
    codes, history = table.categories.copy(), table.history.copy()
    codes[3, 0], history[3, 1] = 12, 11  # item 11 has code 12
    with pytest.raises(DataError, match=r"outside its vocabulary in \['item'\]"):
        replace(table, categories=codes)
    with pytest.raises(DataError, match="history has item 11, but there are 11 items, 0 to 10"):
        replace(table, history=history)


@pytest.mark.parametrize("with_history", [True, False])
def test_the_exported_network_says_what_torch_says(
    kind: str, tmp_path: Path, with_history: bool
) -> None:
    table = impressions(500)
    if not with_history:
        table = FeatureTable(
            table.sizes, table.categories, table.number_names, table.numbers, table.clicks
        )
    model = fitted(kind, table)
    assert isinstance(model, Exportable) == EXPORTABLE[kind]
    if not isinstance(model, Exportable):
        return
    model.export(tmp_path)
    network = onnxruntime.InferenceSession(tmp_path / "ranker.onnx")
    for n, person in ((1, [3, -1, 0, 5]), (7, [-1, 2, -1, 4]), (7, [-1] * 4)):
        rows = table.take(slice(0, n))
        feed = {"categories": rows.categories.astype(np.int64), "numbers": rows.numbers}
        if rows.history is not None:  # one person, many candidates
            rows.history[:] = person
            known = [item + 1 for item in person if item >= 0]
            feed["history"] = np.array([known or [0]])
        (logits,) = network.run(["logit"], feed)
        np.testing.assert_allclose(logits, model.score(rows), atol=1e-5)


@pytest.mark.parametrize("kind", sorted(set(SETTINGS) - ADDITIVE))
def test_it_learns_crosses_histories_and_probabilities(kind: str) -> None:
    table = impressions(8000, seed=3)
    model = fitted(kind, impressions(20_000))
    item, device = table.categories.T
    likes = ((item % 2) == (device % 2)) | (table.history == item[:, None] - 1).any(1)
    likes &= (item > 0) & (device > 0)  # code 0 is unknown
    known = (item > 0) & (device > 0)
    probability = 1 / (1 + np.exp(-model.score(table)))
    assert probability[likes & known].mean() == pytest.approx(0.818, abs=ROOM[kind])
    assert probability[~likes & known].mean() == pytest.approx(0.182, abs=ROOM[kind])


@pytest.mark.parametrize("kind", sorted(ADDITIVE))
def test_it_learns_what_single_fields_say(kind: str) -> None:
    """Clicks follow item and device, each on its own."""

    def table(n: int, seed: int) -> tuple[FeatureTable, np.ndarray]:
        rows = replace(impressions(n, seed), history=None)
        item, device = rows.categories.T
        logits = np.where(item % 2, 1.0, -1.0) * (item > 0) + np.array([0.0, -1.0, 1.0])[device]
        clicks = np.random.default_rng(seed).random(n) < 1 / (1 + np.exp(-logits))
        return replace(rows, clicks=clicks.astype(np.int8)), logits

    model = fitted(kind, table(6000, 0)[0])
    seen, truth = table(500, 1)
    assert np.sqrt(np.mean((model.score(seen) - truth) ** 2)) < 0.25  # their spread is 1.3


@pytest.mark.parametrize("kind", LEARNT)
def test_the_judge_decides_which_state_is_kept(kind: str) -> None:
    model = build({"kind": kind} | SETTINGS[kind])
    values = iter([0.5, 0.9, *[0.1] * 20])
    report = model.fit(impressions(500), TrainContext(monitor=lambda judged: {"auc": next(values)}))
    assert report.best_epoch == 2
    assert report.metrics == {"auc": 0.9}


def test_what_cannot_be_learnt_from_is_refused(kind: str) -> None:
    table = impressions(100)
    model = build({"kind": kind})
    silent = FeatureTable(table.sizes, table.categories, table.number_names, table.numbers)
    with pytest.raises(DataError, match="no clicks"):
        model.fit(silent)
    with pytest.raises(DataError, match="both 0 and 1"):
        model.fit(table.take(np.flatnonzero(table.labels == 0)))
    with pytest.raises(DataError, match="was fitted on"):
        fitted(kind, table).score(
            FeatureTable({"item": 12}, table.categories[:, :1], ("noise",), table.numbers)
        )
