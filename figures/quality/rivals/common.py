"""Search state shared by the rivals: job, networks found and their front."""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from swajax.data.problem import Problem, normalise_weights
from swajax.model.front import Front
from swajax.network import resize
from swajax.objectives import Objective
from swajax.refine import batches
from swajax.search import pool as pools_lib
from swajax.search.config import SearchConfig
from swajax.search.job import Job, make_job
from swajax.search.pool import Pool
from swajax.search.run import find_pool, select
from swajax.search.sources import SOURCES
from swajax.search.sources.base import StartRequest, Starts
from swajax.types import Key, Network

LAST_REFIT = 0.1  # share of a time budget for the refit after the last training
REFIT_BLOCK = 32  # number of networks that are fitted between checks of the clock


@dataclasses.dataclass(frozen=True)
class RestartsConfig:
    """Settings that all rivals share."""

    max_restarts: int = 1000
    """maximum number of runs; fewer if the time is used up"""

    def __post_init__(self) -> None:
        """Check numbers."""
        check_positive(self)


class Found(NamedTuple):
    """Front of a rival and its cost."""

    front: Front
    network_steps: int  # gradient or Levenberg-Marquardt steps times networks


class Search:
    """Search of a rival: its job and the networks kept by size."""

    def __init__(
        self,
        train: Problem,
        valid: Problem,
        objective: Objective,
        config: SearchConfig,
        time_budget: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start a search; the arguments are those of `find_front`."""
        self.train, self.valid = map(normalise_weights, (train, valid))
        self.job: Job = make_job(
            self.train, self.valid, objective, config, time_budget, clock
        )
        self.pool: Pool | None = None

    def end_of_run(self, share: float) -> float:
        """Return the second at which a training that begins now must end.

        Args:
          share: share of the time budget for this run. The last run leaves `LAST_REFIT`
            of the budget to refit its networks.
        """
        budget = self.job.time_budget
        if budget is None:
            return np.inf
        return min(self.job.seconds() + share * budget, (1 - LAST_REFIT) * budget)

    def find_starts(
        self, key: Key, source: str, options: Any = None, seconds: float = math.inf
    ) -> Starts:
        """Find starting networks.

        Args:
          key: consumed.
          source: key of `swajax.search.sources.SOURCES`.
          options: options of the source.
          seconds: time budget.
        """
        job = self.job
        request = StartRequest(
            self.train,
            self.valid,
            job.fit.objective,
            job.spec,
            job.config.max_weights,
            job.config.num_starts,
            options=options,
            seconds=seconds,
            clock=job.clock,
        )
        return SOURCES[source].find(key, request)

    def run_pipeline(self, key: Key, starts: Starts) -> None:
        """Run the pipeline in the remaining time and keep its networks.

        Args:
          key: consumed.
          starts: starting networks and the network steps that found them.
        """
        job = self.job
        pipeline_job = dataclasses.replace(
            job, begin=job.clock(), time_budget=job.seconds_left(), network_steps=0
        )
        self.merge(find_pool(key, pipeline_job, [starts]))
        job.network_steps += pipeline_job.network_steps

    def polish(self, networks: Network, *, num_steps: int) -> Network:
        """Return the networks, as NumPy arrays, after Levenberg-Marquardt steps."""
        return self.job.polish(networks, batches.count(networks), num_steps)[0]

    def keep(self, networks: Network) -> None:
        """Add networks (NumPy arrays), simplified but not polished."""
        self.merge(self.job.make_pool(networks))

    def merge(self, pool: Pool) -> None:
        """Add the networks of a pool; keep the best of each size."""
        pools = [pool] if self.pool is None else [self.pool, pool]
        self.pool = pools_lib.merge(pools, num_each=self.job.config.num_kept)

    def refit(self, networks: Network, *, num_steps: int) -> Network:
        """Cut networks to the maximum size, polish them and keep them.

        When the time is used up, the remaining networks are kept without polish.

        Args:
          networks: leaves [B, ...].
          num_steps: number of Levenberg-Marquardt steps; 0 for none.

        Returns:
          The networks, as NumPy arrays, in the given order.
        """
        networks = resize.cut(networks, num_weights=self.job.config.max_weights)
        networks = jax.tree.map(np.array, jax.device_get(networks))
        # Sort by size, so that the networks of a block share a compiled program.
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
        """Return the front of the networks kept, polished as in the pipeline."""
        if self.pool is None or not len(self.pool.loss):
            raise ValueError("no network has a finite loss: the data hold huge numbers")
        return Found(select(self.pool, self.job), self.job.network_steps)


def take(networks: Network, index: np.ndarray) -> Network:
    """Return the networks of an index array or mask."""
    return jax.tree.map(lambda leaf: leaf[index], networks)


def check_positive(config: Any, *, may_be_zero: tuple[str, ...] = ()) -> None:
    """Check that all numbers of a configuration are above zero.

    Args:
      config: dataclass.
      may_be_zero: fields that may also be zero.

    Raises:
      ValueError: a number is out of range; the message names field and value.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if not isinstance(value, int | float):
            continue
        if not (value >= 0 if field.name in may_be_zero else value > 0):
            limit = ">= 0" if field.name in may_be_zero else "> 0"
            raise ValueError(f"{field.name} must be {limit}, got {value}")
