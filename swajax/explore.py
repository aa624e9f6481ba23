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

from swajax import blocks, latent_search, prior, spaces
from swajax.autoencoder.pretrained import load_pretrained
from swajax.data.splits import Part
from swajax.latent_search import Data, Point, SearchConfig, Space
from swajax.network import mask_weights
from swajax.objectives import Objective
from swajax.pipeline import PipelineConfig
from swajax.types import Activation, Key, Network, NetworkSpec

MAX_INPUTS = 512
BATCH_ROWS = 4096  # of a mini-batch


@dataclasses.dataclass(frozen=True)
class ExploreConfig:
    """How starts are found."""

    by: Literal["random", "direct", "latent"] = "random"
    """random networks; gradient descent on weights; or on points of a learned space"""
    preset: str = "tabular"
    """latent: pretrained autoencoder, or a path to a checkpoint file"""
    activation: Activation | None = None
    """latent: activation of its networks, if there are several autoencoders"""
    search: SearchConfig = dataclasses.field(
        default_factory=lambda: SearchConfig(num_steps=500, num_starts=8)
    )
    """direct and latent: the gradient descent"""


def check(
    config: ExploreConfig, task: str, num_inputs: int, pipeline_config: PipelineConfig
) -> None:
    """Reject tables and limits that a learned space has no networks for.

    Raises:
      ValueError: says why, and what to do.
    """
    if config.by != "latent":
        return
    _, model = load_pretrained(config.preset, config.activation)
    _check_limits(model.spec, pipeline_config.make_spec(1, 1))
    if model.preset == "tabular" and num_inputs > MAX_INPUTS:
        raise ValueError(
            f"the space {config.preset} reads networks input by input, {MAX_INPUTS} at "
            f"most, here are {num_inputs}; use --explore.by random or direct"
        )
    is_served = num_inputs <= model.num_inputs and task == "regression"
    if model.preset != "tabular" and not is_served:
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

    Raises:
      ValueError: the limits are too narrow for the space, or lack an activation.
    """
    if config.by == "random":
        return None
    spec = pipeline_config.make_spec(train.x.shape[1], train.y.shape[1])
    space, params, starts = _make_space(
        key,
        objective,
        config=config,
        spec=spec,
        max_weights=pipeline_config.max_weights,
    )
    _check_limits(space.spec, spec)
    draw = functools.partial(_draw_rows, train, valid)
    _, state = latent_search.run(
        starts, params, draw, space=space, config=config.search
    )
    found = harden(state.picked, params, space=space)
    return _fit_into(found, space.spec, spec)


def _check_limits(spec: NetworkSpec, limits: NetworkSpec) -> None:
    absent = set(spec.activations) - set(limits.activations)
    if spec.max_width > limits.max_width or spec.max_depth > limits.max_depth or absent:
        raise ValueError(
            f"the space has networks of {spec.max_depth} layers of {spec.max_width} "
            f"neurons, {', '.join(spec.activations)}: raise --max-depth, --max-width "
            "or --activations"
        )


def _draw_rows(train: Part, valid: Part, chunk: int) -> Data:
    """All rows, or a mini-batch of them if they are many or of unequal weight.

    Rows are then drawn anew for each chunk, as often as they weigh.
    """

    def draw(part: Part) -> tuple[jax.Array, jax.Array]:
        num, weight = len(part.y), part.weight.astype(np.float64)
        weight = weight / weight.sum()
        if num <= blocks.MAX_POINTS and np.ptp(weight) == 0:
            return jnp.asarray(part.x), jnp.asarray(part.y)
        num_drawn = num if num <= blocks.MAX_POINTS else BATCH_ROWS
        rows = np.random.default_rng(chunk).choice(num, num_drawn, p=weight)
        return jnp.asarray(part.x[rows]), jnp.asarray(part.y[rows])

    return Data(*draw(train), *draw(valid))


def _make_space(
    key: Key,
    objective: Objective,
    *,
    config: ExploreConfig,
    spec: NetworkSpec,
    max_weights: int,
) -> tuple[Space, Any, Any]:
    """The space, the parameters of its decoders, and starts [R K, ...]."""
    search = config.search
    if config.by == "direct":
        key, network_key = jax.random.split(key)
        networks = draw_networks(network_key, search, spec, max_weights)
        starts = spaces.unfold_starts(key, networks)
        return spaces.make_direct_space(spec, objective), None, starts
    params, model = load_pretrained(config.preset, config.activation)
    if model.preset == "tabular":
        space = spaces.make_tabular_space(model, spec, objective)
        networks = draw_networks(key, search, space.spec, max_weights)
        starts = spaces.encode_starts(params, networks, model=model)
        return space, params, starts
    starts = spaces.draw_compact_starts(
        key, params, config=search, autoencoder_config=model
    )
    space = spaces.make_compact_space(model, num_inputs=spec.num_inputs)
    return space, params, starts


def draw_networks(
    key: Key, config: SearchConfig, spec: NetworkSpec, max_weights: int
) -> Network:
    """Random networks, sorted by size: each start is chosen among those of its size."""
    num = config.num_starts * config.num_screened
    networks = prior.sample_starts(key, num=num, spec=spec, max_weights=max_weights)
    order = np.argsort(blocks.count(networks), kind="stable")
    return jax.tree.map(lambda leaf: leaf[order], networks)


def harden(picked: Point, params: Any, *, space: Space) -> Network:
    """The networks [D S R, ...] of all decoders, of picked points [D, S, R, ...]."""
    networks = [
        _hard_networks(picked, params, space=space, depth=depth + 1)
        for depth in range(space.spec.max_depth)
    ]
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *networks)


@functools.partial(jax.jit, static_argnames=("space", "depth"))
def _hard_networks(picked: Point, params: Any, *, space: Space, depth: int) -> Network:
    """The networks [S R, ...] of one decoder."""
    points = jax.tree.map(
        lambda leaf: leaf[depth - 1].reshape(-1, *leaf.shape[3:]), picked
    )
    return latent_search.make_hard_networks(points, params, space=space, depth=depth)


def _fit_into(networks: Network, spec: NetworkSpec, limits: NetworkSpec) -> Network:
    """The same networks, as records of larger limits."""
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
