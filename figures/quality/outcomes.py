"""Results of a method: fronts at the end of each stage, and a curve over time."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from figures.common.clock import WorkClock
from figures.quality.rivals.extras import Fitted
from figures.quality.tasks import QualityTask
from swajax.data.problem import pad
from swajax.model.front import Front, make_front
from swajax.refine import batches
from swajax.refine.quadratic import Fit
from swajax.search import pool as pools
from swajax.search.pool import Pool
from swajax.types import Network

LEVELS = ("raw", "polished", "full")
GROWTH = 1.15  # factor of the seconds between two points of a curve


class Level(NamedTuple):
    """A front and its cost."""

    front: Front
    activations: tuple[str, ...]
    seconds: float  # of work, since the method began
    network_steps: int


class ForeignLevel(NamedTuple):
    """The front of a rival whose models are not networks of swajax."""

    front: list[Fitted]
    seconds: float


class Outcome(NamedTuple):
    """Levels and curve of one run of a method."""

    levels: dict[str, Level | ForeignLevel]  # names from `LEVELS`; "full" always exists
    curve: list[dict[str, Any]]


class Evaluator:
    """Fronts by validation loss, for levels and curves.

    The clock is stopped during the evaluation for a curve.
    """

    def __init__(
        self,
        task: QualityTask,
        activations: tuple[str, ...],
        clock: WorkClock,
        begin: float,
    ) -> None:
        """Prepare the data.

        Args:
          task: with training and validation parts.
          activations: of the networks.
          clock: clock of the run.
          begin: start of the method on the clock.
        """
        self.task = task
        self.fit = Fit(task.objective, activations)
        self.train, self.valid = (pad(part) for part in (task.train, task.valid))
        self.num_inputs = task.train.x.shape[1]  # without padding
        self.clock = clock
        self.begin = begin
        self.curve: list[dict[str, Any]] = []

    def seconds(self) -> float:
        """Return the seconds of work since the method began."""
        return self.clock() - self.begin

    def make_front(self, networks: Network) -> Front:
        """Return the front of networks, simplified but not polished."""
        networks = jax.device_get(networks)
        more = self.train.x.shape[1] - networks.first.shape[1]
        first = np.pad(networks.first, ((0, 0), (0, more), (0, 0)))
        networks = networks._replace(first=first)
        pool = pools.make_pool(
            *batches.simplify_and_score(networks, self.train, fit=self.fit)
        )
        return self.front_of_pool(pool)

    def front_of_pool(self, pool: Pool) -> Front:
        """Return the front of a pool."""
        scores = batches.validation_scores(pool.network, self.valid, fit=self.fit)
        known = pool.network, pool.num_weights, pool.loss
        front = make_front(*known, *scores)
        first = front.network.first[:, : self.num_inputs]
        return front._replace(network=front.network._replace(first=first))

    def watch(
        self, stage: str, network_steps: int, front_fn: Callable[[], Front]
    ) -> None:
        """Add a point to the curve.

        A point is left out if it is within a factor `GROWTH` of the last one and its
        stage is not new.

        Args:
          stage: of the search.
          network_steps: number of network steps so far.
          front_fn: evaluates the front.
        """
        seconds = self.seconds()
        is_known = any(point["stage"] == stage for point in self.curve)
        if is_known and seconds < GROWTH * self.curve[-1]["seconds"]:
            return
        with self.clock.paused():
            front = front_fn()
            self.curve.append(
                {
                    "stage": stage,
                    "seconds": seconds,
                    "network_steps": network_steps,
                    "num_weights": front.num_weights.tolist(),
                    "valid_loss": front.valid_loss.tolist(),
                }
            )
