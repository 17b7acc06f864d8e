"""PRORec: what is aligned, what is distilled, and what the codes end up speaking of."""

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tests.models.test_tiger import SMALL, shop

from etalage.data.ragged import Histories, ItemSets
from etalage.data.split import leave_one_out
from etalage.errors import BundleError, RecipeError
from etalage.evaluate.ranking import evaluate_recommender
from etalage.models.generative.alignment import AlignedSASRec, Projection, aligned
from etalage.models.generative.domination import block_reports
from etalage.models.generative.prorec import Distillation, blocks_of
from etalage.models.generative.tiger import TIGER
from etalage.models.registry import build
from etalage.models.sequential.din import WindowDINConfig
from etalage.models.sequential.sasrec import SASRec, SASRecConfig
from etalage.tokenize.residual import ResidualKMeans
from etalage.tokenize.semantic_ids import SemanticIds
from etalage.train.config import TrainingConfig
from etalage.train.context import TrainContext
from etalage.train.objectives import info_nce

STAGE_ONE = {"width": 16, "dropout": 0.1, "training": {"epochs": 6, "learning_rate": 0.01}}
TINY = SMALL | {"kind": "prorec", "collaborative": STAGE_ONE, "n_negatives": 64}


def test_info_nce_of_what_is_exactly_right() -> None:
    """Orthogonal targets: the right one has likeness 1, the other two 0."""
    targets = torch.eye(3) * torch.tensor([[1.0], [5.0], [0.1]])  # lengths do not count
    loss = info_nce(targets[:2], targets, torch.tensor([0, 1]), 0.5)
    assert loss.item() == pytest.approx(math.log(math.exp(2) + 2) - 2, abs=1e-6)


def test_a_projection_begins_as_a_plain_norm() -> None:
    torch.manual_seed(0)
    layer = Projection(5, 8)
    texts = torch.randn(4, 5)
    u = layer.project(texts)
    expected = (u - u.mean(1, keepdim=True)) / (u.var(1, keepdim=True, correction=0) + 1e-5).sqrt()
    torch.testing.assert_close(layer(texts), expected)


def test_without_weight_alignment_is_the_recommender_alone() -> None:
    data, texts = shop(60), np.random.default_rng(0).normal(size=(120, 12)).astype(np.float32)
    config = SASRecConfig(width=16, training=TrainingConfig(epochs=2))
    plain, aligned = SASRec(config), AlignedSASRec(config, texts, 0.0, 0.07)
    plain.fit(data)
    aligned.fit(data)
    np.testing.assert_allclose(plain.item_vectors(), aligned.item_vectors(), atol=1e-5)


def test_a_first_stage_of_another_alignment_is_not_gone_on_with(tmp_path: Path) -> None:
    """A run that was killed in its first stage has left a checkpoint of that alone."""
    data, context = shop(60), TrainContext(folder=tmp_path)
    texts = np.random.default_rng(0).normal(size=(120, 12)).astype(np.float32)
    config = SASRecConfig(width=16, training=TrainingConfig(epochs=1))
    AlignedSASRec(config, texts, 0.5, 0.07).fit(data, context)
    report = AlignedSASRec(config, texts, 0.5, 0.07).fit(data, context)
    assert report.epochs == 1
    for other in ((texts, 0.4, 0.07), (texts, 0.5, 0.1), (texts + 1, 0.5, 0.07)):
        with pytest.raises(BundleError, match=r"made with other settings \((alignment|texts)"):
            AlignedSASRec(config, *other).fit(data, context)


OF_DIN = {
    "kind": "window_din",
    "width": 16,
    "windows": [2, 1, 1],
    "training": {"epochs": 6, "learning_rate": 0.01},
}


@pytest.mark.parametrize("kind", [SASRecConfig, WindowDINConfig])
def test_alignment_brings_an_item_and_its_text_together(
    kind: type[SASRecConfig | WindowDINConfig],
) -> None:
    data, texts = shop(60), np.random.default_rng(0).normal(size=(120, 12)).astype(np.float32)
    config = kind(width=16, training=TrainingConfig(epochs=20, learning_rate=0.01))
    found = {}
    for weight in (0.0, 1.0):
        model = aligned(config, texts, weight, 0.07)
        model.fit(data)
        taken, said = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in model.blocks())
        likeness = taken @ said.T
        found[weight] = (likeness.argmax(1) == np.arange(120)).mean()
    assert found[0.0] < 0.1
    assert found[1.0] > 0.5


