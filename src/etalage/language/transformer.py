"""What does a text mean, to a sentence encoder of one's own choice? Any that torch can run.

By the package sentence-transformers (Reimers and Gurevych, 2019, arXiv 1908.10084), which reads
its own models, with their pooling, and any encoder of the Hugging Face hub, with the mean of its
states.
Letters: N texts, D width.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etalage.errors import DataError, naming_extras
from etalage.language.projection import unit_rows
from etalage.language.texts import batches, readable

FEW_ROWS = 4


class TransformerEncoder:
    """Text to unit vectors, by a model that sentence-transformers can load.

    A text is cut where the model stops to read (`max_tokens`). Texts of equal length are read
    together, on one thread of a processor, so that there a text's vector has the same bytes in any
    company: threads share the rows of a product by how many there are, and round as they share.

    Args:
        model: a folder, or a name of the Hugging Face hub, which is downloaded and kept by it;
            with HF_HUB_OFFLINE=1 only what it keeps already is looked at.
        device: as torch names it.

    Raises:
        MissingExtraError: when sentence-transformers is not installed.
        DataError: when there is no such model, it cannot be reached, or it is no sentence encoder.
    """

    def __init__(self, model: str | Path, device: str = "cpu") -> None:
        with naming_extras():
            import sentence_transformers
        with quiet_loading():
            try:
                # a model kept in half precision is slow on processors, and its sums are rough
                self._model: Any = sentence_transformers.SentenceTransformer(
                    str(model), device=device, model_kwargs={"dtype": "float32"}
                )
            except ImportError:
                raise
            except Exception as error:  # each kind of model fails in ways of its own
                raise DataError(_why(model, error)) from error
        self.width = int(self._model.get_embedding_dimension() or 0)
        if not self.width:
            raise DataError(f"{model} does not say how wide its vectors are; it is no encoder")
        self.max_tokens: int | None = self._model.max_seq_length
        """Tokens read of a text; None where the model has no limit."""
        self.fingerprint = _fingerprint(self._model)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns float32 (N, D): unit rows, or zeros for a text of blanks.

        Raises:
            DataError: when `texts` is no sequence of str, or the model answers with no numbers.
        """
        texts = readable(texts)
        vectors = np.zeros((len(texts), self.width), np.float32)
        said = [row for row, text in enumerate(texts) if text.strip()]
        lengths = self._lengths([texts[row] for row in said])
        for rows in batches(lengths):
            here = [said[row] for row in rows]
            batch = [texts[row] for row in here]
            # repeated where small: torch multiplies a few rows otherwise than more, by a last bit
            batch *= -(-FEW_ROWS // (len(here) * lengths[rows[0]]))
            with _one_thread():
                found = self._model.encode(batch, batch_size=len(batch), show_progress_bar=False)
            vectors[here] = found[: len(here)]
        if not np.isfinite(vectors).all():
            raise DataError("the model answers with values that are not finite; take another model")
        return unit_rows(vectors)

    def _lengths(self, texts: list[str]) -> list[int]:
        """Tokens of each text as the model reads it; all alike where words are merely looked up."""
        tokenizer = self._model.tokenizer
        if not texts or not hasattr(tokenizer, "model_max_length"):
            return [1] * len(texts)
        before = self._model.prompts.get(self._model.default_prompt_name) or ""
        cut = {"truncation": True, "max_length": self.max_tokens} if self.max_tokens else {}
        read = tokenizer([before + text for text in texts], **cut)
        return [len(ids) for ids in read["input_ids"]]


def _fingerprint(model: Any) -> str:
    """Hashes all that a vector depends on: weights, words, pooling, prompts and limits."""
    import torch

    digest = sha256()
    for name, weight in sorted(model.state_dict().items()):
        digest.update(f"{name} {weight.dtype} {tuple(weight.shape)}".encode())
        digest.update(weight.cpu().contiguous().view(torch.uint8).numpy().data)
    tokenizer = model.tokenizer
    words = getattr(tokenizer, "backend_tokenizer", tokenizer)
    said = words.to_str() if hasattr(words, "to_str") else sorted(tokenizer.get_vocab().items())
    settings = [model.prompts, model.default_prompt_name, model.max_seq_length, model.truncate_dim]
    digest.update(json.dumps([str(model), said, *settings]).encode())
    return f"transformer {digest.hexdigest()}"


def _why(model: str | Path, error: Exception) -> str:
    first = str(error).strip().partition("\n")[0]
    if Path(model).is_dir():
        return f"the folder {model} holds no sentence encoder that can be loaded: {first}"
    return (
        f"cannot load the sentence encoder {model}: {first} Give a folder that exists, or a name "
        "of the Hugging Face hub where that can be reached"
    )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keeps torch's products on one thread."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@contextmanager
def quiet_loading() -> Iterator[None]:
    """Shows no bar for the loading of weights."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
