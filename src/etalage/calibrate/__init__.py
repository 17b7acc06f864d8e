"""Is 0.1 really 10 %? Logits in, probabilities out; numpy only, but that MCNet learns in torch."""

from etalage.calibrate.calibrator import Calibrator, from_dict
from etalage.calibrate.choice import choose
from etalage.calibrate.context_summary import ContextSummary
from etalage.calibrate.curves import Beta, Gamma, Gaussian
from etalage.calibrate.fields import FieldEffects
from etalage.calibrate.histogram import Histogram
from etalage.calibrate.isotonic import Isotonic, SmoothIsotonic
from etalage.calibrate.mcnet import MCNet
from etalage.calibrate.platt import Platt, Temperature
from etalage.calibrate.summary import LogitSummary
from etalage.calibrate.table import Table

KINDS: tuple[type[Calibrator], ...] = (
    *(Platt, Temperature, Beta, Gaussian, Gamma),
    *(Isotonic, SmoothIsotonic, Histogram),
)
"""Every calibrator that maps all rows alike."""
BY_FIELD: tuple[type[Calibrator], ...] = (FieldEffects, MCNet)
"""Every calibrator that tells values of fields apart."""
CALIBRATORS: dict[str, type[Calibrator]] = {kind.kind: kind for kind in (*KINDS, *BY_FIELD)}
"""Every calibrator that can be fitted, by its kind."""
READABLE: dict[str, type[Calibrator]] = CALIBRATORS | {Table.kind: Table}
"""Every calibrator that can be read."""

__all__ = [
    "BY_FIELD",
    "CALIBRATORS",
    "KINDS",
    "READABLE",
    "Beta",
    "Calibrator",
    "ContextSummary",
    "FieldEffects",
    "Gamma",
    "Gaussian",
    "Histogram",
    "Isotonic",
    "LogitSummary",
    "MCNet",
    "Platt",
    "SmoothIsotonic",
    "Table",
    "Temperature",
    "choose",
    "from_dict",
]
