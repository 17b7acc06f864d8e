"""Which attention does a pixel pay to some words? Its exact columns, read and made stronger.

Letters: B rows of a batch, N images, H heads, P pixels (tokens of the picture), L keys, D channels
of a head, S chosen tokens, K objects.

A matrix of pixels by tokens is never made. Attention with values that are one-hot at the chosen
tokens is just the columns of its softmax, by the kernel that computes the attention itself; and an
edit of columns is something added to what the attention gave.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

from etalage.creative.bindings import TokenBinding
from etalage.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Layout:
    """Where attention meets the text: in which modules, and where its tokens stand."""

    modules: str
    """A pattern of the names of the attention modules."""
    text: str
    """`only`: all keys are text; `first` or `last`: text and picture are one sequence."""

    def places(self, n_queries: int, n_keys: int, n_text: int) -> tuple[slice, int]:
        """Returns which queries are pixels, and the key of the first token of the text."""
        if self.text == "only":
            return slice(0, n_queries), 0
        if self.text == "first":
            return slice(n_text, n_queries), 0
        return slice(0, n_queries - n_text), n_keys - n_text


CROSS = Layout(r"transformer_blocks\.\d+\.attn2", "only")
LAYOUTS = {
    "PixArtTransformer2DModel": CROSS,
    "SanaTransformer2DModel": CROSS,
    # attn2 of Stable Diffusion 3.5 sees the picture alone
    "SD3Transformer2DModel": Layout(r"transformer_blocks\.\d+\.attn", "last"),
    "FluxTransformer2DModel": Layout(r"(single_)?transformer_blocks\.\d+\.attn", "first"),
}
"""By the class of the transformer."""


def text_attention(transformer: nn.Module) -> tuple[Layout, list[nn.Module]]:
    """Returns where a transformer looks at the text, in the order of its layers.

    Raises:
        RecipeError: for a transformer of another class, or one that is compiled.
    """
    kinds = [kind.__name__ for kind in type(transformer).__mro__]
    known = next((kind for kind in kinds if kind in LAYOUTS), None)
    if known is None:
        raise RecipeError(
            f"a {kinds[0]} is not guided; known are {', '.join(LAYOUTS)}, as they are before "
            "torch.compile"
        )
    if any(getattr(m, "_compiled_call_impl", None) is not None for m in transformer.modules()):
        raise RecipeError("a compiled transformer hides its attention; load it once more, as it is")
    form = re.compile(LAYOUTS[known].modules)
    found = [module for name, module in transformer.named_modules() if form.fullmatch(name)]
    return LAYOUTS[known], found


class Watch(TorchFunctionMode):
    """Sees the calls of scaled_dot_product_attention, and may answer them."""

    def __init__(self, attend: Callable[..., Tensor]) -> None:
        super().__init__()
        self.attend = attend
        self.n_calls = 0

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is not scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        self.n_calls += 1
        return self.attend(*args, **(kwargs or {}))


@contextmanager
def watched(module: nn.Module, attend: Callable[..., Tensor]) -> Iterator[None]:
    """Within the block `attend` sees each call of attention that the module makes.

    Its processor runs as it is, with adapters, norms and positions, whichever is installed.

    Args:
        module: an attention of diffusers.
        attend: what to call in place of scaled_dot_product_attention.

    Raises:
        RecipeError: at a call in which attention was computed by something else, or twice.
    """
    inner, was_set = module.forward, "forward" in vars(module)

    @functools.wraps(inner)
    def forward(*args: Any, **kwargs: Any) -> Any:
        with Watch(attend) as watch:
            out = inner(*args, **kwargs)
        if watch.n_calls != 1:
            processor = type(getattr(module, "processor", None)).__name__
            raise RecipeError(
                f"{processor} called scaled_dot_product_attention {watch.n_calls} times where one "
                "call can be guided; use the native attention backend "
                "(set_attention_backend('native')) and no image adapter"
            )
        return out

    module.forward = forward
    try:
        yield
    finally:
        if was_set:
            module.forward = inner
        else:
            del module.forward


@dataclass(frozen=True, slots=True)
class Chosen:
    """The tokens that bindings name, of all images side by side."""

    tokens: Tensor
    """int64 (N, S): positions in the text, in order; 0 where an image has fewer."""
    is_token: Tensor
    """bool (N, S)."""
    reads: Tensor
    """float32 (N, S, K): 1 / the number of pieces for a piece of an object's word, else 0."""
    owns: Tensor
    """float32 (N, S, K): 1 for a token of an attribute of the object, else 0."""
    exists: Tensor
    """bool (N, K): whether an image has an object of that number."""

    @classmethod
    def of(cls, bindings: Sequence[Sequence[TokenBinding]]) -> Chosen:
        """Lays the bindings of each image side by side."""
        said = [
            sorted({t for one in image for t in chain(one.object, *one.attributes)})
            for image in bindings
        ]
        shape = len(bindings), max(map(len, said)), max(map(len, bindings))
        chosen = cls(
            torch.zeros(shape[:2], dtype=torch.int64),
            torch.zeros(shape[:2], dtype=torch.bool),
            torch.zeros(shape),
            torch.zeros(shape),
            torch.zeros((shape[0], shape[2]), dtype=torch.bool),
        )
        for n, (image, tokens) in enumerate(zip(bindings, said, strict=True)):
            chosen.tokens[n, : len(tokens)] = torch.tensor(tokens, dtype=torch.int64)
            chosen.is_token[n, : len(tokens)] = True
            chosen.exists[n, : len(image)] = True
            for k, one in enumerate(image):
                for token in one.object:
                    chosen.reads[n, tokens.index(token), k] = 1 / len(one.object)
                for token in chain(*one.attributes):
                    chosen.owns[n, tokens.index(token), k] = 1
        return chosen

    def to(self, device: torch.device) -> Chosen:
        """Returns the same on a device."""
        parts = (self.tokens, self.is_token, self.reads, self.owns, self.exists)
        return Chosen(*(part.to(device) for part in parts))

    def factors(self, masks: Tensor, strength: float, suppress: float) -> Tensor:
        """Returns by what the attention of each pixel to each token is multiplied.

        Args:
            masks: bool (N, K, P).
            strength: for a pixel of an object and the attributes of it.
            suppress: for a pixel of other objects only.

        Returns:
            float32 (N, P, S).
        """
        pixels = masks.float().transpose(1, 2)  # (N, P, K)
        owned = self.owns.transpose(1, 2)  # (N, K, S)
        is_own = pixels @ owned > 0
        ones = torch.ones_like(is_own, dtype=torch.float32)
        factors = ones.masked_fill(is_own, strength)
        if suppress != 1:
            is_attribute = owned.amax(1, keepdim=True)  # (N, 1, S)
            is_other = pixels @ (is_attribute - owned) > 0
            factors = factors.masked_fill(is_other & ~is_own, suppress)
        return factors


