"""Polish, shrink and judge many networks: compiled programs on blocks of one shape.

Host code around compiled programs. Networks are sorted into rooms for so many weights
and go through in blocks, so that few programs serve all of them and memory is bounded.
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


def polish_batch(
    networks: Network,
    sizes: Int[np.ndarray, " R"],
    problem: Problem,
    *,
    fit: Fit,
    num_steps: int,
) -> tuple[Network, Float[np.ndarray, " R"]]:
    """Networks after so many steps, and their losses; those of like size together."""
    rooms = np.array([bucket_of(int(size)) for size in sizes])
    loss = np.zeros(len(sizes))
    networks = jax.tree.map(np.array, networks)
    for room in np.unique(rooms):
        index = np.flatnonzero(rooms == room)
        fn = functools.partial(_polish, num_steps=num_steps)
        done, own = _in_blocks(fn, networks, index, int(room) - 1, problem, fit)
        loss[index] = own
        for leaf, new in zip(networks, done, strict=True):
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
    """Those of the index, of a size at most, with so many weights less, or a neuron."""
    fn = functools.partial(_remove, num=num)
    return _in_blocks(fn, networks, index, size, problem, fit)


def grow(
    networks: Network,
    index: np.ndarray,
    size: int,
    problem: Problem,
    *,
    fit: Fit,
    num: int = 1,
) -> Network:
    """Those of the index, of a size at most, with so many weights more."""
    fn = functools.partial(_grow, num=num)
    return _in_blocks(fn, networks, index, size, problem, fit)


def perturb(
    key: Key,
    networks: Network,
    index: np.ndarray,
    size: int,
    problem: Problem,
    *,
    fit: Fit,
) -> Network:
    """A variant of each of the index; repeats are varied differently."""
    chosen = jax.tree.map(lambda leaf: leaf[index], networks)
    numbers = np.arange(len(index))
    fn = functools.partial(_vary, key)
    return _in_blocks(fn, (numbers, chosen), numbers, size, problem, fit)


def simplify_and_score(
    networks: Network, problem: Problem, *, fit: Fit
) -> tuple[Network, Int[np.ndarray, " R"], Float[np.ndarray, " R"]]:
    """Networks without dead parts, how many weights each has, and their losses."""
    fn = functools.partial(_finish, problem=problem, fit=fit)
    return _in_chunks(fn, networks)


def validation_scores(
    networks: Network, problem: Problem, *, fit: Fit
) -> tuple[Float[np.ndarray, " R"], Float[np.ndarray, " R"]]:
    """Loss of networks, and the standard error of how much it is above the lowest."""
    fn = functools.partial(_evaluate, problem=problem, fit=fit)
    means = _in_chunks(fn, networks)
    if not np.isfinite(means).any():
        return means, np.zeros_like(means)
    best = jax.tree.map(lambda leaf: leaf[np.nanargmin(means)], networks)
    fn = functools.partial(_compare, problem=problem, best=best, fit=fit)
    return means, _in_chunks(fn, networks)


def count(networks: Network) -> Int[np.ndarray, " R"]:
    """Weights of each network, dead ones included."""
    return _in_chunks(_count, networks)


def _in_blocks(
    fn: Callable[..., Any],
    networks: Any,
    index: np.ndarray,
    size: int,
    problem: Problem,
    fit: Fit,
) -> Any:
    """`fn` of some networks, in blocks of one shape; repeats fill up the last one."""
    room, block = bucket_of(size), block_size(size, problem, fit=fit)
    outs = []
    for start in range(0, len(index), block):
        own = np.resize(index[start : start + block], block)
        part = jax.tree.map(lambda leaf, i=own: leaf[i], networks)
        out = fn(part, problem, fit=fit, num_places=room)
        num = len(index[start : start + block])
        outs.append(jax.tree.map(lambda leaf, n=num: leaf[:n], jax.device_get(out)))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *outs)


def _in_chunks(fn: Callable[[Network], Any], networks: Network, size: int = 64) -> Any:
    """`fn` of all networks, so many at a time; repeats fill up the last ones."""
    outs, num = [], len(networks.depth)
    for start in range(0, num, size):
        own = np.resize(np.arange(start, min(start + size, num)), size)
        part = jax.tree.map(lambda leaf, i=own: leaf[i], networks)
        outs.append(jax.device_get(fn(part)))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves)[:num], *outs)


@functools.partial(jax.jit, static_argnames=("fit", "num_places"))
def _polish(
    networks: Network,
    problem: Problem,
    *,
    fit: Fit,
    num_places: int,
    num_steps: int | jax.Array,
) -> tuple[Network, Float[jax.Array, " R"]]:
    def one(network: Network) -> tuple[Network, jax.Array]:
        return polish(
            network, problem, fit=fit, num_places=num_places, num_steps=num_steps
        )

    return jax.vmap(one)(networks)


@functools.partial(jax.jit, static_argnames=("fit", "num_places"))
def _remove(
    networks: Network,
    problem: Problem,
    *,
    fit: Fit,
    num_places: int,
    num: int | jax.Array,
) -> Network:
    def one(network: Network) -> Network:
        num_left = count_weights(network) - num

        def step(_: jax.Array, network: Network) -> Network:
            less = pruning.remove(network, problem, fit=fit, num_places=num_places)
            goes_on = count_weights(network) > num_left  # a neuron may be several
            return jax.tree.map(functools.partial(jnp.where, goes_on), less, network)

        return jax.lax.fori_loop(0, num, step, network)

    return jax.vmap(one)(networks)


@functools.partial(jax.jit, static_argnames="fit")
def _grow(
    networks: Network,
    problem: Problem,
    *,
    fit: Fit,
    num_places: jax.Array | int,
    num: int | jax.Array,
) -> Network:
    del num_places  # growing looks at all places: one program for all rooms

    def one(network: Network) -> Network:
        def step(_: jax.Array, network: Network) -> Network:
            return growth.grow(network, problem, fit=fit)

        return jax.lax.fori_loop(0, num, step, network)

    return jax.vmap(one)(networks)


@functools.partial(jax.jit, static_argnames="fit")
def _vary(
    key: Key,
    numbered: tuple[Int[jax.Array, " R"], Network],
    problem: Problem,
    *,
    fit: Fit,
    num_places: jax.Array | int,
) -> Network:
    del num_places  # as in growing

    def one(number: jax.Array, network: Network) -> Network:
        own_key = jax.random.fold_in(key, number)
        return growth.perturb(own_key, network, problem, fit=fit)

    return jax.vmap(one)(*numbered)


@functools.partial(jax.jit, static_argnames="fit")
def _finish(
    networks: Network, *, problem: Problem, fit: Fit
) -> tuple[Network, Int[jax.Array, " R"], Float[jax.Array, " R"]]:
    def one(network: Network) -> tuple[Network, jax.Array, jax.Array]:
        left = simplify(network, activations=fit.activations)
        return left, count_weights(left), evaluate(left, problem, fit=fit)[0]

    return jax.vmap(one)(networks)


@functools.partial(jax.jit, static_argnames="fit")
def _evaluate(
    networks: Network, *, problem: Problem, fit: Fit
) -> Float[jax.Array, " R"]:
    return jax.vmap(lambda network: evaluate(network, problem, fit=fit)[0])(networks)


@functools.partial(jax.jit, static_argnames="fit")
def _compare(
    networks: Network, *, problem: Problem, best: Network, fit: Fit
) -> Float[jax.Array, " R"]:
    """Standard errors of the differences to one network, over the same points."""
    loss, each = evaluate(best, problem, fit=fit)

    def one(network: Network) -> jax.Array:
        own_loss, own_each = evaluate(network, problem, fit=fit)
        spread = own_each - each - (own_loss - loss)
        square = (problem.weight * jnp.square(spread)).sum()
        # 1 / sum of squares is the number of points that the weights amount to.
        return jnp.sqrt(square * jnp.square(problem.weight).sum())

    return jax.vmap(one)(networks)


_count = jax.jit(jax.vmap(count_weights))
