"""How does a BERT compute? As one ONNX graph, written node by node from its weights.

Devlin et al. (2019, arXiv 1810.04805), post-norm, with exact GELU. A batch holds texts of one
length, so there is neither padding nor a mask, and a text's numbers do not depend on its company.
Letters: B texts, T tokens, D width, F inner width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from etalage.cores import n_cores

Weights = dict[str, NDArray[np.float32]]
PARTS = ("query", "key", "value")
"""Of attention; one product makes all three."""
FUSED = {"Attention", "SkipLayerNormalization", "BiasGelu"}
"""Operators of ONNX Runtime; the others are of the standard."""


class Bert:
    """A BERT that ONNX Runtime runs.

    Args:
        weights: named as transformers' BertModel names them.
        n_heads: of attention.
        epsilon: of layer norms.
        threads: by default OMP_NUM_THREADS, or all cores.
    """

    def __init__(
        self, weights: Weights, n_heads: int, epsilon: float, threads: int | None = None
    ) -> None:
        graph, constants = bert_graph(weights, n_heads, epsilon)
        # the graph of a few kilobytes refers to weights in memory, which are never copied into it
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in constants.values()]
        self._held = constants, values  # for as long as the session refers to them
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or n_cores()
        options.inter_op_num_threads = 1
        options.add_external_initializers(list(constants), values)
        self._session = onnxruntime.InferenceSession(
            graph, options, providers=["CPUExecutionProvider"]
        )

    def states(self, tokens: NDArray[np.int64]) -> NDArray[np.float32]:
        """Tokens int64 (B, T), all of the text -> last states, float32 (B, T, D)."""
        states: NDArray[np.float32] = self._session.run(None, {"tokens": tokens})[0]
        return states


def bert_graph(weights: Weights, n_heads: int, epsilon: float) -> tuple[bytes, Weights]:
    """Returns an ONNX model, and the constants that it names and does not hold.

    `tokens` int64 (B, T) -> `states` float32 (B, T, D).
    """
    nodes: list[onnx.NodeProto] = []
    constants: Weights = {
        "words": weights["embeddings.word_embeddings.weight"],  # (V, D)
        # all texts are first sentences, so that their type is a part of each place
        "places": weights["embeddings.position_embeddings.weight"]
        + weights["embeddings.token_type_embeddings.weight"][0],
    }

    def add(op: str, *inputs: str, **settings: Any) -> str:
        """Adds a node and returns the name of its output."""
        name = f"{op}{len(nodes)}"
        domain = "com.microsoft" if op in FUSED else ""
        nodes.append(helper.make_node(op, inputs, [name], domain=domain, **settings))
        return name

    def weight(name: str, *parts: str) -> str:
        """Names a constant; matrices of several parts stand side by side, inputs as rows."""
        constants[name] = np.concatenate([weights[part].T for part in parts or (name,)], -1)
        return name

    def norm(op: str, inputs: list[str], name: str, *bias: str) -> str:
        both = weight(f"{name}.LayerNorm.weight"), weight(f"{name}.LayerNorm.bias")
        return add(op, *inputs, *both, *bias, epsilon=epsilon)

    def product(x: str, name: str) -> tuple[str, str]:
        """Names x W, and the bias that the next node adds to it."""
        return add("MatMul", x, weight(f"{name}.dense.weight")), weight(f"{name}.dense.bias")

    length = add("Shape", "tokens", start=1, end=2)
    places = add("Slice", "places", "zero", length, "zero")  # (T, D)
    x = add("Add", add("Gather", "words", "tokens"), places)  # (B, T, D)
    x = norm("LayerNormalization", [x], "embeddings")
    for layer in range(sum(name.endswith("attention.self.query.weight") for name in weights)):
        at = f"encoder.layer.{layer}"
        parts = [
            weight(f"{at}.qkv.{kind}", *(f"{at}.attention.self.{part}.{kind}" for part in PARTS))
            for kind in ("weight", "bias")
        ]
        heard = add("Attention", x, *parts, num_heads=n_heads)
        heard, bias = product(heard, f"{at}.attention.output")
        x = norm("SkipLayerNormalization", [x, heard], f"{at}.attention.output", bias)
        inner = add("BiasGelu", *product(x, f"{at}.intermediate"))  # (B, T, F)
        inner, bias = product(inner, f"{at}.output")
        x = norm("SkipLayerNormalization", [x, inner], f"{at}.output", bias)
    nodes[-1].output[0] = "states"
    constants = {name: np.ascontiguousarray(value) for name, value in constants.items()}
    held = [numpy_helper.from_array(np.array([0]), "zero")]
    for name, value in constants.items():
        tensor = TensorProto(name=name, dims=value.shape, data_type=TensorProto.FLOAT)
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="memory")
        held.append(tensor)
    graph = helper.make_graph(
        nodes,
        "bert",
        [helper.make_tensor_value_info("tokens", TensorProto.INT64, ["B", "T"])],
        [helper.make_tensor_value_info("states", TensorProto.FLOAT, ["B", "T", "D"])],
        held,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    return model.SerializeToString(), constants
