"""A generator is served as it answers itself, without torch; and a broken one is refused."""

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from fastapi.testclient import TestClient
from tests.conftest import SMALL, Exported
from tests.serve.rewriting import array, rewrite

from etalage.data.dataset import Dataset
from etalage.data.ragged import Histories, ItemSets
from etalage.errors import BundleError, NotFittedError, RecipeError
from etalage.models.generative.prorec import PRORec, PRORecConfig
from etalage.models.generative.tiger import TIGER, TIGERConfig
from etalage.pipeline.export import Served, export_bundle
from etalage.pipeline.run import planned
from etalage.recipe.recipe import resolve
from etalage.serve.runtime.app import create_app
from etalage.serve.runtime.engine import Engine
from etalage.tokenize.semantic_ids import SemanticIds

SMALL_TIGER = {
    "width": 32,
    "max_length": 12,
    "tokens": {"n_codes": 8, "vector_width": 16, "limits": {"max_collision_rate": None}},
}
TRAINING = {"epochs": 1, "batch_size": 64}


def scattered(shop: Dataset, **settings: object) -> TIGER:
    """A generator of some shop whose weights are large enough to tell every item from the next."""
    model = TIGER(TIGERConfig(**(SMALL_TIGER | settings)))
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 8, (shop.n_items, 3)).astype(np.int32)
    model._prepare(SemanticIds.distinct(codes, (8, 8, 8)), seed=0)
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    return model


def served(model: TIGER, exported: Exported, folder: Path) -> Engine:
    """The engine of a bundle that hides what was seen and has no ranker."""
    export_bundle(folder, exported.shop.data, Served(model), exported.recipe)
    return Engine(folder)


def histories(n_items: int) -> list[list[int]]:
    """One item, the window's length, one more than that, a long one, and whatever comes."""
    rng = np.random.default_rng(1)
    lengths = [1, 1, 2, 11, 12, 13, 90, *rng.integers(1, 30, 43)]
    return [rng.integers(0, n_items, n).tolist() for n in lengths]


@pytest.mark.parametrize("k", [5, 35])
@pytest.mark.parametrize(
    "settings",
    [{"softmax": "children"}, {"softmax": "level"}, {"softmax": "vocabulary"},
     {"n_heads": 3, "head_width": 16, "inner_width": 40, "n_layers": 1}, {"n_layers": 3},
     {"n_beams": 500}, {"max_length": 1}],
    ids=str,
)  # fmt: skip
def test_the_served_list_is_that_of_the_model(
    exported: Exported, tmp_path: Path, settings: dict, k: int
) -> None:
    model = scattered(exported.shop.data, **settings)
    engine = served(model, exported, tmp_path / "bundle")
    rows, gone = histories(model.n_items), [3, 50, 7, 7]
    seen = ItemSets.from_rows([[*row, *gone] for row in rows])
    expected = model.recommend(Histories.from_rows(rows), k, exclude=seen)
    for row, history in enumerate(rows):
        answer = engine.recommend(np.array(history, np.int32), k, exclude=np.array(gone, np.int32))
        assert answer.degraded is None
        n_found = (expected.items[row] >= 0).sum()
        assert answer.items.tolist() == expected.items[row, :n_found].tolist()
        np.testing.assert_allclose(answer.scores, expected.scores[row, :n_found], atol=1e-4)


