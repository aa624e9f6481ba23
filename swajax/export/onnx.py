"""ONNX graphs for onnxruntime and other runtimes.

Arithmetic is in float32 if that agrees with `Model.predict`. Otherwise the numbers of
the table and the prediction are float64, and the network too if that is not enough.
"""

import importlib.util
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from onnx import ModelProto, TensorProto, checker, helper

from swajax.data.encoding import Column
from swajax.data.messages import shown
from swajax.export.agreement import (
    Agreement,
    Exported,
    Options,
    Rows,
    check,
    compare,
    draw_rows,
)
from swajax.export.arithmetic import (
    DOUBLE,
    MIXED,
    SINGLE,
    Precision,
    choose_precision,
    find_scale,
)
from swajax.export.onnx_activations import ACTIVATIONS
from swajax.export.onnx_builder import TYPES, Builder
from swajax.model.fitted import Model
from swajax.model.graph import Graph, Neuron, Scale, make_graph

# Older than the newest version, which runtimes support late.
IR_VERSION, OPSET, ML_OPSET = 8, 17, 3
TINY = 1e-5  # absolute constants above this are never dropped by onnxruntime


def export(model: Model, rows: Rows, options: Options) -> Exported:
    """Export an ONNX model; the note names its inputs."""
    del options
    proto, agreement = _convert(model, rows)
    inputs = ", ".join(value.name for value in proto.graph.input)
    return Exported(proto.SerializeToString(), agreement, f"inputs {inputs}")


def to_onnx(model: Model, rows: Rows | None = None) -> ModelProto:
    """Return a checked ONNX model.

    Inputs are `numbers` [N, K], float32 or float64, NaN if missing, and `categories`
    [N, M], strings; each exists only if the network reads such columns. The metadata
    hold the column names as JSON, in order, and the accuracy. Outputs are `prediction`
    [N], or `label` [N] and `probabilities` [N, C].

    Args:
      model: the network to export.
      rows: rows on which the ONNX model is compared with `Model.predict`; by default
        random rows within the training ranges. Without onnxruntime its arithmetic is
        emulated.

    Raises:
      ValueError: no precision agrees with `Model.predict`, or a name is not valid
        Unicode.
    """
    return _convert(model, rows or draw_rows(model))[0]


def _convert(model: Model, rows: Rows) -> tuple[ModelProto, Agreement]:
    choice = choose_precision(model, rows, (SINGLE, MIXED, DOUBLE), language="ONNX")
    graph, agreement = make_graph(model), choice.agreement
    proto = _make_proto(model, graph, choice.precision)
    if importlib.util.find_spec("onnxruntime") is not None:
        agreement = check(compare(model, rows, _execute(proto, rows.frame)), "ONNX")
    helper.set_model_props(proto, _metadata(model, graph, agreement))
    checker.check_model(proto, full_check=True)
    return proto, agreement


