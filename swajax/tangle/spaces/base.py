"""The record of a search space."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
from jaxtyping import Array, Float

from swajax.tangle.choices import (
    Architecture,
    Choice,
    Probabilities,
    check_probabilities,
)
from swajax.tangle.layers import axes
from swajax.types import Key

Params = Any  # a pytree of the largest weights


@dataclasses.dataclass(frozen=True)
class SearchSpace:
    """A search space; all functions are pure.

    Invariants of every space: `apply` at one-hot probabilities equals
    `apply_standalone` of the slices (`take`), and `masks` are then 1 for the weights
    that the slices keep and 0 elsewhere.
    """

    name: str
    """key in `swajax.tangle.spaces.SPACES`"""
    choices: tuple[Choice, ...]
    """choices that define an architecture"""
    init: Callable[[Key], Params]
    """maps a key to the largest weights"""
    apply: Callable[[Params, Probabilities, Array], Float[Array, "N O"]]
    """maps weights, probabilities and inputs to outputs, in one pass for all options"""
    masks: Callable[[Probabilities], Params]
    """maps probabilities of options to the probability that each weight is kept"""
    take: Callable[[Params, Architecture], Any]
    """maps largest weights and architecture to the sliced weights of that network"""
    apply_standalone: Callable[[Any, Architecture, Array], Float[Array, "N O"]]
    """maps sliced weights, architecture and inputs to outputs, with plain layers"""
    config: Any
    """configuration of the space"""

    def __post_init__(self) -> None:
        """Reject choices with equal names."""
        names = [choice.name for choice in self.choices]
        if len(set(names)) < len(names):
            raise ValueError(f"space {self.name}: choices have equal names: {names}")


def make_search_space(
    name: str,
    choices: tuple[Choice, ...],
    config: Any,
    *,
    declared: Any,
    init: Callable[..., Params],
    apply: Callable[..., Array],
    apply_standalone: Callable[..., Array],
) -> SearchSpace:
    """Return a space, given functions that take a configuration as first argument.

    Outside jit, its `apply` raises a ValueError if `p` does not hold probabilities;
    under jit, values are unknown.

    Args:
      name: name of the space.
      choices: choices of the space.
      config: first argument of the functions.
      declared: axes of the weights, see `swajax.tangle.layers.axes`; masks and slices
        follow from them.
      init: maps configuration and key to weights.
      apply: maps configuration, weights, probabilities and inputs to outputs.
      apply_standalone: maps configuration, sliced weights, architecture and inputs to
        outputs.
    """
    own_apply = functools.partial(apply, config)

    def checked_apply(
        params: Params, p: Probabilities, x: Array
    ) -> Float[Array, "..."]:
        if not any(isinstance(value, jax.core.Tracer) for value in p.values()):
            check_probabilities(p, choices)
        return own_apply(params, p, x)

    return SearchSpace(
        name,
        choices,
        init=functools.partial(init, config),
        apply=checked_apply,
        masks=functools.partial(axes.mask, declared),
        take=functools.partial(axes.take, declared),
        apply_standalone=functools.partial(apply_standalone, config),
        config=config,
    )


def count_weights(space: SearchSpace, architecture: Architecture) -> int:
    """Return the number of weights and biases of one network.

    Only shapes are traced; no weights are drawn.
    """
    params = jax.eval_shape(space.init, jax.random.key(0))
    taken = jax.eval_shape(lambda p: space.take(p, architecture), params)
    return sum(leaf.size for leaf in jax.tree.leaves(taken))
