"""Sizes, errors and surface of one network."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from swajax.network import apply, count_neurons, count_weights, simplify
from swajax.types import Network

OTHER_INPUTS = 0.5  # value of all inputs but the first two in surfaces


def count_sizes(network: Network, activations: tuple[str, ...]) -> dict[str, int]:
    """Return depth and numbers of live neurons, live weights and all weights."""
    live = _simplify(network, activations=activations)
    return {
        "depth": int(network.depth),
        "num_neurons": int(count_neurons(live)),
        "num_weights": int(count_weights(live)),
        "num_weights_raw": int(count_weights(network)),
    }


def measure_errors(
    network: Network,
    x: Float[Array, "N I"],
    y: Float[Array, "N O"],
    activations: tuple[str, ...],
) -> dict[str, float]:
    """Return the errors of a network at points.

    Returns:
      `mse_ratio` is MSE/variance; `mpe_percent` is the median over the points of
      |prediction - y| / |y|. Neither depends on the scale of y.
    """
    out = np.asarray(evaluate(network, x, activations=activations))
    y = np.asarray(y)
    relative = np.abs(out - y) / np.maximum(np.abs(y), 1e-12)
    return {
        "mse_ratio": float(np.square(out - y).mean() / y.var()),
        "mpe_percent": float(100 * np.median(relative)),
    }


def surface_axis(num_each: int) -> Float[np.ndarray, " K"]:
    """Return the values of the first two inputs at which surfaces are sampled."""
    return np.linspace(-1, 1, num_each, dtype=np.float32)


def surface(
    network: Network, activations: tuple[str, ...], num_each: int
) -> Float[np.ndarray, "K K"]:
    """Evaluate a network over its first two inputs; rows follow the first input."""
    axis = surface_axis(num_each)
    x = np.full((num_each, num_each, network.first.shape[0]), OTHER_INPUTS, np.float32)
    x[..., 0], x[..., 1] = axis[:, None], axis[None]
    points = jnp.asarray(x.reshape(-1, x.shape[-1]))
    out = evaluate(network, points, activations=activations)
    return np.asarray(out).reshape(num_each, num_each)


evaluate = jax.jit(apply, static_argnames=("activations", "depth"))
_simplify = jax.jit(simplify, static_argnames="activations")
