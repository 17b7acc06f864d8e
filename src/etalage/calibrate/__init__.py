"""Is 0.1 really 10 %? Logits in, probabilities out; numpy only."""

from etalage.calibrate.calibrator import Calibrator, from_dict
from etalage.calibrate.choice import choose
from etalage.calibrate.isotonic import SmoothIsotonic
from etalage.calibrate.platt import Platt

__all__ = ["Calibrator", "Platt", "SmoothIsotonic", "choose", "from_dict"]
