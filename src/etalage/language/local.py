"""What does a model in a folder answer? Any causal language model of `transformers`, offline.

Letters: B requests read together, S prompt tokens, V words, N texts, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from etalage.artefact import sha256_of
from etalage.errors import DataError, naming_extras
from etalage.language.request import (
    Failure,
    Message,
    Outcomes,
    Request,
    Result,
    Sampling,
    Usage,
    canonical,
    named,
)
from etalage.language.texts import batches, readable
from etalage.language.transformer import quiet_loading
from etalage.seeds import generator

if TYPE_CHECKING:
    from torch import Tensor

WINDOW = 16
"""Batches of requests that are held at once, so that prompts of like length are read together."""
MOST_TOKENS = 4096
"""Tokens of a text that are read for its vector."""
PARTS = ("*.json", "*.safetensors", "*.bin", "*.model", "*.txt", "*.jinja")
"""Files of a folder that an answer depends on."""


class LocalModel:
    """A causal language model in this process.

    A sampled answer is drawn by the seed and what was said, whatever it is read beside.
    Answers are not held to a schema while they are written; whoever asks must check.

    Args:
        folder: config, tokenizer and weights, as `save_pretrained` leaves them.
        device: as torch names it; on a processor weights are float32.
        batch_size: requests that are read together (B).

    Raises:
        MissingExtraError: when torch or transformers is not installed.
        DataError: when the folder holds no causal language model.
    """

    def __init__(self, folder: str | Path, device: str = "cpu", batch_size: int = 8) -> None:
        with naming_extras():
            import torch
            from transformers import AutoModelForCausalLM, AutoTokenizer
        folder = Path(folder)
        self.name = folder_name(folder)
        offline = {"local_files_only": True, "trust_remote_code": False}
        dtype = torch.float32 if device == "cpu" else "auto"
        try:
            with quiet_loading():
                self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, **offline)
                model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, **offline)
        except ImportError:
            raise
        except Exception as error:  # each kind of model fails in ways of its own
            first = str(error).strip().partition("\n")[0]
            raise DataError(
                f"{folder} holds no causal language model that can be loaded: {first}"
            ) from error
        self._model = model.eval().to(device)
        self._device = device
        self._batch_size = batch_size
        text_config = model.config.get_text_config()
        self.width = int(text_config.hidden_size)
        """D of `embed`."""
        self._longest = int(getattr(text_config, "max_position_embeddings", None) or 2**30)
        ends = model.generation_config.eos_token_id
        if ends is None:
            ends = self._tokenizer.eos_token_id
        self._ends = [ends] if isinstance(ends, int) else list(ends or ())
        own = self._tokenizer.pad_token_id
        self._pad = own if own is not None else self._ends[0] if self._ends else 0

    def generate(self, requests: Iterable[Request]) -> Outcomes:
        """Yields one outcome a request; those that are read together come together."""
        left = iter(requests)
        while window := list(islice(left, WINDOW * self._batch_size)):
            asked: dict[Sampling, list[tuple[list[int], Request]]] = {}
            for request in window:
                tokens = self._tokens(self.written(request.messages))
                room = self._longest - request.sampling.max_tokens
                if len(tokens) > room:
                    reason = f"its {len(tokens)} tokens are more than the {room} there is room for"
                    yield Failure(request, reason, tries=0)
                else:
                    asked.setdefault(request.sampling, []).append((tokens, request))
            for sampling, pairs in asked.items():
                pairs.sort(key=lambda pair: -len(pair[0]))
                for at in range(0, len(pairs), self._batch_size):
                    yield from self._together(pairs[at : at + self._batch_size], sampling)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns float32 (N, D): the mean of the last layer's states, zeros for no token at all.

        Texts of one length are read together, without padding.
        """
        import torch

        texts = readable(texts)
        most = min(MOST_TOKENS, self._longest)
        tokens = [self._tokens(text)[:most] for text in texts]
        vectors = np.zeros((len(texts), self.width), np.float32)
        for rows in batches([len(ids) for ids in tokens]):
            ids = torch.tensor([tokens[row] for row in rows], device=self._device)
            with torch.inference_mode():
                states = self._model.base_model(input_ids=ids).last_hidden_state  # (B, S, D)
                vectors[rows] = states.float().mean(1).cpu().numpy()
        if not np.isfinite(vectors).all():
            raise DataError("the model answers with values that are not finite; take another model")
        return vectors

    def written(self, messages: Sequence[Message]) -> str:
        """Returns a conversation as the model reads it, up to where it is its turn."""
        turns = [{"role": m.role, "content": self._plain(m.content)} for m in messages]
        is_to_answer = messages[-1].role != "assistant"
        if not self._tokenizer.chat_template:
            return "\n\n".join(turn["content"] for turn in turns) + ("\n\n" if is_to_answer else "")
        try:
            return self._templated(turns, is_to_answer)
        except Exception:  # templates without a system role raise whatever they like
            if len(turns) < 2 or turns[0]["role"] != "system":
                raise
            both = f"{turns[0]['content']}\n\n{turns[1]['content']}"
            return self._templated([turns[1] | {"content": both}, *turns[2:]], is_to_answer)

    def _templated(self, turns: list[dict[str, str]], is_to_answer: bool) -> str:
        said: str = self._tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=is_to_answer
        )
        return said

    def _plain(self, text: str) -> str:
        """A text without the tokens by which this model tells speakers apart."""
        before = None
        while before != text:  # what was cut out may have held another apart
            before = text
            for token in self._tokenizer.all_special_tokens:
                text = text.replace(token, "")
        return text

    def _tokens(self, text: str) -> list[int]:
        # a template writes the first token itself
        is_plain = not self._tokenizer.chat_template
        ids: list[int] = self._tokenizer(text, add_special_tokens=is_plain)["input_ids"]
        return ids

    def _together(self, pairs: list[tuple[list[int], Request]], sampling: Sampling) -> Outcomes:
        import torch
        from transformers import GenerationConfig, LogitsProcessorList

        began = monotonic()
        length = max(len(tokens) for tokens, _ in pairs)
        padded = [[self._pad] * (length - len(tokens)) + tokens for tokens, _ in pairs]
        known = [[0] * (length - len(tokens)) + [1] * len(tokens) for tokens, _ in pairs]
        draws = LogitsProcessorList()
        if sampling.temperature > 0:
            said = [canonical([m.content for m in request.messages]) for _, request in pairs]
            draws.append(_Draw(said, sampling))
        config = GenerationConfig(
            do_sample=False, max_new_tokens=sampling.max_tokens, pad_token_id=self._pad,
            eos_token_id=self._ends or None,
        )  # fmt: skip
        with torch.inference_mode():
            found = self._model.generate(
                torch.tensor(padded, device=self._device),
                attention_mask=torch.tensor(known, device=self._device),
                generation_config=config, logits_processor=draws,
            )  # fmt: skip
        rows = found[:, length:].tolist()
        seconds = (monotonic() - began) / len(pairs)
        for (tokens, request), row in zip(pairs, rows, strict=True):
            last = next((n for n, token in enumerate(row) if token in self._ends), None)
            written = row if last is None else row[: last + 1]
            usage = Usage(len(tokens), len(written))
            text = self._tokenizer.decode(written, skip_special_tokens=True)
            if not text.strip():
                yield Failure(request, "the answer is empty", usage=usage)
                continue
            finish_reason = "length" if last is None else "stop"
            yield Result(request, text, finish_reason, usage, self.name, seconds)