def test_a_state_is_never_told_apart_from_its_own_item() -> None:
    """All items are drawn, some twice in the batch: each still stands once among the targets."""
    targets = np.eye(4, dtype=np.float32)
    teacher = Distillation(4, [targets])
    states = torch.randn(3, 4)
    items = torch.tensor([2, 2, 0])
    said = torch.nn.functional.normalize(teacher.heads[0](states), dim=1)
    torch.manual_seed(0)
    loss = teacher(states, items, 1000, 0.3)  # 1,000 drawn of 4: as many as there are, with repeats
    torch.manual_seed(0)
    there = torch.cat([items, torch.randint(4, (4,))]).unique()
    logits = said[:, there] / 0.3
    right = torch.tensor([there.tolist().index(i) for i in items.tolist()])
    assert loss.item() == pytest.approx(
        torch.nn.functional.cross_entropy(logits, right).item(), abs=1e-6
    )


def test_by_block_there_is_a_head_for_each() -> None:
    blocks = [np.eye(4, dtype=np.float32), np.ones((4, 2), np.float32)]
    states, items = torch.randn(2, 6), torch.tensor([1, 3])
    teacher = Distillation(6, blocks)
    assert [head[-1].out_features for head in teacher.heads] == [4, 2]
    torch.manual_seed(0)
    both = teacher(states, items, 3, 0.3).item()
    alone = []
    for n in range(2):
        one = Distillation(6, [blocks[n]])
        one.heads[0] = teacher.heads[n]
        torch.manual_seed(0)
        alone.append(one(states, items, 3, 0.3).item())
    assert both == pytest.approx(sum(alone) / 2, abs=1e-6)


def test_what_is_quantised_follows_the_setting() -> None:
    taken, said = np.full((3, 2), 5, np.float32), np.full((3, 4), 0.1, np.float32)
    both = blocks_of("both", taken, said)
    assert [*both] == ["collaborative", "semantic"]
    for block in both.values():
        np.testing.assert_allclose(np.linalg.norm(block, axis=1), 1, rtol=1e-6)
    assert blocks_of("concatenated", taken, said)["collaborative"] is taken
    assert [*blocks_of("collaborative", taken, said)] == ["collaborative"]
    assert [*blocks_of("semantic", taken, said)] == ["semantic"]


def test_diagnostics_tell_which_block_the_codes_speak_of() -> None:
    """One block is ten times as long as the other, so the codes are its alone."""
    rng = np.random.default_rng(0)
    topics = [rng.normal(size=(20, 8))[rng.integers(0, 20, 600)] for _ in range(2)]
    large, small = (
        (scale * (topic + 0.1 * rng.normal(size=topic.shape))).astype(np.float32)
        for scale, topic in zip((10, 1), topics, strict=True)
    )
    vectors = np.hstack([large, small])
    quantizer = ResidualKMeans(2, 20).fit(vectors)
    codes = quantizer.encode(vectors)
    reports = block_reports(codes, {"large": large, "small": small}, quantizer.decode(codes))
    assert reports["large"]["domination"] > 2
    assert reports["large"]["overlap"] == pytest.approx(
        reports["large"]["domination"] * reports["small"]["overlap"]
    )
    assert reports["large"]["explained"] > 0.9 > reports["small"]["explained"]
    assert reports["large"]["likeness"] > 0.9 > reports["small"]["likeness"]
    fair = np.hstack([large / 10, small])
    quantizer = ResidualKMeans(2, 200).fit(fair)
    codes = quantizer.encode(fair)
    blocks = {"large": large / 10, "small": small}
    reports = block_reports(codes, blocks, quantizer.decode(codes))
    assert max(report["domination"] for report in reports.values()) < 2
    # ids that no two items share say no more than their codes stand for
    distinct = SemanticIds.distinct(codes, quantizer.sizes).codes
    again = block_reports(distinct, blocks, quantizer.decode(distinct))
    assert again["large"]["explained"] == reports["large"]["explained"] < 1


def test_without_distillation_the_gradient_is_that_of_tiger() -> None:
    data = shop(60)
    model = build(TINY | {"distillation": 0.0, "training": {"epochs": 1}})
    model.fit(data)
    history = torch.from_numpy(Histories.from_rows([[0, 1, 2], [5, 7]]).items.astype(np.int64))
    weights = list(model.network.parameters())
    plain = torch.autograd.grad(model.network.spell(history).surprise, weights)
    model._blocks = {"semantic": np.eye(120, dtype=np.float32)}
    for weight, is_plain in ((0.0, True), (0.1, False)):
        model.config = model.config.model_copy(update={"distillation": weight})
        learners = model._learners(0)
        assert (learners is model.network) == is_plain
        ours = torch.autograd.grad(model._loss(history), weights)
        same = [torch.equal(a, b) for a, b in zip(ours, plain, strict=True)]
        assert all(same) == is_plain


