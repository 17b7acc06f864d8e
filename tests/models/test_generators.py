"""Networks that write ids: each equals the same network, and the same search, of Hugging Face."""

import numpy as np
import pytest
import torch

from etalage.data.ragged import Histories
from etalage.errors import DataError, RecipeError
from etalage.layers.t5 import Distances
from etalage.models.generative.causal_lm import causal_reader
from etalage.models.generative.tiger import TIGER, TIGERConfig
from etalage.models.registry import build
from etalage.models.sequential.batches import Prefixes, Sequences
from etalage.tokenize.beam import beam_search
from etalage.tokenize.semantic_ids import SemanticIds
from etalage.tokenize.trie import Trie

pytest.importorskip("transformers", reason="parity needs transformers: install etalage[llm]")
from tests.models.hugging import as_gpt2, as_t5, prompt_of, searched, searched_by

CODES = np.unique(np.random.default_rng(0).integers(0, 12, (500, 3)), axis=0).astype(np.int32)
np.random.default_rng(1).shuffle(CODES)
N_ITEMS = len(CODES)
HISTORIES = Histories.from_rows(
    [np.random.default_rng(n).integers(0, N_ITEMS, n % 12).tolist() for n in range(1, 21)]
)
SIZES = {"width": 32, "n_heads": 4, "n_layers": 2, "inner_width": 48, "max_length": 12}
HEAD = {"residual": None, "decoder": None, "encoder_decoder": 16}


def scattered(form: str, softmax: str, codes: np.ndarray = CODES) -> TIGER:
    """A generator whose weights are large enough to tell every item from the next."""
    model = build(
        {"kind": "tiger", "network": form, "softmax": softmax, "head_width": HEAD[form]} | SIZES
    )
    model._prepare(SemanticIds(codes, tuple((codes.max(0) + 1).tolist())), seed=0)
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.add_(torch.randn_like(weight) * 0.2)
    return model


@pytest.mark.parametrize("n_beams", [1, 5, 20])
@pytest.mark.parametrize("form", ["decoder", "encoder_decoder"])
def test_the_search_is_that_of_hugging_face(form: str, n_beams: int) -> None:
    model = scattered(form, "vocabulary")
    model.config = model.config.model_copy(update={"n_beams": n_beams})
    theirs = (as_t5 if form == "encoder_decoder" else as_gpt2)(model.network, model.config)
    prompts = [prompt_of(model.network, row[row >= 0].tolist()) for row in HISTORIES.items]
    items, scores = searched(theirs, model.network, prompts, n_beams)
    top = model.recommend(HISTORIES, n_beams)
    assert np.array_equal(top.items, items)
    if n_beams > 1:  # a single beam is greedy there, and has no score
        np.testing.assert_allclose(top.scores, scores, atol=1e-5)


def language_models() -> dict[str, torch.nn.Module]:
    import transformers as hf

    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 300}
    inner = {"intermediate_size": 64, "num_key_value_heads": 2}
    ends = {"bos_token_id": 1, "eos_token_id": 1}
    settings = {
        "Qwen3": hf.Qwen3Config(**sizes, **inner, head_dim=8, **ends),
        "Llama": hf.LlamaConfig(**sizes, **inner, **ends),
        "GPT2": hf.GPT2Config(n_embd=32, n_layer=2, n_head=4, vocab_size=300, **ends),
        "OPT": hf.OPTConfig(**sizes, ffn_dim=64, word_embed_proj_dim=16, **ends),
    }
    types = {"GPT2": hf.GPT2LMHeadModel, "OPT": hf.OPTForCausalLM, "Qwen3": hf.Qwen3ForCausalLM,
             "Llama": hf.LlamaForCausalLM}  # fmt: skip
    torch.manual_seed(0)
    models = {name: types[name](config).eval() for name, config in settings.items()}
    for model in models.values():
        for weight in model.parameters():
            weight.data.add_(torch.randn_like(weight) * 0.1)
    return models


FIRSTS = [200, 212, 224]  # where the codes of each level stand in a vocabulary of 300


