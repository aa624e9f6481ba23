"""Source `learned`: networks sampled from the space `flow` for the rows."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Bool, Float

from swajax.autoencoder import flow
from swajax.autoencoder.base import Params, Present
from swajax.autoencoder.flow import FlowConfig
from swajax.autoencoder.flow.files import load_flow
from swajax.autoencoder.flow.moments import Moments, compute_moments
from swajax.data.problem import Problem, pad, thin
from swajax.io.compilation import compile_for
from swajax.network import resize
from swajax.objectives import Objective
from swajax.search.sources.base import Source, StartRequest, Starts
from swajax.types import Key, Network, NetworkSpec

NUM_ROWS = 2048  # rows that are encoded
SMALLEST = 4  # weights of the smallest networks
LARGEST = 64  # of those that the space is trained on
LARGEST_START = 1.3  # size of the largest start, relative to that of the front


@dataclasses.dataclass(frozen=True)
class LearnedSourceConfig:
    """Options of `learned`."""

    file: str | None = None
    """file of `python -m swajax.pretrain flow` [the shipped one]"""


def propose(key: Key, request: StartRequest) -> Starts:
    """Sample networks of all sizes and depths."""
    params, config = load_flow(request.options.file)
    largest = min(LARGEST, LARGEST_START * request.max_weights)
    sizes = np.geomspace(SMALLEST, largest, request.num_starts)
    more = params, request.train, sizes, request.limits
    return Starts(sample_for_rows(key, *more, config=config), 0)


def sample_for_rows(
    key: Key,
    params: Params,
    train: Problem,
    sizes: Float[np.ndarray, " R"],
    limits: NetworkSpec,
    *,
    config: FlowConfig,
) -> Network:
    """Sample networks for rows, of all depths in turn.

    Args:
      key: consumed.
      params: parameters of the space.
      train: rows, not padded.
      sizes: number of weights of each network; rounded up to a multiple of the depths.
      limits: limits of the networks.
      config: configuration of the space.

    Returns:
      Networks within the limits, leaves [R, ...], depth by depth.
    """
    names = "max_width", "max_depth"
    smaller = {n: min(getattr(config, n), getattr(limits, n)) for n in names}
    config = dataclasses.replace(config, **smaller)
    # Padded rows and inputs: tables of similar size share compiled programs.
    rows = pad(thin(train, NUM_ROWS))
    moments = _compute(rows, np.arange(rows.x.shape[1]) < limits.num_inputs)
    num_depths = config.max_depth
    num = -(-len(sizes) // num_depths)
    sizes = np.resize(np.float32(sizes), num * num_depths)
    parts = [
        _make_sample(config, depth, num)(own_key, params, moments, own_sizes)
        for depth, own_key, own_sizes in zip(
            range(1, num_depths + 1),
            jax.random.split(key, num_depths),
            sizes.reshape(num, num_depths).T,
            strict=True,
        )
    ]
    networks = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    first = networks.first[:, : limits.num_inputs]
    spec = config.make_spec(limits.num_inputs, limits.num_outputs)
    return resize.fit_into(networks._replace(first=first), spec, limits)


@functools.cache
def _make_sample(config: FlowConfig, depth: int, num: int) -> Callable[..., Network]:
    def sample(
        key: Key, params: Any, moments: Moments, sizes: Float[jax.Array, " R"]
    ) -> Network:
        z = flow.encode_moments(params, moments)
        present = Present(moments.is_input, moments.is_output)
        options = {"num": num, "depth": depth, "config": config, "present": present}
        return flow.sample(key, params, z, num_weights=sizes, **options)

    return compile_for("seldom", sample)


@jax.jit
def _compute(rows: Problem, is_input: Bool[jax.Array, " I"]) -> Moments:
    rows = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), rows)
    return compute_moments(
        rows.x, rows.y, weight=rows.weight, is_input=is_input.astype(jnp.float32)
    )


def check(limits: NetworkSpec, objective: Objective, options: Any) -> None:
    """Refuse limits without an activation of the space.

    Raises:
      ValueError: names the activations.
    """
    del objective
    _, config = load_flow(options.file)
    absent = set(config.activations) - set(limits.activations)
    if absent:
        raise ValueError(
            f"the space flow has {', '.join(config.activations)} neurons: add "
            f"--activations {' '.join(sorted(absent))}"
        )


SOURCE = Source(propose, check=check, options_field="learned", is_timed=False)
