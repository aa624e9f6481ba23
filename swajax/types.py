"""The one record of a network, its static specification, and the shape legend.

Letters used in every annotation of the package::

    B networks          N points            I inputs        O outputs
    H neurons a layer   L hidden layers     A activations   Z embedding size
    R starts            P numbers of a packed network

A network of any depth, width and activation is one padded record, so that a batch of
different networks is one `vmap`. All letters but N and P are upper limits: what is
really there is told by `mask`, `activation` and `depth`.
"""

import dataclasses
from typing import Literal, NamedTuple, get_args

from jaxtyping import Array, Float, Int, PRNGKeyArray

Activation = Literal["sigmoid", "tanh", "leaky_relu", "linear"]
ACTIVATIONS: tuple[str, ...] = get_args(Activation)

Key = PRNGKeyArray


class Network(NamedTuple):
    """One multilayer perceptron, padded to L layers of H neurons.

    Layer 0 reads the inputs by `first`, layer l > 0 reads layer l - 1 by
    `hidden[l - 1]`, the output reads layer `depth - 1` by `readout` and is linear.
    Layers from `depth` on are skipped and neurons with mask 0 are silent; their
    weights are ignored.
    """

    first: Float[Array, "*B I H"]
    hidden: Float[Array, "*B L-1 H H"]  # [from, to]
    readout: Float[Array, "*B H O"]
    bias: Float[Array, "*B L H"]
    readout_bias: Float[Array, "*B O"]
    mask: Float[Array, "*B L H"]  # 1 where the neuron is present, else 0
    activation: Float[Array, "*B L H A"]  # mixture over kinds; one-hot once decided
    depth: Int[Array, "*B"]  # hidden layers in use, 1..L


@dataclasses.dataclass(frozen=True)
class NetworkSpec:
    """Upper limits of a family of networks (static: hashable, safe to close over)."""

    num_inputs: int = 3
    """number of inputs I"""
    num_outputs: int = 1
    """number of outputs O"""
    max_width: int = 7
    """neurons a hidden layer at most, H"""
    max_depth: int = 4
    """hidden layers at most, L"""
    activations: tuple[str, ...] = ("sigmoid",)
    """activation kinds a neuron can have, out of sigmoid, tanh, leaky_relu, linear"""

    def __post_init__(self) -> None:
        """Reject limits below one and unknown activations."""
        for name in ("num_inputs", "num_outputs", "max_width", "max_depth"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        unknown = set(self.activations) - set(ACTIVATIONS)
        if unknown or not self.activations:
            raise ValueError(
                f"activations must be out of {ACTIVATIONS}, got {self.activations}"
            )
