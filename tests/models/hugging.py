"""The same networks in Hugging Face's hands, and its search over the same ids."""

from __future__ import annotations

import numpy as np
import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from etalage.models.generative.decoder import DecoderNetwork
from etalage.models.generative.encoder_decoder import EncoderDecoderNetwork
from etalage.models.generative.network import END, START
from etalage.models.generative.tiger import TIGERConfig


def as_t5(network: EncoderDecoderNetwork, config: TIGERConfig) -> T5ForConditionalGeneration:
    """T5 with our weights."""
    settings = T5Config(
        vocab_size=len(network.table.weight), d_model=config.width, d_kv=config.head,
        d_ff=config.inner_width or 4 * config.width, num_layers=config.n_layers,
        num_decoder_layers=config.n_layers, num_heads=config.n_heads, dropout_rate=0.0,
        decoder_start_token_id=START, pad_token_id=START, eos_token_id=END,
    )  # fmt: skip
    model = T5ForConditionalGeneration(settings).eval()
    ours = network.state_dict()
    theirs = {name: ours["table.weight"] for name in
              ("shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight",
               "lm_head.weight")}  # fmt: skip
    sides = (
        ("encoder", "reading", "norm_read", "apart_read"),
        ("decoder", "writing", "norm_written", "apart_written"),
    )
    for side, stack, norm, apart in sides:
        theirs[f"{side}.final_layer_norm.weight"] = ours[f"{norm}.weight"]
        first = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        theirs[first] = ours[f"{apart}.worth.weight"]
        for i in range(config.n_layers):
            layers = [("attention", 0, "SelfAttention")]
            if side == "decoder":
                layers.append(("reading", 1, "EncDecAttention"))
            for name, place, their in layers:
                here, there = f"{stack}.{i}.{name}", f"{side}.block.{i}.layer.{place}"
                query, key, value = ours[f"{here}.project_in.weight"].chunk(3)
                parts = {"q": query, "k": key, "v": value,
                         "o": ours[f"{here}.project_out.weight"]}  # fmt: skip
                theirs |= {f"{there}.{their}.{k}.weight": v for k, v in parts.items()}
                theirs[f"{there}.layer_norm.weight"] = ours[f"{here}.norm.weight"]
            there = f"{side}.block.{i}.layer.{len(layers)}"
            theirs[f"{there}.layer_norm.weight"] = ours[f"{stack}.{i}.norm.weight"]
            theirs[f"{there}.DenseReluDense.wi.weight"] = ours[f"{stack}.{i}.expand.weight"]
            theirs[f"{there}.DenseReluDense.wo.weight"] = ours[f"{stack}.{i}.contract.weight"]
    model.load_state_dict(theirs)
    return model


def as_gpt2(network: DecoderNetwork, config: TIGERConfig) -> GPT2LMHeadModel:
    """GPT-2 with our weights; a place of its own for each token, as the sum of ours."""
    levels = network.levels.weight
    places = (network.places.weight[:, None] + levels[:-1]).flatten(0, 1)
    places = torch.cat([levels[-1:], places]).detach()
    settings = GPT2Config(
        vocab_size=len(network.table.weight), n_positions=len(places), n_embd=config.width,
        n_layer=config.n_layers, n_head=config.n_heads, n_inner=config.inner_width,
        activation_function="gelu", resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
        bos_token_id=START, eos_token_id=END, pad_token_id=END,
    )  # fmt: skip
    model = GPT2LMHeadModel(settings).eval()
    ours = network.state_dict()
    theirs = {
        "transformer.wte.weight": ours["table.weight"],
        "lm_head.weight": ours["table.weight"],
        "transformer.wpe.weight": places,
        "transformer.ln_f.weight": ours["norm.weight"],
        "transformer.ln_f.bias": ours["norm.bias"],
    }
    names = {
        "norm_attention": "ln_1",
        "norm_forward": "ln_2",
        "project_in": "attn.c_attn",
        "project_out": "attn.c_proj",
        "expand": "mlp.c_fc",
        "contract": "mlp.c_proj",
    }
    for i in range(config.n_layers):
        for here, there in names.items():
            weight = ours[f"blocks.{i}.{here}.weight"]
            # GPT-2 keeps its matrices the other way round
            theirs[f"transformer.h.{i}.{there}.weight"] = weight.T if weight.ndim == 2 else weight
            theirs[f"transformer.h.{i}.{there}.bias"] = ours[f"blocks.{i}.{here}.bias"]
    model.load_state_dict(theirs)
    return model


def prompt_of(network: EncoderDecoderNetwork | DecoderNetwork, history: list[int]) -> list[int]:
    """A history as tokens of the vocabulary."""
    tokens = network.tokens[torch.tensor(history, dtype=torch.int64)].flatten().tolist()
    is_t5 = isinstance(network, EncoderDecoderNetwork)
    return [*tokens, END] if is_t5 else [START, *tokens]


def searched(
    model: T5ForConditionalGeneration | GPT2LMHeadModel,
    network: EncoderDecoderNetwork | DecoderNetwork,
    prompts: list[list[int]],
    n_beams: int,
) -> tuple[np.ndarray, np.ndarray]:
    """What `generate` finds with the weights of a network of ours."""
    longest = max(len(prompt) for prompt in prompts)
    rows = torch.tensor([[START] * (longest - len(p)) + p for p in prompts])
    known = torch.tensor([[False] * (longest - len(p)) + [True] * len(p) for p in prompts])
    return searched_by(model, network.codes, network.firsts[:-1], rows, known, n_beams)


def searched_by(
    model: PreTrainedModel,
    codes: np.ndarray,
    firsts: list[int],
    prompt: torch.Tensor,
    known: torch.Tensor,
    n_beams: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Items int (B, K) and scores (B, K) of `generate`, held to the ids by its own hook."""
    tokens = codes + np.array(firsts)  # (N, L)
    item_of = {tuple(row): item for item, row in enumerate(tokens.tolist())}
    following: dict[tuple, set[int]] = {}
    for row in tokens.tolist():
        for level, token in enumerate(row):
            following.setdefault(tuple(row[:level]), set()).add(token)
    lists = {prefix: sorted(next_) for prefix, next_ in following.items()}
    begins = 1 if model.config.is_encoder_decoder else prompt.shape[1]
    n_levels = codes.shape[1]
    several = {"length_penalty": 0.0, "early_stopping": False} if n_beams > 1 else {}
    with torch.no_grad():
        found = model.generate(
            prompt, attention_mask=known.long(), num_beams=n_beams, do_sample=False,
            num_return_sequences=n_beams, max_new_tokens=n_levels, min_new_tokens=n_levels,
            prefix_allowed_tokens_fn=lambda _, row: lists[tuple(row[begins:].tolist())],
            return_dict_in_generate=True, output_scores=True, pad_token_id=START, **several,
        )  # fmt: skip
    written = found.sequences[:, begins : begins + n_levels].tolist()
    items = np.array([item_of.get(tuple(row), -1) for row in written]).reshape(-1, n_beams)
    scores = found.sequences_scores.numpy().reshape(-1, n_beams) if n_beams > 1 else items * 0.0
    return items, scores
