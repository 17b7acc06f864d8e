"""Columns of attention are exact, edits say what they should, and no matrix is ever made."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor
from tests.creative.small_models import flux, pixart, sana, sd3, seeded
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from torch.utils._python_dispatch import TorchDispatchMode

from etalage.creative.attention import Chosen, attend, text_attention, watched
from etalage.creative.bindings import TokenBinding
from etalage.errors import RecipeError

B, N, H, P, L, D = 3, 2, 2, 9, 7, 4
TWO = [TokenBinding((2,), ((1,),)), TokenBinding((4, 5), ((3,), (6,)))]
ONE = [TokenBinding((0, 3), ((5,),))]


def projections(n_queries: int = P, n_keys: int = L) -> list[Tensor]:
    generator = seeded()
    shapes = [(B, H, n_queries, D), (B, H, n_keys, D), (B, H, n_keys, D)]
    return [2 * torch.randn(shape, generator=generator) for shape in shapes]


def softmax(query: Tensor, key: Tensor, bias: Tensor | float = 0.0) -> Tensor:
    return (query @ key.transpose(-1, -2) / math.sqrt(D) + bias).softmax(-1)


def masks_of(n_pixels: int = P) -> Tensor:
    masks = torch.rand(N, 2, n_pixels, generator=seeded(3)) > 0.5
    masks[1, 1] = False  # the second image has one object
    return masks


def edited(weights: Tensor, masks: Tensor, c: float, s: float = 1.0) -> Tensor:
    """The published equation, token by token, on a whole matrix (N, H, P, L)."""
    weights = weights.clone()
    for n, image in enumerate((TWO, ONE)):
        for k, binding in enumerate(image):
            others = [masks[n, j] for j in range(len(image)) if j != k]
            for token in (t for attribute in binding.attributes for t in attribute):
                for p in range(weights.shape[2]):
                    if masks[n, k, p]:
                        weights[n, :, p, token] *= c
                    elif any(mask[p] for mask in others):
                        weights[n, :, p, token] *= s
    return weights


@pytest.mark.parametrize("renormalize", [False, True])
@pytest.mark.parametrize("suppress", [1.0, 0.25])
@pytest.mark.parametrize("with_bias", [False, True])
def test_an_edit_is_that_of_the_whole_matrix(
    renormalize: bool, suppress: float, with_bias: bool
) -> None:
    """Six tokens are chosen and a head has four channels, so they come in two groups."""
    query, key, value = projections()
    bias = None
    if with_bias:
        bias = -10_000.0 * (torch.rand(B, 1, 1, L, generator=seeded(2)) > 0.7)
        bias = bias.expand(-1, H, -1, -1)
    chosen, masks = Chosen.of([TWO, ONE]), masks_of()
    assert chosen.tokens.shape[1] > D
    out, maps = attend(
        query,
        key,
        value,
        bias,
        chosen,
        pixels=slice(0, P),
        first_key=0,
        factors=chosen.factors(masks, 4.0, suppress),
        renormalize=renormalize,
    )
    weights = softmax(query, key, 0.0 if bias is None else bias)
    strong = edited(weights[-N:], masks, 4.0, suppress)
    if renormalize:
        strong = strong / strong.sum(-1, keepdim=True)
    torch.testing.assert_close(out[-N:], strong @ value[-N:], atol=1e-5, rtol=1e-4)
    plain = scaled_dot_product_attention(query, key, value, attn_mask=bias)
    assert out[:-N].equal(plain[:-N]), "rows of another prompt are untouched"
    heads = weights[-N:].mean(1)
    said = [(0, 0, [2]), (0, 1, [4, 5]), (1, 0, [0, 3])]
    assert maps is not None
    for n, k, pieces in said:
        torch.testing.assert_close(maps[n, :, k], heads[n, :, pieces].mean(-1))
    assert maps[1, :, 1].eq(0).all()


def test_a_token_of_two_objects_is_strengthened_once() -> None:
    """As "a red circle and square" may be bound; where masks overlap, c is not squared."""
    image = [TokenBinding((2,), ((1,),)), TokenBinding((3,), ((1,),))]
    masks = torch.tensor([[[1, 1, 0, 0], [1, 0, 1, 0]]]).bool()
    factors = Chosen.of([image]).factors(masks, 4.0, 0.5)
    assert factors[0].tolist() == [[4, 1, 1], [4, 1, 1], [4, 1, 1], [1, 1, 1]]


@pytest.mark.parametrize("text", ["first", "last"])
def test_text_beside_the_picture_is_found(text: str) -> None:
    n_text, sequence = L, P + L
    query, key, value = projections(sequence, sequence)
    layout = text_attention(flux() if text == "first" else sd3())[0]
    pixels, first_key = layout.places(sequence, sequence, n_text)
    is_pixel = torch.arange(sequence) >= L if text == "first" else torch.arange(sequence) < P
    chosen, masks = Chosen.of([TWO, ONE]), masks_of()
    out, _ = attend(
        query,
        key,
        value,
        None,
        chosen,
        pixels=pixels,
        first_key=first_key,
        factors=chosen.factors(masks, 4.0, 1.0),
    )
    weights = softmax(query, key)
    plain = weights @ value
    at = torch.nonzero(~is_pixel)[0, 0]
    of_text = slice(int(at), int(at) + n_text)
    strong = weights[-N:][:, :, is_pixel]
    strong[..., of_text] = edited(strong[..., of_text], masks, 4.0)
    torch.testing.assert_close(out[-N:][:, :, is_pixel], strong @ value[-N:], atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(out[:, :, ~is_pixel], plain[:, :, ~is_pixel], atol=1e-5, rtol=1e-4)


def test_layers_are_those_that_look_at_the_text() -> None:
    names = {
        model: [name for layer in text_attention(model)[1] for name, m in model.named_modules()
                if m is layer]
        for model in (pixart(), sana(), sd3(), flux())
    }  # fmt: skip
    cross, cross_too, joint, double = names.values()
    assert cross == cross_too == [f"transformer_blocks.{n}.attn2" for n in range(3)]
    assert joint == [f"transformer_blocks.{n}.attn" for n in range(3)]
    blocks = ("transformer_blocks", "single_transformer_blocks")
    assert double == [f"{block}.{n}.attn" for block in blocks for n in range(2)]
    with pytest.raises(RecipeError, match="a Linear is not guided; known are PixArt"):
        text_attention(torch.nn.Linear(2, 2))
    compiled = pixart()
    compiled.compile()
    with pytest.raises(RecipeError, match="compiled"):
        text_attention(compiled)
    with pytest.raises(RecipeError, match="a OptimizedModule is not guided"):
        text_attention(torch.compile(pixart()))


def test_attention_that_is_computed_elsewhere_is_refused() -> None:
    """This processor multiplies matrices itself, so no call is seen."""
    model = pixart()
    layer = text_attention(model)[1][0]
    layer.set_processor(AttnProcessor())
    seen: list[Any] = []

    def see(*given: Any, **others: Any) -> Tensor:
        seen.append(given)
        return scaled_dot_product_attention(*given, **others)

    states = torch.zeros(1, 4, 32)
    with (
        watched(layer, see),
        pytest.raises(RecipeError, match=r"AttnProcessor called .* 0 times .* native"),
    ):
        layer(states, encoder_hidden_states=states)
    assert not seen
    layer(states, encoder_hidden_states=states)
    assert "forward" not in vars(layer)


class Shapes(TorchDispatchMode):
    """Notes the shapes of all that operators make."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[int, ...]] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for one in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(one, Tensor):
                self.seen.add(tuple(one.shape))
        return out


@pytest.mark.parametrize("renormalize", [False, True])
def test_no_matrix_of_pixels_by_tokens_is_made(renormalize: bool) -> None:
    """With 300 tokens as PixArt-Sigma has, where a row of 72 channels is a quarter of them."""
    n_pixels, n_tokens, width = 256, 300, 72
    shape = (2, 4, n_pixels, width)
    query, key, value = (
        torch.randn(2, 4, n, width, generator=seeded(n)) for n in (n_pixels, n_tokens, n_tokens)
    )
    bias = torch.zeros(2, 4, 1, n_tokens)
    chosen = Chosen.of([TWO])
    masks = torch.rand(1, 2, n_pixels, generator=seeded()) > 0.5
    with Shapes() as shapes, torch.no_grad():
        attend(
            query,
            key,
            value,
            bias,
            chosen,
            pixels=slice(0, n_pixels),
            first_key=0,
            factors=chosen.factors(masks, 4.0, 0.5),
            renormalize=renormalize,
        )
    assert shapes.seen
    assert max(map(math.prod, shapes.seen)) <= math.prod(shape)
    assert not any({n_pixels, n_tokens} <= set(shape) for shape in shapes.seen)
