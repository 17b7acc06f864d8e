"""The way back of a look-up is that of a plain embedding, to the bit; so is what a judge reads of
vectors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import embedding

from etalage.layers.fm import agreement
from etalage.layers.fused import has_kernels
from etalage.layers.lookup import looked_up, read_at_once

needs_kernels = pytest.mark.skipif(not has_kernels(), reason="numba compiles nothing here")


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 5), min_size=1, max_size=40),
    st.integers(1, 5),
    st.sampled_from([torch.int32, torch.int64]),
)
def test_gradients_are_those_of_an_embedding(
    ids: list[int], width: int, dtype: torch.dtype
) -> None:
    table = torch.randn(6, width, requires_grad=True)
    codes = torch.tensor(ids, dtype=dtype).view(1, -1)
    (ours,), plain = looked_up([table], codes), embedding(codes, table, padding_idx=0)
    assert torch.equal(ours, plain)
    back = torch.randn_like(ours)
    (got,) = torch.autograd.grad(ours, table, back)
    (expected,) = torch.autograd.grad(plain, table, back)
    assert torch.equal(got, expected)
    assert not got[0].any()


def test_tables_read_together_are_tables_read_alone() -> None:
    tables = [torch.randn(6, width, requires_grad=True) for width in (3, 1, 2)]
    codes = torch.tensor([[5, 0, 2], [2, 2, 1]])
    one, two, three = looked_up(tables, codes)
    loss = one.square().sum() + (two.exp() * codes[..., None]).sum()
    got = torch.autograd.grad(loss, tables, allow_unused=True)
    for table, found, function in zip(
        tables[:2], got, (lambda x: x.square(), lambda x: x.exp() * codes[..., None]), strict=False
    ):
        plain = function(embedding(codes, table, padding_idx=0)).sum()
        torch.testing.assert_close(found, *torch.autograd.grad(plain, table))
    assert got[2] is None, "what nothing was made of"
    assert three.shape == (2, 3, 2)


@needs_kernels
@settings(deadline=None)
@given(
    st.integers(0, 20),
    st.integers(1, 5),
    st.sampled_from([1, 3, 16, 40]),
    st.sampled_from([np.int32, np.int64]),
    st.booleans(),
)
def test_what_is_read_in_one_sweep_is_what_operations_of_torch_give(
    n_rows: int, n_fields: int, width: int, dtype: type, has_terms: bool
) -> None:
    rng = np.random.default_rng(n_rows)
    sizes = rng.integers(2, 6, n_fields)
    codes = torch.from_numpy(rng.integers(0, sizes, (n_rows, n_fields)).astype(dtype))
    starts = torch.from_numpy(np.cumsum([0, *(sizes[:-1] - 1)]).astype(np.int32))
    tables = [torch.randn(int((sizes - 1).sum()) + 1, w) for w in (width, 1)][: 1 + has_terms]
    for table in tables:
        table[0] = 0
    fields, terms, pairs = read_at_once(tables, codes, starts, torch.bfloat16)
    assert torch.equal(read_at_once(tables, codes, starts, torch.float32)[0].bfloat16(), fields)
    ids = codes + starts * (codes > 0)
    vectors = embedding(ids, tables[0])
    assert torch.equal(fields, vectors.bfloat16())
    torch.testing.assert_close(pairs, agreement(vectors), rtol=1e-4, atol=1e-4)
    expected = embedding(ids, tables[1]).sum(1) if has_terms else torch.zeros(n_rows, 0)
    torch.testing.assert_close(terms, expected)


@needs_kernels
@pytest.mark.parametrize("code", [-1, 4])
def test_a_code_out_of_range_is_an_error_and_not_what_lies_there(code: int) -> None:
    with pytest.raises(IndexError, match="out of range"):
        read_at_once(
            [torch.zeros(4, 2)], torch.tensor([[1], [code]]), torch.tensor([0]), torch.float32
        )
