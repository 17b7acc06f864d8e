"""Any sentence encoder by name or folder: a tiny BERT says what torch says of it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etalage.errors import DataError, MissingExtraError
from etalage.language.transformer import TransformerEncoder

torch = pytest.importorskip("torch", reason="needs torch: pip install 'etalage[train]'")
transformers = pytest.importorskip(
    "transformers", reason="needs transformers: pip install 'etalage[llm]'"
)
pytest.importorskip(
    "sentence_transformers", reason="needs sentence-transformers: pip install 'etalage[llm]'"
)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "blue", "mug", "table", *LETTERS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two layers of width 32 that read 40 tokens."""
    folder = tmp_path_factory.mktemp("tiny-bert")
    (folder / "vocab.txt").write_text("\n".join([*WORDS, *(f"##{x}" for x in LETTERS)]))
    transformers.BertTokenizer(vocab=str(folder / "vocab.txt")).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(WORDS) + 26,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=40,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def encoder(folder: Path) -> TransformerEncoder:
    return TransformerEncoder(folder)


def mean_state(folder: Path, text: str) -> np.ndarray:
    """The text's mean state of unit length, by transformers alone."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    model = transformers.AutoModel.from_pretrained(folder).eval()
    read = tokenizer([text], truncation=True, max_length=40, return_tensors="pt")
    with torch.inference_mode():
        mean = model(**read).last_hidden_state[0].mean(0)
    return (mean / mean.norm()).numpy()


@pytest.mark.parametrize("text", ["red mug", "blue tables and mugs", "x", "12 東京", "mug " * 99])
def test_a_vector_is_the_mean_state_of_the_text(
    encoder: TransformerEncoder, folder: Path, text: str
) -> None:
    found = encoder.encode(["a table", text, "a red table"])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[1], mean_state(folder, text), rtol=0, atol=1e-6)


sentences = st.lists(st.sampled_from(["red", "blue", "mug", "tables", "q"]), max_size=12)


@settings(max_examples=30, deadline=None)
@given(st.lists(sentences.map(" ".join), min_size=1, max_size=12), st.integers(0, 11))
def test_a_text_has_the_same_bytes_in_any_company(
    encoder: TransformerEncoder, texts: list[str], row: int
) -> None:
    together = encoder.encode(texts)
    row %= len(texts)
    assert encoder.encode([texts[row]])[0].tobytes() == together[row].tobytes()
    assert ((together != 0).any(1) == [text != "" for text in texts]).all()


def test_long_texts_are_cut_and_texts_of_blanks_are_zeros(encoder: TransformerEncoder) -> None:
    assert (encoder.width, encoder.max_tokens) == (32, 40)
    one, two = encoder.encode(["mug " * 38, "mug " * 38 + "table " * 20_000])
    assert one.tobytes() == two.tobytes()
    vectors = encoder.encode(["", " \n", "half \ud83c", "x" * 100_000])
    assert (vectors != 0).any(1).tolist() == [False, False, True, True]
    assert encoder.encode([]).shape == (0, 32)


def test_a_fingerprint_is_of_what_the_folder_holds(
    encoder: TransformerEncoder, folder: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "copy"))
    assert TransformerEncoder(copy).fingerprint == encoder.fingerprint
    model = transformers.BertModel.from_pretrained(copy)
    with torch.no_grad():
        model.encoder.layer[1].output.dense.bias[3] += 1
    model.save_pretrained(copy)
    assert TransformerEncoder(copy).fingerprint != encoder.fingerprint


def test_a_model_kept_in_half_precision_is_run_in_full(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "half"))
    transformers.BertModel.from_pretrained(copy).to(torch.bfloat16).save_pretrained(copy)
    half = TransformerEncoder(copy)
    found = half.encode(["red mug"])
    assert found.dtype == np.float32
    np.testing.assert_allclose(found[0], mean_state_full(copy, "red mug"), rtol=0, atol=1e-6)


def mean_state_full(folder: Path, text: str) -> np.ndarray:
    full = folder / "full"
    shutil.copytree(folder, full)
    model = transformers.BertModel.from_pretrained(folder, dtype=torch.float32)
    model.save_pretrained(full)
    return mean_state(full, text)


def test_bad_input_is_named(encoder: TransformerEncoder, folder: Path, tmp_path: Path) -> None:
    for bad in ("mug", ["mug", None], [3]):
        with pytest.raises(DataError, match="sequence of str"):
            encoder.encode(bad)  # type: ignore[arg-type]
    with pytest.raises(DataError, match=r"nowhere.*not found.*Give a folder that exists"):
        TransformerEncoder(tmp_path / "nowhere")
    with pytest.raises(DataError, match="holds no sentence encoder"):
        TransformerEncoder(tmp_path)
    broken = Path(shutil.copytree(folder, tmp_path / "broken"))
    os.truncate(broken / "model.safetensors", 5000)
    with pytest.raises(DataError, match="holds no sentence encoder"):
        TransformerEncoder(broken)


def test_weights_that_are_no_numbers_are_named(folder: Path, tmp_path: Path) -> None:
    broken = Path(shutil.copytree(folder, tmp_path / "broken"))
    model = transformers.BertModel.from_pretrained(broken)
    with torch.no_grad():
        model.encoder.layer[0].output.dense.bias[0] = torch.nan
    model.save_pretrained(broken)
    with pytest.raises(DataError, match="not finite"):
        TransformerEncoder(broken).encode(["mug"])


@pytest.mark.slow
def test_a_name_that_cannot_be_reached_is_named() -> None:
    code = (
        "from etalage.language.transformer import TransformerEncoder\n"
        "TransformerEncoder('nobody/nothing')\n"
    )
    env = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("etalage.errors.DataError: cannot load the sentence encoder nobody/")
    assert "a name of the Hugging Face hub where that can be reached" in last


def test_without_the_package_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(MissingExtraError, match=r"'sentence-transformers'.*etalage\[llm\]"):
        TransformerEncoder("owner/name")