@pytest.mark.parametrize("name", ["Qwen3", "Llama", "GPT2", "OPT"])
@pytest.mark.parametrize("n_beams", [1, 20])
def test_any_causal_model_writes_ids(name: str, n_beams: int) -> None:
    model = language_models()[name]
    rng = np.random.default_rng(0)
    prompts = [rng.integers(2, 200, n).tolist() for n in range(3, 15)]
    longest = max(map(len, prompts))
    rows = torch.tensor([[0] * (longest - len(p)) + p for p in prompts])
    known = torch.tensor([[False] * (longest - len(p)) + [True] * len(p) for p in prompts])
    tokens = [np.arange(first, first + 12) for first in FIRSTS]
    step = causal_reader(model, rows, known, tokens)
    found, sums = beam_search(step, Trie(CODES), len(prompts), n_beams, normalised=True)
    items, scores = searched_by(model, CODES, FIRSTS, rows, known, n_beams)
    assert np.array_equal(found, items)
    if n_beams > 1:
        np.testing.assert_allclose(sums, scores, atol=1e-5)


def test_a_causal_model_without_the_tokens_is_refused() -> None:
    model = language_models()["GPT2"]
    prompt, known = torch.ones((1, 3), dtype=torch.int64), torch.ones((1, 3), dtype=torch.bool)
    with pytest.raises(DataError, match=r"token 311 is beyond .* resize_token_embeddings"):
        causal_reader(model, prompt, known, [np.arange(300, 312)])
    with pytest.raises(DataError, match=r"known has shape \(1, 2\), the prompt \(1, 3\)"):
        causal_reader(model, prompt, known[:, 1:], [np.arange(12)])


@pytest.mark.parametrize("softmax", ["children", "level", "vocabulary"])
@pytest.mark.parametrize("form", ["residual", "decoder", "encoder_decoder"])
def test_together_is_one_by_one_and_a_full_beam_is_every_item(form: str, softmax: str) -> None:
    model = scattered(form, softmax, CODES[:60])
    known = Histories.from_rows([[3], [], [7, 7, 1], [59] * 12])
    top = model.recommend(known, 60)
    assert (np.sort(top.items, axis=1) == np.arange(60)).all()
    assert (np.diff(top.scores, axis=1) <= 0).all()
    alone = [model.recommend(known.take([row]), 60) for row in range(4)]
    for row, one in enumerate(alone):
        np.testing.assert_allclose(one.scores[0], top.scores[row], atol=1e-5)
    narrow = model.recommend(known, 10)
    assert all(len(set(row)) == 10 for row in narrow.items.tolist())
    if softmax == "children":
        np.testing.assert_allclose(np.exp(top.scores).sum(1), 1, atol=1e-5)


@pytest.mark.parametrize("softmax", ["children", "level", "vocabulary"])
@pytest.mark.parametrize("form", ["residual", "decoder", "encoder_decoder"])
def test_the_surprise_is_what_the_search_scores(form: str, softmax: str) -> None:
    """Mean of -log p over the questions of a batch: all positions, or the last one."""
    model = scattered(form, softmax, CODES[:60])
    rows = [[0, 1, 2], [5], [9, 3, 40]]
    if form == "encoder_decoder":
        asked = [(row[:-1], row[-1]) for row in rows]
    else:
        asked = [(row[:t], item) for row in rows for t, item in enumerate(row)]
    scores = model.recommend(Histories.from_rows([before for before, _ in asked]), 60)
    found = [scores.scores[i, scores.items[i] == item].item() for i, (_, item) in enumerate(asked)]
    history = torch.from_numpy(Histories.from_rows(rows).items.astype(np.int64))
    with torch.no_grad():
        spelled = model.network.spell(history)
    assert spelled.surprise.item() == pytest.approx(-np.mean(found), abs=1e-5)
    assert spelled.states.shape == spelled.summaries.shape == (len(asked), 32)
    assert sorted(spelled.items.tolist()) == sorted(item for _, item in asked)


@pytest.mark.parametrize("form", ["residual", "decoder", "encoder_decoder"])
def test_a_state_knows_the_history_and_a_summary_the_item_too(form: str) -> None:
    network = scattered(form, "children", CODES[:60]).network
    spelled = network.spell(torch.tensor([[4, 8, 15]]))
    # where codes are read in one table and written in another, each tells of its own
    tables = [network.table.weight] + ([network.said.weight] if form == "residual" else [])

    def knows(state: torch.Tensor, item: int) -> bool:
        found = torch.autograd.grad(state.sum(), tables, retain_graph=True, allow_unused=True)
        weights = [g.abs().sum(1)[network.tokens[item]] for g in found if g is not None]
        return bool(sum(weights).gt(0).all())

    assert all(knows(spelled.summaries[-1], item) for item in (4, 8, 15))
    assert all(knows(spelled.states[-1], item) for item in (4, 8))
    shared = set(CODES[15]) & {*CODES[4], *CODES[8]}
    assert not knows(spelled.states[-1], 15), f"but for codes shared with others: {shared}"


