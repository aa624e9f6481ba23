"""Polish, prune, grow and score many networks in blocks of equal shape.

Host code around compiled programs. Networks are grouped into buckets by weight count
and processed in blocks of equal shape, so that few programs are compiled and memory is
bounded. Networks have a leading axis R; results are NumPy arrays.
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from swajax.data.problem import Problem
from swajax.network import count_weights, simplify
from swajax.refine import growth, pruning
from swajax.refine.buckets import block_size, bucket_of
from swajax.refine.levenberg_marquardt import polish
from swajax.refine.quadratic import Fit, evaluate
from swajax.types import Key, Network

LIGHT_BLOCK = 64  # networks per block where no Gauss-Newton matrix is computed


def polish_batch(
    networks: Network,
    sizes: Int[np.ndarray, " R"],
    problem: Problem,
    *,
    fit: Fit,
    num_steps: int,
) -> tuple[Network, Float[np.ndarray, " R"]]:
    """Run `swajax.refine.levenberg_marquardt.polish` on many networks.

    Args:
      networks: R networks.
      sizes: upper limit of the weights of each network, below `BUCKETS[-1]`.
      problem: rows to fit.
      fit: the settings of the fit.
      num_steps: number of Levenberg-Marquardt steps.

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
        fn = functools.partial(
            _polish,
            problem=problem,
            fit=fit,
            capacity=int(bucket),
            num_steps=num_steps,
        )
        block = block_size(int(bucket) - 1, problem, fit=fit)
        fitted, own_loss = _map_blocks(fn, networks, index, block)
        loss[index] = own_loss
        for leaf, new in zip(networks, fitted, strict=True):
            leaf[index] = new
    return networks, loss


def remove(
    networks: Network,
    index: np.ndarray,
    size: int,
    problem: Problem,
    *,
    fit: Fit,
    num: int = 1,
) -> Network:
    """Remove `num` weights, or at least one neuron, from the indexed networks.

    Args:
      networks: R networks.
      index: networks to process; repeats are allowed.
      size: upper limit of the weights of each network, below `BUCKETS[-1]`.
      problem: rows that they are fitted to.
      fit: the settings of the fit.
      num: number of weights to remove, one by one without a fit in between; more are
        removed if the last step removes a neuron.

    Returns:
      The smaller networks, in the order of `index`.

    Raises:
      ValueError: a network has more weights than the bucket of the size holds.
    """
    capacity = bucket_of(size)
    chosen = jax.tree.map(lambda leaf: leaf[index], networks)
    _check_sizes(chosen, np.full(len(index), capacity))
    fn = functools.partial(
        _remove, problem=problem, fit=fit, capacity=capacity, num=num
    )
    block = block_size(size, problem, fit=fit)
    return _map_blocks(fn, networks, index, block)


def grow(
    networks: Network,
    index: np.ndarray,
    size: int,
    problem: Problem,
    *,
    fit: Fit,
    num: int = 1,
) -> Network:
    """Add `num` weights to the indexed networks (see `remove` for the arguments)."""
    fn = functools.partial(_grow, problem=problem, fit=fit, num=num)
    return _map_blocks(fn, networks, index, block_size(size, problem, fit=fit))


def perturb(
    key: Key,
    networks: Network,
    index: np.ndarray,
    size: int,
    problem: Problem,
    *,
    fit: Fit,
) -> Network:
    """Draw one random variant per entry of the index; repeats differ.

    The key is consumed; see `remove` for the other arguments.
    """
    chosen = jax.tree.map(lambda leaf: leaf[index], networks)
    numbers = np.arange(len(index))
    fn = functools.partial(_perturb, key, problem=problem, fit=fit)
    block = block_size(size, problem, fit=fit)
    return _map_blocks(fn, (numbers, chosen), numbers, block)


def simplify_and_score(
    networks: Network, problem: Problem, *, fit: Fit
) -> tuple[Network, Int[np.ndarray, " R"], Float[np.ndarray, " R"]]:
    """Remove dead parts; return the networks, their weight counts and their losses."""
    fn = functools.partial(_simplify_and_score, problem=problem, fit=fit)
    return _map_all(fn, networks)


def validation_scores(
    networks: Network, problem: Problem, *, fit: Fit
) -> tuple[Float[np.ndarray, " R"], Float[np.ndarray, " R"]]:
    """Return losses, and standard errors of their differences to the lowest loss."""
    fn = functools.partial(_evaluate, problem=problem, fit=fit)
    means = _map_all(fn, networks)
    if not np.isfinite(means).any():
        return means, np.zeros_like(means)
    best = jax.tree.map(lambda leaf: leaf[np.nanargmin(means)], networks)
    fn = functools.partial(_compare, problem=problem, best=best, fit=fit)
    return means, _map_all(fn, networks)


