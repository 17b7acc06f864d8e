"""Is 0.1 really 10 %? Logits in, probabilities out; numpy only."""

from etalage.calibrate.calibrator import Calibrator, from_dict
from etalage.calibrate.choice import choose
from etalage.calibrate.curves import Beta, Gamma, Gaussian
from etalage.calibrate.fields import FieldEffects
from etalage.calibrate.histogram import Histogram
from etalage.calibrate.isotonic import Isotonic, SmoothIsotonic
from etalage.calibrate.platt import Platt, Temperature
from etalage.calibrate.summary import LogitSummary

KINDS: tuple[type[Calibrator], ...] = (
    *(Platt, Temperature, Beta, Gaussian, Gamma),
    *(Isotonic, SmoothIsotonic, Histogram),
)
"""Every calibrator that maps all rows alike."""
CALIBRATORS: dict[str, type[Calibrator]] = {
    **{kind.kind: kind for kind in KINDS},
    FieldEffects.kind: FieldEffects,
}
"""Every calibrator, by its kind."""

__all__ = [
    "CALIBRATORS",
    "KINDS",
    "Beta",
    "Calibrator",
    "FieldEffects",
    "Gamma",
    "Gaussian",
    "Histogram",
    "Isotonic",
    "LogitSummary",
    "Platt",
    "SmoothIsotonic",
    "Temperature",
    "choose",
    "from_dict",
]
