"""Polish, prune, grow and score many networks in blocks of equal shape.

Host code around compiled programs. Networks are grouped into buckets by weight count
and processed in blocks of equal shape, so that few programs are compiled and memory is
bounded. The networks of a block are divided over devices; each network is computed
alone, so that results do not depend on the number of devices. Networks have a leading
axis R; results are NumPy arrays.
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from swajax.data.problem import Problem
from swajax.io.devices import Devices
from swajax.refine.block_programs import LIGHT_BUCKET, get_program
from swajax.refine.buckets import block_size, bucket_of
from swajax.refine.quadratic import Fit
from swajax.types import Key, Network

CHUNK_STEPS = 50  # polish steps between two looks at the clock
MAX_SCORED = 256  # networks whose losses per row are held at once


def polish_batch(
    networks: Network,
    sizes: Int[np.ndarray, " R"],
    problem: Problem,
    *,
    fit: Fit,
    num_steps: int,
    devices: Devices | None = None,
    is_over: Callable[[], bool] | None = None,
) -> tuple[Network, Float[np.ndarray, " R"]]:
    """Run `swajax.refine.levenberg_marquardt.polish` on many networks.

    Args:
      networks: R networks.
      sizes: upper limit of the weights of each network, at most `BUCKETS[-1]`.
      problem: rows to fit.
      fit: the settings of the fit.
      num_steps: number of Levenberg-Marquardt steps.
      devices: devices that share the work; all of this process by default.
      is_over: called after every `CHUNK_STEPS` steps of a block; once true, the
        remaining steps are left out.

    Returns:
      The fitted networks and their losses, including the weight decay.

    Raises:
      ValueError: a network has more weights than the bucket of its size holds.
    """
    buckets = np.array([bucket_of(int(size)) for size in sizes])
    _check_sizes(networks, buckets)
    loss = np.zeros(len(sizes))
    networks = jax.tree.map(np.array, networks)
    for bucket in np.unique(buckets):
        index = np.flatnonzero(buckets == bucket)
        program = get_program("polish", devices, int(bucket))

        def run(block: Network, program: Callable = program) -> tuple[Network, Any]:
            left = num_steps
            while True:
                now = left if is_over is None else min(left, CHUNK_STEPS)
                block, own_loss = program(block, problem, fit, np.int32(now))
                left -= now
                if not left or is_over():
                    return block, own_loss

        fitted, own_loss = _map_blocks(
            run, networks, index, problem, fit=fit, devices=devices, size=int(bucket)
        )
        loss[index] = own_loss
        for leaf, new in zip(networks, fitted, strict=True):
            leaf[index] = new
    return networks, loss


def refit(
    networks: Network,
    sizes: Int[np.ndarray, " R"],
    problem: Problem,
    decay: Float[np.ndarray, " R"],
    *,
    fit: Fit,
    num_steps: int,
    devices: Devices | None = None,
) -> tuple[Network, Float[np.ndarray, "R N O"]]:
    """Polish networks with a weight decay of each, and compute their outputs.

    Args:
      networks: R networks.
      sizes: number of weights of each network.
      problem: rows; those of weight 0 are not fitted, as the fold that is held out.
      decay: weight decay of each network, instead of that of `fit`.
      fit: the settings of the fit.
      num_steps: number of Levenberg-Marquardt steps.
      devices: devices that share the work; all of this process by default.

    Returns:
      The networks and their outputs for all rows.
    """
    buckets = np.array([bucket_of(int(size)) for size in sizes])
    _check_sizes(networks, buckets)
    weight = np.asarray(problem.weight, np.float64)
    problem = problem._replace(weight=(weight / weight.sum()).astype(np.float32))
    networks = jax.tree.map(np.array, networks)
    outputs = np.zeros((len(sizes), *problem.y.shape), np.float32)
    batch = networks, np.asarray(decay, np.float32)
    for bucket in np.unique(buckets):
        index = np.flatnonzero(buckets == bucket)
        program = get_program("refit", devices, int(bucket))

        def run(block: Any, program: Callable = program) -> Any:
            return program(block, problem, fit, np.int32(num_steps))

        shared = {"fit": fit, "devices": devices, "size": int(bucket)}
        fitted, outputs[index] = _map_blocks(run, batch, index, problem, **shared)
        for leaf, new in zip(networks, fitted, strict=True):
            leaf[index] = new
    return networks, outputs


def remove(
    networks: Network,
    index: np.ndarray,
    size: int,
    problem: Problem,
    *,
    fit: Fit,
    num: int = 1,
    devices: Devices | None = None,
) -> Network:
    """Remove `num` weights, or at least one neuron, from the indexed networks.

    Args:
      networks: R networks.
      index: networks to process; repeats are allowed.
      size: upper limit of the weights of each network, at most `BUCKETS[-1]`.
      problem: rows that they are fitted to.
      fit: the settings of the fit.
      num: number of weights to remove, one by one without a fit in between; more are
        removed if the last step removes a neuron.
      devices: devices that share the work; all of this process by default.

    Returns:
      The smaller networks, in the order of `index`.

    Raises:
      ValueError: a network has more weights than the bucket of the size holds.
    """
    capacity = bucket_of(size)
    chosen = jax.tree.map(lambda leaf: leaf[index], networks)
    _check_sizes(chosen, np.full(len(index), capacity))
    program = get_program("remove", devices, capacity)

    def run(block: Network) -> Network:
        return program(block, problem, fit, np.int32(num))

    shared = {"fit": fit, "devices": devices, "size": size}
    return _map_blocks(run, networks, index, problem, **shared)


def grow(
    networks: Network,
    index: np.ndarray,
    size: int,
    problem: Problem,
    *,
    fit: Fit,
    num: int = 1,
    devices: Devices | None = None,
) -> Network:
    """Add `num` weights to the indexed networks (see `remove` for the arguments)."""
    del size
    program = get_program("grow", devices)

    def run(block: Network) -> Network:
        return program(block, problem, fit, np.int32(num))

    return _map_blocks(run, networks, index, problem, fit=fit, devices=devices)


def perturb(
    key: Key,
    networks: Network,
    index: np.ndarray,
    problem: Problem,
    *,
    fit: Fit,
    devices: Devices | None = None,
) -> Network:
    """Draw one random variant per entry of the index; repeats differ.

    The key is consumed; see `remove` for the other arguments.
    """
    chosen = jax.tree.map(lambda leaf: leaf[index], networks)
    numbers = np.arange(len(index), dtype=np.int32)
    program = get_program("perturb", devices)

    def run(block: tuple[np.ndarray, Network]) -> Network:
        return program(block, problem, fit, key)

    numbered = numbers, chosen
    return _map_blocks(run, numbered, numbers, problem, fit=fit, devices=devices)


def simplify_and_score(
    networks: Network, problem: Problem, *, fit: Fit, devices: Devices | None = None
) -> tuple[Network, Int[np.ndarray, " R"], Float[np.ndarray, " R"]]:
    """Remove dead parts; return the networks, their weight counts and their losses."""
    program = get_program("score", devices)

    def run(block: Network) -> tuple[Network, Any, Any]:
        return program(block, problem, fit)

    every = np.arange(len(networks.depth))
    return _map_blocks(run, networks, every, problem, fit=fit, devices=devices)


def validation_scores(
    networks: Network, problem: Problem, *, fit: Fit, devices: Devices | None = None
) -> tuple[Float[np.ndarray, " R"], Float[np.ndarray, " R"]]:
    """Return losses, and standard errors of their differences to the lowest loss.

    The standard errors are sqrt(sum_n p_n (e_n - mean e)^2 / N_eff) for differences e
    on the same rows and row weights p, with the effective number of rows
    N_eff = 1 / sum_n p_n^2.
    """
    program = get_program("losses", devices)
    weight = np.asarray(problem.weight, np.float64)
    shared = {"fit": fit, "devices": devices}

    def each(index: np.ndarray) -> Float[np.ndarray, "S N"]:
        losses = _map_blocks(
            lambda block: program(block, problem, fit),
            networks,
            index,
            problem,
            **shared,
        )
        return losses.astype(np.float64)

    # Row losses of all networks may not fit into memory.
    parts = [
        np.arange(start, min(start + MAX_SCORED, len(networks.depth)))
        for start in range(0, len(networks.depth), MAX_SCORED)
    ]
    means = np.concatenate([each(index) @ weight for index in parts])
    if not np.isfinite(means).any():
        return means, np.zeros_like(means)
    best = int(np.nanargmin(np.where(np.isfinite(means), means, np.nan)))
    best_losses = each(np.array([best]))[0]

    def spread(index: np.ndarray) -> Float[np.ndarray, " S"]:
        with np.errstate(invalid="ignore"):  # infinite losses
            diff = each(index) - best_losses - (means[index] - means[best])[:, None]
            return np.square(diff) @ weight

    squares = np.concatenate([spread(index) for index in parts])
    return means, np.sqrt(squares * np.square(weight).sum())


def count(networks: Network) -> Int[np.ndarray, " R"]:
    """Count the non-zero weights and biases of each network, dead ones included.

    `swajax.network.count_weights` of many networks, without compilation.
    """
    networks = jax.tree.map(np.asarray, networks)
    depth = networks.depth
    used = np.arange(networks.mask.shape[1]) < depth[:, None]
    mask = (networks.mask != 0) & used[..., None]
    last = mask[np.arange(len(depth)), depth - 1]
    present = (
        (networks.first != 0) & mask[:, 0, None],
        (networks.hidden != 0) & mask[:, :-1, :, None] & mask[:, 1:, None],
        (networks.readout != 0) & last[..., None],
        (networks.bias != 0) & mask,
        networks.readout_bias != 0,
    )
    return sum(part.reshape(len(depth), -1).sum(axis=1) for part in present)


def _check_sizes(networks: Network, capacity: Int[np.ndarray, " R"]) -> None:
    num_weights = count(networks)
    for index in np.flatnonzero(num_weights > capacity)[:1]:
        raise ValueError(
            f"network {index} has {num_weights[index]} weights, "
            f"but its bucket holds {capacity[index]}"
        )


def _map_blocks(
    fn: Callable[[Any], Any],
    networks: Any,
    index: np.ndarray,
    problem: Problem,
    *,
    fit: Fit,
    devices: Devices | None,
    size: int = LIGHT_BUCKET,
) -> Any:
    """Apply `fn` to indexed networks in blocks; repeats fill up the last one."""
    block = block_size(
        size,
        problem,
        fit=fit,
        devices=devices,
        num_networks=len(index),
    )
    outs = []
    for start in range(0, len(index), block):
        filled = np.resize(index[start : start + block], block)
        outs.append(fn(jax.tree.map(lambda leaf, i=filled: leaf[i], networks)))
    outs = jax.device_get(outs)  # at the end, so that the devices do not wait
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[: len(index)], *outs)
