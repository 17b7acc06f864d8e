"""Text to vectors: like texts point alike, nothing is downloaded, bad input is named."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.errors import DataError, NotFittedError
from etalage.language.hashing import HashingEncoder
from etalage.language.projection import leading_directions, unit_rows

KINDS = ["kitchen mug cup tea", "garden rake soil seed", "bicycle tyre bell wheel"]


def catalogue(n: int = 60) -> list[str]:
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(KINDS[i % 3].split(), 3)) for i in range(n)]


def test_directions_are_those_of_the_exact_decomposition() -> None:
    rng = np.random.default_rng(1)
    strengths = np.array([9, 7, 5, 1, 0.5, *[0.01] * 25])
    left, right = (np.linalg.qr(rng.normal(size=(n, 30))).Q for n in (50, 40))
    x = ((left * strengths) @ right.T).astype(np.float32)
    found = leading_directions(lambda basis: x.T @ (x @ basis), 40, 3, rng)
    assert found.shape == (40, 3)
    assert np.abs(np.sum(found * right[:, :3], axis=0)) == pytest.approx(1, abs=1e-5)


def test_no_more_directions_than_columns() -> None:
    x = np.eye(3, dtype=np.float32)
    found = leading_directions(lambda b: x.T @ (x @ b), 3, 10, np.random.default_rng(0))
    assert found.shape == (3, 3)


def test_texts_of_one_kind_are_nearer_than_others() -> None:
    texts = catalogue()
    vectors = HashingEncoder(width=3).fit(texts).encode(texts)
    alike = vectors @ vectors.T
    same = np.arange(60)[:, None] % 3 == np.arange(60) % 3
    assert alike[same].min() > alike[~same].max()


def test_an_unseen_form_of_a_word_finds_its_kind() -> None:
    texts = catalogue()
    encoder = HashingEncoder(width=8).fit(texts)
    nearest = (encoder.encode(["two mugs", "bicycles"]) @ encoder.encode(texts).T).argmax(1)
    assert (nearest % 3).tolist() == [0, 2]


def test_rows_have_length_one_and_texts_without_words_are_zero() -> None:
    texts = [*catalogue(), "", " -- ", "née 東京 🍵mug"]
    vectors = HashingEncoder(width=16).fit(texts).encode(texts)
    assert vectors.dtype == np.float32
    assert vectors.shape == (63, 16)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1.0] * 60 + [0, 0, 1], abs=1e-5)


def test_same_seed_same_bytes_and_a_text_alone_is_as_among_others() -> None:
    texts = catalogue()
    one, two = (HashingEncoder(width=4, seed=3).fit(texts) for _ in range(2))
    assert one.encode(texts).tobytes() == two.encode(texts).tobytes()
    np.testing.assert_allclose(one.encode(texts[7:8])[0], one.encode(texts)[7], atol=1e-6)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.text(max_size=20), max_size=6))
def test_any_text_at_all_gives_numbers(texts: list[str]) -> None:
    vectors = HashingEncoder(width=4, n_buckets=64).fit(texts).encode(texts)
    assert vectors.shape == (len(texts), 4)
    assert np.isfinite(vectors).all()


def test_bad_input_is_named() -> None:
    with pytest.raises(NotFittedError, match=r"call fit\(texts\) first"):
        HashingEncoder().encode(["mug"])
    with pytest.raises(DataError, match="sequence of str; text 1 is None: give ''"):
        HashingEncoder().fit(["mug", None])  # type: ignore[list-item]
    with pytest.raises(DataError, match="a list of one"):
        HashingEncoder().fit("mug")
    with pytest.raises(DataError, match=r"1\.\.n_buckets \(8192\); got 0"):
        HashingEncoder(width=0)


def test_unit_rows_keep_zeros() -> None:
    rows = unit_rows(np.array([[3, 4], [0, 0]], np.float32))
    assert rows.tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0]]
