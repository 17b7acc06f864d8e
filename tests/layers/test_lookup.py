"""The way back of a look-up is that of a plain embedding, to the bit."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import embedding

from etalage.layers.lookup import looked_up


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
