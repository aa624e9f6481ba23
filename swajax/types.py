"""The record of a network, its static specification, and the shape legend.

Letters used in every annotation of the package::

    B networks             N points            I inputs        O outputs
    H neurons per layer    L hidden layers     A activations   Z embedding size
    R starts               P weights and biases of a packed network

A network of any depth, width and activation is one padded record, so that a batch of
different networks is one `vmap`. All letters except N and P are upper limits: `mask`,
`activation` and `depth` say which parts are in use.
"""

import dataclasses
import numbers
from collections.abc import Sequence
from typing import Literal, NamedTuple, get_args

import jax
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

# The names of the records in `swajax.network.activations`.
Activation = Literal[
    "sigmoid", "tanh", "leaky_relu", "linear", "sin", "square", "gelu", "relu"
]
ACTIVATIONS: tuple[str, ...] = get_args(Activation)
# Default activations of searches and of autoencoders of mixed networks.
DEFAULT_ACTIVATIONS: tuple[str, ...] = ("sigmoid", "tanh", "leaky_relu", "linear")

Key = PRNGKeyArray


class Network(NamedTuple):
    """A multilayer perceptron, padded to L layers of H neurons.

    Layer 0 reads the inputs through `first`, layer l > 0 reads layer l - 1 through
    `hidden[l - 1]`, and the linear output reads layer `depth - 1` through `readout`.
    Layers from `depth` on are skipped and neurons with mask 0 output 0; their weights
    are ignored.
    """

    first: Float[Array, "*B I H"]
    hidden: Float[Array, "*B L-1 H H"]  # [from, to]
    readout: Float[Array, "*B H O"]
    bias: Float[Array, "*B L H"]
    readout_bias: Float[Array, "*B O"]
    mask: Float[Array, "*B L H"]  # 1 where the neuron is present, else 0
    activation: Float[
        Array, "*B L H A"
    ]  # weight of each activation; one-hot at the end
    depth: Int[Array, "*B"]  # number of hidden layers in use, 1..L


@dataclasses.dataclass(frozen=True)
class NetworkSpec:
    """Upper limits of a family of networks (static: hashable, safe to close over).

    >>> NetworkSpec(num_inputs=2, max_width=5, activations=("tanh", "sin")).max_depth
    4
    """

    num_inputs: int = 3
    """number of inputs I"""
    num_outputs: int = 1
    """number of outputs O"""
    max_width: int = 7
    """maximum number of neurons per hidden layer, H"""
    max_depth: int = 4
    """maximum number of hidden layers, L"""
    activations: tuple[str, ...] = ("sigmoid",)
    """names of the activations that a neuron can have"""

    def __post_init__(self) -> None:
        """Check the limits and the names.

        Raises:
          ValueError: a limit is below 1, or an activation is unknown.
        """
        for name in ("num_inputs", "num_outputs", "max_width", "max_depth"):
            value = getattr(self, name)
            if not isinstance(value, numbers.Integral):
                raise ValueError(f"{name} must be an integer, got {value!r}")
            if value < 1:
                raise ValueError(f"{name} must be >= 1, got {value}")
        check_activations(self.activations)


def check_key(key: Key) -> None:
    """Check that `key` is one random key, of `jax.random.key` or `jax.random.PRNGKey`.

    Raises:
      ValueError: it is a number, an array of keys, or anything else.
    """
    dtype, shape = getattr(key, "dtype", None), getattr(key, "shape", None)
    is_typed = dtype is not None and jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key)
    if not (is_typed and shape == ()) and not (dtype == np.uint32 and len(shape) == 1):
        got = repr(key) if shape is None else f"an array of shape {shape}"
        raise ValueError(f"key must be one key such as jax.random.key(0), got {got}")


def check_single(network: Network) -> None:
    """Check that a network has no batch axis; only shapes are read.

    Raises:
      ValueError: a batch of networks; the message states its shape.
    """
    shape = network.mask.shape[:-2]
    if shape:
        raise ValueError(
            f"one network is expected, got a batch of shape {shape}: use jax.vmap, or "
            "jax.tree.map(lambda leaf: leaf[0], networks)"
        )


def check_kinds(networks: Network, activations: Sequence[str]) -> None:
    """Check that `activations` names the kinds of one network or of a batch.

    Raises:
      ValueError: a name is unknown, or the number of names is wrong.
    """
    check_activations(activations)
    if networks.activation.shape[-1] != len(activations):
        raise ValueError(
            f"the network mixes {networks.activation.shape[-1]} activations, got "
            f"{len(activations)} names: {activations!r}"
        )


def check_activations(activations: Sequence[str]) -> None:
    """Check that `activations` is a non-empty sequence of known names.

    Raises:
      ValueError: a name is unknown, or the sequence is empty.
    """
    if not activations or not set(activations) <= set(ACTIVATIONS):
        raise ValueError(
            f"activations must be among {ACTIVATIONS}, got {activations!r}"
        )
