"""Networks to points of one embedding space and back: `encode`, `decode`.

Two presets share one interface. `paper` is the convolutional autoencoder of
arXiv:2410.08339; `compact` is ours, small and fast. Parameters are plain pytrees; all
functions are pure and take ONE example.
"""

import dataclasses
import functools
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from swajax import configs
from swajax import network as network_lib
from swajax.autoencoder import compact
from swajax.autoencoder.paper import PaperAutoencoder
from swajax.types import Activation, Key, Network, NetworkSpec

Params = Any


@dataclasses.dataclass(frozen=True)
class AutoencoderConfig:
    """What an autoencoder is made of; stored in the header of its checkpoint."""

    preset: Literal["compact", "paper"] = "compact"
    """architecture: ours or that of arXiv:2410.08339"""
    activation: Activation = "sigmoid"
    """activation of all hidden neurons of the embedded networks"""
    num_inputs: int = 3
    """inputs of the embedded networks"""
    max_width: int = 7
    """neurons a hidden layer at most"""
    max_depth: int = 4
    """hidden layers at most; there is a decoder for each depth"""
    num_probes: int = 64
    """points at which the encoder of `compact` reads the network"""

    def __post_init__(self) -> None:
        """Reject unknown choices and sizes that cannot be."""
        configs.check_choices(self)
        if self.num_probes < 1:
            raise ValueError(f"num_probes must be >= 1, got {self.num_probes}")
        if self.max_width < self.num_inputs:  # inputs are rows of a layer's matrix
            raise ValueError(
                f"max_width must be >= num_inputs = {self.num_inputs}, "
                f"got {self.max_width}"
            )
        _ = self.spec

    @property
    def spec(self) -> NetworkSpec:
        """Limits of the embedded networks."""
        return NetworkSpec(
            num_inputs=self.num_inputs,
            max_width=self.max_width,
            max_depth=self.max_depth,
            activations=(self.activation,),
        )

    @property
    def embedding_size(self) -> int:
        """Numbers in an embedding, Z."""
        return 128


def init(key: Key, *, config: AutoencoderConfig) -> Params:
    """Fresh parameters; `key` is consumed."""
    module, spec = _module(config), config.spec
    matrix = jnp.ones((spec.max_width, spec.max_width + 2))
    network = network_lib.from_matrix(matrix, depth=1, spec=spec)
    if config.preset == "paper":
        return module.init(key, network)
    return module.init(key, network, probe(network, config=config))


def probe_points(config: AutoencoderConfig) -> Float[np.ndarray, "N I"]:
    """The fixed points at which the encoder of `compact` reads a network."""
    return compact.probe_points(config.num_probes, config.spec.num_inputs)


def probe(network: Network, *, config: AutoencoderConfig) -> Float[Array, "N O"]:
    """Outputs at the points that the encoder reads."""
    points = jnp.asarray(probe_points(config))
    return network_lib.apply(network, points, activations=config.spec.activations)


def encode(
    params: Params,
    network: Network,
    *,
    config: AutoencoderConfig,
    depth: int | None = None,
    probes: Float[Array, "N O"] | None = None,
) -> Float[Array, " Z"]:
    """Embedding of one network.

    Args:
      params: of `init` or of a checkpoint.
      network: a network of `config.spec`.
      config: of the autoencoder.
      depth: number of hidden layers if known at compile time (`paper` then runs only
        the encoder of this depth).
      probes: `probe(network)` if the caller has it, since many networks are evaluated
        faster together (`swajax.batched`).
    """
    module = _module(config)
    if config.preset == "paper":
        return module.apply(params, network, depth=depth, method=module.encode)
    if probes is None:
        probes = probe(network, config=config)
    return module.apply(params, network, probes, method=module.encode)


def decode(
    params: Params, z: Float[Array, " Z"], *, config: AutoencoderConfig, depth: int
) -> Network:
    """The network with `depth` hidden layers that an embedding stands for."""
    module = _module(config)
    return module.apply(params, z, depth=depth, method=module.decode)


def decode_all(
    params: Params, z: Float[Array, " Z"], *, config: AutoencoderConfig
) -> tuple[Network, ...]:
    """The networks of all decoders, depth 1 to L."""
    depths = range(1, config.spec.max_depth + 1)
    return tuple(decode(params, z, config=config, depth=depth) for depth in depths)


@functools.cache
def _module(config: AutoencoderConfig) -> nn.Module:
    if config.preset == "paper":
        return PaperAutoencoder(spec=config.spec)
    return compact.CompactAutoencoder(spec=config.spec, num_probes=config.num_probes)
