"""Second stage of a two-stage search: choose a network by its loss in a supernet.

Both searches accept any loss of an architecture, for example with weights inherited
from a supernet (SPOS, arXiv:1904.00420) or after standalone training (random search).
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from swajax.io.configs import check_fields, convert_fields
from swajax.tangle.choices import (
    Choice,
    Probabilities,
    clear_absent,
    from_genes,
    num_options,
)
from swajax.types import Key

LossFn = Callable[[Probabilities], Float[Array, ""]]


class Selection(NamedTuple):
    """The best networks, best first; a non-finite loss counts as infinite."""

    genes: Int[Array, "B G"]  # see `choices.to_architecture`
    losses: Float[Array, " B"]


@dataclasses.dataclass(frozen=True)
class EvolutionConfig:
    """Size of an evolutionary search; defaults of arXiv:1904.00420."""

    num_rounds: int = 20
    """number of rounds after the first round, which is random"""
    num_kept: int = 10
    """number of parents per round"""
    num_mutated: int = 25
    """number of mutated children per round"""
    num_crossed: int = 25
    """number of crossed children (of two parents) per round"""
    mutation_rate: float = 0.2
    """probability that a gene is redrawn"""
    batch_size: int = 10
    """number of networks evaluated at once"""

    def __post_init__(self) -> None:
        """Reject numbers out of range."""
        convert_fields(self)
        check_fields(self, "num_rounds", "num_kept", "batch_size", minimum=1)
        if min(self.num_mutated, self.num_crossed) < 0 or not self.num_children:
            raise ValueError(
                "num_mutated and num_crossed must be >= 0 and not both 0, got "
                f"{self.num_mutated} and {self.num_crossed}"
            )
        if self.num_kept > self.num_children:
            raise ValueError(
                f"num_kept must be <= {self.num_children}, the children of a round, "
                f"got {self.num_kept}"
            )
        if not 0 < self.mutation_rate <= 1:
            raise ValueError(
                f"mutation_rate must be in (0, 1], got {self.mutation_rate}"
            )

    @property
    def num_children(self) -> int:
        """Number of networks evaluated per round."""
        return self.num_mutated + self.num_crossed

    @property
    def num_evaluated(self) -> int:
        """Number of networks evaluated in all rounds."""
        return self.num_children * (self.num_rounds + 1)


def random_search(
    key: Key,
    loss_fn: LossFn,
    choices: Sequence[Choice],
    *,
    num: int,
    num_kept: int = 1,
    batch_size: int = 10,
) -> Selection:
    """Return the best of `num` networks drawn uniformly with repetition.

    Args:
      key: consumed.
      loss_fn: maps one-hot probabilities to a loss.
      choices: choices of the space.
      num: number of networks to evaluate.
      num_kept: number of networks to return.
      batch_size: number of networks evaluated at once.
    """
    genes = draw_genes(key, choices, num=num)
    losses = _evaluate(loss_fn, genes, choices, batch_size)
    return _keep_best(genes, losses, num_kept, choices)


def evolve(
    key: Key,
    loss_fn: LossFn,
    choices: Sequence[Choice],
    *,
    config: EvolutionConfig = EvolutionConfig(),
) -> Selection:
    """Return the best networks of an evolution, which redraws known children.

    The evolution evaluates `config.num_evaluated` networks.

    Args:
      key: consumed.
      loss_fn: maps one-hot probabilities to a loss.
      choices: choices of the space.
      config: size of the evolution.
    """
    first_key, key = jax.random.split(key)
    start = random_search(
        first_key,
        loss_fn,
        choices,
        num=config.num_children,
        num_kept=config.num_kept,
        batch_size=config.batch_size,
    )

    def advance(best: Selection, key: Key) -> tuple[Selection, None]:
        children = _breed(key, best.genes, choices, config)
        losses = _evaluate(loss_fn, children, choices, config.batch_size)
        genes = jnp.concatenate([best.genes, children])
        losses = jnp.concatenate([best.losses, losses])
        return _keep_best(genes, losses, config.num_kept, choices), None

    return jax.lax.scan(advance, start, jax.random.split(key, config.num_rounds))[0]


def draw_genes(key: Key, choices: Sequence[Choice], *, num: int) -> Int[Array, "B G"]:
    """Draw `num` architectures; the options of a choice have equal probabilities."""
    limits = np.asarray(num_options(choices), np.int32)
    return jax.random.randint(key, (num, len(limits)), 0, limits[None])


def _evaluate(
    loss_fn: LossFn,
    genes: Int[Array, "B G"],
    choices: Sequence[Choice],
    batch_size: int,
) -> Float[Array, " B"]:
    def evaluate(row: Int[Array, " G"]) -> Float[Array, ""]:
        return loss_fn(from_genes(row, choices))

    return jax.lax.map(evaluate, genes, batch_size=min(batch_size, len(genes)))


def _breed(
    key: Key,
    parents: Int[Array, "B G"],
    choices: Sequence[Choice],
    config: EvolutionConfig,
) -> Int[Array, "C G"]:
    mutate_key, cross_key, fresh_key = jax.random.split(key, 3)
    parent_key, where_key, what_key = jax.random.split(mutate_key, 3)
    mutated = _pick(parent_key, parents, config.num_mutated)
    drawn = draw_genes(what_key, choices, num=config.num_mutated)
    is_hit = jax.random.bernoulli(where_key, config.mutation_rate, mutated.shape)
    mutated = jnp.where(is_hit, drawn, mutated)
    mother_key, father_key, coin_key = jax.random.split(cross_key, 3)
    mother = _pick(mother_key, parents, config.num_crossed)
    father = _pick(father_key, parents, config.num_crossed)
    is_mother = jax.random.bernoulli(coin_key, 0.5, mother.shape)
    children = jnp.concatenate([mutated, jnp.where(is_mother, mother, father)])
    both = jnp.concatenate([parents, children])
    is_known = _is_repeated(both, choices)[len(parents) :]
    fresh = draw_genes(fresh_key, choices, num=len(children))
    return jnp.where(is_known[:, None], fresh, children)


def _pick(key: Key, parents: Int[Array, "B G"], num: int) -> Int[Array, "C G"]:
    return parents[jax.random.randint(key, (num,), 0, len(parents))]


def _keep_best(
    genes: Int[Array, "B G"],
    losses: Float[Array, " B"],
    num: int,
    choices: Sequence[Choice],
) -> Selection:
    """Keep the best networks, without repeats unless there are too few."""
    is_bad = ~jnp.isfinite(losses) | _is_repeated(genes, choices)
    order = jnp.argsort(jnp.where(is_bad, jnp.inf, losses))[:num]
    return Selection(genes[order], jnp.where(is_bad, jnp.inf, losses)[order])


def _is_repeated(
    genes: Int[Array, "B G"], choices: Sequence[Choice]
) -> Bool[Array, " B"]:
    """Flag the rows that repeat the network of an earlier row."""
    genes = clear_absent(genes, choices)
    is_equal = (genes[:, None] == genes[None]).all(axis=2)
    return jnp.tril(is_equal, -1).any(axis=1)
