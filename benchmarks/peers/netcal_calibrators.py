"""What netcal makes of the same rows: its calibrators' probabilities, and its calibration error.

It pins versions that nothing else can live with, so it is installed without them:

    python -m venv benchmarks/peers/.venv-netcal
    pip=benchmarks/peers/.venv-netcal/bin/pip
    $pip install torch==2.13.0 scikit-learn matplotlib tqdm tensorboard gpytorch pyro-ppl
    $pip install --no-deps netcal==1.3.6 tikzplotlib webcolors

Reads an npz with p (n,), y (n,) and unseen (m,), and writes one with the probabilities of each
calibrator for `unseen`, and `ece` of p over 20 bins of equal mass.
"""

import sys

import numpy as np
from netcal.binning import IsotonicRegression
from netcal.metrics import ECE
from netcal.scaling import BetaCalibration, LogisticCalibration

BINS = 20
np.infty = np.inf  # it was written for a numpy that had this


def main(given: str, out: str) -> None:
    rows = np.load(given)
    p, y, unseen = rows["p"], rows["y"], rows["unseen"]
    found = {"ece": ECE(BINS, equal_intervals=False).measure(p, y)}
    for name, kind in (
        ("platt", LogisticCalibration),
        ("beta", BetaCalibration),
        ("isotonic", IsotonicRegression),
    ):
        model = kind()
        model.fit(p, y)
        found[name] = np.asarray(model.transform(unseen), dtype=np.float64).ravel()
    np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
