"""A log of your own as a data frame: look at it, cut it, compare two models."""

import numpy as np
import polars as pl

from etalage.data.describe import describe
from etalage.data.ingest import open_dataset
from etalage.data.split import global_time
from etalage.evaluate.ranking import evaluate_recommender
from etalage.evaluate.significance import compare
from etalage.models.registry import build

rng = np.random.default_rng(0)
n = 5000
visitors = rng.integers(0, 200, n)
products = (visitors * 7 + rng.poisson(4, n)) % 150  # everyone has a corner of their own
log = pl.DataFrame(
    {
        "visitor": [f"v{v}" for v in visitors],
        "product": [f"p{p}" for p in products],
        "when": 1_700_000_000 + np.sort(rng.integers(0, 90 * 86_400, n)),
    }
)

shop = open_dataset(log, user="visitor", item="product", time="when")
for problem in describe(shop).problems:
    print("!", problem)

split = global_time(shop.interactions)
reports = {}
for kind in ("popularity", "item_knn"):
    model = build({"kind": kind})
    model.fit(shop.with_interactions(split.train))
    reports[kind] = evaluate_recommender(model, split.test, ks=(10,), exclude_seen=False)
    print(f"{kind:<12} NDCG@10 {reports[kind].metrics['ndcg@10']:.3f}")

values = {kind: report.per_query["ndcg@10"] for kind, report in reports.items()}
(row,) = compare(values, rng)
print(f"difference {row.difference:+.3f} ({row.low:+.3f} to {row.high:+.3f}), p = {row.p:.4f}")
