"""Claims about parity with netcal: the largest difference of probabilities on random cases.

The peer lives in an environment of its own; `peers/netcal_calibrators.py` says how to make it.

    python benchmarks/calibration_parity.py [--peer PYTHON]
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from claims import record
from etalage.calibrate import Beta, Isotonic, Platt
from etalage.calibrate.calibrator import log_odds, sigmoid
from etalage.calibrate.measures import measures

HERE = Path(__file__).parent
PEER = HERE / "peers/.venv-netcal/bin/python"
ROWS, CASES = 20_000, 5
BARS = {"platt": 1e-3, "beta": 1e-3, "isotonic": 1e-3, "ece": 1e-9}
"""Platt's targets differ from hard ones by less than the first of these."""


def differences(peer: str, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    logits = rng.normal(rng.uniform(-2, 1), 1.5, ROWS).round(3)  # a bin holds one value at most
    p, slope, shift = sigmoid(logits), rng.uniform(0.4, 1.6), rng.uniform(-0.5, 0.5)
    y = (rng.random(ROWS) < sigmoid(slope * logits + shift + 0.2 * np.sin(2 * logits))).astype(int)
    with TemporaryDirectory() as place:
        given, out = f"{place}/given.npz", f"{place}/out.npz"
        np.savez(given, p=p, y=y, unseen=p)
        script = HERE / "peers" / "netcal_calibrators.py"
        subprocess.run([peer, str(script), given, out], check=True, capture_output=True)
        theirs = dict(np.load(out))
    found = {"ece": abs(float(theirs["ece"]) - measures(p, y)["ece"])}
    for kind in (Platt, Beta, Isotonic):
        ours = kind().fit(log_odds(p), y).probability(log_odds(p))
        inside = (theirs[kind.kind] > 0.005) & (theirs[kind.kind] < 0.995)  # ours is never 0 or 1
        found[kind.kind] = float(np.abs(ours - theirs[kind.kind])[inside].max())
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", default=str(PEER), help="python of netcal's environment")
    peer, began = parser.parse_args().peer, time.perf_counter()
    if not Path(peer).exists():
        sys.exit(f"no {peer}; peers/netcal_calibrators.py says how to make it")
    cases = [differences(peer, seed) for seed in range(CASES)]
    for name, bar in BARS.items():
        record("calibration", f"largest difference of {name} from netcal's",
               max(case[name] for case in cases), "", f"<={bar:g}", peer="netcal 1.3.6",
               seeds=[*range(CASES)], seconds=time.perf_counter() - began)  # fmt: skip


if __name__ == "__main__":
    main()