def test_it_is_served_as_the_recipe_says_of_repeats(
    exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as from a large catalogue, whose vectors are made in parts
    monkeypatch.setattr("etalage.models.generative.served.ITEMS_AT_ONCE", 50)
    model = scattered(exported.shop.data)
    recipe = resolve(SMALL | {"repeats": "show"})
    export_bundle(tmp_path / "bundle", exported.shop.data, Served(model), recipe)
    answer = Engine(tmp_path / "bundle").recommend(np.arange(9, dtype=np.int32), 20)
    expected = model.recommend(Histories.from_rows([list(range(9))]), 20)
    assert answer.items.tolist() == expected.items[0].tolist()
    assert set(answer.items.tolist()) & set(range(9))


def test_when_all_was_seen_nothing_is_left(exported: Exported, tmp_path: Path) -> None:
    engine = served(scattered(exported.shop.data), exported, tmp_path / "bundle")
    answer = engine.recommend(np.arange(120, dtype=np.int32), 5)
    assert answer.degraded is None
    assert len(answer.items) == 0
    answer = engine.recommend(np.arange(118, dtype=np.int32), 5)
    assert set(answer.items.tolist()) == {118, 119}


def test_both_stages_of_prorec_leave_as_one(exported: Exported, tmp_path: Path) -> None:
    stage = {"width": 16, "max_length": 12, "training": TRAINING}
    config = PRORecConfig(**SMALL_TIGER, collaborative=stage, training=TRAINING)
    model = PRORec(config)
    model.fit(exported.shop.training_data)
    engine = served(model, exported, tmp_path / "bundle")
    rows = histories(model.n_items)
    expected = model.recommend(Histories.from_rows(rows), 10, exclude=ItemSets.from_rows(rows))
    for row, history in enumerate(rows):
        answer = engine.recommend(np.array(history, np.int32), 10)
        assert answer.items.tolist() == expected.items[row].tolist()
        np.testing.assert_allclose(answer.scores, expected.scores[row], atol=1e-4)


@pytest.fixture(scope="module")
def folder(exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a ranker besides, whose tiles of the recipe give way to the codes written."""
    from dataclasses import replace

    folder = tmp_path_factory.mktemp("writing") / "bundle"
    model = scattered(exported.shop.data)
    for_all = replace(exported.served, retriever=model, order="retriever")
    export_bundle(folder, exported.shop.data, for_all, exported.recipe)
    assert np.array_equal(np.load(folder / "codes.npy"), model.ids.codes)
    return folder


def test_over_http(folder: Path) -> None:
    with TestClient(create_app(folder)) as client:
        history = ["item-00003", "item-00007"]
        body = client.post("/recommend", json={"history": history, "k": 5}).json()
        assert body["degraded"] is False
        assert not {item["id"] for item in body["items"]} & set(history)
        scores = [item["score"] for item in body["items"]]
        assert scores == sorted(scores, reverse=True)
        assert max(scores) < 0  # log-probabilities
        assert all(0 < item["probability"] < 1 for item in body["items"])
        assert {why["id"] for item in body["items"] for why in item["why"]} <= set(history)
        assert any(item["why"] for item in body["items"])
        assert all(len(item["codes"]) == 4 for item in body["items"])
        for asked in ({}, {"history": []}, {"history": ["gone"]}, {"user": "nobody"}):
            popular = client.post("/recommend", json=asked | {"k": 5}).json()
            assert [item["score"] for item in popular["items"]] == [0, -1, -2, -3, -4]


def test_the_process_needs_no_torch(folder: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from etalage.serve.runtime.engine import Engine\n"
        f"answer = Engine(Path({str(folder)!r})).recommend(np.array([1, 2], np.int32), 5)\n"
        "assert len(answer.items) == 5 and answer.degraded is None\n"
        "heavy = {'torch', 'scipy', 'polars', 'pandas', 'onnx'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def harmed(folder: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(folder, tmp_path / "bundle"))


def changed(folder: Path, **parts: np.ndarray) -> bytes:
    with np.load(folder / "writer.npz") as file:
        arrays = dict(file) | parts
    written = BytesIO()
    np.savez(written, **{name: part for name, part in arrays.items() if part.size})
    return written.getvalue()


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"firsts": np.array([2, 9, 17, 25, 26])}, r"writer\.npz has levels \[2, 9, 17, 25, 26\]"),
        ({"levels": np.ones((3, 32), np.float32)}, r"writer\.npz has levels"),
        ({"said": np.ones((5, 32), np.float32)}, r"said is \(5, 32\)"),
        ({"table": np.full((28, 32), np.nan, np.float32)}, "not finite"),
        ({"softmax": np.array("hard")}, "softmax 'hard'"),
        ({"n_beams": np.array(0)}, "0 beams"),
        ({"n_beams": np.zeros(0)}, "n_beams"),
    ],
)
def test_parts_that_do_not_fit_are_refused(
    harmed: Path, parts: dict[str, np.ndarray], message: str
) -> None:
    n_codes = len(np.load(harmed / "writer.npz")["said"])
    if "table" in parts:
        parts = {"table": np.full((n_codes, 32), np.nan, np.float32)}
    rewrite(harmed, "writer.npz", changed(harmed, **parts))
    with pytest.raises(BundleError, match=message):
        Engine(harmed)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("writer.npz", b"no archive", "cannot be served"),
        ("writer.onnx", b"no network", r"writer\.onnx"),
        ("codes.npy", array(np.zeros((120, 4), np.int32)), "have the codes of another"),
        ("codes.npy", array(np.arange(120, dtype=np.int32)[:, None]), r"writer\.npz has levels"),
    ],
)
def test_files_that_are_broken_are_refused(
    harmed: Path, name: str, content: bytes, message: str
) -> None:
    rewrite(harmed, name, content)
    with pytest.raises(BundleError, match=message):
        Engine(harmed)


def test_a_writer_of_no_numbers_still_fills_the_window(folder: Path) -> None:
    class Ill:
        def run(self, names: list[str], given: dict[str, np.ndarray]) -> list[np.ndarray]:
            return [given["said"] * np.nan]

    engine = Engine(folder)
    object.__setattr__(engine.retrieve, "network", Ill())
    answer = engine.recommend(np.array([1, 2], np.int32), 5)
    assert answer.degraded == "retrieval failed"
    assert len(answer.items) == 5


@pytest.mark.parametrize("network", ["decoder", "encoder_decoder"])
def test_forms_that_cannot_be_served_are_named_before_any_work(
    network: str, exported: Exported, tmp_path: Path
) -> None:
    said = f"tiger with network='{network}' cannot be served: .* choose network: residual"
    with pytest.raises(RecipeError, match=said):
        scattered(exported.shop.data, network=network).export(tmp_path)
    recipe = resolve({"models": {"tiger": {"network": network}}, "retriever": "tiger"})
    with pytest.raises(RecipeError, match=said):
        planned(recipe)
    assert not list(tmp_path.iterdir())


def test_what_was_not_fitted_cannot_leave(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError, match="call fit"):
        TIGER().export(tmp_path)
