"""The search from start to end on the host, and what it has found."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jaxtyping import Array, Float

from swajax.latent_search.config import Data, DescentConfig, make_optimizer
from swajax.latent_search.result import SearchResult, _collect
from swajax.latent_search.spaces import Space
from swajax.latent_search.state import DescentState, chunk, init


class DescentProgress(NamedTuple):
    """What the callback of `run` sees after each chunk, on the host."""

    step: int
    num_steps: int
    seconds: float
    best_loss: Float[np.ndarray, "D S"]  # lowest of the starts
    objective: Float[np.ndarray, "D S"]  # of validation, lowest of the starts


def run(
    starts: Any,
    params: Any,
    data: Data | Callable[[int], Data],
    *,
    space: Space,
    config: DescentConfig,
    optimizer: optax.GradientTransformation | None = None,
    callback: Callable[[DescentProgress], None] | None = None,
    time_budget: float | None = None,
) -> tuple[SearchResult, DescentState]:
    """Search to the end, the time budget or Ctrl-C, and collect the best.

    Args:
      starts: of `make_starts`, or any other z, [R K, Z], K = `config.num_screened`.
      params: of the decoders; they stay as they are.
      data: training and validation part, scaled to about unit size; or mini-batches, a
        function of the number of the chunk, from 0, that gives data of equal shapes.
      space: decoders and family of networks.
      config: of the search.
      optimizer: acts on the `Point` of one candidate; default of the configuration.
      callback: called after each chunk.
      time_budget: seconds, compilation included, after which no chunk begins.

    Raises:
      ValueError: no candidate has a finite error.
      KeyboardInterrupt: Ctrl-C came before the first chunk had ended.
    """
    begin = time.monotonic()
    optimizer = optimizer or make_optimizer(config)
    static = {"space": space, "config": config}
    draw = data if callable(data) else lambda _: data
    state = _init(starts, params, draw(0), optimizer=optimizer, **static)
    num_chunks = -(-config.num_steps // config.chunk_steps)
    lowest = None
    try:
        for index in range(1, num_chunks + 1):
            # Not donated: the state is small, and Ctrl-C may come before the new one.
            batch = draw(index)
            state = _chunk(state, params, batch, optimizer=optimizer, **static)
            lowest = jax.device_get(_lowest(state))
            seconds = time.monotonic() - begin
            if callback is not None:
                steps = (index * config.chunk_steps, num_chunks * config.chunk_steps)
                callback(DescentProgress(*steps, seconds, *lowest))
            if time_budget is not None and seconds >= time_budget:
                break
    except KeyboardInterrupt:
        if lowest is None:
            raise
    if not np.isfinite(lowest[1]).any():
        raise ValueError(
            "no candidate has a finite error: data or parameters of the decoders "
            "hold infinite or huge numbers"
        )
    return _collect(state, params, draw(0), **static), state


_STATIC = ("space", "config", "optimizer")
_init = jax.jit(init, static_argnames=_STATIC)
_chunk = jax.jit(chunk, static_argnames=_STATIC)


@jax.jit
def _lowest(state: DescentState) -> tuple[Array, Array]:
    return state.best_loss.min(axis=-1), state.picked_objective.min(axis=-1)
