"""Fit networks again to weighted rows, all networks and weightings in one program.

The structure stays. A fold of a cross-validation is a weighting that is 0 on the rows
held out, so that all folds share the arrays of the rows.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from swajax.data.problem import Problem
from swajax.network import apply
from swajax.refine.buckets import bucket_of
from swajax.refine.levenberg_marquardt import polish
from swajax.refine.quadratic import Fit
from swajax.types import Network

BLOCK = 8  # networks per block, for each weighting


def refit(
    networks: Network,
    sizes: Int[np.ndarray, " R"],
    problem: Problem,
    weights: Float[np.ndarray, "F N"],
    decay: Float[np.ndarray, " R"],
    *,
    fit: Fit,
    num_steps: int,
) -> tuple[Network, Float[np.ndarray, "F R N O"]]:
    """Polish each network for each weighting of the rows, from where it is.

    Args:
      networks: R networks.
      sizes: number of weights of each network.
      problem: rows; their own weights are ignored.
      weights: F weightings of the rows, of any scale.
      decay: weight decay of each network, instead of that of `fit`.
      fit: the settings of the fit.
      num_steps: number of Levenberg-Marquardt steps.

    Returns:
      The networks [F, R, ...] and their outputs for all rows.
    """
    shape = (len(weights), len(sizes))
    fitted = jax.tree.map(lambda leaf: np.zeros(shape + leaf.shape[1:]), networks)
    fitted = jax.tree.map(lambda leaf, old: leaf.astype(old.dtype), fitted, networks)
    outputs = np.zeros((*shape, *problem.y.shape), np.float32)
    weights = weights / weights.sum(axis=1, keepdims=True)
    buckets = np.array([bucket_of(int(size)) for size in sizes])
    for bucket in np.unique(buckets):
        index = np.flatnonzero(buckets == bucket)
        for start in range(0, len(index), BLOCK):
            part = index[start : start + BLOCK]
            filled = np.resize(part, BLOCK)
            own = jax.tree.map(lambda leaf, i=filled: leaf[i], networks)
            new, out = jax.device_get(
                _refit(
                    own,
                    problem,
                    weights,
                    decay[filled],
                    fit=fit,
                    capacity=int(bucket),
                    num_steps=num_steps,
                )
            )
            outputs[:, part] = out[:, : len(part)]
            for leaf, value in zip(fitted, new, strict=True):
                leaf[:, part] = value[:, : len(part)]
    return fitted, outputs


@functools.partial(jax.jit, static_argnames="capacity")
def _refit(
    networks: Network,
    problem: Problem,
    weights: Float[jax.Array, "F N"],
    decay: Float[jax.Array, " R"],
    *,
    fit: Fit,
    capacity: int,
    num_steps: int | jax.Array,
) -> tuple[Network, Float[jax.Array, "F R N O"]]:
    def one(
        weight: jax.Array, network: Network, decay: jax.Array
    ) -> tuple[Network, jax.Array]:
        own_fit = dataclasses.replace(fit, weight_decay=decay)
        rows = Problem(*map(jnp.asarray, problem[:2]), weight)
        options = {"fit": own_fit, "capacity": capacity, "num_steps": num_steps}
        network, _ = polish(network, rows, **options)
        return network, apply(network, rows.x, activations=fit.activations)

    over_networks = jax.vmap(one, in_axes=(None, 0, 0))
    return jax.vmap(over_networks, in_axes=(0, None, None))(weights, networks, decay)
