"""DIN over windows: what a window is, and that one product for all windows is the paper's sum."""

import numpy as np
import pytest
import torch
from torch.nn.functional import prelu

from etalage.data.ragged import Histories
from etalage.models.registry import build
from etalage.models.sequential import din
from etalage.models.sequential.din import WindowDIN, WindowDINConfig, WindowDINNetwork

N_ITEMS = 30


def network() -> WindowDINNetwork:
    torch.manual_seed(0)
    return WindowDINNetwork(N_ITEMS, WindowDINConfig(width=6, windows=(3, 2, 1))).eval()


def test_a_window_is_the_mean_of_the_items_it_has() -> None:
    net = network()
    vectors = net.items.weight
    history = torch.tensor([[-1, -1, 7, 8, 9, 3], [-1, -1, -1, -1, 5, 4]])
    windows = net.read(history)
    expected = [
        [vectors[7], vectors[[8, 9]].mean(0), vectors[3]],
        [torch.zeros(6), vectors[5], vectors[4]],
    ]
    torch.testing.assert_close(windows, torch.stack([torch.stack(row) for row in expected]))


def test_older_items_than_the_windows_hold_change_nothing() -> None:
    net = network()
    longer = torch.tensor([[11, 12, 1, 2, 3, 4, 5, 6]])
    torch.testing.assert_close(net.read(longer), net.read(longer[:, 2:]))
    torch.testing.assert_close(net.read(longer[:, -1:])[:, -1], net.items.weight[[6]])


def test_logits_are_those_of_the_formula() -> None:
    net = network()
    windows, candidates = torch.randn(2, 3, 6), torch.tensor([[4, 5], [6, 4]])
    found = net(windows, candidates)
    for b in range(2):
        for c in range(2):
            q = net.items.weight[candidates[b, c]]
            u = torch.zeros(6)
            for k in windows[b]:
                inner = net.of_candidate(q) + net.of_window(k) + net.of_both(q * k)
                u = u + net.weigh(prelu(inner, net.bend.weight)) * k
            logit = net.out(net.deep(torch.cat([u, q, u * q])[None]))
            torch.testing.assert_close(found[b, c], logit[0])


def test_catalogues_are_scored_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model = WindowDIN(WindowDINConfig(width=6))
    model.n_items = N_ITEMS
    model.network = model._initial(0)
    histories = Histories.from_rows([[1, 2, 3], [], list(range(25))])
    whole = model.score(histories)
    monkeypatch.setattr(din, "CANDIDATES_AT_ONCE", 7)
    np.testing.assert_allclose(model.score(histories), whole, rtol=1e-5, atol=1e-6)
    assert np.isfinite(whole).all()


def test_an_item_is_never_told_apart_from_itself() -> None:
    """With one item in the catalogue every draw is the right one, and nothing is to be learned."""
    model = build({"kind": "window_din", "width": 4})
    model.n_items = 1
    model.network = model._initial(0)
    loss = model._loss(torch.tensor([[0]]), torch.tensor([0]))
    assert loss.item() == 0
