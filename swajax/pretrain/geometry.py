"""Comparison of distances between embeddings with distances between functions."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from swajax.network import permute
from swajax.types import Key, Network


def distance_correlation(
    z: Float[Array, "B Z"], y: Float[Array, "B N O"]
) -> Float[Array, ""]:
    """Return the correlation over all pairs of embedding and log functional distance.

    The functional distance is the root mean squared difference in outputs. Its
    logarithm is used because it spans decades.
    """
    by_embedding = pairwise_distances(z)
    by_function = jnp.log(pairwise_distances(y.reshape(len(y), -1)) + 1e-3)
    is_pair = 1 - jnp.eye(len(z))

    def standardise(distances: Float[Array, "B B"]) -> Float[Array, "B B"]:
        centered = (distances - (distances * is_pair).sum() / is_pair.sum()) * is_pair
        return centered / jnp.sqrt(jnp.square(centered).sum() + 1e-12)

    return (standardise(by_embedding) * standardise(by_function)).sum()


def pairwise_distances(rows: Float[Array, "B D"]) -> Float[Array, "B B"]:
    """Return the root mean squared difference of each pair of rows, smooth at 0."""
    squares = jnp.square(rows).mean(axis=1)
    products = rows @ rows.T / rows.shape[1]
    squared = squares[:, None] + squares[None] - 2 * products
    return jnp.sqrt(jnp.maximum(squared, 0.0) + 1e-8)


def summarise_geometry(
    z: Float[np.ndarray, "B Z"],
    permuted: Float[np.ndarray, "B Z"],
    y: Float[np.ndarray, "B D"],
) -> dict[str, float]:
    """Return the Spearman correlation over all pairs and the recall of copies.

    Args:
      z: embeddings of networks.
      permuted: embeddings of copies of these networks with permuted neurons.
      y: outputs of the networks, one row per network.

    Returns:
      `spearman` and `recall_at_1`, see `swajax.pretrain.validation.validate`.
    """
    from scipy.stats import spearmanr  # slow to import

    upper = np.triu_indices(len(z), k=1)
    by_function, by_embedding = _distances(y, y)[upper], _distances(z, z)[upper]
    nearest = _distances(permuted, z).argmin(axis=1)
    spearman = spearmanr(by_embedding, by_function).statistic
    recall = (nearest == np.arange(len(z))).mean()
    return {"spearman": float(spearman), "recall_at_1": float(recall)}


def shuffle_neurons(key: Key, networks: Network) -> Network:
    """Put the neurons of each network of a batch in random order; consumes `key`."""
    scores = jax.random.uniform(key, networks.mask.shape)
    return jax.vmap(permute)(networks, jnp.argsort(scores, axis=-1))


def _distances(
    a: Float[np.ndarray, "B D"], b: Float[np.ndarray, "C D"]
) -> Float[np.ndarray, "B C"]:
    # Use float64: for near neighbours the difference of large squares is small.
    a, b = a.astype(np.float64), b.astype(np.float64)
    squares = np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None]
    return np.sqrt(np.maximum(squares - 2 * a @ b.T, 0) / a.shape[1])
