"""How does a network leave torch? As ONNX, checked against itself."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn


def export_network(network: nn.Module, inputs: dict[str, Tensor], output: str, path: Path) -> None:
    """Writes a network as one ONNX file whose first axis is free.

    Args:
        network: called with `inputs` in order; gives one tensor.
        inputs: name -> example with at least 2 rows, so that the first axis is not taken for 1.
        output: name of what comes out.
        path: the file.
    """
    rows = torch.export.Dim("rows", min=1)
    path.parent.mkdir(parents=True, exist_ok=True)
    log = logging.getLogger("torch.onnx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # the exporter speaks of its own future
            program = torch.onnx.export(
                network.eval(),
                tuple(inputs.values()),
                input_names=list(inputs),
                output_names=[output],
                dynamic_shapes=tuple({0: rows} for _ in inputs),
                dynamo=True,
                external_data=False,
                verbose=False,
            )
            assert program is not None
            program.save(str(path))
    finally:
        log.setLevel(level)
