"""Descent loop on the host, ended by steps, seconds or Ctrl-C."""

import dataclasses
import functools
import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float

from swajax.io import interrupts, processes
from swajax.io.devices import (
    Devices,
    all_devices,
    divide,
    divide_first,
    largest_divisor,
)
from swajax.latent_search.config import (
    Data,
    DescentConfig,
    decay_factor,
    make_optimizer,
)
from swajax.latent_search.result import DescentResult, collect, harden
from swajax.latent_search.spaces import Space
from swajax.latent_search.state import DescentState, chunk, init
from swajax.types import Network

NetworksFn = Callable[[], Network]


STARTS_AXIS = 2  # of the state, [D, S, R, ...]


class DescentProgress(NamedTuple):
    """Argument of the callback, which runs on the host after each chunk."""

    step: int  # optimizer steps per candidate
    num_steps: int  # the budget, in whole chunks
    network_steps: int  # optimizer steps times candidates
    seconds: float
    best_loss: Float[np.ndarray, "D S"]  # training, lowest of the starts
    objective: Float[np.ndarray, "D S"]  # validation, lowest of the starts
    networks_fn: NetworksFn  # hard-thresholded networks of all candidates, [D S R, ...]


def descend(
    starts: Any,
    params: Any,
    data: Data | Callable[[int], Data],
    *,
    space: Space,
    config: DescentConfig,
    optimizer: optax.GradientTransformation | None = None,
    callback: Callable[[DescentProgress], None] | None = None,
    time_budget: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    devices: Sequence[jax.Device] | None = None,
) -> tuple[DescentState, int]:
    """Descend from all starts until the steps or seconds are used up, or Ctrl-C.

    Learning rates decay with the used share of the budget. Without a time budget, this
    share is step / `config.num_steps` at each step. With one, it is the larger of the
    shares of steps and of seconds, known only between chunks, and the learning rates
    are constant within a chunk.

    Args:
      starts: points z, [R K, Z] with K = `config.num_screened`, from `make_starts`.
      params: parameters of the decoders; they are not changed.
      data: training and validation rows; or mini-batches, a function of the chunk
        number (0 for screening the starts) that returns data of equal shapes.
      space: decoders and family of networks.
      config: settings of the descent; `num_steps` is a budget.
      optimizer: acts on the `Point` of one candidate, by default `make_optimizer`. With
        a time budget its updates are multiplied by `decay_factor`.
      callback: called after each chunk.
      time_budget: seconds, compilation included, after which no chunk begins; one chunk
        is always taken. Infinity is allowed.
      clock: returns seconds.
      devices: devices of this process that share the candidates of each start; all by
        default.

    Returns:
      The state of all candidates after the last complete chunk, and the network steps
      (optimizer steps times candidates).

    Raises:
      ValueError: the data or the number of starts do not fit.
      KeyboardInterrupt: Ctrl-C before the first chunk is complete.
      RuntimeError: the process was forked after a descent.
    """
    processes.check_not_forked()
    begin, step, is_timed = clock(), 0, time_budget is not None
    draw = data if callable(data) else lambda _: data
    if optimizer is None:
        optimizer_config = (
            dataclasses.replace(config, decay="constant") if is_timed else config
        )
        optimizer = make_optimizer(optimizer_config)
    static = {"space": space, "config": config, "optimizer": optimizer}
    first = draw(0)
    _check_data(first, space)
    with interrupts.deferred():
        state = _init(starts, params, first, **static)
        own = largest_divisor(state.loss.shape[2], all_devices(devices))
        state = divide(state, own, axis=STARTS_AXIS)
        advance = _make_chunk(own, *static.values())
        try:
            while not interrupts.should_end(has_results=step > 0):
                used = _used_share(step, clock() - begin, config, time_budget)
                if used >= 1:
                    break
                factor = decay_factor(used, config=config)
                rate = jnp.float32(factor) if is_timed else None
                batch = draw(1 + step // config.chunk_steps)
                new = advance(state, params, batch, rate)
                state = jax.block_until_ready(new)
                step += config.chunk_steps
                if callback is not None:
                    seconds = clock() - begin
                    callback(_report(state, params, step, seconds, space, config))
        except KeyboardInterrupt:
            if not step or interrupts.count():  # not from the callback
                raise
    return state, step * state.loss.size


def find_networks(
    starts: Any,
    params: Any,
    data: Data | Callable[[int], Data],
    *,
    space: Space,
    config: DescentConfig,
    **options: Any,
) -> tuple[DescentResult, DescentState]:
    """Descend and collect the best network of each depth and sparsity weight.

    Args:
      starts: as in `descend`.
      params: as in `descend`.
      data: as in `descend`; the result is evaluated on the data of chunk 0.
      space: as in `descend`.
      config: as in `descend`.
      **options: `optimizer`, `callback`, `time_budget`, `clock` and `devices`
        of `descend`.

    Raises:
      ValueError: no candidate has a finite error, or arguments do not fit.
      KeyboardInterrupt: Ctrl-C before the first chunk is complete.
    """
    state, _ = descend(starts, params, data, space=space, config=config, **options)
    if not np.isfinite(state.picked_objective).any():
        raise ValueError(
            "no candidate has a finite error: the data or the parameters of the "
            "decoders hold infinite or huge numbers"
        )
    first = data(0) if callable(data) else data
    return _collect(state, params, first, space=space, config=config), state


def _used_share(
    step: int, seconds: float, config: DescentConfig, time_budget: float | None
) -> float:
    """Return the used share of the budget; 0 before the first chunk."""
    by_steps = step / config.num_steps
    if time_budget is None or not step:
        return by_steps
    if seconds >= time_budget:  # both may be infinite
        return math.inf
    return max(by_steps, seconds / time_budget)


def _report(
    state: DescentState,
    params: Any,
    step: int,
    seconds: float,
    space: Space,
    config: DescentConfig,
) -> DescentProgress:
    return DescentProgress(
        step,
        -(-config.num_steps // config.chunk_steps) * config.chunk_steps,
        step * state.loss.size,
        seconds,
        *jax.device_get(_lowest(state)),
        functools.partial(harden, state.picked, params, space=space),
    )


def _check_data(data: Data, space: Space) -> None:
    wanted = (space.spec.num_inputs, space.spec.num_outputs) * 2
    for name, array, num_columns in zip(Data._fields, data, wanted, strict=True):
        if array.ndim != 2 or array.shape[1] != num_columns:
            raise ValueError(
                f"data.{name} must have the shape [rows, {num_columns}], "
                f"got {list(array.shape)}"
            )


_STATIC = ("space", "config", "optimizer")
_init = jax.jit(init, static_argnames=_STATIC)


@functools.cache
def _make_chunk(
    devices: Devices,
    space: Space,
    config: DescentConfig,
    optimizer: optax.GradientTransformation,
) -> Callable[..., DescentState]:
    """Return the compiled `chunk`, the starts divided over devices."""
    static = {"space": space, "config": config, "optimizer": optimizer}

    # The old state is not donated: it is needed after Ctrl-C.
    def advance(state: DescentState, params: Any, data: Data, rate: Any) -> Any:
        return chunk(state, params, data, rate=rate, **static)

    return divide_first(advance, devices, axis=STARTS_AXIS)


_collect = jax.jit(collect, static_argnames=("space", "config"))


@jax.jit
def _lowest(state: DescentState) -> tuple[Array, Array]:
    return state.best_loss.min(axis=-1), state.picked_objective.min(axis=-1)
