"""Maps from architecture vectors to the simplex, deterministic and random."""

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jax.scipy.special import digamma, gammaln
from jaxtyping import Array, Float, PyTree

from swajax.types import Key

MIN_CONCENTRATION = 1e-3  # below it, draws of a gamma distribution underflow


def sparsemax(alphas: Float[Array, "*R K"]) -> Float[Array, "*R K"]:
    """Return the nearest point of the simplex (arXiv:1602.02068).

    Forward: max(alpha - t, 0) with t such that the sum is 1; some options get exactly
    0. Gradient: exact; 0 for options at 0.

    Example:
      >>> sparsemax(jnp.asarray([[3.0, 0.0, 0.0]])).tolist()
      [[1.0, 0.0, 0.0]]
    """
    ordered = jnp.sort(alphas, axis=-1, descending=True)
    count = jnp.arange(1, alphas.shape[-1] + 1, dtype=alphas.dtype)
    count = count.reshape((1,) * (alphas.ndim - 1) + (-1,))
    sums = jnp.cumsum(ordered, axis=-1)
    num_active = (1 + count * ordered > sums).sum(axis=-1, keepdims=True)
    at_last = jnp.take_along_axis(sums, num_active - 1, axis=-1)
    threshold = (at_last - 1) / num_active.astype(alphas.dtype)
    return jnp.maximum(alphas - threshold, 0)


def concentration(alphas: Float[Array, "*R K"]) -> Float[Array, "*R K"]:
    """Return the parameters elu(alpha) + 1 of a Dirichlet distribution."""
    return jnp.maximum(jax.nn.elu(alphas) + 1, MIN_CONCENTRATION)


def dirichlet(key: Key, alphas: PyTree[Float[Array, "_ _"]]) -> PyTree:
    """Draw from Dirichlet(elu(alpha) + 1) per row (DrNAS, arXiv:2006.10355).

    All vectors share one draw of gamma variables, because XLA takes seconds to compile
    each draw.

    Gradient: pathwise, through the gamma variables.
    """
    beta, unravel = ravel_pytree(jax.tree.map(concentration, alphas))
    logs = unravel(jax.random.loggamma(key, beta))
    return jax.tree.map(jax.nn.softmax, logs)


def dirichlet_mean(alphas: Float[Array, "*R K"]) -> Float[Array, "*R K"]:
    """Return the mean of Dirichlet(elu(alpha) + 1)."""
    beta = concentration(alphas)
    return beta / beta.sum(axis=-1, keepdims=True)


def dirichlet_divergence(alphas: Float[Array, "R K"]) -> Float[Array, ""]:
    """Return KL(Dirichlet(elu(alpha) + 1) || Dirichlet(1)) of all rows, in nats."""
    beta = concentration(alphas)
    total = beta.sum(axis=1)
    entropy_gap = (beta - 1) * (digamma(beta) - digamma(total)[:, None])
    normaliser = gammaln(total) - gammaln(beta).sum(axis=1)
    return (normaliser - gammaln(float(beta.shape[1])) + entropy_gap.sum(axis=1)).sum()


def gumbel(
    key: Key, alphas: Float[Array, "R K"], temperature: Float[Array, ""] | float
) -> Float[Array, "R K"]:
    """Draw one-hot rows with probabilities softmax(alpha) (GDAS, arXiv:1910.04465).

    Forward: one-hot of the largest of s = log softmax(alpha) + Gumbel noise.
    Gradient: that of softmax(s / temperature).
    """
    noise = jax.random.gumbel(key, alphas.shape, alphas.dtype)
    soft = jax.nn.softmax((jax.nn.log_softmax(alphas) + noise) / temperature)
    hard = jax.nn.one_hot(soft.argmax(axis=-1), soft.shape[-1], dtype=soft.dtype)
    return hard + (soft - jax.lax.stop_gradient(soft))


def uniform_one_hot(key: Key, alphas: Float[Array, "R K"]) -> Float[Array, "R K"]:
    """Draw one-hot rows uniformly (SPOS, arXiv:1904.00420); no gradient."""
    rows, options = alphas.shape
    index = jax.random.randint(key, (rows,), 0, options)
    return jax.nn.one_hot(index, options, dtype=alphas.dtype)