def test_a_summary_changes_no_code() -> None:
    settings = {"network": "encoder_decoder", "width": 16, "training": {"epochs": 1}}
    model = build(SMALL | settings)
    model.fit(shop(30).with_interactions(leave_one_out(shop(30).interactions).train))
    history = torch.tensor([[0, 1, 2], [5, 7, 9]])
    with torch.no_grad():
        before = model.network.spell(history)
        model.network.summary.add_(1.0)
        after = model.network.spell(history)
    assert before.surprise.item() == after.surprise.item()
    assert not torch.allclose(before.summaries, after.summaries)


def test_it_beats_popularity_and_says_what_its_codes_speak_of() -> None:
    data = shop()
    split = leave_one_out(data.interactions)
    model = build(TINY)
    report = model.fit(data.with_interactions(split.train))
    ndcg = evaluate_recommender(model, split.test, ks=(10,)).metrics["ndcg@10"]
    assert ndcg > 0.18  # a blind order within the right topic is 0.227, popularity below 0.08
    assert set(model.domination) == {"collaborative", "semantic"}
    assert 0.5 < model.domination["collaborative"]["explained"] < 1  # though no id is shared
    assert model.stage_one is not None
    assert report.cpu_seconds >= model.stage_one.cpu_seconds
    assert (model._blocks, model._teacher) == ({}, None)  # as large as the catalogue


@pytest.mark.parametrize("collaborative", [STAGE_ONE, OF_DIN])
def test_reranking_orders_by_both_and_is_kept(
    tmp_path: Path, collaborative: dict[str, Any]
) -> None:
    data = shop(60)
    changes = {"rerank": 0.7, "training": {"epochs": 1}, "collaborative": collaborative}
    model = build(TINY | changes)
    model.fit(data)
    histories = Histories.from_rows([[0, 1, 2], [5], []])
    top = model.recommend(histories, 120)
    plain = TIGER.recommend(model, histories, 120)
    told = model.recommender.score(histories).astype(np.float64)
    if collaborative is STAGE_ONE:
        told[2] = 0  # without a history SASRec says nothing
    told -= np.log(np.exp(told).sum(1, keepdims=True))
    for row in range(3):
        both = np.full(120, -np.inf)
        both[plain.items[row]] = plain.scores[row] + 0.7 * told[row, plain.items[row]]
        np.testing.assert_allclose(top.scores[row], np.sort(both)[::-1], atol=1e-4)
        np.testing.assert_allclose(top.scores[row], both[top.items[row]], atol=1e-4)
        assert sorted(top.items[row]) == list(range(120))
    model.save(tmp_path / "model")
    again = type(model).load(tmp_path / "model").recommend(histories, 120)
    assert again.items.tobytes() == top.items.tobytes()
    few = model.recommend(histories, 3, exclude=ItemSets.from_rows([[top.items[0, 0]], [], []]))
    assert few.items.shape == (3, 3)
    assert top.items[0, 0] not in few.items[0]
    three = model.recommend(histories, 5, among=np.array([4, 8, 9], np.int32))
    assert (np.sort(three.items[:, :3], 1) == [4, 8, 9]).all()
    assert (three.items[:, 3:] == -1).all()
    assert (three.scores[:, 3:] == -np.inf).all()
    with pytest.raises(RecipeError, match="set rerank: 0"):
        model.export(tmp_path / "bundle")
    with pytest.raises(RecipeError, match="set rerank: 0"):
        model.check_servable()


def test_another_recommender_of_stage_one_has_settings_of_its_own() -> None:
    model = build({"kind": "prorec", "collaborative": OF_DIN})
    assert model.config.collaborative == WindowDINConfig.model_validate(OF_DIN)
    assert build(model.config.to_dict()).config == model.config
    with pytest.raises(RecipeError, match="n_heads"):
        build({"kind": "prorec", "collaborative": OF_DIN | {"n_heads": 2}})
    with pytest.raises(RecipeError, match="'sasrec', 'window_din'"):
        build({"kind": "prorec", "collaborative": {"kind": "gru"}})


def test_with_rerank_as_much_is_read_as_either_reads() -> None:
    stage = STAGE_ONE | {"max_length": 9}
    for rerank, expected in ((0.0, 5), (0.5, 9)):
        settings = {"max_length": 5, "rerank": rerank, "collaborative": stage}
        assert build(TINY | settings).history_length == expected


def test_what_stage_one_took_earlier_counts(tmp_path: Path) -> None:
    data, settings = shop(60), TINY | {"training": {"epochs": 1}}
    model = build(settings)
    model.fit(data, TrainContext(folder=tmp_path / "one"))
    shutil.copytree(tmp_path / "one" / "stage_one", tmp_path / "two" / "stage_one")
    again = build(settings)
    report = again.fit(data, TrainContext(folder=tmp_path / "two"))
    assert again.stage_one is not None
    assert report.cpu_seconds > again.stage_one.cpu_seconds > 0
    resumed = build(settings).fit(data, TrainContext(folder=tmp_path / "two"))
    assert resumed.cpu_seconds < 2 * report.cpu_seconds
