"""Any language model of Hugging Face may write ids: one pass over the prompt, shared by all beams.

The beams of a person are rows of one sequence: each row may look at the prompt and at the rows it
descends from, and stands where a next token would. So keys and values of the prompt are held once,
those of beams are never moved, and no model needs code of its own.
Letters: B people, S prompt tokens, K beams, l codes written, L levels, V codes of a level.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from etalage.errors import DataError
from etalage.models.generative.network import Lineage

if TYPE_CHECKING:
    from etalage.tokenize.beam import Step


def causal_reader(
    model: Any,
    prompt: Tensor,
    known: Tensor,
    tokens: Sequence[NDArray[np.integer]],
    softmax: Literal["children", "level", "vocabulary"] = "vocabulary",
) -> Step:
    """Reads prompts int64 (B, S), left-padded, for `beam_search`.

    Args:
        model: a causal language model of `transformers` that takes a cache, position ids and a
            mask (B, 1, rows, columns), which all but a few do.
        prompt: token ids; the last column is the newest token.
        known: bool (B, S), false on padding.
        tokens: for each level the token of each of its codes, ints (V,).
        softmax: what a code competes with; "vocabulary" is what `generate` does. Other than with
            "children", the search must be told that scores are `normalised`.

    Raises:
        DataError: for a token that the model does not have, or a mask of another shape.
    """
    import inspect

    from transformers import DynamicCache

    n_people, length = prompt.shape
    if known.shape != prompt.shape:
        raise DataError(f"known has shape {tuple(known.shape)}, the prompt {tuple(prompt.shape)}")
    n_vocabulary = model.get_input_embeddings().num_embeddings
    largest = max(int(level.max()) for level in tokens)
    if max(largest, int(prompt.max())) >= n_vocabulary:
        raise DataError(
            f"token {max(largest, int(prompt.max()))} is beyond the model's vocabulary of "
            f"{n_vocabulary}; add the code tokens with resize_token_embeddings first"
        )
    of_level = [torch.from_numpy(np.asarray(level, dtype=np.int64)) for level in tokens]
    cache, lineage = DynamicCache(config=model.config), Lineage(n_people)
    n_known = known.sum(1, keepdim=True)  # (B, 1)
    dtype = next(model.parameters()).dtype
    # newer versions call it by a new name and warn of the old one
    names = inspect.signature(type(model).forward).parameters
    held = {"cache" if "cache" in names else "past_key_values": cache}

    def run(ids: Tensor, places: Tensor, may: Tensor) -> Tensor:
        """Logits of rows (B, rows, all tokens) that look where `may` (B, rows, columns) says."""
        bias = torch.zeros(may.shape, dtype=dtype).masked_fill(~may, torch.finfo(dtype).min)
        out = model(
            input_ids=ids, position_ids=places, attention_mask=bias[:, None], use_cache=True,
            logits_to_keep=0 if lineage.seen.shape[2] else 1, **held,
        )  # fmt: skip
        return out.logits.float()

    with torch.inference_mode():
        places = (known.cumsum(1) - 1).clamp(min=0)
        order = torch.arange(length)
        may = (order <= order[:, None]) & known[:, None, :] | torch.eye(length, dtype=torch.bool)
        first = run(prompt, places, may)[:, -1:]  # (B, 1, vocabulary)

    def step(prefixes: NDArray[np.int32], parents: NDArray[np.int64]) -> NDArray[np.float32]:
        n_beams, level = prefixes.shape[1:]
        with torch.inference_mode():
            logits = first
            if level:
                ids = of_level[level - 1][torch.from_numpy(prefixes[:, :, -1]).long()]
                places = (n_known + level - 1).expand(-1, n_beams)
                shared = known[:, None].expand(-1, n_beams, -1)
                logits = run(ids, places, torch.cat([shared, lineage.add(parents)], 2))
            if softmax == "vocabulary":
                logits = logits.log_softmax(-1)
            logits = logits[..., of_level[level]]
            logits = logits.log_softmax(-1) if softmax == "level" else logits
            found: NDArray[np.float32] = logits.numpy()
            return found

    return step
