"""Distances of embeddings against distances of functions, as a loss."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def distance_correlation(
    z: Float[Array, "B Z"], y: Float[Array, "B N O"]
) -> Float[Array, ""]:
    """Correlation over all pairs of embedding distance and log functional distance.

    The functional distance is the root mean square of the difference in outputs; it
    spans decades, hence its logarithm.
    """
    by_embedding = pairwise_distances(z)
    by_function = jnp.log(pairwise_distances(y.reshape(len(y), -1)) + 1e-3)
    is_pair = 1 - jnp.eye(len(z))

    def standardise(distances: Float[Array, "B B"]) -> Float[Array, "B B"]:
        centered = (distances - (distances * is_pair).sum() / is_pair.sum()) * is_pair
        return centered / jnp.sqrt(jnp.square(centered).sum() + 1e-12)

    return (standardise(by_embedding) * standardise(by_function)).sum()


def pairwise_distances(rows: Float[Array, "B D"]) -> Float[Array, "B B"]:
    """Root mean squared difference of each two rows; smooth at 0."""
    squares = jnp.square(rows).mean(axis=1)
    products = rows @ rows.T / rows.shape[1]
    squared = squares[:, None] + squares[None] - 2 * products
    return jnp.sqrt(jnp.maximum(squared, 0.0) + 1e-8)
