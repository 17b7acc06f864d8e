"""Claims about truth: published rows of trivial baselines, reproduced on the public files.

PopRec: S3-Rec's full-ranking table counts popularity over every interaction, the test item
included, and hides seen items; its eight figures are met to the last digit. Item-kNN + Markov
learns from all but the last two items.
"""

import os
import sys
import time
from pathlib import Path

from claims import record
from etalage.artefact import sha256_of
from etalage.data.ingest import open_dataset
from etalage.data.split import leave_one_out
from etalage.evaluate.ranking import evaluate_recommender
from etalage.models.baseline.neighbours import ItemKNNMarkov
from etalage.models.baseline.popularity import Popularity

POPREC = {
    "beauty": (0.0080, 0.0152),
    "sports": (0.0056, 0.0094),
    "toys": (0.0066, 0.0113),
    "yelp": (0.0057, 0.0099),
}
NEIGHBOURS = {
    "beauty": (0.0520, 0.0381, 0.0694, 0.0437),
    "sports": (0.0264, 0.0194, 0.0358, 0.0224),
    "toys": (0.0660, 0.0489, 0.0847, 0.0549),
    "yelp": (0.0139, 0.0090, 0.0229, 0.0119),
}
NAMES = ("hit_rate@5", "ndcg@5", "hit_rate@10", "ndcg@10")

here = Path(__file__).parents[1]
folder = Path(os.environ.get("ETALAGE_DATA", here / "../shared/data")) / "sequences" / "s3rec"
if not folder.exists():
    sys.exit("no sequences/s3rec in the data folder; set ETALAGE_DATA")

for name in POPREC:
    started = time.perf_counter()
    data = open_dataset(folder / name)
    sha256 = sha256_of(folder / name / "sequences.txt")[:16]
    split = leave_one_out(data.interactions)
    popularity = Popularity()
    popularity.fit(data)
    got = evaluate_recommender(popularity, split.test, ks=(5, 10)).metrics
    seconds = time.perf_counter() - started
    for k, published in zip((5, 10), POPREC[name], strict=True):
        record("house", f"PopRec HR@{k} on S3-Rec {name}", got[f"hit_rate@{k}"], "",
               f"{published}±0.00005", peer="S3-Rec table", data_hash=sha256,
               seconds=seconds)  # fmt: skip
    model = ItemKNNMarkov()
    model.fit(data.with_interactions(split.train))
    got = evaluate_recommender(model, split.test, ks=(5, 10)).metrics
    seconds = time.perf_counter() - started
    for metric, published in zip(NAMES, NEIGHBOURS[name], strict=True):
        record("house", f"item-kNN + Markov {metric} on S3-Rec {name}", got[metric], "",
               f"{published}±0.0005", data_hash=sha256, seconds=seconds)  # fmt: skip
