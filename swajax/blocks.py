"""Polish, shrink and judge many networks: compiled programs on blocks of one shape.

Host code around compiled programs. Networks are sorted into rooms for so many weights
and go through in blocks, so that few programs serve all of them and memory is bounded.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from swajax import shrink
from swajax.network import count_weights, mask_weights, pack, simplify, unpack
from swajax.objectives import num_directions
from swajax.polish import Fit, Problem, evaluate, polish
from swajax.types import Key, Network, NetworkSpec

BLOCK_NUMBERS = 2**21  # numbers in the largest array of a block
MAX_BLOCK = 16
PLACES = (32, 64, 96, 128, 256)  # rooms for weights; each is a compiled program


def polish_all(
    networks: Network,
    sizes: Int[np.ndarray, " R"],
    problem: Problem,
    *,
    fit: Fit,
    num_steps: int,
) -> tuple[Network, Float[np.ndarray, " R"]]:
    """Networks after so many steps, and their losses; those of like size together."""
    rooms = np.array([find_room(int(size)) for size in sizes])
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


def vary(
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


def finish(
    networks: Network, problem: Problem, *, fit: Fit
) -> tuple[Network, Int[np.ndarray, " R"], Float[np.ndarray, " R"]]:
    """Networks without dead parts, how many weights each has, and their losses."""
    fn = functools.partial(_finish, problem=problem, fit=fit)
    return _in_chunks(fn, networks)


def judge(
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


def block_size(size: int, problem: Problem, *, fit: Fit) -> int:
    """How many networks of so many weights go through at a time."""
    directions = num_directions(problem.y.shape[0], fit.objective)
    numbers = problem.x.shape[1] * directions * find_room(size)
    return 2 ** int(np.log2(np.clip(BLOCK_NUMBERS / numbers, 1, MAX_BLOCK)))


def divide(
    sizes: Int[np.ndarray, " R"],
    rank: np.ndarray,
    problem: Problem,
    *,
    fit: Fit,
    num_blocks: int,
) -> list[Int[np.ndarray, " S"]]:
    """Indices of networks, in parts of so many blocks of one shape.

    The first part of each shape comes first, then the second of each; in a shape those
    of low rank come first.
    """
    rooms, turns = np.array([find_room(int(size)) for size in sizes]), []
    for room in np.unique(rooms):
        index = np.flatnonzero(rooms == room)
        index = index[np.argsort(rank[index], kind="stable")]
        num = num_blocks * block_size(int(room) - 1, problem, fit=fit)
        turns.append(np.split(index, range(num, len(index), num)))
    each = itertools.chain.from_iterable(itertools.zip_longest(*turns))
    return [part for part in each if part is not None]


def count(networks: Network) -> Int[np.ndarray, " R"]:
    """Weights of each network, dead ones included."""
    return _in_chunks(_count, networks)


@functools.partial(jax.jit, static_argnames="num_weights")
def cut(networks: Network, *, num_weights: int) -> Network:
    """Networks with at most so many weights, the largest."""

    def one(network: Network) -> Network:
        weights = pack(network)
        num = min(num_weights, len(weights))
        _, places = jax.lax.top_k(jnp.abs(weights), num)
        kept = jnp.zeros_like(weights).at[places].set(weights[places])
        return unpack(kept, network)

    return jax.vmap(one)(networks)


def fit_into(networks: Network, spec: NetworkSpec, limits: NetworkSpec) -> Network:
    """The same networks, as records of larger limits."""
    wide, deep = limits.max_width - spec.max_width, limits.max_depth - spec.max_depth
    kinds = np.array([limits.activations.index(name) for name in spec.activations])
    activation = np.zeros((*networks.mask.shape, len(limits.activations)), np.float32)
    activation[..., kinds] = networks.activation
    across, down = (0, wide), (0, deep)
    activation = np.pad(activation, ((0, 0), down, across, (0, 0)))
    activation[..., 0] += activation.sum(axis=-1) == 0  # what is absent has one as well
    return _mask(
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


def _in_blocks(
    fn: Callable[..., Any],
    networks: Any,
    index: np.ndarray,
    size: int,
    problem: Problem,
    fit: Fit,
) -> Any:
    """`fn` of some networks, in blocks of one shape; repeats fill up the last one."""
    room, block = find_room(size), block_size(size, problem, fit=fit)
    outs = []
    for start in range(0, len(index), block):
        own = np.resize(index[start : start + block], block)
        part = jax.tree.map(lambda leaf, i=own: leaf[i], networks)
        out = fn(part, problem, fit=fit, num_places=room)
        num = len(index[start : start + block])
        outs.append(jax.tree.map(lambda leaf, n=num: leaf[:n], jax.device_get(out)))
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *outs)


def find_room(size: int) -> int:
    """Places that a program has for networks of so many weights."""
    if size >= PLACES[-1]:
        raise ValueError(f"networks must have < {PLACES[-1]} weights, one has {size}")
    return next(room for room in PLACES if room > size)


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
            less = shrink.remove(network, problem, fit=fit, num_places=num_places)
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
            return shrink.grow(network, problem, fit=fit)

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
        return shrink.vary(own_key, network, problem, fit=fit)

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
_mask = jax.jit(jax.vmap(mask_weights))
