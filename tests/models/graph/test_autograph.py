"""AutoGraph against its equations: factors, both forms, what is never known, what is never read."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from scipy.sparse import csr_array
from tests.contracts.toys import dataset
from tests.models.test_tiger import shop

from etalage.data.dataset import Dataset
from etalage.data.interactions import Interactions
from etalage.data.ragged import Histories
from etalage.errors import DataError
from etalage.language.told import write_told
from etalage.layers.graph_attention import GraphAttention, Links
from etalage.models.content import cooccurrence_vectors
from etalage.models.graph.attentive import averages, fewer
from etalage.models.graph.autograph import AutoGraph, AutoGraphConfig
from etalage.models.graph.knowledge import (
    KnowledgeConfig,
    factors,
    known_of,
    n_codes_for,
    people_vectors,
)
from etalage.models.graph.nodes import Graph
from etalage.models.graph.pairs import Pairs
from etalage.models.registry import build
from etalage.train.context import TrainContext

TINY: dict[str, Any] = {
    "kind": "autograph",
    "width": 8,
    "knowledge": {"vector_width": 16, "n_user_codes": 8, "n_item_codes": 8},
    "training": {"epochs": 1, "batch_size": 256, "learning_rate": 0.01},
}
LOG_ALONE = ("items_to_users", "users_to_items")
FORMS = ("linear", "attention")


def network_of(data: Dataset, **changes: Any):  # type: ignore[no-untyped-def]
    model = AutoGraph(AutoGraphConfig.model_validate(TINY | changes))
    torch.manual_seed(0)
    return model.network(Graph(data.interactions.matrix()), data, seed=0)


def dense(links: csr_array) -> torch.Tensor:
    whole = torch.from_numpy(links.toarray()).float()
    roots = [whole.sum(axis).clamp(min=1).rsqrt() for axis in (1, 0)]
    return roots[0][:, None] * whole * roots[1]


def test_every_known_node_has_a_factor_of_each_level_and_no_other_node_has_any() -> None:
    vectors = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32)
    vectors[[3, 77]] = 0
    links = factors(vectors, 3, 16, seed=0)
    assert links.shape == (200, 48)
    whole = links.toarray()
    assert set(whole.ravel().tolist()) == {0.0, 1.0}
    of_level = whole.reshape(200, 3, 16).sum(2)
    assert (of_level[[3, 77]] == 0).all()
    assert (np.delete(of_level, [3, 77], 0) == 1).all()


def test_nodes_alike_share_all_their_factors() -> None:
    vectors = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float32)
    vectors[40] = vectors[9]
    whole = factors(vectors, 3, 8, seed=0).toarray()
    assert (whole[40] == whole[9]).all()


@pytest.mark.parametrize(
    ("n_nodes", "n_codes"), [(1, 32), (3_416, 128), (12_086, 512), (10**6, 1024)]
)
def test_about_thirty_two_nodes_share_a_code(n_nodes: int, n_codes: int) -> None:
    assert n_codes_for(n_nodes) == n_codes


def test_people_are_what_they_took_newest_first() -> None:
    items = np.eye(4, dtype=np.float32)
    log = Interactions.from_arrays([0, 0, 0, 1], [2, 0, 3, 3], [1, 2, 3, 1], n_users=3, n_items=4)
    found = people_vectors(items, log)
    first = np.array([0.9, 0, 0.81, 1 / np.sqrt(2)])
    np.testing.assert_allclose(found[0], first / np.linalg.norm(first), rtol=1e-6)
    np.testing.assert_allclose(found[1], [0, 0, 0, 1])
    assert not found[2].any()


def test_the_linear_form_is_its_equation() -> None:
    data = shop(40)
    network = network_of(data, n_layers=1)
    log = data.interactions
    halves, read = [], network.reading.weight
    sides = (network.users, slice(log.n_users)), (network.items, slice(log.n_users, None))
    for side, rows in sides:
        known = network.known[rows]
        own = network.vectors[rows] + known @ read.T
        links = dense(factors(known.numpy(), 3, 8, seed=0))
        halves.append(own + side.beta * links @ (links.T @ own + side.factors))
    taken = dense(csr_array(log.matrix()))
    layers = torch.cat(halves), torch.cat([taken @ halves[1], taken.T @ halves[0]])
    torch.testing.assert_close(network(), sum(layers) / 2, atol=1e-5, rtol=1e-5)


def test_without_factors_and_features_it_is_lightgcn() -> None:
    data, settings = shop(40), {"width": 8, "n_layers": 2, "training": TINY["training"]}
    plain = build({"kind": "lightgcn"} | settings)
    graph = build(TINY | settings | {"features": False, "paths": LOG_ALONE})
    closed = AutoGraph(AutoGraphConfig.model_validate(TINY | settings | {"features": False}))
    for model in (plain, graph):
        model.fit(data)
    np.testing.assert_allclose(graph.users, plain.users, atol=1e-6)
    np.testing.assert_allclose(graph.items, plain.items, atol=1e-6)
    # and so it is where factors are there and count for nothing
    torch.manual_seed(0)
    shut = closed.network(Graph(data.interactions.matrix()), data, 0)
    open_ = network_of(data, n_layers=2, features=False, paths=LOG_ALONE)
    with torch.no_grad():
        for side in (shut.users, shut.items):
            side.beta.zero_()
        shut.vectors.copy_(open_.vectors)
    torch.testing.assert_close(shut(), open_(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("closed", ["items_to_users", "users_to_items"])
def test_a_path_that_is_closed_brings_nothing(closed: str) -> None:
    data = shop(40)
    n_users = data.interactions.n_users
    paths = tuple(path for path in LOG_ALONE if path != closed)
    network = network_of(data, n_layers=1, features=False, paths=paths)
    found, start = network(), network.start()
    still = slice(0, n_users) if closed == "items_to_users" else slice(n_users, None)
    torch.testing.assert_close(found[still], start[still] / 2)
    moved = slice(n_users, None) if closed == "items_to_users" else slice(0, n_users)
    assert not torch.allclose(found[moved], start[moved] / 2)


@pytest.mark.parametrize("gate", ["side", "node"])
@pytest.mark.parametrize("form", FORMS)
def test_one_step_moves_every_weight(form: str, gate: str) -> None:
    """In the code that was released the attention is not registered and never learns."""
    data = shop(60)
    # wide apart, as attention does not depend on who looks where all likenesses have one sign
    model = build(TINY | {"form": form, "gate": gate, "spread": 3.0})
    torch.manual_seed(0)
    network = model.network(Graph(data.interactions.matrix()), data, 0)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    assert before
    optimizer = torch.optim.SGD(network.parameters(), lr=10.0)
    model.n_items = data.n_items
    pairs = Pairs(network.graph.seen, "edge", 10_000, model.n_negatives())
    (batch,) = pairs.batches(np.random.default_rng(0))
    model.loss(network.train(), batch).backward()
    optimizer.step()
    still = [
        name for name, value in network.state_dict().items() if torch.equal(value, before[name])
    ]
    assert still == []


def test_attention_is_its_equation() -> None:
    torch.manual_seed(0)
    layer = GraphAttention(5, 3, n_heads=2, head_width=4)
    others, own = torch.randn(6, 5), torch.randn(4, 3)
    links = csr_array(np.array([[1, 0, 1, 0, 0, 1], [0] * 6, [0, 1, 0, 0, 0, 0], [1] * 6], float))
    found = layer(others, own, Links.of(links))
    say = layer.say.weight.view(2, 4, 5)
    for v in range(4):
        near = links.toarray()[v].nonzero()[0]
        expected = layer.keep(own[v]).view(2, 4)
        for h in range(2):
            likeness = torch.stack([layer.left(others[j])[h] + layer.right(own[v])[h] for j in near]
                                   ) if len(near) else torch.zeros(0)  # fmt: skip
            alpha = torch.nn.functional.leaky_relu(likeness, 0.2).softmax(0)
            for a, j in zip(alpha, near, strict=True):
                expected = expected.index_add(0, torch.tensor([h]), (a * say[h] @ others[j])[None])
        torch.testing.assert_close(found[v], expected.flatten())


def test_a_node_looks_along_no_more_links_than_it_may() -> None:
    links = csr_array((np.random.default_rng(0).random((50, 40)) < 0.5).astype(np.float32))
    some = fewer(links, 7, seed=0)
    assert (np.diff(some.indptr) == np.minimum(np.diff(links.indptr), 7)).all()
    assert (links.toarray()[some.toarray() > 0] == 1).all()
    assert len({*map(tuple, fewer(links, 7, seed=1).toarray())} & {*map(tuple, some.toarray())}) < 5
    assert fewer(links, None, seed=0) is links


def test_averages_are_of_the_items_a_user_took() -> None:
    links = csr_array(np.array([[1, 1, 0], [0, 0, 0], [0, 0, 1]], np.float32))
    x = torch.tensor([[1.0], [3.0], [10.0]], requires_grad=True)
    mean = averages(links)(x)
    assert mean[:, 0].tolist() == [2, 0, 10]
    mean.backward(torch.tensor([[2.0], [5.0], [7.0]]))
    assert x.grad is not None
    assert x.grad[:, 0].tolist() == [1, 1, 7]


def titled(n_items: int) -> Dataset:
    """Two topics; the last item of each was taken by no one, but has a title of its topic."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(80), 6)
    topic = users % 2
    items = topic + 2 * rng.integers(0, n_items // 2 - 1, len(users))
    log = Interactions.from_arrays(users, items, np.arange(len(users)), n_users=80, n_items=n_items)
    words = (["oak", "pine", "elm"], ["rose", "lily", "iris"])
    title = [f"{words[i % 2][i // 2 % 3]} {words[i % 2][0]}" for i in range(n_items)]
    data = dataset(log)
    return Dataset(
        data.name, log, data.users, data.items, item_table=pl.DataFrame({"title": title})
    )


@pytest.mark.parametrize("form", FORMS)
def test_an_item_no_one_took_is_recommended_for_what_it_is(form: str) -> None:
    data = titled(24)
    model = build(TINY | {"form": form, "training": {"epochs": 40, "learning_rate": 0.02}})
    model.fit(data)
    of_one, of_other = 22, 23  # both new
    people = Histories.from_rows([[0, 2, 4], [1, 3, 5]])
    scores = model.score(people)
    assert np.isfinite(scores[:, [of_one, of_other]]).all()
    assert scores[0, of_one] > scores[0, of_other]
    assert scores[1, of_other] > scores[1, of_one]


def test_without_titles_the_log_says_what_items_are() -> None:
    data = dataset(titled(24).interactions)
    model = build(TINY | {"training": {"epochs": 40, "learning_rate": 0.02}})
    model.fit(data)
    top = model.recommend(Histories.from_rows([[0, 2, 4], [1, 3, 5]]), 8)
    assert (top.items % 2 == [[0], [1]]).mean() >= 0.8  # by chance it is a half


def test_what_factors_count_for_is_told() -> None:
    model = build(TINY | {"paths": ("item_factors", *LOG_ALONE)})
    model.fit(shop(60))
    assert set(model.gates) == {"items"}
    assert 0.3 < model.gates["items"] < 0.7  # it begins at a half


@pytest.mark.parametrize("form", FORMS)
def test_half_of_the_titles_may_be_empty(form: str) -> None:
    data = shop(60)
    title = [text if i % 2 else "" for i, text in enumerate(data.item_table["title"])]  # type: ignore[index]
    table = pl.DataFrame({"title": title})
    bare = Dataset(data.name, data.interactions, data.users, data.items, item_table=table)
    model = build(TINY | {"form": form})
    model.fit(bare, TrainContext(seed=1))
    assert np.isfinite(model.items).all()
    assert np.isfinite(model.users).all()


def test_one_code_for_all_is_a_graph_like_any_other() -> None:
    vectors = np.ones((10, 4), np.float32)
    links = factors(vectors, 2, 4, seed=0)
    assert (np.diff(links.indptr) == 2).all()
    assert (links.toarray().sum(0) > 0).sum() == 2


def test_what_is_told_takes_the_place_of_titles(tmp_path: Path) -> None:
    """Items of one topic are told alike, and so share their factors, whatever their titles."""
    data = shop(60)
    topics = np.arange(data.n_items) % 6
    words = ["sea ships", "hot deserts", "tall trees", "old castles", "fast cars", "rare stamps"]
    of_items, of_users = tmp_path / "items.jsonl", tmp_path / "users.jsonl"
    items = [(one, words[t], True) for one, t in zip(data.items.ids, topics, strict=True)]
    write_told(of_items, "items", "m", "any", items)
    users = [(one, "likes " + words[n % 6], True) for n, one in enumerate(data.users.ids)]
    write_told(of_users, "users", "m", data.interactions.hash, users)
    config = KnowledgeConfig(vector_width=16, items_told=of_items)
    people, things = known_of(data, config, seed=0)
    likeness = things @ things.T
    assert likeness[topics[:, None] == topics].min() > 0.99
    assert likeness[topics[:, None] != topics].max() < 0.5
    np.testing.assert_allclose(people, people_vectors(things, data.interactions))
    both = KnowledgeConfig(vector_width=16, items_told=of_items, users_told=of_users)
    people, things = known_of(data, both, seed=0)
    assert ((people @ things.T)[:, :6].argmax(1) == np.arange(len(people)) % 6).all()
    model = build(TINY | {"knowledge": {**TINY["knowledge"], "users_told": str(of_users)}})
    model.fit(data)
    log = data.interactions
    earlier = data.with_interactions(log.rows(log.times < log.times.max()))
    with pytest.raises(DataError, match="may tell what is to be foretold"):
        model.fit(earlier)


def test_attention_learns_the_same_with_any_number_of_threads() -> None:
    found = []
    for n_threads in (2, 2, 1):
        model = build(TINY | {"form": "attention", "training": {"epochs": 2, "batch_size": 64}})
        model.fit(shop(200), TrainContext(threads=n_threads))
        found.append(model.items)
    assert found[0].tobytes() == found[1].tobytes()
    np.testing.assert_allclose(found[0], found[2], atol=1e-4)


def test_repeats_of_one_person_make_an_item_no_more_common() -> None:
    items = np.eye(2, dtype=np.float32)
    log = Interactions.from_arrays([0] * 10, [0] * 9 + [1], range(10), n_users=1, n_items=2)
    found = people_vectors(items, log)[0]
    weight_of_first = sum(0.9**age for age in range(1, 10))
    assert found[0] / found[1] == pytest.approx(weight_of_first, rel=1e-5)


def test_where_nothing_is_told_titles_stand_and_where_no_title_stands_the_log() -> None:
    data, config = shop(60), KnowledgeConfig(vector_width=16)
    empty = pl.DataFrame({"title": [""] * data.n_items})
    bare = Dataset(data.name, data.interactions, data.users, data.items, item_table=empty)
    _, things = known_of(bare, config, seed=0)
    np.testing.assert_allclose(things, cooccurrence_vectors(data.interactions, 16, 0))


def test_texts_about_some_items_leave_the_others_their_titles(tmp_path: Path) -> None:
    data, path = shop(60), tmp_path / "items.jsonl"
    write_told(path, "items", "m", "any", [(data.items.ids[0], "quite another thing", True)])
    config = KnowledgeConfig(vector_width=16, items_told=path)
    _, things = known_of(data, config, seed=0)
    assert things.any(1).all()
    bare = Dataset(data.name, data.interactions, data.users, data.items)
    users = tmp_path / "users.jsonl"
    write_told(users, "users", "m", data.interactions.hash, [(data.users.ids[0], "tea", True)])
    with pytest.raises(DataError, match="give items_told"):
        known_of(bare, KnowledgeConfig(users_told=users), seed=0)
