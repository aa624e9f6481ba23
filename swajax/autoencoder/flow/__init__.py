"""Preset `flow`: from a table, or a network, to a DISTRIBUTION of networks.

An encoder maps the moments of the rows of a table to an embedding; a network is read by
its outputs at fixed points, as a table. From an embedding, networks of a depth and a
number of weights are sampled: a conditional flow (arXiv:2210.02747) moves noise to a
draft, structure and weights together, in which the weights of the highest presence are
active. The flow is trained on networks at which fits of random tables end
(`python -m swajax.pretrain ends`), so that what it samples lies where a polish leads to
good networks, not where the loss is lowest before the polish.

All functions are pure and take ONE table or network; `jax.vmap` makes batches. One
checkpoint serves any number of inputs, outputs and rows.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

from swajax.autoencoder.base import Embedding, Params, Present
from swajax.autoencoder.flow.drafts import Draft, to_draft, to_network
from swajax.autoencoder.flow.modules import RowEncoder, Velocity
from swajax.autoencoder.flow.moments import Moments, compute_moments
from swajax.io import configs
from swajax.network import apply, make_dense
from swajax.types import DEFAULT_ACTIVATIONS, Activation, Key, Network, NetworkSpec

NUM_PROBES = 256  # points at which a network is read

__all__ = [
    "FlowConfig",
    "encode",
    "encode_moments",
    "encode_rows",
    "init",
    "sample",
    "velocity",
]


@dataclasses.dataclass(frozen=True)
class FlowConfig:
    """Limits of the sampled networks; inputs and outputs are those of the table."""

    max_width: int = 8
    """number of neurons per hidden layer of a draft; surplus ones get no weights"""
    max_depth: int = 2
    """maximum number of hidden layers"""
    activations: tuple[Activation, ...] = DEFAULT_ACTIVATIONS
    """activations that a neuron can have"""
    num_steps: int = 12
    """steps from noise to a draft"""

    def __post_init__(self) -> None:
        """Reject limits below 1."""
        configs.convert_fields(self)
        configs.check_fields(self, "max_width", "max_depth", "num_steps", minimum=1)

    def make_spec(self, num_inputs: int, num_outputs: int) -> NetworkSpec:
        """Return the limits of the networks of a table."""
        return NetworkSpec(
            num_inputs, num_outputs, self.max_width, self.max_depth, self.activations
        )


def init(key: Key, *, config: FlowConfig) -> Params:
    """Return fresh parameters.

    Args:
      key: consumed.
      config: limits of the networks.
    """
    encoder_key, velocity_key = jax.random.split(key)
    moments = compute_moments(jnp.zeros((2, 2)), jnp.zeros((2, 1)))
    encoder = RowEncoder().init(encoder_key, moments)
    spec = dataclasses.replace(config.make_spec(2, 1), max_depth=3)
    draft = to_draft(make_dense(spec), depth=3)
    point = jax.eval_shape(RowEncoder().apply, encoder, moments)
    point = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape), point)
    more = jnp.zeros(()), jnp.ones(()), Present(jnp.ones(2), jnp.ones(1))
    module = Velocity(len(config.activations))
    return {
        "encoder": encoder,
        "velocity": module.init(velocity_key, draft, point, *more),
    }


def encode_rows(
    params: Params,
    x: Float[Array, "N I"],
    y: Float[Array, "N O"],
    *,
    weight: Float[Array, " N"] | None = None,
) -> Embedding:
    """Embed a table.

    Args:
      params: parameters from `init` or a checkpoint.
      x: inputs, scaled to [-1, 1].
      y: targets: numbers of any scale, 0 or 1, or one-hot classes.
      weight: relative weights of the rows; by default equal.

    Example:
      >>> config = FlowConfig(max_width=3)
      >>> params = jax.eval_shape(
      ...     functools.partial(init, config=config), jax.random.key(0)
      ... )
      >>> rows = jnp.zeros((50, 4)), jnp.zeros((50, 1))
      >>> jax.eval_shape(encode_rows, params, *rows).inputs.shape
      (4, 48)
    """
    return encode_moments(params, compute_moments(x, y, weight=weight))


def encode_moments(params: Params, moments: Moments) -> Embedding:
    """Embed the moments of a table."""
    return RowEncoder().apply(params["encoder"], moments)


def encode(params: Params, network: Network, *, config: FlowConfig) -> Embedding:
    """Embed a network as the table of its outputs at fixed points.

    Args:
      params: parameters from `init` or a checkpoint.
      network: one network with the activations of `config`.
      config: names the activations.
    """
    x = jnp.asarray(probe_points(network.first.shape[0]))
    return encode_rows(params, x, apply(network, x, activations=config.activations))


@functools.cache
def probe_points(num_inputs: int) -> Float[np.ndarray, "N I"]:
    """Return fixed uniform points in [-1, 1]."""
    rng = np.random.default_rng(0)
    return np.float32(rng.uniform(-1, 1, (NUM_PROBES, num_inputs)))


def sample(
    key: Key,
    params: Params,
    z: Embedding,
    *,
    num: int,
    depth: int,
    num_weights: Num[Array, "..."] | int,
    config: FlowConfig,
    present: Present | None = None,
) -> Network:
    """Draw networks for an embedding.

    Args:
      key: consumed.
      params: parameters from `init` or a checkpoint.
      z: embedding of a table or of a network.
      num: number of networks.
      depth: number of hidden layers, 1 to `config.max_depth`.
      num_weights: number of weights and biases, one for all networks or one for each.
      config: limits of the networks.
      present: which inputs and outputs exist, if some are padding.

    Returns:
      Networks, leaves [num, ...].

    Raises:
      ValueError: the depth is out of range.
    """
    if not 1 <= depth <= config.max_depth:
        raise ValueError(f"depth must be in 1..{config.max_depth}, got {depth}")
    if present is None:
        present = Present(jnp.ones(len(z.inputs)), jnp.ones(len(z.outputs)))
    spec = config.make_spec(len(z.inputs), len(z.outputs))
    sizes = jnp.broadcast_to(jnp.asarray(num_weights, jnp.float32), (num,))

    def one(key: Key, size: Float[Array, ""]) -> Network:
        noise = draw_noise(key, spec, depth)

        def step(index: Int[Array, ""], draft: Draft) -> Draft:
            time = index / config.num_steps
            change = velocity(params, draft, z, time, size, present, config=config)
            return jax.tree.map(lambda a, b: a + b / config.num_steps, draft, change)

        draft = jax.lax.fori_loop(0, config.num_steps, step, noise)
        return to_network(draft, size, spec=spec, present=present)

    return jax.vmap(one)(jax.random.split(key, num), sizes)


def velocity(
    params: Params,
    draft: Draft,
    z: Embedding,
    time: Float[Array, ""],
    num_weights: Float[Array, ""],
    present: Present,
    *,
    config: FlowConfig,
) -> Draft:
    """Return the velocity of a draft at a time from 0 (noise) to 1."""
    more = draft, z, time, num_weights, present
    return Velocity(len(config.activations)).apply(params["velocity"], *more)


def draw_noise(key: Key, spec: NetworkSpec, depth: int) -> Draft:
    """Draw a draft of standard normal numbers."""
    like = jax.eval_shape(lambda: to_draft(make_dense(spec), depth=depth))
    leaves, structure = jax.tree.flatten(like)
    keys = jax.random.split(key, len(leaves))
    drawn = [
        jax.random.normal(own, leaf.shape)
        for own, leaf in zip(keys, leaves, strict=True)
    ]
    return jax.tree.unflatten(structure, drawn)
