"""ONNX graphs in float32, for onnxruntime and everything else that reads them."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from swajax.data.encoding import Column
from swajax.model.fitted import Model
from swajax.model.graph import Graph, Neuron, make_graph, to_scale
from swajax.network.activations import GELU_CUBIC, GELU_SCALE, LEAKY_SLOPE

# Not the newest, which runtimes learn to read later.
IR_VERSION, OPSET, ML_OPSET = 8, 17, 3


def to_onnx(model: Model) -> ModelProto:
    """A checked ONNX model.

    Inputs are `numbers` [N, K], float32, NaN where missing, and `categories` [N, M],
    strings; either is there only if the network reads such columns. Their names stand
    in the metadata as JSON, in order. Outputs are `prediction` [N], or `label` [N] and
    `probabilities` [N, C].
    """
    graph = make_graph(model)
    builder = _Builder()
    inputs = []
    if graph.numbers or not graph.categories:
        inputs.append(_tensor("numbers", TensorProto.FLOAT, ["N", len(graph.numbers)]))
    if graph.categories:
        shape = ["N", len(graph.categories)]
        inputs.append(_tensor("categories", TensorProto.STRING, shape))
    values, names = _add_inputs(builder, graph)
    for layer in graph.layers:
        values, names = _add_layer(builder, values, names, layer)
    matrix, bias = _to_matrix(graph.outputs, names)
    values = builder.gemm(values, matrix, bias)
    outputs = _add_outputs(builder, values, model)
    proto = helper.make_model(
        helper.make_graph(
            builder.nodes, "swajax", inputs, outputs, initializer=builder.constants
        ),
        opset_imports=[
            helper.make_opsetid("", OPSET),
            helper.make_opsetid("ai.onnx.ml", ML_OPSET),
        ],
        ir_version=IR_VERSION,
        producer_name="swajax",
    )
    helper.set_model_props(proto, _metadata(model, graph))
    checker.check_model(proto, full_check=True)
    return proto


class _Builder:
    """Nodes and constants so far; values get numbers for names."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def add(
        self, operator: str, *values: Any, name: str | None = None, **attributes: Any
    ) -> str:
        """A node of values, which are names or constant arrays; gives its output."""
        names = [v if isinstance(v, str) else self._constant(v) for v in values]
        name = name or f"v{len(self.nodes)}"
        domain = "ai.onnx.ml" if operator == "OneHotEncoder" else None
        node = helper.make_node(operator, names, [name], domain=domain, **attributes)
        self.nodes.append(node)
        return name

    def gemm(
        self,
        values: str,
        matrix: Float[np.ndarray, "M K"],
        bias: Float[np.ndarray, " K"],
    ) -> str:
        """`values @ matrix + bias`."""
        return self.add("Gemm", values, _single(matrix), _single(bias))

    def _constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name


def _add_gelu(builder: _Builder, pre: str) -> str:
    """Add GELU in the tanh approximation."""
    square = builder.add("Mul", pre, pre)
    factor = builder.add("Mul", square, _single(GELU_SCALE * GELU_CUBIC))
    inner = builder.add("Mul", pre, builder.add("Add", factor, _single(GELU_SCALE)))
    gate = builder.add("Add", builder.add("Tanh", inner), _single(1.0))
    return builder.add("Mul", builder.add("Mul", pre, gate), _single(0.5))


# Nodes for an activation of pre-activations [N, K], by their name; OPSET has no Gelu.
ACTIVATIONS: dict[str, Callable[[_Builder, str], str]] = {
    "sigmoid": lambda builder, pre: builder.add("Sigmoid", pre),
    "tanh": lambda builder, pre: builder.add("Tanh", pre),
    "leaky_relu": lambda builder, pre: builder.add("LeakyRelu", pre, alpha=LEAKY_SLOPE),
    "linear": lambda builder, pre: builder.add("Identity", pre),
    "sin": lambda builder, pre: builder.add("Sin", pre),
    "square": lambda builder, pre: builder.add("Mul", pre, pre),
    "gelu": _add_gelu,
}


