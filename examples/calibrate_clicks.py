"""A ranker that is too sure of itself: find out, mend it, and see how far chance alone would be."""

import numpy as np

from etalage.calibrate import choose
from etalage.calibrate.calibrator import sigmoid
from etalage.calibrate.measures import measures

rng = np.random.default_rng(0)
truth = rng.normal(-3, 1, 60_000)
clicks = rng.random(60_000) < sigmoid(truth)
logits = 2 * truth + 1  # twice too sure

seen, unseen = slice(0, 30_000), slice(30_000, None)
calibrator = choose(logits[seen], clicks[seen], rng)
for name, p in (
    ("before", sigmoid(logits[unseen])),
    (calibrator.kind, calibrator.probability(logits[unseen])),
):
    found = measures(p, clicks[unseen])
    print(f"{name:<10} error {found['ece']:.4f} (by chance {found['ece_floor']:.4f})")
