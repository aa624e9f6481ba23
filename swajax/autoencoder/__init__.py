"""Networks to points of one embedding space and back: `encode`, `decode`.

Three presets share one interface. `paper` is the convolutional autoencoder of
arXiv:2410.08339; `compact` is ours, small and fast; `tabular` is ours too, for networks
with any number of inputs and outputs, biases and mixed activations, and of every size.
Parameters are plain pytrees; all functions are pure and take ONE example.
"""

import dataclasses
import functools
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from swajax import network as network_lib
from swajax.autoencoder import compact, tabular, tabular_tokens
from swajax.autoencoder.paper import PaperAutoencoder
from swajax.autoencoder.tabular_tokens import Embedding, Present
from swajax.io import configs
from swajax.types import DEFAULT_ACTIVATIONS, Activation, Key, Network, NetworkSpec

__all__ = [
    "AutoencoderConfig",
    "Embedding",
    "Params",
    "Present",
    "decode",
    "decode_all",
    "encode",
    "init",
    "probe",
    "probe_points",
    "respond",
]

Params = Any

MANY_WEIGHTS = 1e4  # no network of `tabular` has more

SINGLE = {"activation": "sigmoid", "num_inputs": 3, "num_outputs": 1, "max_width": 7}
PRESET_DEFAULTS = {
    "compact": SINGLE | {"max_depth": 4},
    "paper": SINGLE | {"max_depth": 4},
    "tabular": {
        "activation": "mixed",
        "num_inputs": 8,
        "num_outputs": 3,
        "max_width": 8,
        "max_depth": 3,
    },
}


@dataclasses.dataclass(frozen=True)
class AutoencoderConfig:
    """What an autoencoder is made of; what is not given follows its preset."""

    preset: Literal["compact", "paper", "tabular"] = "compact"
    """architecture: ours, that of arXiv:2410.08339, or ours for any table"""
    activation: Activation | Literal["mixed"] | None = None
    """activation of all hidden neurons of the embedded networks, or mixed: each neuron
    has its own [compact, paper: sigmoid; tabular: mixed]"""
    num_inputs: int | None = None
    """inputs of the embedded networks, of tabular in training at most [3; tabular 8]"""
    num_outputs: int | None = None
    """outputs, of tabular in training, at most [1; tabular 3]"""
    max_width: int | None = None
    """neurons a hidden layer at most [7; tabular 8]"""
    max_depth: int | None = None
    """hidden layers at most; there is a decoder for each depth [4; tabular 3]"""
    num_probes: int = 64
    """points at which the encoder of `compact` reads the network"""

    def __post_init__(self) -> None:
        """Fill in what follows the preset; reject unknown choices and bad sizes."""
        for name, value in PRESET_DEFAULTS.get(self.preset, SINGLE).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        configs.check_choices(self)
        is_tabular = self.preset == "tabular"
        if (self.activation == "mixed") != is_tabular:
            raise ValueError(f"no {self.activation} activation with {self.preset}")
        if self.num_probes < 1:
            raise ValueError(f"num_probes must be >= 1, got {self.num_probes}")
        if self.num_outputs != 1 and not is_tabular:
            raise ValueError(f"num_outputs must be 1, got {self.num_outputs}")
        # Inputs are rows of a layer's matrix.
        if self.max_width < self.num_inputs and not is_tabular:
            raise ValueError(
                f"max_width must be >= num_inputs = {self.num_inputs}, "
                f"got {self.max_width}"
            )
        _ = self.spec

    @property
    def spec(self) -> NetworkSpec:
        """Limits of the embedded networks."""
        is_mixed = self.activation == "mixed"
        return NetworkSpec(
            num_inputs=self.num_inputs,
            num_outputs=self.num_outputs,
            max_width=self.max_width,
            max_depth=self.max_depth,
            activations=DEFAULT_ACTIVATIONS if is_mixed else (self.activation,),
        )

    @property
    def embedding_size(self) -> int:
        """Numbers in an embedding, Z; of `tabular` without the tokens."""
        return 128


def init(key: Key, *, config: AutoencoderConfig) -> Params:
    """Fresh parameters; `key` is consumed."""
    module, spec = _module(config), config.spec
    network = network_lib.make_dense(spec)
    if config.preset == "paper":
        return module.init(key, network)
    seen = probe(network, config=config)
    if config.preset == "tabular":
        return module.init(key, network, seen, jnp.ones(()), _all_present(network))
    return module.init(key, network, seen)


