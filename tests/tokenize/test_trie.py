"""The tree of ids against a dictionary of prefixes, and without heavy imports."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.errors import DataError
from etalage.tokenize.trie import Trie


@st.composite
def distinct_codes(draw: st.DrawFn) -> np.ndarray:
    n_levels = draw(st.integers(1, 4))
    row = st.tuples(*[st.integers(0, 4)] * n_levels)
    return np.array(draw(st.lists(row, min_size=1, max_size=40, unique=True)), np.int32)


@settings(max_examples=80, deadline=None)
@given(distinct_codes())
def test_it_allows_what_a_dictionary_of_prefixes_allows(codes: np.ndarray) -> None:
    trie = Trie(codes)
    for level in range(codes.shape[1]):
        every = np.array(list(np.ndindex(*[6] * level)), int).reshape(6**level, level) - 1
        mask = trie.allowed(every)
        for prefix, allowed in zip(every.tolist(), mask, strict=True):
            follow = {int(row[level]) for row in codes if row[:level].tolist() == prefix}
            assert set(np.flatnonzero(allowed).tolist()) == follow


@settings(max_examples=60, deadline=None)
@given(distinct_codes())
def test_every_id_leads_to_its_item_and_children_lead_on(codes: np.ndarray) -> None:
    trie = Trie(codes)
    assert trie.items[trie.walk(codes)].tolist() == list(range(len(codes)))
    for level in range(codes.shape[1]):
        nodes = trie.walk(codes[:, :level])
        children, follow = trie.children(level, nodes)
        found = (follow == codes[:, level, None]).argmax(1)
        after = children[np.arange(len(codes)), found]
        assert after.tolist() == trie.walk(codes[:, : level + 1]).tolist()
        assert (np.diff(np.where(follow < 0, 99, follow), axis=1) >= 0).all()


@settings(max_examples=60, deadline=None)
@given(distinct_codes(), st.randoms(use_true_random=False), st.sampled_from([1, 3]))
def test_alive_nodes_lead_to_wanted_items(codes: np.ndarray, random, n_rows: int) -> None:
    trie = Trie(codes)
    share = random.choice([0, 0.3, 0.9, 1])
    wanted = np.array([[random.random() < share for _ in codes] for _ in range(n_rows)])
    for level, alive in enumerate(trie.alive(wanted)):
        nodes = trie.walk(codes[:, : level + 1])
        for row, want in zip(alive, wanted, strict=True):
            assert set(np.flatnonzero(row)) == set(nodes[want])


def test_large_codes_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    codes = np.unique(rng.integers(0, [3, 300], (200, 2)), axis=0)
    mask = Trie(codes).allowed(np.arange(4)[:, None])
    assert mask.dtype == bool
    for code, allowed in enumerate(mask):
        assert np.flatnonzero(allowed).tolist() == codes[codes[:, 0] == code, 1].tolist()


def test_a_prefix_that_no_item_has_allows_nothing() -> None:
    trie = Trie(np.array([[0, 1], [2, 0]]))
    assert trie.walk(np.array([[1], [2], [7], [-1]])).tolist() == [-1, 1, -1, -1]
    assert not trie.allowed(np.array([[1], [7], [-1]])).any()
    children, codes = trie.children(1, np.array([-1, 0]))
    assert (children.tolist(), codes.tolist()) == ([[-1], [0]], [[-1], [1]])
    assert trie.allowed(np.zeros((0, 1), int)).shape == (0, 2)


def test_bad_codes_are_named() -> None:
    with pytest.raises(DataError, match="1 of 3 items have the codes of another"):
        Trie(np.array([[0], [1], [0]]))
    with pytest.raises(DataError, match=r"shape \(N, L\), not empty"):
        Trie(np.zeros((0, 3), int))
    with pytest.raises(DataError, match="must be integers"):
        Trie(np.zeros((1, 3)))
    with pytest.raises(DataError, match="at least 0; got -1"):
        Trie(np.array([[0, -1]]))
    with pytest.raises(DataError, match="nothing follows 2 codes"):
        Trie(np.array([[0, 1]])).allowed(np.array([[0, 1]]))


def test_a_server_can_have_it_without_torch_or_scipy() -> None:
    heavy = {"torch", "scipy", "polars"}
    code = f"import sys, etalage.tokenize.beam; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
