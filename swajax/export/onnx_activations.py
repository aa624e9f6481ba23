"""Nodes of the activations in ONNX graphs."""

from collections.abc import Callable

from swajax.export.arithmetic import DOUBLE
from swajax.export.onnx_builder import Builder
from swajax.network.activations import GELU_CUBIC, GELU_SCALE, LEAKY_SLOPE


def _add_leaky_relu(builder: Builder, pre: str) -> str:
    if builder.precision != DOUBLE:
        return builder.add("LeakyRelu", pre, alpha=LEAKY_SLOPE)
    # onnxruntime supports LeakyRelu in float32 only.
    scaled = builder.add("Mul", pre, builder.weight(LEAKY_SLOPE))
    return builder.add("Max", pre, scaled)


def _add_gelu(builder: Builder, pre: str) -> str:
    """Add GELU in the tanh approximation."""
    square = builder.add("Mul", pre, pre)
    factor = builder.add("Mul", square, builder.weight(GELU_SCALE * GELU_CUBIC))
    inner = builder.add(
        "Mul", pre, builder.add("Add", factor, builder.weight(GELU_SCALE))
    )
    gate = builder.add("Add", builder.add("Tanh", inner), builder.weight(1.0))
    return builder.add("Mul", builder.add("Mul", pre, gate), builder.weight(0.5))


# Functions that add the nodes of an activation; OPSET has no Gelu.
ACTIVATIONS: dict[str, Callable[[Builder, str], str]] = {
    "sigmoid": lambda builder, pre: builder.add("Sigmoid", pre),
    "tanh": lambda builder, pre: builder.add("Tanh", pre),
    "leaky_relu": _add_leaky_relu,
    "linear": lambda builder, pre: builder.add("Identity", pre),
    "sin": lambda builder, pre: builder.add("Sin", pre),
    "square": lambda builder, pre: builder.add("Mul", pre, pre),
    "gelu": _add_gelu,
    "relu": lambda builder, pre: builder.add("Relu", pre),
}
