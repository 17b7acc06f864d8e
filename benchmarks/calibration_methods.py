"""Calibrators that are compared, by the name that tables call them."""

from collections.abc import Callable

import torch

from etalage.calibrate import KINDS, Calibrator, FieldEffects, MCNet
from etalage.calibrate.binwise import BinwiseMCNet
from etalage.calibrate.peers import PEERS

torch.set_num_threads(1)  # so that CPU seconds are of work, not of waiting
PLAIN: dict[str, Callable[[], Calibrator]] = {
    **{kind.kind: kind for kind in KINDS},
    "fields, intercept": lambda: FieldEffects(n_bases=1),
    "fields, intercept and slope": lambda: FieldEffects(n_bases=2),
    "fields": FieldEffects,
    "mcnet, none": lambda: MCNet("none"),
    "mcnet, field": lambda: MCNet("field"),
    "mcnet, context": MCNet,
}
NETWORKS: dict[str, Callable[[], Calibrator]] = {
    "mcnet, bin by bin": BinwiseMCNet,
    **PEERS,
}
"""Of reference quality, and slow."""