def _execute(proto: ModelProto, frame: pd.DataFrame) -> np.ndarray:
    """Return the predictions of onnxruntime, [N, 1] or [N, C]."""
    import onnxruntime

    session = onnxruntime.InferenceSession(
        proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = {prop.key: json.loads(prop.value) for prop in proto.metadata_props}
    feed = {}
    for value in session.get_inputs():
        cells = frame[names[value.name]]
        if value.name == "numbers":
            is_double = value.type == "tensor(double)"
            feed["numbers"] = cells.to_numpy(np.float64 if is_double else np.float32)
        else:
            feed["categories"] = cells.fillna("").to_numpy(dtype=object)
    answers = session.run([session.get_outputs()[-1].name], feed)[0]
    return answers if answers.ndim == 2 else answers[:, None]


def _make_proto(model: Model, graph: Graph, precision: Precision) -> ModelProto:
    builder = Builder(precision)
    inputs, type = [], TYPES[precision.cells]
    if graph.numbers or not graph.categories:
        inputs.append(_tensor("numbers", type, ["N", len(graph.numbers)]))
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
    helper.set_model_props(proto, _metadata(model, graph, None))
    return proto


def _add_inputs(builder: Builder, graph: Graph) -> tuple[str, list[str]]:
    """Add the scaled inputs [N, K]; return the name of the value, and their names."""
    parts, names = [], []
    if graph.numbers or not graph.categories:
        parts.append(_add_numbers(builder, graph.numbers))
        names += [item.name for item in graph.inputs if not item.values]
    for index, column in enumerate(graph.categories):
        read = [item for item in graph.inputs if item.column == column]
        cells = builder.add("Gather", "categories", np.array(index), axis=1)
        categories = _encode_texts(column.categories)
        one_hot = builder.add("OneHotEncoder", cells, cats_strings=categories, zeros=1)
        one_hot = builder.cast(one_hot, np.float32, builder.precision.network)
        values = np.array([item.values for item in read]).T
        parts.append(builder.add("MatMul", one_hot, builder.weight(values)))
        names += [item.name for item in read]
    return builder.add("Concat", *parts, axis=1), names


def _add_numbers(builder: Builder, columns: Sequence[Column]) -> str:
    fill = builder.cell([column.fill for column in columns])
    scales = [_find_scale(column, builder.precision) for column in columns]
    center, scale, rest = builder.cell(scales).reshape(-1, 3).T.copy()
    is_missing = builder.add("IsNaN", "numbers")
    values = builder.add("Where", is_missing, fill, "numbers")
    values = builder.add("Sub", values, center) if center.any() else values
    values = builder.add("Mul", values, scale)
    values = builder.add("Add", values, rest) if rest.any() else values
    return builder.cast(values, *builder.precision)


def _find_scale(column: Column, precision: Precision) -> Scale:
    """Return the scaling without tiny centers, which onnxruntime would drop."""
    scale = find_scale(column, precision)
    if abs(scale.center) < TINY:
        return Scale(0.0, column.scale, column.offset)
    return scale


def _add_layer(
    builder: Builder, values: str, names: list[str], layer: Sequence[Neuron]
) -> tuple[str, list[str]]:
    """Add the neurons of a layer, grouped by activation."""
    parts, order = [], []
    for kind, add_fn in ACTIVATIONS.items():
        neurons = [neuron for neuron in layer if neuron.activation == kind]
        if neurons:
            pre = builder.gemm(values, *_to_matrix(neurons, names))
            parts.append(add_fn(builder, pre))
            order += [neuron.name for neuron in neurons]
    if not parts:  # a constant network has only the biases of its outputs
        return values, names
    return (
        parts[0] if len(parts) == 1 else builder.add("Concat", *parts, axis=1)
    ), order


def _add_outputs(builder: Builder, values: str, model: Model) -> list[Any]:
    scaling = model.scaling
    if not scaling.classes:
        cells = builder.precision.cells
        values = builder.cast(values, builder.precision.network, cells)
        scale, offset = scaling.target_scale, scaling.target_offset
        if scale:  # relative to the scale, because onnxruntime drops tiny additions
            values = builder.add("Add", values, builder.cell(offset / scale))
            values = builder.add("Mul", values, builder.cell(scale))
        else:
            values = builder.add("Mul", values, builder.cell(0.0))
            values = builder.add("Add", values, builder.cell(offset))
        builder.add("Squeeze", values, np.array([1]), name="prediction")
        return [_tensor("prediction", TYPES[cells], ["N"])]
    num = len(scaling.classes)
    if num == 2:
        both = builder.add("Concat", builder.add("Neg", values), values, axis=1)
        builder.add("Sigmoid", both, name="probabilities")
    else:
        builder.add("Softmax", values, axis=1, name="probabilities")
    best = builder.add("ArgMax", "probabilities", axis=1, keepdims=0)
    labels = np.array(_encode_texts(scaling.classes), dtype=object)
    builder.add("Gather", labels, best, name="label")
    return [
        _tensor("label", TensorProto.STRING, ["N"]),
        _tensor("probabilities", TYPES[builder.precision.network], ["N", num]),
    ]


def _to_matrix(
    neurons: Sequence[Neuron], names: Sequence[str]
) -> tuple[Float[np.ndarray, "M K"], Float[np.ndarray, " K"]]:
    """Return the weights of neurons on the named values, and their biases."""
    matrix = np.zeros((len(names), len(neurons)))
    for index, neuron in enumerate(neurons):
        for name, weight in neuron.terms:
            matrix[names.index(name), index] = weight
    return matrix, np.array([neuron.bias for neuron in neurons])


def _metadata(
    model: Model, graph: Graph, agreement: Agreement | None
) -> dict[str, str]:
    """Return the names of the table, in the order of the inputs and outputs."""
    accuracy = {} if agreement is None else {"accuracy": agreement.describe()}
    values = {
        "target": model.target,
        "classes": model.scaling.classes,
        "numbers": [column.name for column in graph.numbers],
        "categories": [column.name for column in graph.categories],
        **accuracy,
    }
    return {name: json.dumps(value) for name, value in values.items()}


def _tensor(name: str, kind: int, shape: list[str | int]) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def _encode_texts(texts: Sequence[str]) -> list[bytes]:
    for text in texts:
        if any("\ud800" <= character <= "\udfff" for character in text):
            raise ValueError(f"ONNX cannot represent {shown(text)}: a lone surrogate")
    return [text.encode() for text in texts]
