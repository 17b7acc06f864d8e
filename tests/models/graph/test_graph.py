"""Graph models against their equations, and people who are folded in."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_array
from tests.contracts.toys import dataset, shop

from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.data.ragged import Histories
from etalage.errors import CapacityError
from etalage.models.graph.folding import PULL, fitted_map, fitted_table
from etalage.models.graph.lightgcn import LightGCNConfig, MeanOfLayers
from etalage.models.graph.nodes import Graph
from etalage.models.graph.pairs import Batch, Pairs
from etalage.models.graph.plan import memory_plan
from etalage.models.graph.simgcl import NoisyNodes, SimGCL, SimGCLConfig, XSimGCLConfig
from etalage.models.graph.ultragcn import UltraGCN, UltraGCNConfig, neighbours, side_weights
from etalage.models.registry import build
from etalage.train.objectives import shared_softmax

TRAINING = {"epochs": 3, "batch_size": 64, "learning_rate": 0.01}
KINDS = ("mf", "lightgcn", "ultragcn", "simgcl", "xsimgcl")


def links(n_users: int = 12, n_items: int = 9, share: float = 0.4) -> csr_array:
    rng = np.random.default_rng(3)
    return csr_array((rng.random((n_users, n_items)) < share).astype(np.float32))


@pytest.mark.parametrize("loss", ["softmax", "bpr"])
def test_without_layers_it_is_matrix_factorisation(loss: str) -> None:
    settings = {"width": 8, "loss": loss, "training": TRAINING}
    plain = build({"kind": "mf"} | settings)
    graph = build({"kind": "lightgcn", "n_layers": 0} | settings)
    for model in (plain, graph):
        model.fit(shop())
    for name in ("users", "items", "folding"):
        assert getattr(plain, name).tobytes() == getattr(graph, name).tobytes()


def test_lightgcn_is_its_equation() -> None:
    seen = links()
    network = MeanOfLayers(Graph(seen), LightGCNConfig(width=4, n_layers=2))
    taken = torch.from_numpy(seen.toarray())
    roots = [taken.sum(axis).clamp(min=1).rsqrt() for axis in (1, 0)]
    whole = roots[0][:, None] * taken * roots[1]
    users, items = network.vectors[:12], network.vectors[12:]
    layers = [(users, items)]
    for _ in range(2):
        users, items = whole @ items, whole.T @ users
        layers.append((users, items))
    expected = torch.cat([sum(part) / 3 for part in zip(*layers, strict=True)])
    torch.testing.assert_close(network(), expected)
    # a user is their own vector, and what their items hand them
    handed = network.through_items()
    folded = roots[0][:, None] * taken @ handed
    torch.testing.assert_close(network()[:12], network.vectors[:12] / 3 + folded)


def test_simgcl_folds_in_exactly_what_it_learnt() -> None:
    """No mean of it holds layer 0, so a user of the log is nothing but what items hand them."""
    model = SimGCL(SimGCLConfig(width=8, n_layers=2, training=TRAINING))
    data = shop()
    model.fit(data)
    rows = [data.interactions.items[a:b] for a, b in zip(*bounds(data), strict=True)]
    rows = [np.unique(row).tolist() for row in rows]
    np.testing.assert_allclose(
        model.encode(Histories.from_rows(rows)), model.users, atol=2e-2 * np.abs(model.users).max()
    )


def bounds(data: Dataset) -> tuple[np.ndarray, np.ndarray]:
    offsets = data.interactions.offsets
    return offsets[:-1], offsets[1:]


def test_noise_points_where_a_vector_does_and_has_its_length() -> None:
    network = NoisyNodes(Graph(links()), SimGCLConfig(width=8, n_layers=1, noise=0.1))
    (noisy,) = network.noisy_layers()
    noise = noisy - network()
    linked = network().any(1)
    torch.testing.assert_close(noise[linked].norm(dim=1), torch.full((int(linked.sum()),), 0.1))
    assert (noise * network() >= 0).all()


def test_a_layer_that_is_not_there_cannot_be_contrasted() -> None:
    with pytest.raises(ValueError, match="contrast_layer=4 is beyond n_layers=3"):
        XSimGCLConfig(contrast_layer=4)


@pytest.mark.parametrize("weighs", [True, False])
def test_ultragcn_is_its_equation(weighs: bool) -> None:
    seen = links()
    config = UltraGCNConfig(
        width=4, n_negatives=5, n_neighbours=2, neighbour_weight=0.5, weighs_negatives=weighs
    )
    model = UltraGCN(config)
    network = model.network(Graph(seen), dataset(shop().interactions), 0)
    batch = Batch(torch.tensor([0, 3]), torch.tensor([1, 2]), torch.tensor([4, 2, 7, 0, 8]))
    e = network.vectors.detach().double().numpy()
    users, items = e[:12], e[12:]
    taken = seen.toarray()
    d_users, d_items = taken.sum(1), taken.sum(0)
    together = taken.T @ taken
    np.fill_diagonal(together, 0)

    def beta(d_one: float, d_other: float) -> float:
        return np.sqrt(d_one + 1) / d_one / np.sqrt(d_other + 1)

    def log_sigmoid(x: float) -> float:
        return -np.log1p(np.exp(-x))

    total = 0.0
    for u, i in ((0, 1), (3, 2)):
        total -= beta(d_users[u], d_items[i]) * log_sigmoid(users[u] @ items[i])
        for j in batch.negatives.tolist():
            if j != i:
                weight = beta(d_users[u], d_items[j]) if weighs else 1
                total -= 300 / 5 * weight * log_sigmoid(-users[u] @ items[j])
        met = together.sum(0)
        strength = [together[i, j] * beta(met[i], met[j]) if j != i else -1 for j in range(9)]
        for j in np.argsort(-np.array(strength), kind="stable")[:2]:
            total -= 0.5 * strength[j] * log_sigmoid(users[u] @ items[j])
    assert model.loss(network, batch).item() == pytest.approx(total / 2, rel=1e-5)


def test_neighbours_of_an_item_alone_are_none() -> None:
    seen = csr_array(np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], np.float32))
    near, weights = neighbours(seen, 2)
    assert near[:2, 0].tolist() == [1, 0]
    assert (weights[:2, 0] > 0).all()
    assert not weights[:, 1].any()
    assert not weights[2].any()
    assert side_weights(np.array([0]), np.array([0]))[0].tolist() == [1.0]


def test_the_shared_softmax_is_that_of_torch_with_its_gradients() -> None:
    torch.manual_seed(0)
    states, own, shared = (torch.randn(n, 4, requires_grad=True) for n in (600, 600, 5))
    same = torch.arange(600) % 7 - 2
    ours = shared_softmax(states, own, shared, same.clamp(max=4), temperature=0.2, shift=0.7)
    h, e, k = (torch.nn.functional.normalize(x, dim=-1) for x in (states, own, shared))
    logits = h @ k.T / 0.2 + 0.7
    logits = logits.masked_fill(same.clamp(max=4)[:, None] == torch.arange(5), -torch.inf)
    logits = torch.cat([(h * e).sum(1, keepdim=True) / 0.2, logits], 1)
    theirs = torch.nn.functional.cross_entropy(logits, torch.zeros(600, dtype=torch.int64))
    torch.testing.assert_close(ours, theirs)
    inputs = (states, own, shared)
    for one, other in zip(
        torch.autograd.grad(ours, inputs), torch.autograd.grad(theirs, inputs), strict=True
    ):
        torch.testing.assert_close(one, other, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("n_negatives", [None, 4])
def test_an_epoch_of_edges_is_the_log(n_negatives: int | None) -> None:
    seen = links()
    found = []
    for batch in Pairs(seen, "edge", 7, n_negatives).batches(np.random.default_rng(0)):
        found += [*zip(batch.users.tolist(), batch.items.tolist(), strict=True)]
        if n_negatives is None:
            pairs = seen.toarray()[batch.users, batch.negatives]
            assert not pairs.any()
        else:
            assert len(set(batch.negatives.tolist())) == n_negatives
    assert sorted(found) == sorted(zip(*(a.tolist() for a in seen.nonzero()), strict=True))


def test_users_drawn_evenly_come_alike_and_with_what_they_took() -> None:
    seen = csr_array(np.array([[1] * 100, [1] + [0] * 99, [0] * 100], np.float32))
    drawn = [b for n in range(30) for b in Pairs(seen, "user", 50, 4).batches(rng(n))]
    users = torch.cat([batch.users for batch in drawn])
    items = torch.cat([batch.items for batch in drawn])
    assert len(users) == 30 * 101
    assert users.bincount(minlength=3)[2] == 0
    assert abs((users == 1).double().mean() - 0.5) < 0.05
    assert (items[users == 1] == 0).all()
    assert len(items[users == 0].unique()) == 100


def rng(n: int) -> np.random.Generator:
    return np.random.default_rng(n)


@pytest.mark.parametrize("kind", KINDS)
def test_users_of_the_log_can_be_asked_by_their_own_vector(kind: str) -> None:
    data = shop()
    model = build({"kind": kind, "width": 8, "training": TRAINING})
    model.fit(data)
    users = np.array([4, 0, 4])
    own = model.score_users(users)
    np.testing.assert_allclose(own, model.users[users] @ model.items.T, atol=1e-6)
    model.is_known[0] = False
    assert np.isnan(model.score_users(users)).all(1).tolist() == [False, True, False]
    folded = model.score(Histories.from_rows([[1, 2, 3]]))
    assert np.isfinite(folded).all()


@pytest.mark.parametrize("kind", [*KINDS, "gf_cf"])
def test_strange_logs_are_learnt_from(kind: str) -> None:
    """No event; one; someone who took everything, often, or alone; items that no one took."""
    hungry = Interactions.from_arrays([0] * 12 + [1], [*range(6), *range(6), 2], n_items=6)
    lonely = Interactions.from_arrays([2], [1], n_users=4, n_items=5)
    full = Interactions.from_arrays([0] * 4, [*range(4)])
    for log in (Interactions.from_arrays([], [], n_users=3, n_items=4), lonely, hungry, full):
        settings = {} if kind == "gf_cf" else {"width": 4, "training": TRAINING}
        model = build({"kind": kind} | settings)
        model.fit(dataset(log))
        scores = model.score(Histories.from_rows([[0], [], [2, 1], [3]]))
        assert scores.shape == (4, log.n_items)
        assert not np.isinf(scores).any()
        taken = log.popularity() > 0
        asked = [taken[[0]].any(), False, taken[[2, 1]].any(), taken[[3]].any()]
        assert (~np.isnan(scores)).any(1).tolist() == asked


def test_the_map_of_those_folded_in_is_found_again() -> None:
    rng = np.random.default_rng(0)
    seen = links(400, 30)
    handed = rng.normal(size=(30, 4)).astype(np.float32)
    turn = rng.normal(size=(4, 4)).astype(np.float32)
    sizes = np.maximum(np.diff(seen.indptr), 1)
    users = ((seen @ handed) / np.sqrt(sizes)[:, None]) @ turn
    np.testing.assert_allclose(
        fitted_table(seen, handed, users), handed @ turn, atol=1e-2 * np.abs(turn).max()
    )


def test_the_table_of_those_folded_in_is_the_least_of_its_squares() -> None:
    """Against the solution of a small dense system, around the table that the map alone gives."""
    rng = np.random.default_rng(0)
    seen = links(60, 9)
    handed, users = (rng.normal(size=(n, 3)).astype(np.float32) for n in (9, 60))
    sizes = np.diff(seen.indptr)
    shares = seen.toarray() / np.sqrt(np.maximum(sizes, 1))[:, None]
    first = handed @ fitted_map(shares @ handed, users)
    weight = PULL * (sizes > 0).sum() / 9
    expected = np.linalg.solve(
        shares.T @ shares + weight * np.eye(9), shares.T @ users + weight * first
    )
    np.testing.assert_allclose(fitted_table(seen, handed, users), expected, atol=1e-5)


def test_a_graph_that_would_not_fit_is_refused_with_its_plan() -> None:
    model = build({"kind": "lightgcn", "max_gigabytes": 1e-6})
    data = shop()
    assert model.plan(data) == ""  # not worth telling
    wide = build({"kind": "lightgcn", "width": 1_000_000})
    assert wide.plan(data).startswith("about 18 GB (vectors 0.36, ")
    with pytest.raises(CapacityError, match=r"LightGCN on circle needs about .*vectors .*raise it"):
        model.fit(data)
    assert model.n_items == 0


def test_a_plan_grows_with_what_it_counts() -> None:
    base = memory_plan(1000, 1000, 10_000, 64, 1000)
    assert base.gigabytes == pytest.approx(sum(base.parts.values()) / 1e9)
    assert base.parts["vectors"] == 2000 * 64 * 4
    wider = memory_plan(1000, 1000, 10_000, 128, 1000)
    assert wider.parts["optimiser"] == 2 * base.parts["optimiser"]
    denser = memory_plan(1000, 1000, 20_000, 64, 1000)
    assert {name for name, size in denser.parts.items() if size > base.parts[name]} == {
        "links",
        "pairs",
    }


def planned(**settings: object) -> float:
    return build(settings | {"width": 32})._plan(shop(n_users=400)).gigabytes


def test_what_keeps_more_plans_for_more() -> None:
    plain = planned(kind="lightgcn")
    one, two = planned(kind="xsimgcl", loss="softmax"), planned(kind="simgcl", loss="softmax")
    assert plain < one < two
    assert planned(kind="lightgcn", loss="bpr") > plain
    assert planned(kind="ultragcn") > planned(kind="mf")
    assert planned(kind="autograph") > plain
    assert planned(kind="autograph", form="attention") > planned(kind="autograph")


def with_dead_items(log: Interactions, n_dead: int = 10) -> Interactions:
    n_items = log.n_items + n_dead
    return Interactions.from_arrays(log.users, log.items, n_users=log.n_users, n_items=n_items)


@pytest.mark.parametrize("loss", ["softmax", "bpr"])
@pytest.mark.parametrize("kind", [*KINDS, "autograph"])
def test_what_no_one_took_and_no_one_knows_is_never_recommended(kind: str, loss: str) -> None:
    log = with_dead_items(shop().interactions)
    settings = {} if kind == "ultragcn" else {"loss": loss}
    model = build({"kind": kind, "width": 8, "training": TRAINING} | settings)
    model.fit(dataset(log))
    assert not model.items[-10:].any()
    people = Histories.from_rows([[1, 2, 3]])
    assert np.isnan(model.score(people)[0, -10:]).all()
    assert (model.recommend(people, log.n_items).items < log.n_items - 10).all()


def test_items_that_no_one_took_make_no_loss_larger() -> None:
    plain, losses = shop().interactions, []
    for log in (plain, with_dead_items(plain)):
        model = build({"kind": "mf", "width": 8, "n_negatives": 100})
        network = model.network(Graph(log.matrix()), dataset(log), 0)
        with torch.no_grad():
            network.vectors.zero_()
        (batch,) = Pairs(log.matrix(), "edge", 10_000, 100).batches(np.random.default_rng(0))
        losses.append(model.loss(network, batch).item())
    assert losses[0] == pytest.approx(losses[1])
    # all vectors alike, so each taken item is as likely as any other
    assert losses[0] == pytest.approx(np.log(len(np.unique(plain.items))), rel=0.02)


@pytest.mark.parametrize("shape", [(50, 9), (9, 50)])
def test_the_directions_of_a_small_side_are_those_of_the_whole(shape: tuple[int, int]) -> None:
    model = build({"kind": "gf_cf", "n_factors": 5})
    log = Interactions.from_arrays(*links(*shape).nonzero(), n_users=shape[0], n_items=shape[1])
    model.fit(dataset(log))
    _, _, exact = np.linalg.svd(model.rows.toarray(), full_matrices=False)
    ours, theirs = (v[:5].T @ v[:5] for v in (model.directions, exact))
    np.testing.assert_allclose(ours, theirs, atol=1e-5)