def probe_points(
    config: AutoencoderConfig, *, num_inputs: int | None = None
) -> Float[np.ndarray, "N I"]:
    """The fixed points at which the encoder reads a network (not `paper`).

    Args:
      config: of the autoencoder.
      num_inputs: of the network, if it is not that of the configuration (`tabular`).
    """
    num_inputs = num_inputs or config.spec.num_inputs
    if config.preset == "tabular":
        return tabular_tokens.probe_points(num_inputs)
    return compact.probe_points(config.num_probes, num_inputs)


def probe(network: Network, *, config: AutoencoderConfig) -> Float[Array, "N O"]:
    """Outputs at the points that the encoder reads."""
    points = jnp.asarray(probe_points(config, num_inputs=network.first.shape[0]))
    return network_lib.apply(network, points, activations=config.spec.activations)


def encode(
    params: Params,
    network: Network,
    *,
    config: AutoencoderConfig,
    depth: int | None = None,
    probes: Float[Array, "N O"] | None = None,
    present: Present | None = None,
) -> Float[Array, " Z"] | Embedding:
    """Embedding of one network.

    Args:
      params: of `init` or of a checkpoint.
      network: a network of `config.spec`; for `tabular` of any inputs and outputs,
        each output best of mean 0 and variance 1 (`swajax.prior.standardise`).
      config: of the autoencoder.
      depth: number of hidden layers if known at compile time (`paper` then runs only
        the encoder of this depth).
      probes: `probe(network)` if the caller has it, since many networks are evaluated
        faster together (`swajax.network.batched`).
      present: which inputs and outputs there are, if the network is padded (`tabular`).
    """
    module = _module(config)
    if config.preset == "paper":
        return module.apply(params, network, depth=depth, method=module.encode)
    if probes is None:
        probes = probe(network, config=config)
    if config.preset == "tabular":
        present = _all_present(network) if present is None else present
        return module.apply(params, network, probes, present, method=module.encode)
    return module.apply(params, network, probes, method=module.encode)


def decode(
    params: Params,
    z: Float[Array, " Z"] | Embedding,
    *,
    config: AutoencoderConfig,
    depth: int,
    num_weights: Float[Array, ""] | int | None = None,
    present: Present | None = None,
) -> Network:
    """The network with `depth` hidden layers that an embedding stands for.

    Args:
      params: of `init` or of a checkpoint.
      z: the embedding.
      config: of the autoencoder.
      depth: hidden layers.
      num_weights: weights and biases that may be there (`tabular`); by default all.
      present: which inputs and outputs there are, if some are padding (`tabular`).
    """
    module = _module(config)
    if config.preset != "tabular":
        return module.apply(params, z, depth=depth, method=module.decode)
    args = _tabular_args(z, num_weights, present)
    return module.apply(params, *args, depth=depth, method=module.decode)


def decode_all(
    params: Params,
    z: Float[Array, " Z"] | Embedding,
    *,
    config: AutoencoderConfig,
    num_weights: Float[Array, ""] | int | None = None,
    present: Present | None = None,
) -> tuple[Network, ...]:
    """The networks of all decoders, depth 1 to L; arguments as of `decode`."""
    if config.preset == "tabular":
        module = _module(config)
        args = _tabular_args(z, num_weights, present)
        return module.apply(params, *args, method=module.decode_all)
    depths = range(1, config.spec.max_depth + 1)
    return tuple(decode(params, z, config=config, depth=depth) for depth in depths)


def respond(
    params: Params, z: Embedding, *, config: AutoencoderConfig
) -> Float[Array, "N O"]:
    """Outputs at the probe points of the function a point stands for (`tabular`)."""
    module = _module(config)
    return module.apply(params, z, method=module.respond)


def _tabular_args(
    z: Embedding, num_weights: Float[Array, ""] | int | None, present: Present | None
) -> tuple[Embedding, Float[Array, ""], Present]:
    if present is None:
        present = Present(jnp.ones(z.inputs.shape[0]), jnp.ones(z.outputs.shape[0]))
    if num_weights is None:
        num_weights = MANY_WEIGHTS
    return z, jnp.asarray(num_weights, z.z.dtype), present


def _all_present(network: Network) -> Present:
    num_inputs, num_outputs = network.first.shape[0], network.readout.shape[1]
    return Present(jnp.ones(num_inputs), jnp.ones(num_outputs))


@functools.cache
def _module(config: AutoencoderConfig) -> nn.Module:
    if config.preset == "paper":
        return PaperAutoencoder(spec=config.spec)
    if config.preset == "tabular":
        return tabular.TabularAutoencoder(spec=config.spec)
    return compact.CompactAutoencoder(spec=config.spec, num_probes=config.num_probes)
