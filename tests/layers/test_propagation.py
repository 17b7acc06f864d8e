"""Products of sparse matrices against dense ones, forth and back."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array

from etalage.layers import propagation
from etalage.layers.propagation import Propagation, bipartite, mean_of_layers, rectangular


def log(n_users: int, n_items: int, share: float = 0.2, seed: int = 0) -> csr_array:
    rng = np.random.default_rng(seed)
    return csr_array((rng.random((n_users, n_items)) < share).astype(np.float32))


def dense(seen: csr_array) -> torch.Tensor:
    """D^-1/2 A D^-1/2 with everything written out, float64."""
    taken = torch.from_numpy(seen.toarray()).double()
    n_users, n_items = taken.shape
    whole = torch.zeros(n_users + n_items, n_users + n_items, dtype=torch.float64)
    whole[:n_users, n_users:], whole[n_users:, :n_users] = taken, taken.T
    root = whole.sum(1).clamp(min=1).rsqrt()
    return root[:, None] * whole * root


@pytest.fixture(params=["kernel", "torch"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """With the kernel, and where numba is not there."""
    if request.param == "torch":
        monkeypatch.setattr(propagation, "has_kernels", lambda: False)
    return request.param


@given(st.integers(0, 9), st.integers(0, 9), st.integers(1, 9), st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_a_product_is_the_dense_one_forth_and_back(p: int, q: int, width: int, seed: int) -> None:
    links = log(p, q, 0.5, seed)
    whole = torch.from_numpy(links.toarray())
    roots = [whole.sum(axis).clamp(min=1).rsqrt() for axis in (1, 0)]
    whole = roots[0][:, None] * whole * roots[1]
    for sparse, matrix in ((rectangular(links), whole), (rectangular(links).T, whole.T)):
        x = torch.randn(matrix.shape[1], width, requires_grad=True)
        product = sparse(x)
        torch.testing.assert_close(product, matrix @ x)
        grad = torch.randn_like(product)
        product.backward(grad)
        torch.testing.assert_close(x.grad, matrix.T @ grad)


def test_the_way_back_is_that_of_autograd() -> None:
    """In float64, where a numerical gradient can tell: 50 nodes, all three kinds of product."""
    seen = log(30, 20)
    x = torch.randn(50, 3, dtype=torch.float64, requires_grad=True)
    whole = bipartite(seen)
    assert torch.autograd.gradcheck(whole, (x,))
    assert torch.autograd.gradcheck(lambda x: mean_of_layers(whole, x, 3), (x,))
    one_sided = rectangular(seen)
    assert torch.autograd.gradcheck(one_sided, (x[:20].detach().requires_grad_(),))
    assert torch.autograd.gradcheck(one_sided.T, (x[:30].detach().requires_grad_(),))


@pytest.mark.parametrize("n_layers", [0, 1, 3])
def test_the_mean_of_layers_and_its_gradient_are_those_of_dense_layers(
    way: str, n_layers: int
) -> None:
    seen = log(30, 20)
    matrix = dense(seen).float()
    x = torch.randn(50, 8, requires_grad=True)
    mean = mean_of_layers(bipartite(seen), x, n_layers)
    layers = [x]
    for _ in range(n_layers):
        layers.append(matrix @ layers[-1])
    expected = sum(layers) / (n_layers + 1)
    torch.testing.assert_close(mean, expected)
    weights = torch.randn_like(x)
    (ours,) = torch.autograd.grad((mean * weights).sum(), x, retain_graph=True)
    (theirs,) = torch.autograd.grad((expected * weights).sum(), x)
    torch.testing.assert_close(ours, theirs)


def test_nodes_without_links_get_and_give_nothing(way: str) -> None:
    seen = csr_array(np.array([[1, 0, 0], [0, 0, 0]], np.float32))
    x = torch.ones(5, 2)
    assert bipartite(seen)(x).tolist() == [[1, 1], [0, 0], [1, 1], [0, 0], [0, 0]]


def test_an_empty_graph_is_a_graph(way: str) -> None:
    for shape in ((3, 2), (3, 0), (0, 0)):
        seen = csr_array(shape, dtype=np.float32)
        n_nodes = sum(shape)
        x = torch.ones(n_nodes, 4)
        assert bipartite(seen)(x).tolist() == torch.zeros(n_nodes, 4).tolist()
        assert mean_of_layers(bipartite(seen), x, 1).tolist() == (x / 2).tolist()


def test_someone_who_took_fifty_thousand_is_summed_like_anyone(way: str) -> None:
    n_items = 50_000
    seen = csr_array(np.ones((1, n_items), np.float32))
    x = torch.randn(n_items + 1, 4)
    out = bipartite(seen)(x)
    expected = x[1:].double().sum(0) / n_items**0.5
    torch.testing.assert_close(out[0].double(), expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(out[1:], (x[:1] / n_items**0.5).expand(n_items, 4))


def test_the_number_of_threads_changes_no_bit() -> None:
    whole = bipartite(log(300, 200))
    x = torch.randn(500, 16)
    before = torch.get_num_threads()
    try:
        outs = []
        for n_threads in (1, 2, 3):
            torch.set_num_threads(n_threads)
            outs.append(whole(x))
            assert [a for a, _ in whole.forth.parts()] == [
                0,
                *[b for _, b in whole.forth.parts()][:-1],
            ]
    finally:
        torch.set_num_threads(before)
    assert outs[0].tolist() == outs[1].tolist() == outs[2].tolist()


def test_a_row_out_of_order_in_memory_is_read_right() -> None:
    seen = log(30, 20)
    x = torch.randn(8, 50).T  # not contiguous
    torch.testing.assert_close(bipartite(seen)(x), bipartite(seen)(x.contiguous()))


def test_a_matrix_and_its_transpose_belong_together() -> None:
    sparse: Propagation = rectangular(log(4, 7))
    assert sparse.T.forth is sparse.back
    assert sparse.T.T.forth is sparse.forth
