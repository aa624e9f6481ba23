"""What every rival shares: the job, the networks it has found, and their front."""

import dataclasses
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from swajax.data.problem import Problem
from swajax.model.front import Front
from swajax.network import resize
from swajax.objectives import Objective
from swajax.refine import batches
from swajax.search import pool as pools_lib
from swajax.search.config import SearchConfig
from swajax.search.job import Job, make_job
from swajax.search.pool import Pool
from swajax.search.run import find_pool, select
from swajax.types import Key, Network

LAST_REFIT = 0.1  # of a time budget, after the last training
REFIT_BLOCK = 32  # networks that are fitted between two looks at the clock


@dataclasses.dataclass(frozen=True)
class RestartsConfig:
    """What all rivals can be told."""

    max_restarts: int = 1000
    """runs at most; fewer if the time is up"""

    def __post_init__(self) -> None:
        """Reject numbers that cannot be."""
        check_positive(self)


class Found(NamedTuple):
    """What a rival has found, and the work it took."""

    front: Front
    candidate_steps: int  # gradient or Levenberg-Marquardt steps times networks


class Search:
    """One search of a rival: its job, the networks kept by size, and the steps made."""

    def __init__(
        self,
        train: Problem,
        valid: Problem,
        objective: Objective,
        config: SearchConfig,
        time_budget: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin; the arguments are those of `pipeline.run`."""
        self.train, self.valid = train, valid
        self.job: Job = make_job(train, valid, objective, config, time_budget, clock)
        self.pool: Pool | None = None

    def end_of_run(self, share: float) -> float:
        """The second at which training that begins now has had its share of the budget.

        The last run leaves a tenth of the budget to refit what it has trained.
        """
        budget = self.job.time_budget
        if budget is None:
            return np.inf
        return min(self.job.seconds() + share * budget, (1 - LAST_REFIT) * budget)

    def run_pipeline(
        self, key: Key, starts: Network | None, *, num_explored: int = 0
    ) -> None:
        """Keep all networks of a run of the pipeline in the time that is left.

        Args:
          key: consumed.
          starts: networks to start from, or none for random ones.
          num_explored: candidate-steps it took to find them.
        """
        job = self.job
        own = dataclasses.replace(
            job, begin=job.clock(), time_budget=job.seconds_left(), candidate_steps=0
        )
        self.merge(find_pool(key, own, starts=starts))
        job.candidate_steps += num_explored + own.candidate_steps

    def polish(self, networks: Network, *, num_steps: int) -> Network:
        """Networks of NumPy arrays after Levenberg-Marquardt steps on their weights."""
        return self.job.polish(networks, batches.count(networks), num_steps)[0]

    def keep(self, networks: Network) -> None:
        """Add networks of NumPy arrays as they are, without their dead parts."""
        self.merge(self.job.make_pool(networks))

    def merge(self, pool: Pool) -> None:
        """Add the networks of a pool; of each size the best are kept."""
        pools = [pool] if self.pool is None else [self.pool, pool]
        self.pool = pools_lib.merge(pools, num_each=self.job.config.num_kept)

    def refit(self, networks: Network, *, num_steps: int) -> Network:
        """Cut networks to the largest size allowed, polish and keep them.

        When the time is up, the rest are kept as they are.

        Returns:
          The networks, of NumPy arrays, in their order.
        """
        networks = resize.cut(networks, num_weights=self.job.config.max_weights)
        networks = jax.tree.map(np.array, jax.device_get(networks))
        # By size, so that those of one block share a compiled program.
        order = np.argsort(batches.count(networks), kind="stable")
        for start in range(0, len(order), REFIT_BLOCK):
            index = order[start : start + REFIT_BLOCK]
            part = take(networks, index)
            if num_steps and not self.job.is_over():
                part = self.polish(part, num_steps=num_steps)
            self.keep(part)
            for leaf, new in zip(networks, part, strict=True):
                leaf[index] = new
        return networks

    def finish(self) -> Found:
        """The front of what is kept, its networks polished as the pipeline does."""
        if self.pool is None or not len(self.pool.loss):
            raise ValueError("no network has a finite loss: the data hold huge numbers")
        return Found(select(self.pool, self.job), self.job.candidate_steps)


def take(networks: Network, index: np.ndarray) -> Network:
    """The networks of an index array or mask."""
    return jax.tree.map(lambda leaf: leaf[index], networks)


def check_positive(config: Any, *, but: tuple[str, ...] = ()) -> None:
    """Reject numbers of a configuration that are not above zero.

    Args:
      config: a dataclass.
      but: fields that may be zero too.

    Raises:
      ValueError: names the field and the value.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if not isinstance(value, int | float):
            continue
        if not (value >= 0 if field.name in but else value > 0):
            limit = ">= 0" if field.name in but else "> 0"
            raise ValueError(f"{field.name} must be {limit}, got {value}")
