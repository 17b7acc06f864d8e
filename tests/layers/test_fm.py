"""Pairs of fields agree as they do one by one, and their gradients too, those of 0 included."""

import torch

from etalage.layers.fm import agreement


def one_by_one(fields: torch.Tensor) -> torch.Tensor:
    n = fields.shape[1]
    pairs = [(fields[:, i] * fields[:, j]).sum(1) for i in range(n) for j in range(i)]
    return torch.stack(pairs).sum(0)


def test_every_pair_counts_once() -> None:
    fields = torch.randn(50, 7, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(agreement(fields), one_by_one(fields))
    single = agreement(fields.float()).double()
    torch.testing.assert_close(single, one_by_one(fields), rtol=1e-6, atol=1e-5)


def test_rows_of_unknown_codes_alone_have_gradients() -> None:
    """They are vectors of 0, where a norm has no slope and its square has 0."""
    fields = torch.randn(4, 3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    fields[1], fields[2, :2] = 0, 0
    found, expected = fields.clone().requires_grad_(), fields.clone().requires_grad_()
    agreement(found).sum().backward()
    one_by_one(expected).sum().backward()
    torch.testing.assert_close(found.grad, expected.grad)
