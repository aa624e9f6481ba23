"""Where a search starts: random networks, or what gradient descent makes of them.

`latent` follows the gradient of error plus sparsity penalty back into the embedding
space of an autoencoder (`swajax.latent_search`); `direct` does the same, with the same
gates, losses and optimiser, on the weights themselves; `random` leaves all to the
polish. What each finds, whatever its size, is polished and shrunk in the same way.
"""

import dataclasses
import functools
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from swajax import autoencoder, latent_search, prior
from swajax.autoencoder.pretrained import load_pretrained
from swajax.data.splits import Part
from swajax.latent_search import Point, SearchConfig, Space
from swajax.network import mask_weights
from swajax.objectives import Objective
from swajax.pipeline import PipelineConfig
from swajax.types import Activation, Key, Network, NetworkSpec


@dataclasses.dataclass(frozen=True)
class ExploreConfig:
    """How starts are found."""

    by: Literal["random", "direct", "latent"] = "random"
    """random networks; gradient descent on weights; or on points of a learned space"""
    preset: str = "compact"
    """latent: pretrained autoencoder, or a path to a checkpoint file"""
    activation: Activation = "sigmoid"
    """latent: activation of its networks"""
    search: SearchConfig = dataclasses.field(
        default_factory=lambda: SearchConfig(num_steps=500, num_starts=8)
    )
    """direct and latent: the gradient descent"""


def check(config: ExploreConfig, task: str, num_inputs: int) -> None:
    """Reject tables that a learned space has no networks for.

    Raises:
      ValueError: says why, and what to do.
    """
    if config.by != "latent":
        return
    _, model = load_pretrained(config.preset, config.activation)
    if num_inputs > model.num_inputs or task != "regression":
        raise ValueError(
            f"the space {config.preset} has networks with up to {model.num_inputs} "
            f"inputs and a number as output, here are {num_inputs} inputs and a "
            f"{task}; use --explore.by random or direct"
        )


def find_starts(
    key: Key,
    train: Part,
    valid: Part,
    *,
    objective: Objective,
    config: ExploreConfig,
    pipeline_config: PipelineConfig,
) -> Network | None:
    """Networks to polish, leaves [R, ...]; none if random ones will do.

    Args:
      key: consumed.
      train: rows to learn from.
      valid: rows to choose by.
      objective: what is fitted.
      config: how starts are found.
      pipeline_config: limits of the networks.
    """
    if config.by == "random":
        return None
    spec = NetworkSpec(
        num_inputs=train.x.shape[1],
        num_outputs=train.y.shape[1],
        max_width=pipeline_config.max_width,
        max_depth=pipeline_config.max_depth,
        activations=pipeline_config.activations,
    )
    data = latent_search.Data(*map(jnp.asarray, (*train[:2], *valid[:2])))
    if config.by == "direct":
        params, space = None, make_direct_space(spec, objective)
        starts = _make_direct_starts(key, config=config.search, spec=spec)
    else:
        params, model = load_pretrained(config.preset, config.activation)
        space = make_latent_space(model, num_inputs=spec.num_inputs)
        starts = _make_latent_starts(
            key, params, config=config.search, autoencoder_config=model
        )
    _, state = latent_search.run(
        starts, params, data, space=space, config=config.search
    )
    networks = [
        _hard_networks(state.picked, params, space=space, depth=depth + 1)
        for depth in range(space.spec.max_depth)
    ]
    found = jax.tree.map(lambda *leaves: np.concatenate(leaves), *networks)
    return _fit_into(found, space.spec, spec)