def count(networks: Network) -> Int[np.ndarray, " R"]:
    """Count the non-zero weights and biases of each network, dead ones included."""
    return _map_all(_count, networks)


def _check_sizes(networks: Network, capacity: Int[np.ndarray, " R"]) -> None:
    num_weights = count(networks)
    for index in np.flatnonzero(num_weights > capacity)[:1]:
        raise ValueError(
            f"network {index} has {num_weights[index]} weights, "
            f"but its bucket holds {capacity[index]}"
        )


def _map_blocks(
    fn: Callable[[Any], Any], networks: Any, index: np.ndarray, block: int
) -> Any:
    """Apply `fn` to indexed networks in blocks; repeats fill up the last one."""
    outs = []
    for start in range(0, len(index), block):
        part = index[start : start + block]
        filled = np.resize(part, block)
        out = fn(jax.tree.map(lambda leaf, i=filled: leaf[i], networks))
        num = len(part)
        outs.append(jax.tree.map(lambda leaf, n=num: leaf[:n], jax.device_get(out)))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *outs)


def _map_all(fn: Callable[[Network], Any], networks: Network) -> Any:
    return _map_blocks(fn, networks, np.arange(len(networks.depth)), LIGHT_BLOCK)


@functools.partial(jax.jit, static_argnames="capacity")
def _polish(
    networks: Network,
    *,
    problem: Problem,
    fit: Fit,
    capacity: int,
    num_steps: int | jax.Array,
) -> tuple[Network, Float[jax.Array, " R"]]:
    def one(network: Network) -> tuple[Network, jax.Array]:
        return polish(network, problem, fit=fit, capacity=capacity, num_steps=num_steps)

    return jax.vmap(one)(networks)


@functools.partial(jax.jit, static_argnames="capacity")
def _remove(
    networks: Network,
    *,
    problem: Problem,
    fit: Fit,
    capacity: int,
    num: int | jax.Array,
) -> Network:
    def one(network: Network) -> Network:
        num_left = count_weights(network) - num

        def step(_: jax.Array, network: Network) -> Network:
            smaller = pruning.remove(network, problem, fit=fit, capacity=capacity)
            # A removed neuron counts as several weights.
            is_due = count_weights(network) > num_left
            return jax.tree.map(functools.partial(jnp.where, is_due), smaller, network)

        return jax.lax.fori_loop(0, num, step, network)

    return jax.vmap(one)(networks)


@jax.jit
def _grow(
    networks: Network, *, problem: Problem, fit: Fit, num: int | jax.Array
) -> Network:
    def one(network: Network) -> Network:
        def step(_: jax.Array, network: Network) -> Network:
            return growth.grow(network, problem, fit=fit)

        return jax.lax.fori_loop(0, num, step, network)

    return jax.vmap(one)(networks)


@jax.jit
def _perturb(
    key: Key,
    numbered: tuple[Int[jax.Array, " R"], Network],
    *,
    problem: Problem,
    fit: Fit,
) -> Network:
    def one(number: jax.Array, network: Network) -> Network:
        own_key = jax.random.fold_in(key, number)
        return growth.perturb(own_key, network, problem, fit=fit)

    return jax.vmap(one)(*numbered)


@jax.jit
def _simplify_and_score(
    networks: Network, *, problem: Problem, fit: Fit
) -> tuple[Network, Int[jax.Array, " R"], Float[jax.Array, " R"]]:
    def one(network: Network) -> tuple[Network, jax.Array, jax.Array]:
        live = simplify(network, activations=fit.activations)
        return live, count_weights(live), evaluate(live, problem, fit=fit)[0]

    return jax.vmap(one)(networks)


@jax.jit
def _evaluate(
    networks: Network, *, problem: Problem, fit: Fit
) -> Float[jax.Array, " R"]:
    return jax.vmap(lambda network: evaluate(network, problem, fit=fit)[0])(networks)


@jax.jit
def _compare(
    networks: Network, *, problem: Problem, best: Network, fit: Fit
) -> Float[jax.Array, " R"]:
    """Return standard errors of the loss differences to one network, on the same rows.

    They are sqrt(sum_n p_n (e_n - mean e)^2 / N_eff) for differences e and row weights
    p, with the effective number of rows N_eff = 1 / sum_n p_n^2.
    """
    loss, each = evaluate(best, problem, fit=fit)

    def one(network: Network) -> jax.Array:
        own_loss, own_each = evaluate(network, problem, fit=fit)
        spread = own_each - each - (own_loss - loss)
        square = (problem.weight * jnp.square(spread)).sum()
        return jnp.sqrt(square * jnp.square(problem.weight).sum())

    return jax.vmap(one)(networks)


_count = jax.jit(jax.vmap(count_weights))
