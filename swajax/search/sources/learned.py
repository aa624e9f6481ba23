"""Source `learned`: networks sampled from the space `flow` for the rows."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from swajax.autoencoder import flow
from swajax.autoencoder.base import Present
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
    params, config = load_flow(request.options and request.options.file)
    names = "max_width", "max_depth"
    limits = {n: min(getattr(config, n), getattr(request.limits, n)) for n in names}
    config = dataclasses.replace(config, **limits)
    depths = range(1, config.max_depth + 1)
    rows = pad(thin(request.train, NUM_ROWS))
    num_inputs, num_outputs = request.limits.num_inputs, rows.y.shape[1]
    moments = _compute(rows, np.arange(rows.x.shape[1]) < num_inputs)
    largest = min(LARGEST, LARGEST_START * request.max_weights)
    num = -(-request.num_starts // len(depths))
    sizes = np.geomspace(SMALLEST, largest, num).astype(np.float32)
    parts = [
        _sample(config, depth, num)(own_key, params, moments, sizes)
        for depth, own_key in zip(
            depths, jax.random.split(key, len(depths)), strict=True
        )
    ]
    networks = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    networks = networks._replace(first=networks.first[:, :num_inputs])
    spec = config.make_spec(num_inputs, num_outputs)
    return Starts(resize.fit_into(networks, spec, request.limits), 0)


@functools.cache
def _sample(config: FlowConfig, depth: int, num: int) -> Callable[..., Network]:
    def sample(
        key: Key, params: Any, moments: Moments, sizes: Float[jax.Array, " R"]
    ) -> Network:
        z = flow.encode_moments(params, moments)
        present = Present(moments.is_input, moments.is_output)
        options = {"num": num, "depth": depth, "config": config, "present": present}
        return flow.sample(key, params, z, num_weights=sizes, **options)

    return compile_for("seldom", sample)


@jax.jit
def _compute(rows: Problem, is_input: np.ndarray) -> Moments:
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
    _, config = load_flow(options and options.file)
    absent = set(config.activations) - set(limits.activations)
    if absent:
        raise ValueError(
            f"the space flow has {', '.join(config.activations)} neurons: add "
            f"--activations {' '.join(sorted(absent))}"
        )


SOURCE = Source(propose, check=check, options_field="learned", is_timed=False)
