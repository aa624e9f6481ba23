"""Samplers of architectures, records of pure functions like optimizers in optax.

    sampler = make_sampler("drnas")
    alphas = sampler.init(key, space.choices)
    probabilities = sampler.sample(key, alphas, progress)

One draw serves a whole step: all layers that share a choice see the same probabilities.
A new sampler is a function that returns a `Sampler`, and one line in `SAMPLERS`, which
also adds it to the property tests.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from swajax.tangle import simplex
from swajax.tangle.choices import Choice, Probabilities
from swajax.types import Key

Alphas = Mapping[str, Float[Array, "_ _"]]  # [R, K] of each choice

INITIAL_SCALE = 1e-3  # scale of initial architecture vectors, arXiv:2312.10440


class Sampler(NamedTuple):
    """Map from architecture vectors to probabilities; all functions are pure."""

    init: Callable[[Key, Sequence[Choice]], dict[str, Array]]
    """maps key and choices to architecture vectors [R, K]"""
    sample: Callable[[Key, Alphas, Any], dict[str, Array]]
    """maps key, vectors and progress of the search in 0..1 to probabilities [R, K]"""
    mean: Callable[[Array], Array]
    """maps vectors [..., K] to the mean of the draws"""
    penalty: Callable[[Alphas], Float[Array, ""]]
    """maps vectors to a term that is added to their loss"""
    is_trained: bool
    """whether the vectors are trained"""


def darts(*, projection: Literal["softmax", "sparsemax"] = "softmax") -> Sampler:
    """Return the deterministic relaxation of DARTS (arXiv:1806.09055).

    Args:
      projection: map onto the simplex; sparsemax gives improbable options exactly 0.
    """
    maps = {"softmax": jax.nn.softmax, "sparsemax": simplex.sparsemax}
    if projection not in maps:
        raise ValueError(f"projection must be one of {list(maps)}, got {projection!r}")

    def sample(key: Key, alphas: Alphas, progress: Any) -> Probabilities:
        del key, progress
        return {name: maps[projection](vector) for name, vector in alphas.items()}

    return Sampler(_init, sample, maps[projection], _no_penalty, is_trained=True)


def drnas(*, divergence_weight: float = 0.0) -> Sampler:
    """Return the Dirichlet sampler of DrNAS (arXiv:2006.10355).

    A penalty keeps the distribution near the uniform one: either weight decay of the
    vectors (`optimizers.make_alpha_optimizer`) or a Kullback-Leibler divergence.

    Args:
      divergence_weight: weight of the divergence, 1e-3 in the paper; if above 0, the
        weight decay should be 0.

    Example:
      >>> sampler = drnas()
      >>> sampler.mean(jnp.zeros((1, 2))).tolist()
      [[0.5, 0.5]]
    """
    if not divergence_weight >= 0:
        raise ValueError(f"divergence_weight must be >= 0, got {divergence_weight}")

    def penalty(alphas: Alphas) -> Float[Array, ""]:
        each = (simplex.dirichlet_divergence(vector) for vector in alphas.values())
        return divergence_weight * sum(each)

    def sample(key: Key, alphas: Alphas, progress: Any) -> Probabilities:
        del progress
        return simplex.dirichlet(key, alphas)

    is_anchored = divergence_weight > 0
    anchor = penalty if is_anchored else _no_penalty
    return Sampler(_init, sample, simplex.dirichlet_mean, anchor, is_trained=True)


def gdas(*, first_temperature: float = 10.0, last_temperature: float = 0.1) -> Sampler:
    """Return the one-hot Gumbel sampler of GDAS (arXiv:1910.04465).

    Args:
      first_temperature: temperature of the gradient at the start of the search.
      last_temperature: temperature at its end; linear in between.
    """
    if not first_temperature >= last_temperature > 0:
        raise ValueError(
            "temperatures must be > 0 and must not increase, got "
            f"{first_temperature} to {last_temperature}"
        )

    def sample(key: Key, alphas: Alphas, progress: Any) -> Probabilities:
        fall = (first_temperature - last_temperature) * progress
        temperature = first_temperature - fall

        def draw(key: Key, vector: Float[Array, "R K"]) -> Float[Array, "R K"]:
            return simplex.gumbel(key, vector, temperature)

        return _draw_each(draw, key, alphas)

    return Sampler(_init, sample, jax.nn.softmax, _no_penalty, is_trained=True)


def spos() -> Sampler:
    """Return the uniform one-hot sampler of SPOS (arXiv:1904.00420).

    It is the first of two stages; `swajax.tangle.selection` then chooses a network.
    """

    def sample(key: Key, alphas: Alphas, progress: Any) -> Probabilities:
        del progress
        return _draw_each(simplex.uniform_one_hot, key, alphas)

    def mean(alphas: Float[Array, "*R K"]) -> Float[Array, "*R K"]:
        return jnp.full_like(alphas, 1 / alphas.shape[-1])

    return Sampler(_init, sample, mean, _no_penalty, is_trained=False)


SAMPLERS: dict[str, Callable[..., Sampler]] = {
    "darts": darts,
    "drnas": drnas,
    "gdas": gdas,
    "spos": spos,
}


def make_sampler(name: str, **options: Any) -> Sampler:
    """Return the sampler of a name.

    Args:
      name: key of `SAMPLERS`.
      **options: arguments of its function.

    Raises:
      ValueError: the name is unknown or an option is invalid.
    """
    if name not in SAMPLERS:
        raise ValueError(f"sampler must be one of {list(SAMPLERS)}, got {name!r}")
    try:
        return SAMPLERS[name](**options)
    except TypeError as error:
        raise ValueError(f"sampler {name}: {error}") from error


def _init(key: Key, choices: Sequence[Choice]) -> Alphas:
    zeros = {c.name: jnp.zeros((c.num_rows, len(c.options))) for c in choices}
    flat, unravel = ravel_pytree(zeros)
    return unravel(INITIAL_SCALE * jax.random.normal(key, flat.shape))


def _draw_each(
    draw_fn: Callable[..., Array], key: Key, alphas: Alphas
) -> Probabilities:
    keys = jax.random.split(key, len(alphas))
    # In alphabetical order: jit sorts mappings, which must not change the draws.
    return {
        name: draw_fn(subkey, alphas[name])
        for subkey, name in zip(keys, sorted(alphas), strict=True)
    }


def _no_penalty(alphas: Alphas) -> Float[Array, ""]:
    del alphas
    return jnp.zeros(())
