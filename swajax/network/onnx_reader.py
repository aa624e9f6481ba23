"""Networks from ONNX files: one chain of matrix products, sums and activations."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from swajax.io.memory import check_memory
from swajax.network.layered import NUM_COPIES, LayeredNetwork, Link, make_layered

_ACTIVATIONS = {"Relu": "relu", "Sigmoid": "sigmoid", "Tanh": "tanh", "Sin": "sin"}
_LINKS: dict[str, Link] = {"Sigmoid": "sigmoid", "Softmax": "softmax"}


def from_onnx(path: Path | str) -> LayeredNetwork:
    """Read a multilayer perceptron from an ONNX file.

    The graph must be one chain from one input [N, I] to one output [N, O] of the
    operators Gemm, MatMul, Add, Relu, LeakyRelu, Sigmoid, Tanh, Sin, Gelu (tanh form)
    and Identity; Sigmoid or Softmax at the end become the link. A LeakyRelu neuron is
    read as a relu and a linear neuron. Needs the package onnx.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is no ONNX model, has another operator, several inputs or
        outputs, numbers that are not finite, or is larger than memory.
    """
    import onnx  # optional
    from google.protobuf.message import DecodeError

    path = Path(path)
    check_memory(NUM_COPIES * path.stat().st_size, str(path))
    try:
        graph = onnx.load(path, load_external_data=False)
        _check_sizes(graph.graph.initializer)
        onnx.external_data_helper.load_external_data_for_model(graph, str(path.parent))
        return _read(graph.graph)
    except DecodeError as error:
        raise ValueError(f"{path}: not an ONNX model") from error
    except (ValueError, onnx.checker.ValidationError) as error:
        raise ValueError(f"{path}: {error}") from error


class _Chain:
    """The layers read so far, and the affine map that follows them."""

    def __init__(self, constants: Mapping[str, np.ndarray], num_inputs: int) -> None:
        self.constants = constants
        self.weights: list[np.ndarray] = []
        self.biases: list[np.ndarray] = []
        self.activations: list[str | tuple[str, ...]] = []
        self.matrix: np.ndarray | None = None  # the identity
        self.vector = np.zeros(num_inputs)
        self.link: Link = "linear"

    def add(self, node: Any, value: str, is_last: bool) -> None:
        """Add a node that reads the value of the chain."""
        kind = _describe(node)
        options = {one.name: _attribute(one) for one in node.attribute}
        if is_last and kind in _LINKS:
            self.link = _LINKS[kind]
        elif kind in _ACTIVATIONS:
            self.activate(_ACTIVATIONS[kind])
        elif kind == "Gelu" and options.get("approximate") == b"tanh":
            self.activate("gelu")
        elif kind == "LeakyRelu":
            self.activate_leaky(options.get("alpha", 0.01))
        elif kind in ("Gemm", "MatMul", "Add"):
            self.add_affine(node, kind, options, value)
        elif kind != "Identity":
            raise ValueError(f"operator {kind} is not supported")

    def add_affine(
        self, node: Any, kind: str, options: Mapping[str, Any], value: str
    ) -> None:
        """Compose a Gemm, MatMul or Add with the affine map."""
        others = [self.constants.get(name) for name in node.input if name != value]
        is_constant = others and not any(other is None for other in others)
        if not is_constant or (kind != "Add" and node.input[0] != value):
            raise ValueError(f"operator {kind} reads more than one value and constants")
        if kind == "Add":
            self.vector = self.vector + self._spread(others[0])
            return
        matrix = others[0]
        if options.get("transA") or matrix.ndim != 2:
            raise ValueError(f"operator {kind} has transA or no matrix")
        matrix = options.get("alpha", 1.0) * (
            matrix.T if options.get("transB") else matrix
        )
        if len(matrix) != len(self.vector):
            raise ValueError(
                f"operator {kind} reads {len(matrix)} of {len(self.vector)} values"
            )
        self.vector = self.vector @ matrix
        self.matrix = matrix if self.matrix is None else self.matrix @ matrix
        for bias in others[1:]:
            self.vector = self.vector + options.get("beta", 1.0) * self._spread(bias)

    def activate(self, names: str | tuple[str, ...]) -> None:
        """End a layer with an activation."""
        self.end_layer()
        self.activations.append(names)
        self.matrix, self.vector = None, np.zeros(len(self.vector))

    def end_layer(self) -> None:
        """Append the affine map to the layers."""
        num = len(self.vector)
        self.weights.append(np.eye(num) if self.matrix is None else self.matrix)
        self.biases.append(self.vector)

    def activate_leaky(self, slope: float) -> None:
        """End a layer with (1 - slope) relu(u) + slope u of each neuron."""
        num = len(self.vector)
        matrix = np.eye(num) if self.matrix is None else self.matrix
        self.matrix = np.concatenate([matrix, matrix], axis=1)
        self.vector = np.concatenate([self.vector, self.vector])
        self.activate(("relu",) * num + ("linear",) * num)
        self.matrix = np.concatenate([(1 - slope) * np.eye(num), slope * np.eye(num)])
        self.vector = np.zeros(num)

    def _spread(self, bias: np.ndarray) -> np.ndarray:
        if bias.size not in (1, len(self.vector)):
            raise ValueError(f"a bias has the shape {bias.shape}")
        return np.broadcast_to(bias.ravel(), self.vector.shape)


def _read(graph: Any) -> LayeredNetwork:
    """Follow the chain from the input to the output."""
    from onnx import numpy_helper

    constants = {one.name: numpy_helper.to_array(one) for one in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    nodes = [node for node in graph.node if node.output[0] not in constants]
    inputs = [one for one in graph.input if one.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise ValueError(
            "a network must have one input and one output, got "
            f"{len(inputs)} and {len(graph.output)}"
        )
    for node in nodes:
        _check_operator(node)
    value = inputs[0].name
    chain = _Chain(constants, _find_width(inputs[0], nodes, constants))
    for place, node in enumerate(nodes):
        if value not in node.input or len(node.output) != 1:
            raise ValueError(f"operator {_describe(node)} is not part of one chain")
        chain.add(node, value, place == len(nodes) - 1)
        value = node.output[0]
    if value != graph.output[0].name:
        raise ValueError(f"the output {graph.output[0].name} is not the end of a chain")
    chain.end_layer()
    return make_layered(chain.weights, chain.biases, chain.activations, chain.link)


def _check_sizes(tensors: Iterable[Any]) -> None:
    num = sum(math.prod(tensor.dims) for tensor in tensors)
    check_memory(4 * NUM_COPIES * num, f"a network of {num:,} weights")


def _check_operator(node: Any) -> None:
    known = {"Gemm", "MatMul", "Add", "LeakyRelu", "Gelu", "Identity"}
    if _describe(node) not in known | set(_ACTIVATIONS) | set(_LINKS):
        raise ValueError(f"operator {_describe(node)} is not supported")


def _find_width(
    value: Any, nodes: Sequence[Any], constants: Mapping[str, np.ndarray]
) -> int:
    """Return the number of inputs, from their shape or the first constant."""
    shape = value.type.tensor_type.shape.dim
    if len(shape) == 2 and shape[1].dim_value:
        return shape[1].dim_value
    for node in nodes[:1]:
        for name in set(node.input) & set(constants):
            matrix = constants[name]
            is_turned = any(one.name == "transB" and one.i for one in node.attribute)
            if matrix.ndim == 2:
                return matrix.shape[1 if is_turned else 0]
    raise ValueError(f"the input {value.name} must have the shape [N, I]")


def _describe(node: Any) -> str:
    """Return the name of an operator, with its domain if that is not the usual one."""
    is_usual = node.domain in ("", "ai.onnx")
    return node.op_type if is_usual else f"{node.domain}.{node.op_type}"


def _attribute(attribute: Any) -> Any:
    from onnx import helper

    return helper.get_attribute_value(attribute)