def _add_inputs(builder: _Builder, graph: Graph) -> tuple[str, list[str]]:
    """The inputs that are read, scaled, [N, K], and their names."""
    parts, names = [], []
    if graph.numbers or not graph.categories:
        parts.append(_add_numbers(builder, graph.numbers))
        names += [item.name for item in graph.inputs if not item.values]
    for place, column in enumerate(graph.categories):
        read = [item for item in graph.inputs if item.column == column]
        cells = builder.add("Gather", "categories", np.array(place), axis=1)
        categories = [text.encode() for text in column.categories]
        one_hot = builder.add("OneHotEncoder", cells, cats_strings=categories, zeros=1)
        values = np.array([item.values for item in read]).T
        parts.append(builder.add("MatMul", one_hot, _single(values)))
        names += [item.name for item in read]
    return builder.add("Concat", *parts, axis=1), names


def _add_numbers(builder: _Builder, columns: Sequence[Column]) -> str:
    fill = _single([column.fill for column in columns])
    scales = [to_scale(column) for column in columns]
    center, scale, rest = _single(scales).reshape(-1, 3).T.copy()
    is_missing = builder.add("IsNaN", "numbers")
    values = builder.add("Where", is_missing, fill, "numbers")
    values = builder.add("Mul", builder.add("Sub", values, center), scale)
    return builder.add("Add", values, rest) if rest.any() else values


def _add_layer(
    builder: _Builder, values: str, names: list[str], layer: Sequence[Neuron]
) -> tuple[str, list[str]]:
    """The neurons of a layer, those of one activation side by side."""
    parts, order = [], []
    for kind, add_fn in ACTIVATIONS.items():
        neurons = [neuron for neuron in layer if neuron.activation == kind]
        if neurons:
            pre = builder.gemm(values, *_to_matrix(neurons, names))
            parts.append(add_fn(builder, pre))
            order += [neuron.name for neuron in neurons]
    if not parts:  # a constant: nothing is left but the bias of the outputs
        return values, names
    return (
        parts[0] if len(parts) == 1 else builder.add("Concat", *parts, axis=1)
    ), order


def _add_outputs(builder: _Builder, values: str, model: Model) -> list[Any]:
    scaling = model.scaling
    if not scaling.classes:
        scaled = builder.add("Mul", values, _single(scaling.target_scale))
        moved = builder.add("Add", scaled, _single(scaling.target_offset))
        builder.add("Squeeze", moved, np.array([1]), name="prediction")
        return [_tensor("prediction", TensorProto.FLOAT, ["N"])]
    if len(scaling.classes) == 2:
        both = builder.add("Concat", builder.add("Neg", values), values, axis=1)
        builder.add("Sigmoid", both, name="probabilities")
    else:
        builder.add("Softmax", values, axis=1, name="probabilities")
    best = builder.add("ArgMax", "probabilities", axis=1, keepdims=0)
    labels = np.array([text.encode() for text in scaling.classes], dtype=object)
    builder.add("Gather", labels, best, name="label")
    return [
        _tensor("label", TensorProto.STRING, ["N"]),
        _tensor("probabilities", TensorProto.FLOAT, ["N", len(scaling.classes)]),
    ]


def _to_matrix(
    neurons: Sequence[Neuron], names: Sequence[str]
) -> tuple[Float[np.ndarray, "M K"], Float[np.ndarray, " K"]]:
    """Weights of neurons on the named values, and biases."""
    matrix = np.zeros((len(names), len(neurons)))
    for place, neuron in enumerate(neurons):
        for name, weight in neuron.terms:
            matrix[names.index(name), place] = weight
    return matrix, np.array([neuron.bias for neuron in neurons])


def _metadata(model: Model, graph: Graph) -> dict[str, str]:
    """Names of the table, in the order of the inputs and outputs."""
    return {
        "target": json.dumps(model.target),
        "classes": json.dumps(model.scaling.classes),
        "numbers": json.dumps([column.name for column in graph.numbers]),
        "categories": json.dumps([column.name for column in graph.categories]),
    }


def _tensor(name: str, kind: int, shape: list[str | int]) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def _single(values: Any) -> np.ndarray:
    with np.errstate(over="ignore"):
        array = np.asarray(values, np.float32)
    if not np.isfinite(array).all():
        number = np.abs(values).max()
        raise ValueError(f"{number:g} is beyond float32, in which ONNX computes")
    return array
