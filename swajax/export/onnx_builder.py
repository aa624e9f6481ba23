"""Nodes and constants of an ONNX graph under construction."""

from typing import Any

import numpy as np
from jaxtyping import Float
from onnx import NodeProto, TensorProto, helper, numpy_helper

from swajax.export.arithmetic import Precision

TYPES = {np.float32: TensorProto.FLOAT, np.float64: TensorProto.DOUBLE}
Scalar = type[np.floating]


class Builder:
    """Nodes and constants added so far; values are named by numbers."""

    def __init__(self, precision: Precision) -> None:
        """Start with an empty graph.

        Args:
          precision: types of the constants.
        """
        self.precision = precision
        self.nodes: list[NodeProto] = []
        self.constants: list[TensorProto] = []

    def add(
        self, operator: str, *values: Any, name: str | None = None, **attributes: Any
    ) -> str:
        """Add a node that reads names or constant arrays; return its output's name."""
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
        """Add `values @ matrix + bias`."""
        return self.add("Gemm", values, self.weight(matrix), self.weight(bias))

    def cast(self, values: str, source: Scalar, target: Scalar) -> str:
        """Add a conversion between types, unless they are equal."""
        if source == target:
            return values
        return self.add("Cast", values, to=TYPES[target])

    def cell(self, values: Any) -> np.ndarray:
        """Return a constant of the type of the table's numbers."""
        return np.asarray(values, self.precision.cells)

    def weight(self, values: Any) -> np.ndarray:
        """Return a constant of the type of the network."""
        return np.asarray(values, self.precision.network)

    def _constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name
