"""Argument checks of the functions that refine one network."""

import jax
import jax.numpy as jnp

from swajax.data.problem import Problem
from swajax.network import count_weights, mask_weights
from swajax.types import Network


def check_and_mask(
    network: Network,
    problem: Problem,
    activations: tuple[str, ...],
    capacity: int | None = None,
) -> Network:
    """Check the arguments and zero the weights of absent neurons and unused layers.

    Shapes are static, so they are checked under `jit` and `vmap` too. The number of
    weights is checked only if the network is concrete: traced code cannot raise.

    Args:
      network: one network with a hard mask (0 or 1).
      problem: the rows to fit.
      activations: names of the A activation kinds.
      capacity: upper limit of the number of non-zero weights; None for no limit.

    Returns:
      The network after `swajax.network.mask_weights`.

    Raises:
      ValueError: the network is a batch, the problem does not have shapes x [N, I],
        y [N, O] and weight [N], the activations do not match, or the network has more
        weights than the capacity.
    """
    if jnp.ndim(network.depth) != 0:
        raise ValueError(
            f"expected one network, got a batch of shape {jnp.shape(network.depth)}; "
            "use jax.vmap"
        )
    num_rows = jnp.shape(problem.x)[0]
    num_inputs, num_outputs = network.first.shape[0], network.readout.shape[1]
    shapes = tuple(jnp.shape(leaf) for leaf in problem)
    if shapes != ((num_rows, num_inputs), (num_rows, num_outputs), (num_rows,)):
        raise ValueError(
            "problem must have rows first, x [N, I], y [N, O] and weight [N], with "
            f"I = {num_inputs} and O = {num_outputs} as in the network; "
            f"got shapes {', '.join(map(str, shapes))}"
        )
    num_kinds = network.activation.shape[-1]
    if len(activations) != num_kinds:
        raise ValueError(
            f"activations must name the {num_kinds} kinds of the network, "
            f"got {activations}"
        )
    if capacity is not None:
        _check_capacity(network, capacity)
    return mask_weights(network)


def _check_capacity(network: Network, capacity: int) -> None:
    if capacity < 1:
        raise ValueError(f"capacity must be >= 1, got {capacity}")
    if any(isinstance(leaf, jax.core.Tracer) for leaf in network):
        return
    with jax.ensure_compile_time_eval():
        num_weights = int(count_weights(network))
    if num_weights > capacity:
        raise ValueError(
            f"capacity must be at least the number of weights, {num_weights}, "
            f"got {capacity}"
        )