def folder_name(folder: Path) -> str:
    """Names the model in a folder by all that its answers depend on; nothing of it is loaded.

    Raises:
        DataError: when there is no model in the folder.
    """
    if not (folder / "config.json").is_file():
        raise DataError(f"{folder} holds no model: there is no config.json in it")
    parts = sorted(path for pattern in PARTS for path in folder.glob(pattern))
    return named(folder.resolve().name, sha256_of(*parts)[:16])


class _Draw:
    """Leaves one token a row: drawn from the likeliest by a stream that is the request's own."""

    def __init__(self, said: list[str], sampling: Sampling) -> None:
        self._streams = [generator(sampling.seed, "answer", text) for text in said]
        self._sampling = sampling

    def __call__(self, ids: Tensor, scores: Tensor) -> Tensor:
        """Returns scores (B, V) that are -inf but for the drawn tokens."""
        import torch

        logits, order = (scores.double() / self._sampling.temperature).sort(-1, descending=True)
        shares = logits.softmax(-1).cumsum(-1)  # (B, V)
        # the first token that reaches top_p is the last that may be drawn
        kept = (shares < self._sampling.top_p).sum(-1).clamp(max=shares.shape[-1] - 1)
        reached = shares.gather(-1, kept[:, None])[:, 0]
        draws = [stream.random() for stream in self._streams]
        drawn = torch.tensor(draws, dtype=torch.float64, device=scores.device)
        place = (shares <= (drawn * reached)[:, None]).sum(-1)
        token = order.gather(-1, torch.minimum(place, kept)[:, None])
        return torch.full_like(scores, -torch.inf).scatter(-1, token, 0.0)