def test_every_position_is_asked_once_either_way() -> None:
    items = np.arange(9, dtype=np.int32)
    offsets = np.array([0, 4, 5, 9])  # who took one item gives nothing to predict
    whole = Sequences(items, offsets, 3, 2)
    single = Prefixes(items, offsets, 3, 3)
    assert single.n_batches == 3
    asked = [row for batch in single.batches(np.random.default_rng(0)) for row in batch.tolist()]
    asked = sorted([[i for i in row if i >= 0] for row in asked])
    expected = [row[max(0, t - 3) : t + 1] for row in ([0, 1, 2, 3], [5, 6, 7, 8])
                for t in range(4)]  # fmt: skip
    assert asked == sorted(expected)
    batches = [batch for batch in whole.batches(np.random.default_rng(0))]
    assert sorted(batches[0].tolist()) == [[0, 1, 2, 3], [5, 6, 7, 8]]
    long = np.arange(6, dtype=np.int32), np.array([0, 6])  # beyond the window only prefixes ask
    (rows,) = Prefixes(*long, 3, 9).batches(np.random.default_rng(0))
    assert sorted(rows[:, -1].tolist()) == list(range(6))
    (rows,) = Sequences(*long, 3, 9).batches(np.random.default_rng(0))
    assert rows.tolist() == [[2, 3, 4, 5]]


def test_distances_look_one_way_or_both() -> None:
    """Near distances have a number each; from 128 on all share the last."""
    torch.manual_seed(0)
    place = torch.arange(300)
    for both_ways in (False, True):
        table = Distances(2, both_ways=both_ways)(place, place)[0, 0].detach()
        ahead = [table[0, d].item() for d in (1, 2, 200, 299)]
        behind = [table[d, 0].item() for d in (1, 2, 200, 299)]
        assert behind[2] == behind[3]
        assert len(set(behind)) == 3
        assert (len(set(ahead)) == 3) == both_ways
        assert (set(ahead) == {table[0, 0].item()}) != both_ways


def test_heads_that_cannot_share_the_width_are_named() -> None:
    with pytest.raises(RecipeError, match="width=30 is not divisible by n_heads=4"):
        build({"kind": "tiger", "width": 30, "n_heads": 4})
    assert TIGERConfig(width=30, n_heads=4, head_width=8).head == 8


@pytest.mark.parametrize(("precision", "least"), [("bfloat16", 9), ("int8", 8)])
@pytest.mark.parametrize("form", ["residual", "decoder", "encoder_decoder"])
def test_fewer_digits_find_nearly_the_same(form: str, precision: str, least: int) -> None:
    model = scattered(form, "vocabulary")
    whole = model.recommend(HISTORIES, 10)
    model.config = model.config.model_copy(update={"search_precision": precision})
    short = model.recommend(HISTORIES, 10)
    assert short.scores.tobytes() != whole.scores.tobytes()
    shared = [len(set(a) & set(b)) for a, b in zip(whole.items, short.items, strict=True)]
    assert np.mean(shared) >= least
    assert all(weight.dtype == torch.float32 for weight in model.network.parameters())


def test_fewer_digits_follow_the_weights() -> None:
    """The network in fewer digits is kept between searches, but not past a step of training."""
    model = scattered("residual", "children")
    model.config = model.config.model_copy(update={"search_precision": "int8"})
    before = model.recommend(HISTORIES, 10)
    assert model._searching() is model._searching()
    with torch.no_grad():
        model.network.contract.weight.mul_(-1)
    after = model.recommend(HISTORIES, 10)
    assert after.scores.tobytes() != before.scores.tobytes()
    model.network.contract.weight.data.mul_(-1)  # a change that torch does not count
    model._prepare(model.ids, seed=0)
    assert model._short is None


@pytest.mark.parametrize("softmax", ["children", "level", "vocabulary"])
@pytest.mark.parametrize("form", ["residual", "decoder", "encoder_decoder"])
def test_weights_that_diverged_give_no_empty_list(form: str, softmax: str) -> None:
    model = scattered(form, softmax)
    with torch.no_grad():
        model.network.table.weight.fill_(torch.nan)
    with pytest.raises(DataError, match="TIGER gives log-probabilities that are no numbers"):
        model.recommend(HISTORIES, 5)
