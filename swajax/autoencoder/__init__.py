"""Autoencoders of networks: `encode` a network into an embedding, `decode` it again.

Three presets share one interface. `paper` is the convolutional autoencoder of
arXiv:2410.08339; `compact` is a smaller and faster architecture for the same networks;
`tabular` embeds networks of any number of inputs and outputs, with biases and mixed
activations, and decodes them at any number of weights. Parameters are plain pytrees.
All functions are pure and take ONE example; `jax.vmap` makes batches.

Example:
  >>> import functools, jax
  >>> from swajax import autoencoder
  >>> config = autoencoder.AutoencoderConfig(max_depth=1, max_width=3, num_probes=4)
  >>> init = functools.partial(autoencoder.init, config=config)
  >>> params = jax.eval_shape(init, jax.random.key(0))
  >>> decode = functools.partial(autoencoder.decode, config=config, depth=1)
  >>> z = jax.ShapeDtypeStruct((config.embedding_size,), "float32")
  >>> jax.eval_shape(decode, params, z).first.shape
  (3, 3)
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

from swajax import network as network_lib
from swajax.autoencoder.base import Embedding, Params, Present
from swajax.autoencoder.config import AutoencoderConfig, make_autoencoder
from swajax.types import Key, Network, check_single

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


def init(key: Key, *, config: AutoencoderConfig) -> Params:
    """Return fresh parameters.

    Args:
      key: consumed.
      config: configuration of the autoencoder.
    """
    return make_autoencoder(config).init(key)


def probe_points(
    config: AutoencoderConfig, *, num_inputs: int | None = None
) -> Float[np.ndarray, "N I"]:
    """Return the fixed points at which the encoder evaluates a network.

    `paper` reads weights only: its array has no rows.

    Args:
      config: configuration of the autoencoder.
      num_inputs: number of inputs of the network, by default that of the configuration
        (`tabular` accepts others).
    """
    num_inputs = num_inputs or config.spec.num_inputs
    return make_autoencoder(config).probe_points(num_inputs)


def probe(network: Network, *, config: AutoencoderConfig) -> Float[Array, "N O"]:
    """Evaluate a network at the probe points.

    Args:
      network: one network.
      config: configuration of the autoencoder.
    """
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
    """Embed one network.

    Args:
      params: parameters from `init` or from a checkpoint.
      network: a network of `config.spec`. `compact` and `paper` embed networks without
        biases; under `jit` and `vmap`, where values cannot be checked, they ignore
        biases. `tabular` accepts any number of inputs and outputs; outputs should have
        mean 0 and variance 1 (`swajax.prior.standardise`).
      config: configuration of the autoencoder.
      depth: number of hidden layers, if known at compile time; `paper` then runs only
        the encoder of this depth.
      probes: outputs of the network at the probe points, if known. Evaluating many
        networks together is faster (`swajax.network.batched`).
      present: which inputs and outputs of a padded network exist (`tabular`).

    Returns:
      The embedding: [Z], or an `Embedding` with one token per input and output
      (`tabular`).

    Raises:
      ValueError: `depth` is out of range or not that of the network, or a network for
        `compact` or `paper` has biases or shapes that differ from `config.spec`.
    """
    if depth is not None:
        _check_depth(depth, config)
    _check_network(network, config, depth)
    return make_autoencoder(config).encode(
        params, network, depth=depth, probes=probes, present=present
    )


def decode(
    params: Params,
    z: Float[Array, " Z"] | Embedding,
    *,
    config: AutoencoderConfig,
    depth: int,
    num_weights: Num[Array, ""] | int | None = None,
    present: Present | None = None,
) -> Network:
    """Decode an embedding into a network with `depth` hidden layers.

    The gradient is straight-through: neuron masks (`compact`, `paper`), active weights
    and activations (`tabular`) are discrete and change by jumps, and the gradient is
    that of the sigmoid or softmax behind each decision (`swajax.network.gates`). It
    therefore differs from finite differences, which are 0 for a decision that does not
    change.

    Args:
      params: parameters from `init` or from a checkpoint.
      z: the embedding.
      config: configuration of the autoencoder.
      depth: number of hidden layers, 1 to `config.max_depth`.
      num_weights: number of active weights and biases (`tabular`), by default all.
      present: which inputs and outputs exist, if some are padding (`tabular`).

    Raises:
      ValueError: `depth` is out of range, `z` is not an embedding of the preset, or the
        preset does not support `num_weights` or `present`.
    """
    _check_depth(depth, config)
    _check_embedding(z, config)
    options = _options(config, num_weights, present)
    return make_autoencoder(config).decode(params, z, depth=depth, **options)


def decode_all(
    params: Params,
    z: Float[Array, " Z"] | Embedding,
    *,
    config: AutoencoderConfig,
    num_weights: Num[Array, ""] | int | None = None,
    present: Present | None = None,
) -> tuple[Network, ...]:
    """Decode with all decoders, depth 1 to L; arguments and gradient as in `decode`."""
    _check_embedding(z, config)
    options = _options(config, num_weights, present)
    return make_autoencoder(config).decode_all(params, z, **options)


def respond(
    params: Params, z: Embedding, *, config: AutoencoderConfig
) -> Float[Array, "N O"]:
    """Return the function of an embedding as outputs at the probe points.

    Raises:
      ValueError: the preset has no such function; only `tabular` has one.
    """
    respond_fn = make_autoencoder(config).respond
    if respond_fn is None:
        raise ValueError(f"the preset {config.preset} has no respond function")
    return respond_fn(params, z)


def _check_depth(depth: int, config: AutoencoderConfig) -> None:
    if not 1 <= depth <= config.max_depth:
        raise ValueError(f"depth must be in 1..{config.max_depth}, got {depth}")


def _check_network(
    network: Network, config: AutoencoderConfig, depth: int | None
) -> None:
    """Check the depth of a network, and its shapes for a preset with fixed shapes."""
    check_single(network)
    is_known = depth is not None and not isinstance(network.depth, jax.core.Tracer)
    if is_known and depth != network.depth:
        raise ValueError(
            f"depth must be that of the network, {network.depth}, got {depth}"
        )
    if config.is_any_table:
        return
    spec = config.spec
    wanted = (spec.num_inputs, spec.num_outputs, spec.max_depth, spec.max_width)
    got = network.first.shape[0], network.readout.shape[-1], *network.mask.shape
    if got != wanted:
        raise ValueError(
            "inputs, outputs, layers and neurons per layer of the network must be "
            f"{wanted} as in the autoencoder, got {got}"
        )


def _check_embedding(z: object, config: AutoencoderConfig) -> None:
    size = config.embedding_size
    shape = jnp.shape(z.z if isinstance(z, Embedding) else z)
    if isinstance(z, Embedding) != config.is_any_table or shape != (size,):
        kind = "an Embedding with z of" if config.is_any_table else "an array of"
        raise ValueError(
            f"the preset {config.preset} decodes {kind} {size} numbers, got "
            f"{type(z).__name__} with shape {shape}"
        )


def _options(config: AutoencoderConfig, num_weights: object, present: object) -> dict:
    """Return the options of a decoder; reject those that the preset ignores."""
    options = {"num_weights": num_weights, "present": present}
    given = [name for name, value in options.items() if value is not None]
    if given and not config.is_any_table:
        raise ValueError(f"the preset {config.preset} does not support {given[0]}")
    return options
