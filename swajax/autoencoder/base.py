"""Records shared by all presets: embeddings, functions of a preset, its properties."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.linen as nn
from jaxtyping import Array, Float

from swajax.types import Network, NetworkSpec

Params = Any

# Defaults of the presets with fixed inputs, one output and one activation.
FIXED_DEFAULTS = {
    "activation": "sigmoid",
    "num_inputs": 3,
    "num_outputs": 1,
    "max_width": 7,
    "max_depth": 4,
}


class Embedding(NamedTuple):
    """Embedding of a network with I inputs and O outputs by a preset for any table."""

    z: Float[Array, "*B Z"]
    inputs: Float[Array, "*B I T"]  # one token per input
    outputs: Float[Array, "*B O T"]  # one token per output


class Present(NamedTuple):
    """Inputs and outputs of a padded network: 1 if present, 0 if padding."""

    inputs: Float[Array, "*B I"]
    outputs: Float[Array, "*B O"]


class Autoencoder(NamedTuple):
    """Pure functions of one preset for one family of networks.

    `swajax.autoencoder` documents the arguments.
    """

    init: Callable[..., Params]  # (key)
    encode: Callable[..., Any]  # (params, network, *, depth, probes, present)
    decode: Callable[..., Any]  # (params, z, *, depth, num_weights, present)
    decode_all: Callable[..., Any]  # (params, z, *, num_weights, present)
    probe_points: Callable[..., Any]  # (num_inputs)
    respond: Callable[..., Any] | None = None  # (params, z)


def make_fixed_decoders(module: nn.Module, max_depth: int) -> tuple[Callable, Callable]:
    """Return `decode` and `decode_all` of a preset with fixed inputs and outputs."""

    def decode(params: Params, z: Any, *, depth: int, **unsupported: Any) -> Network:
        del unsupported  # None, as checked by `swajax.autoencoder.decode`
        return module.apply(params, z, depth=depth, method=module.decode)

    def decode_all(params: Params, z: Any, **unsupported: Any) -> tuple[Network, ...]:
        depths = range(1, max_depth + 1)
        return tuple(decode(params, z, depth=depth, **unsupported) for depth in depths)

    return decode, decode_all


class Preset(NamedTuple):
    """Architecture of an autoencoder and the networks that it can embed."""

    make: Callable[[NetworkSpec, int], Autoencoder]
    """(spec, number of probe points) to the functions"""
    defaults: Mapping[str, Any]
    """default values of fields of `AutoencoderConfig`"""
    is_any_table: bool = False
    """any number of inputs and outputs, biases, mixed activations, decoding at a given
    number of weights; otherwise fixed inputs, one output, one activation, no biases"""
    is_encoder_shared: bool = True
    """one encoder for all depths; otherwise one encoder per depth"""
    max_inputs: int | None = None
    """largest number of inputs of a table, if not that of the configuration"""
