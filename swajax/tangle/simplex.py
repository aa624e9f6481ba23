"""Architecture vectors to probabilities: deterministic maps and random ones."""

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.scipy.special import digamma, gammaln
from jaxtyping import Array, Float, PyTree

from swajax.types import Key

MIN_CONCENTRATION = 1e-3  # below it draws of a gamma distribution underflow


def sparsemax(alphas: Float[Array, "*R K"]) -> Float[Array, "*R K"]:
    """The nearest point of the simplex (Martins and Astudillo, arXiv:1602.02068).

    Forward: max(alpha - t, 0), t such that the sum is 1; some options get exactly 0.
    Gradient: the true one; none for options with 0.
    """
    ordered = jnp.sort(alphas, axis=-1, descending=True)
    count = jnp.arange(1, alphas.shape[-1] + 1, dtype=alphas.dtype)
    count = count.reshape((1,) * (alphas.ndim - 1) + (-1,))
    sums = jnp.cumsum(ordered, axis=-1)
    num_open = (1 + count * ordered > sums).sum(axis=-1, keepdims=True)
    at_last = jnp.take_along_axis(sums, num_open - 1, axis=-1)
    threshold = (at_last - 1) / num_open.astype(alphas.dtype)
    return jnp.maximum(alphas - threshold, 0)


def concentration(alphas: Float[Array, "*R K"]) -> Float[Array, "*R K"]:
    """Parameters of a Dirichlet distribution, elu(alpha) + 1: 1 for alpha = 0."""
    return jnp.maximum(jax.nn.elu(alphas) + 1, MIN_CONCENTRATION)


def dirichlet(key: Key, alphas: PyTree[Float[Array, "_ _"]]) -> PyTree:
    """A draw from Dirichlet(elu(alpha) + 1) for each row (DrNAS, arXiv:2006.10355).

    All vectors share one draw of gamma variables: XLA takes seconds to compile each.

    Gradient: pathwise, through the draws of gamma variables.
    """
    beta, unravel = ravel_pytree(jax.tree.map(concentration, alphas))
    logs = unravel(jax.random.loggamma(key, beta))
    return jax.tree.map(jax.nn.softmax, logs)


def dirichlet_mean(alphas: Float[Array, "*R K"]) -> Float[Array, "*R K"]:
    """The mean of Dirichlet(elu(alpha) + 1)."""
    beta = concentration(alphas)
    return beta / beta.sum(axis=-1, keepdims=True)


def dirichlet_divergence(alphas: Float[Array, "R K"]) -> Float[Array, ""]:
    """Sum over the rows of KL(Dirichlet(elu(alpha) + 1) || Dirichlet(1)), in nats."""
    beta = concentration(alphas)
    total = beta.sum(axis=1)
    entropy_gap = (beta - 1) * (digamma(beta) - digamma(total)[:, None])
    normaliser = gammaln(total) - gammaln(beta).sum(axis=1)
    return (normaliser - gammaln(float(beta.shape[1])) + entropy_gap.sum(axis=1)).sum()


def gumbel(
    key: Key, alphas: Float[Array, "R K"], temperature: Float[Array, ""] | float
) -> Float[Array, "R K"]:
    """One-hot draws with the probabilities softmax(alpha) (GDAS, arXiv:1910.04465).

    Forward: one-hot of the largest of log softmax(alpha) + Gumbel noise.
    Gradient: that of the softmax of the same, divided by the temperature.
    """
    noise = jax.random.gumbel(key, alphas.shape, alphas.dtype)
    soft = jax.nn.softmax((jax.nn.log_softmax(alphas) + noise) / temperature)
    hard = jax.nn.one_hot(soft.argmax(axis=-1), soft.shape[-1], dtype=soft.dtype)
    return hard + (soft - jax.lax.stop_gradient(soft))


def uniform_one_hot(key: Key, alphas: Float[Array, "R K"]) -> Float[Array, "R K"]:
    """One-hot draws with equal probabilities (SPOS, arXiv:1904.00420); no gradient."""
    rows, options = alphas.shape
    index = jax.random.randint(key, (rows,), 0, options)
    return jax.nn.one_hot(index, options, dtype=alphas.dtype)