@functools.cache
def make_latent_space(
    config: autoencoder.AutoencoderConfig, *, num_inputs: int
) -> Space:
    """The space of an autoencoder, for tables with as many or fewer features.

    The networks keep the weights from their first inputs and lose the others, so that
    what the table does not use is neither counted nor penalized.
    """
    if not 1 <= num_inputs <= config.spec.num_inputs:
        raise ValueError(
            f"num_inputs must be in 1..{config.spec.num_inputs}, got {num_inputs}"
        )

    def decode_fn(params: Any, z: jax.Array, depth: int) -> Network:
        network = autoencoder.decode(params, z, config=config, depth=depth)
        return network._replace(first=network.first[:num_inputs])

    spec = dataclasses.replace(config.spec, num_inputs=num_inputs)
    return Space(decode_fn, spec)


@functools.cache
def make_direct_space(spec: NetworkSpec, objective: Objective) -> Space:
    """The weights themselves as a space: z is a dense network of all layers.

    The decoder of a depth takes its first layers; activations are those drawn.
    """

    def decode_fn(params: None, z: Network, depth: int) -> Network:
        del params
        fixed = {"mask": z.mask, "activation": z.activation}
        fixed = jax.tree.map(jax.lax.stop_gradient, fixed)
        used = jnp.arange(spec.max_depth)[:, None] < depth
        mask = fixed["mask"] * used
        return z._replace(
            mask=mask,
            activation=fixed["activation"],
            depth=jnp.asarray(depth, jnp.int32),
        )

    return Space(decode_fn, spec, objective)


@functools.partial(jax.jit, static_argnames=("config", "spec"))
def _make_direct_starts(
    key: Key, *, config: SearchConfig, spec: NetworkSpec
) -> Network:
    def start(key: Key) -> Network:
        network = prior.sample_small(key, jnp.asarray(10**6), spec=spec)
        # A float: the optimizer takes the whole tree, and has no gradient for it.
        return network._replace(depth=network.depth.astype(jnp.float32))

    num = config.num_starts * config.num_screened
    return jax.vmap(start)(jax.random.split(key, num))


_make_latent_starts = jax.jit(
    latent_search.make_starts, static_argnames=("config", "autoencoder_config")
)


@functools.partial(jax.jit, static_argnames=("space", "depth"))
def _hard_networks(picked: Point, params: Any, *, space: Space, depth: int) -> Network:
    """The networks [S R, ...] of one decoder."""
    points = jax.tree.map(
        lambda leaf: leaf[depth - 1].reshape(-1, *leaf.shape[3:]), picked
    )
    return latent_search.make_hard_networks(points, params, space=space, depth=depth)


def _fit_into(networks: Network, spec: NetworkSpec, limits: NetworkSpec) -> Network:
    """The same networks, as records of larger limits.

    Raises:
      ValueError: the limits are too narrow, or lack an activation.
    """
    absent = set(spec.activations) - set(limits.activations)
    if spec.max_width > limits.max_width or spec.max_depth > limits.max_depth or absent:
        raise ValueError(
            f"the space has networks of {spec.max_depth} layers of {spec.max_width} "
            f"neurons, {', '.join(spec.activations)}: raise --max-depth, --max-width "
            "or --activations"
        )
    wide, deep = limits.max_width - spec.max_width, limits.max_depth - spec.max_depth
    kinds = np.array([limits.activations.index(name) for name in spec.activations])
    activation = np.zeros((*networks.mask.shape, len(limits.activations)), np.float32)
    activation[..., kinds] = networks.activation
    across, down = (0, wide), (0, deep)
    activation = np.pad(activation, ((0, 0), down, across, (0, 0)))
    activation[..., 0] += activation.sum(axis=-1) == 0  # what is absent has one as well
    return mask_weights_of_all(
        Network(
            np.pad(networks.first, ((0, 0), (0, 0), across)),
            np.pad(networks.hidden, ((0, 0), down, across, across)),
            np.pad(networks.readout, ((0, 0), across, (0, 0))),
            np.pad(networks.bias, ((0, 0), down, across)),
            np.asarray(networks.readout_bias),
            np.pad(networks.mask, ((0, 0), down, across)),
            activation,
            np.asarray(networks.depth),
        )
    )


mask_weights_of_all = jax.jit(jax.vmap(mask_weights))
