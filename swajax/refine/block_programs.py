"""Compiled programs of blocks of networks, divided over devices.

A program takes a block of networks, leaves [R, ...], the rows, the settings of the fit
and further arguments that all networks share. Host code that calls them is
`swajax.refine.batches`.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from swajax.data.problem import Problem
from swajax.io.devices import Devices, all_devices, divide_first
from swajax.network import apply, count_weights, make_dense, simplify
from swajax.refine import growth, pruning
from swajax.refine.buckets import BUCKETS, block_size, bucket_of
from swajax.refine.levenberg_marquardt import polish
from swajax.refine.quadratic import Fit, evaluate
from swajax.types import Key, Network, NetworkSpec

ProgramName = Literal["polish", "refit", "remove", "grow", "perturb", "score", "losses"]
CAPACITY_PROGRAMS = ("polish", "refit", "remove")
LIGHT_BUCKET = BUCKETS[0]  # of programs without a Gauss-Newton matrix


def compile_program(
    name: ProgramName,
    problem: Problem,
    *,
    spec: NetworkSpec,
    fit: Fit,
    devices: Devices,
    size: int = LIGHT_BUCKET,
) -> None:
    """Compile a program for rows and a size, as the functions above will call it.

    Args:
      name: name of the program.
      problem: the rows, in the floating-point type of the networks.
      spec: limits of the networks.
      fit: the settings of the fit.
      devices: devices that share the work.
      size: upper limit of the weights of each network, of `polish` and `remove`.
    """
    num = block_size(size, problem, fit=fit, devices=devices)

    def stack(leaf: Any) -> jax.ShapeDtypeStruct:
        is_float = jnp.issubdtype(leaf.dtype, jnp.floating)
        dtype = problem.x.dtype if is_float else leaf.dtype
        return jax.ShapeDtypeStruct((num, *leaf.shape), dtype)

    batch: Any = jax.tree.map(stack, jax.eval_shape(lambda: make_dense(spec)))
    extra: tuple[Any, ...] = (np.int32(0),)
    if name == "perturb":
        batch = jax.ShapeDtypeStruct((num,), np.int32), batch
        extra = (jax.random.key(0),)
    elif name in ("score", "losses"):
        extra = ()
    elif name == "refit":
        batch = batch, jax.ShapeDtypeStruct((num,), problem.x.dtype)
    capacity = bucket_of(size) if name in CAPACITY_PROGRAMS else None
    program = get_program(name, devices, capacity)
    program.lower(batch, problem, fit, *extra).compile()


def get_program(
    name: ProgramName, devices: Devices | None, capacity: int | None = None
) -> Any:
    """Return the compiled function (block, problem, fit, ...) of networks."""
    return _make_program(name, all_devices(devices), capacity)


@functools.cache
def _make_program(name: ProgramName, devices: Devices, capacity: int | None) -> Any:
    fn = PROGRAMS[name]
    if capacity is not None:
        fn = functools.partial(fn, capacity=capacity)
    use = "often" if name in ("polish", "refit", "perturb") else "seldom"
    return divide_first(fn, devices, use=use)


def _polish(
    networks: Network,
    problem: Problem,
    fit: Fit,
    num_steps: Int[jax.Array, ""],
    *,
    capacity: int,
) -> tuple[Network, Float[jax.Array, " R"]]:
    def one(network: Network) -> tuple[Network, jax.Array]:
        return polish(network, problem, fit=fit, capacity=capacity, num_steps=num_steps)

    return jax.vmap(one)(networks)


def _refit(
    batch: tuple[Network, Float[jax.Array, " R"]],
    problem: Problem,
    fit: Fit,
    num_steps: Int[jax.Array, ""],
    *,
    capacity: int,
) -> tuple[Network, Float[jax.Array, "R N O"]]:
    def one(network: Network, decay: jax.Array) -> tuple[Network, jax.Array]:
        own_fit = dataclasses.replace(fit, weight_decay=decay)
        options = {"fit": own_fit, "capacity": capacity, "num_steps": num_steps}
        network, _ = polish(network, problem, **options)
        return network, apply(network, problem.x, activations=fit.activations)

    return jax.vmap(one)(*batch)


def _remove(
    networks: Network,
    problem: Problem,
    fit: Fit,
    num: Int[jax.Array, ""],
    *,
    capacity: int,
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


def _grow(
    networks: Network, problem: Problem, fit: Fit, num: Int[jax.Array, ""]
) -> Network:
    def one(network: Network) -> Network:
        def step(_: jax.Array, network: Network) -> Network:
            return growth.grow(network, problem, fit=fit)

        return jax.lax.fori_loop(0, num, step, network)

    return jax.vmap(one)(networks)


def _perturb(
    numbered: tuple[Int[jax.Array, " R"], Network],
    problem: Problem,
    fit: Fit,
    key: Key,
) -> Network:
    def one(number: jax.Array, network: Network) -> Network:
        own_key = jax.random.fold_in(key, number)
        return growth.perturb(own_key, network, problem, fit=fit)

    return jax.vmap(one)(*numbered)


def _simplify_and_score(
    networks: Network, problem: Problem, fit: Fit
) -> tuple[Network, Int[jax.Array, " R"], Float[jax.Array, " R"]]:
    def one(network: Network) -> tuple[Network, jax.Array, jax.Array]:
        live = simplify(network, activations=fit.activations)
        return live, count_weights(live), evaluate(live, problem, fit=fit)[0]

    return jax.vmap(one)(networks)


def _row_losses(
    networks: Network, problem: Problem, fit: Fit
) -> Float[jax.Array, "R N"]:
    return jax.vmap(lambda network: evaluate(network, problem, fit=fit)[1])(networks)


PROGRAMS: dict[ProgramName, Callable] = {
    "polish": _polish,
    "refit": _refit,
    "remove": _remove,
    "grow": _grow,
    "perturb": _perturb,
    "score": _simplify_and_score,
    "losses": _row_losses,
}
"""Functions of a block of networks; its other arguments are shared by the networks."""
