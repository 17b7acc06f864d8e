"""How does a network leave torch? As ONNX."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

if find_spec("onnxscript") is None:
    # torch asks for it only when a network leaves, after all the training
    raise ModuleNotFoundError("No module named 'onnxscript'", name="onnxscript")

BLOCK = 32
"""Numbers of a vector that share one scale in a scan."""
LARGE = 20_000
"""Items from which a scan with 8-bit weights is worth a file."""


def export_network(
    network: nn.Module,
    inputs: Mapping[str, Tensor | None],
    output: str,
    path: Path,
    *,
    free_length: str | None = None,
) -> None:
    """Writes a network as one ONNX file whose first axis is free.

    Args:
        network: called with `inputs` in order; gives one tensor.
        inputs: name -> example, None for an argument that is not given. An axis that is free must
            be 2 or more in it; 1 stays 1, which lets products of three axes become faster ones of
            two.
        output: name of what comes out.
        path: the file.
        free_length: name of an input whose second axis is free as well.
    """
    rows, length = (torch.export.Dim(axis, min=1) for axis in ("rows", "length"))
    shapes = tuple(
        x
        if x is None
        else ({0: rows} if x.shape[0] > 1 else {}) | ({1: length} if name == free_length else {})
        for name, x in inputs.items()
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    logs = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [log.level for log in logs]
    for log in logs:
        log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")  # the exporter speaks of its own future
            program = torch.onnx.export(
                network.eval(),
                tuple(inputs.values()),
                input_names=[name for name, x in inputs.items() if x is not None],
                output_names=[output],
                dynamic_shapes=shapes,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
            assert program is not None
            program.save(str(path))
    finally:
        for log, level in zip(logs, levels, strict=True):
            log.setLevel(level)


def export_vectors(vectors: NDArray[np.float32], folder: Path) -> None:
    """Writes `item_vectors.npy`, float32 (N, D), and `scan.onnx` where that pays."""
    np.save(folder / "item_vectors.npy", vectors)
    n_items, width = vectors.shape
    if n_items >= LARGE and width % BLOCK == 0:
        export_scan(vectors, folder / "scan.onnx")


def export_scan(vectors: NDArray[np.float32], path: Path) -> None:
    """Writes a scan of vectors float32 (N, D) with 8-bit weights: state (1, D) -> scores (1, N).

    A scan is bound by the bytes it reads; a quarter of them takes a quarter of the time. Scores
    are off by some thousandths, so the best few must be scored again. Half as many bits lose
    items where one direction is much wider than others. D must be whole blocks.
    """
    n_items, width = vectors.shape
    blocks = vectors.reshape(n_items, width // BLOCK, BLOCK)
    scales = np.maximum(np.abs(blocks).max(2), 1e-12) / 127  # (N, D / BLOCK)
    codes = (np.round(blocks / scales[..., None]) + 128).astype(np.uint8)
    node = helper.make_node(
        "MatMulNBits",
        ["state", "codes", "scales"],
        ["scores"],
        domain="com.microsoft",
        K=width,
        N=n_items,
        bits=8,
        block_size=BLOCK,
        accuracy_level=4,  # products in 8 bits too
    )
    graph = helper.make_graph(
        [node],
        "scan",
        [helper.make_tensor_value_info("state", TensorProto.FLOAT, [1, width])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, n_items])],
        [
            numpy_helper.from_array(codes, "codes"),
            numpy_helper.from_array(scales.astype(np.float32).ravel(), "scales"),
        ],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    path.write_bytes(
        helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()
    )
