"""Samplers of architectures: pairs of init and sample, as optimizers are in optax.

    sampler = make_sampler("drnas")
    alphas = sampler.init(key, space.choices)
    probabilities = sampler.sample(key, alphas, progress)

One draw serves a whole step: all layers that share a choice see the same probabilities.
The next sampler is a function here that returns a `Sampler`, and a line in `SAMPLERS`.
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

INITIAL_SCALE = 1e-3  # of the architecture vectors, arXiv:2312.10440


class Sampler(NamedTuple):
    """How architecture vectors become probabilities; all functions are pure."""

    init: Callable[[Key, Sequence[Choice]], dict[str, Array]]
    """key and choices to architecture vectors [R, K]"""
    sample: Callable[[Key, Alphas, Any], dict[str, Array]]
    """key, vectors and progress of the search in 0..1 to probabilities [R, K]"""
    mean: Callable[[Array], Array]
    """vectors [..., K] to the probabilities that draws have on average"""
    penalty: Callable[[Alphas], Float[Array, ""]]
    """added to the loss of the vectors"""
    is_trained: bool
    """whether the vectors are trained at all"""


def darts(*, projection: Literal["softmax", "sparsemax"] = "softmax") -> Sampler:
    """Relaxation without chance (arXiv:1806.09055); first or second order alike.

    Args:
      projection: onto the simplex; sparsemax closes unlikely options entirely.
    """
    maps = {"softmax": jax.nn.softmax, "sparsemax": simplex.sparsemax}
    if projection not in maps:
        raise ValueError(f"projection must be one of {list(maps)}, got {projection!r}")

    def sample(key: Key, alphas: Alphas, progress: Any) -> Probabilities:
        del key, progress
        return {name: maps[projection](vector) for name, vector in alphas.items()}

    return Sampler(_init, sample, maps[projection], _no_penalty, is_trained=True)


def drnas(*, divergence_weight: float = 0.0) -> Sampler:
    """Draws from a Dirichlet distribution (arXiv:2006.10355).

    Two anchors keep it near the uniform one: weight decay of the vectors, which is the
    optimizer's (`optimizers.make_alpha_optimizer`), or the divergence here.

    Args:
      divergence_weight: of the Kullback-Leibler anchor, 1e-3 in the paper; then the
        optimizer's weight decay should be 0.
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
    """One-hot draws with a softened gradient (arXiv:1910.04465).

    Args:
      first_temperature: at the start of the search.
      last_temperature: at its end; linear between.
    """
    if not first_temperature >= last_temperature > 0:
        raise ValueError(
            "temperatures must be > 0 and must not rise, got "
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
    """Uniform one-hot draws; the first of two stages (arXiv:1904.00420).

    The second chooses a network by `swajax.tangle.selection`.
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
    """The sampler of a name.

    Raises:
      ValueError: unknown name, or an option that is wrong.
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
    # By name: a pytree of vectors comes back sorted, and draws must not change by it.
    return {
        name: draw_fn(own, alphas[name])
        for own, name in zip(keys, sorted(alphas), strict=True)
    }


def _no_penalty(alphas: Alphas) -> Float[Array, ""]:
    del alphas
    return jnp.zeros(())
