"""Claims about spelling a catalogue by residual k-means: health against a peer's RQ-VAE, and cost.

A neighbour is kept when it shares two of three codes. That is more likely by chance when fewer
pairs of codes are in use, so the reports that are printed have chance beside it: in multiples of
chance the two quantisers are alike, and the peer's codes collide less.

The peer lives in an environment of its own; `peers/vq_rqvae.py` says how to make it. Vectors are
those of an npy (N, D) given, such as a sentence encoder's, else hashed words of the item texts.

    python benchmarks/quantisers.py [--vectors beauty.npy] [--peer PYTHON]
"""

import argparse
import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from claims import record
from etalage.data.ingest import open_dataset
from etalage.models.content import item_vectors
from etalage.models.generative.spelling import SpellingConfig
from etalage.seeds import generator
from etalage.tokenize.collisions import reassign
from etalage.tokenize.health import check_health, measure_codes
from etalage.tokenize.residual import ResidualKMeans

HERE = Path(__file__).parent
DATA = Path(os.environ.get("ETALAGE_DATA", HERE / "../../shared/data"))
PEER = HERE / "peers/.venv-vq/bin/python"
N_LEVELS, N_CODES, SEEDS = 3, 256, (0, 1, 2)
N_LARGE, WIDTH, N_CLUSTERS = 1_000_000, 384, 5_000


def peer_codes(peer: str, vectors: np.ndarray, seed: int) -> tuple[np.ndarray, float, float]:
    """Codes of the peer, the share of variance they explain, and its CPU-seconds."""
    with TemporaryDirectory() as place:
        given, out = f"{place}/given.npy", f"{place}/out.npz"
        np.save(given, vectors)
        script = HERE / "peers" / "vq_rqvae.py"
        subprocess.run([peer, str(script), given, out, str(seed)], check=True, capture_output=True)
        found = np.load(out)
        return found["codes"], float(found["explained"]), float(found["seconds"])


def clustered(seed: int) -> np.ndarray:
    """Unit vectors float32 around centres, made in blocks so that little else is held."""
    rng = generator(seed, "clustered")
    centres = rng.normal(size=(N_CLUSTERS, WIDTH)).astype(np.float32)
    x = np.empty((N_LARGE, WIDTH), np.float32)
    for rows in np.array_split(np.arange(N_LARGE), 100):
        noise = rng.standard_normal((len(rows), WIDTH), dtype=np.float32)
        x[rows] = centres[rng.integers(0, N_CLUSTERS, len(rows))] + 0.7 * noise
        x[rows] /= np.linalg.norm(x[rows], axis=1, keepdims=True)
    return x


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--vectors", help="npy of float32 (12,101, D), in the order of the items")
    parser.add_argument("--peer", default=str(PEER), help="python of the peer's environment")
    options, began = parser.parse_args(), time.perf_counter()
    if not Path(options.peer).exists():
        sys.exit(f"no {options.peer}; peers/vq_rqvae.py says how to make it")
    if options.vectors:
        vectors = np.load(options.vectors).astype(np.float32)
    else:
        beauty = open_dataset(DATA / "sequences/s3rec/beauty")
        vectors = item_vectors(beauty, SpellingConfig(vector_width=WIDTH), 0)
    data_hash = hashlib.sha256(vectors.tobytes()).hexdigest()

    def claim(text: str, value: float, unit: str, target: str, peer: str | None = None) -> None:
        record("generative", text, value, unit, target, peer=peer, seeds=SEEDS,
               data_hash=data_hash, seconds=time.perf_counter() - began)  # fmt: skip

    ours, theirs, costs, n_shared = [], [], [], 0
    for seed in SEEDS:
        started = time.process_time()
        quantizer = ResidualKMeans(N_LEVELS, N_CODES, seed=seed).fit(vectors)
        costs.append(time.process_time() - started)
        codes = quantizer.encode(vectors)
        ours.append(check_health(quantizer, vectors, codes=codes))
        spread = reassign(codes, quantizer, vectors)
        n_shared += len(vectors) - len(np.unique(spread.ids.codes, axis=0))
        print("ours", seed, ours[-1].to_dict(), f"{costs[-1]:.1f} CPU-s", "distortion",
              spread.distortion_before, spread.distortion_after, spread.n_changed)  # fmt: skip
        codes, explained, seconds = peer_codes(options.peer, vectors, seed)
        sizes = (N_CODES,) * N_LEVELS
        theirs.append(measure_codes(codes, sizes, vectors=vectors, explained=(explained,)))
        print("peer", seed, theirs[-1].to_dict(), f"{seconds:.1f} CPU-s")
    name = "vector-quantize-pytorch 1.32.0"
    kept, peer_kept = (
        float(np.mean([r.neighbour_preservation for r in reports])) for reports in (ours, theirs)
    )
    claim("codes of residual k-means 3 x 256 that no item of Beauty has",
          sum(sum(report.dead_codes) for report in ours), "codes", "<=0")  # fmt: skip
    claim("items of Beauty that share an id after reassignment", n_shared, "items", "<=0")
    claim("neighbours kept by residual k-means over those of a peer's RQ-VAE, Beauty",
          kept / peer_kept, "ratio", ">=1", name)  # fmt: skip
    claim("CPU-seconds to learn residual k-means 3 x 256 on 12,101 items", max(costs), "s", "<=20")
    large, started = clustered(0), time.process_time()
    quantizer = ResidualKMeans(N_LEVELS, N_CODES).fit(large)
    codes = quantizer.encode(large)
    cost = time.process_time() - started
    dead = sum(measure_codes(codes, quantizer.sizes).dead_codes)
    print("1M", f"{cost:.1f} CPU-s", dead, "dead codes")
    claim("CPU-seconds to learn and spell 1,000,000 x 384 by residual k-means", cost, "s", "<=300")


if __name__ == "__main__":
    main()
