"""What a method has found, in the end and over time."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from figures.common.clock import WorkClock
from figures.quality.rivals.extras import Fitted
from figures.quality.tasks import QualityTask
from swajax.data.problem import pad
from swajax.model.front import Front
from swajax.refine import batches
from swajax.refine.quadratic import Fit
from swajax.search import pool as pools
from swajax.search.pool import Pool
from swajax.types import Network

LEVELS = ("raw", "polished", "full")
GROWTH = 1.15  # of the seconds, from one point of a curve to the next


class Level(NamedTuple):
    """A front, and what it took."""

    front: Front
    activations: tuple[str, ...]
    seconds: float  # of work, since the method began
    candidate_steps: int


class ForeignLevel(NamedTuple):
    """The front of a rival whose models are no networks of swajax."""

    front: list[Fitted]
    seconds: float


class Outcome(NamedTuple):
    """What one run of a method gives."""

    levels: dict[
        str, Level | ForeignLevel
    ]  # by some of `LEVELS`; "full" is always there
    curve: list[dict[str, Any]]


class Judge:
    """Fronts of networks by the validation points, for levels and curves.

    It works while the clock stands still.
    """

    def __init__(
        self,
        task: QualityTask,
        activations: tuple[str, ...],
        clock: WorkClock,
        begin: float,
    ) -> None:
        """What is judged, and when on the clock the method began."""
        self.fit = Fit(task.objective, activations)
        self.train, self.valid = (pad(part) for part in (task.train, task.valid))
        self.num_inputs = task.train.x.shape[1]  # the padded parts have more
        self.clock = clock
        self.begin = begin
        self.curve: list[dict[str, Any]] = []

    def seconds(self) -> float:
        """Of work, since the method began."""
        return self.clock() - self.begin

    def make_front(self, networks: Network) -> Front:
        """The front of networks with any dead parts, not polished."""
        networks = jax.device_get(networks)
        more = self.train.x.shape[1] - networks.first.shape[1]
        first = np.pad(networks.first, ((0, 0), (0, more), (0, 0)))
        networks = networks._replace(first=first)
        pool = pools.make_pool(
            *batches.simplify_and_score(networks, self.train, fit=self.fit)
        )
        return self.judge(pool)

    def judge(self, pool: Pool) -> Front:
        """The front of a pool."""
        judged = batches.validation_scores(pool.network, self.valid, fit=self.fit)
        front = pools.make_front(pool, *judged)
        first = front.network.first[:, : self.num_inputs]
        return front._replace(network=front.network._replace(first=first))

    def watch(
        self, stage: str, candidate_steps: int, front_fn: Callable[[], Front]
    ) -> None:
        """A point of the curve, unless it is close to the last and of no new stage."""
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
                    "candidate_steps": candidate_steps,
                    "num_weights": front.num_weights.tolist(),
                    "valid_loss": front.valid_loss.tolist(),
                }
            )