def columns(
    query: Tensor, key: Tensor, mask: Tensor | None, tokens: Tensor, is_token: Tensor, **others: Any
) -> Tensor:
    """Returns the columns of the softmax that belong to some tokens, (N, H, P, S).

    Args:
        query: (N, H, P, D).
        key: (N, H, L, D).
        mask: bias or mask that broadcasts to (N, H, P, L), or None.
        tokens: int64 (N, S): keys, at most D of them.
        is_token: bool (N, S); columns of others are 0.
        others: what else attention is told, such as its scale.
    """
    n, heads, length, width = key.shape
    # D columns although S are wanted: with a width of its own the fused kernel is left
    hot = key.new_zeros(n, 1, length, width)
    hot.scatter_(2, tokens[:, None, None], is_token[:, None, None].to(hot.dtype))
    found = scaled_dot_product_attention(
        query, key, hot.expand(-1, heads, -1, -1), attn_mask=mask, **others
    )
    return found[..., : tokens.shape[1]]


def attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    chosen: Chosen,
    *,
    pixels: slice,
    first_key: int,
    factors: Tensor | None = None,
    reads: bool = True,
    renormalize: bool = False,
    **others: Any,
) -> tuple[Tensor, Tensor | None]:
    """Attention of a batch, whose last N rows are read and edited.

    Args:
        query: (B, H, Q, D).
        key: (B, H, L, D).
        value: (B, H, L, D).
        mask: bias or mask of attention, or None.
        chosen: tokens of the last N rows.
        pixels: which queries are pixels.
        first_key: the key of the first token of the text.
        factors: float (N, P, S), by what attention is multiplied; None for no edit.
        reads: whether maps are wanted.
        renormalize: whether rows add up to 1 after the edit.
        others: what else attention is told.

    Returns:
        What attention gives, (B, H, Q, D), and the attention to each object, mean over heads and
        pieces of its word, float32 (N, P, K), or None.
    """
    out = scaled_dot_product_attention(query, key, value, attn_mask=mask, **others)
    n = len(chosen.tokens)
    query, key, value = query[-n:, :, pixels], key[-n:], value[-n:]
    if mask is not None and mask.ndim == 4:
        mask = mask[-n:] if len(mask) > 1 else mask
        mask = mask[:, :, pixels] if mask.shape[2] > 1 else mask
    maps: Tensor | None = None
    added: Tensor | None = None
    mass: Tensor | float = 0.0
    for start in range(0, chosen.tokens.shape[1], key.shape[-1]):
        group = slice(start, start + key.shape[-1])
        tokens = chosen.tokens[:, group] + first_key
        found = columns(query, key, mask, tokens, chosen.is_token[:, group], **others)
        if reads:
            read = found.mean(1, dtype=torch.float32) @ chosen.reads[:, group]
            maps = read if maps is None else maps + read
        if factors is not None:
            more = found * (factors[:, None, :, group] - 1).to(found.dtype)  # (N, H, P, S)
            push = more @ value.take_along_dim(tokens[:, None, :, None], dim=2)
            added = push if added is None else added + push
            mass = mass + more.sum(-1, keepdim=True) if renormalize else mass
    if added is not None:
        edited = out[-n:, :, pixels]
        edited += added  # in place: `out` is ours, and a copy would cost as much as the edit
        if renormalize:
            edited /= 1 + mass
    return out, maps
