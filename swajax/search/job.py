"""One search: its data, settings, devices, clock and counts of work."""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from swajax.data.problem import Problem, pad, take_rows, thin
from swajax.io.devices import Devices, all_devices, replicate
from swajax.objectives import Objective, num_directions
from swajax.refine import batches, buckets
from swajax.refine.block_programs import ProgramName, compile_program
from swajax.refine.quadratic import Fit
from swajax.search import pool as pools
from swajax.search import programs
from swajax.search.config import SearchConfig
from swajax.search.hosts import Merger
from swajax.search.pool import Pool
from swajax.types import Key, Network, NetworkSpec

# Rows of the first heats, times outputs that are differentiated, and rows of all other
# stages but the last polish, which uses all rows. More cost time and hardly change
# which structures are found.
RACE_ROWS, STAGE_ROWS = 1024, 2048
NUM_ROUNDS = 3  # by default


@dataclasses.dataclass
class Job:
    """Data, settings and progress of one search."""

    train: Problem
    """padded NumPy arrays; all rows, for the last polish"""
    rows: Problem
    """the part of them that is fitted in the stages before"""
    few_rows: Problem
    """the part that is fitted in the first heats of the race"""
    valid: Problem
    """padded NumPy arrays"""
    spec: NetworkSpec
    fit: Fit
    config: SearchConfig
    devices: Devices
    time_budget: float | None
    clock: Callable[[], float]
    begin: float
    merger: Merger
    network_steps: int = 0
    num_blocks: int = 0
    """estimated number of blocks of all stages"""
    left_out: list[str] = dataclasses.field(default_factory=list)
    """what the time budget did not allow"""
    _placed: dict[Any, tuple[Problem, Problem]] = dataclasses.field(
        default_factory=dict
    )

    def seconds(self) -> float:
        """Return the time since the start."""
        return self.clock() - self.begin

    def seconds_left(self, share: float = 1.0) -> float:
        """Return the rest of this share of the time budget, infinite without one."""
        budget = self.time_budget
        return math.inf if budget is None else share * budget - self.seconds()

    def is_over(self, share: float = 1.0) -> bool:
        """Return whether this share of the time budget is spent."""
        return self.seconds_left(share) <= 0

    def leave_out(self, what: str) -> None:
        """Note what the time budget does not allow."""
        if what not in self.left_out:
            self.left_out.append(what)

    def polish(
        self,
        networks: Network,
        sizes: np.ndarray,
        num_steps: int,
        rows: Problem | None = None,
        *,
        share: float = 1.0,
    ) -> tuple[Network, Float[np.ndarray, " R"]]:
        """Run `num_steps` polish steps on some rows or those of the stages.

        With a time budget, the steps end when this share of it is spent.

        Returns:
          The networks and their losses, with weight decay.
        """
        self.network_steps += num_steps * len(sizes)
        has_budget = self.time_budget is not None
        return batches.polish_batch(
            networks,
            sizes,
            self.on_devices(self.rows if rows is None else rows),
            num_steps=num_steps,
            is_over=(lambda: self.is_over(share)) if has_budget else None,
            **self._shared,
        )

    def refit(
        self,
        networks: Network,
        sizes: np.ndarray,
        rows: Problem,
        decay: np.ndarray,
        num_steps: int,
    ) -> tuple[Network, Float[np.ndarray, "R N O"]]:
        """Fit networks with other weight decays: `swajax.refine.batches.refit`."""
        self.network_steps += num_steps * len(sizes)
        return batches.refit(
            networks, sizes, rows, decay, num_steps=num_steps, **self._shared
        )

    def remove(
        self, networks: Network, index: np.ndarray, size: int, num: int
    ) -> Network:
        """Remove weights from networks: `swajax.refine.batches.remove`."""
        rows = self.on_devices(self.rows)
        return batches.remove(networks, index, size, rows, num=num, **self._shared)

    def grow(
        self, networks: Network, index: np.ndarray, size: int, num: int
    ) -> Network:
        """Add weights to networks: `swajax.refine.batches.grow`."""
        rows = self.on_devices(self.rows)
        return batches.grow(networks, index, size, rows, num=num, **self._shared)

    def perturb(self, key: Key, networks: Network, index: np.ndarray) -> Network:
        """Draw random variants of networks: `swajax.refine.batches.perturb`."""
        rows = self.on_devices(self.rows)
        return batches.perturb(key, networks, index, rows, **self._shared)

    def make_pool(self, networks: Network, rows: Problem | None = None) -> Pool:
        """Simplify networks and return them with their sizes and training losses."""
        rows = self.on_devices(self.rows if rows is None else rows)
        return pools.make_pool(
            *batches.simplify_and_score(networks, rows, **self._shared)
        )

    def validate(
        self, networks: Network, rows: Problem | None = None
    ) -> tuple[Float[np.ndarray, " R"], Float[np.ndarray, " R"]]:
        """Return losses and standard errors of the excess over the best.

        On the validation rows, or others.
        """
        rows = self.on_devices(self.valid if rows is None else rows)
        return batches.validation_scores(networks, rows, **self._shared)

    def divide(
        self, sizes: np.ndarray, rank: np.ndarray, rows: Problem
    ) -> list[Int[np.ndarray, " S"]]:
        """Divide networks into blocks: `swajax.refine.buckets.divide`."""
        return buckets.divide(sizes, rank, rows, num_blocks=1, **self._shared)

    def block_size(self, size: int) -> int:
        """Return the number of networks per block of a size."""
        return buckets.block_size(size, self.rows, **self._shared)

    def on_devices(self, problem: Problem) -> Problem:
        """Return rows on the devices, copied once per floating-point type."""
        key = id(problem), jax.config.jax_enable_x64
        if key not in self._placed:
            # The problem is kept too: its identity must not be that of a later one.
            self._placed[key] = problem, replicate(problem, self.devices)
        return self._placed[key][1]

    def request(
        self, name: ProgramName, size: int = 1, rows: Problem | None = None
    ) -> None:
        """Compile a program in a thread, for networks of up to `size` weights."""
        rows = self.rows if rows is None else rows
        placed = self.on_devices(rows)

        def work() -> None:
            spec = self._padded_spec(rows)
            compile_program(name, placed, spec=spec, size=size, **self._shared)

        programs.request(self._program_key(name, size, rows), work)

    def is_ready(
        self,
        name: ProgramName,
        size: int = 1,
        rows: Problem | None = None,
        *,
        seconds: float = 0.0,
    ) -> bool:
        """Return whether a program can be called at once.

        Without a time budget all can: the call waits for the compilation. So it does
        with a clock of the caller, whose seconds may not be those of a compiler.

        Args:
          name: name of the program.
          size: upper limit of the weights per network.
          rows: rows it is called with; those of the stages by default.
          seconds: time to wait for it.
        """
        if self.time_budget is None or self.clock is not time.monotonic:
            return True
        key = self._program_key(name, size, self.rows if rows is None else rows)
        return programs.is_ready(key, seconds=seconds)

    def _program_key(self, name: str, size: int, rows: Problem) -> tuple[Any, ...]:
        fit = self.fit
        return (
            name,
            buckets.bucket_of(size),
            rows.x.shape,
            self._padded_spec(rows),
            (fit.objective, fit.activations, fit.first_damping),
            self.devices,
            jax.config.jax_enable_x64,
        )

    def _padded_spec(self, rows: Problem) -> NetworkSpec:
        return dataclasses.replace(self.spec, num_inputs=rows.x.shape[1])

    @property
    def _shared(self) -> dict[str, Any]:
        return {"fit": self.fit, "devices": self.devices}


def make_job(
    train: Problem,
    valid: Problem,
    objective: Objective,
    config: SearchConfig,
    time_budget: float | None,
    clock: Callable[[], float],
    devices: Devices | None = None,
) -> Job:
    """Start a search now; the arguments are those of `swajax.search.run.find_front`."""
    if config.num_rounds is None:
        config = dataclasses.replace(config, num_rounds=NUM_ROUNDS)
    spec = config.make_spec(train.x.shape[1], train.y.shape[1])
    train, valid = (pad(thin(part)) for part in (train, valid))
    decay = config.weight_decay
    if decay is None:
        decay = 1e-9 if objective == "squared" else decay_of_classes(train)
    fit = Fit(objective, config.activations, decay)
    cost = num_directions(spec.num_outputs, objective)
    rows = sample_rows(train, STAGE_ROWS)
    few_rows = sample_rows(train, max(RACE_ROWS // cost, 1))
    return Job(
        train,
        rows,
        few_rows,
        valid,
        spec,
        fit,
        config,
        all_devices(devices),
        time_budget,
        clock,
        clock(),
        Merger(config.num_kept),
    )


def sample_rows(rows: Problem, num: int) -> Problem:
    """Draw `num` of the rows that have weight, or take all; return padded rows."""
    is_real = rows.weight > 0
    if is_real.sum() <= num:
        return rows
    return pad(thin(take_rows(rows, is_real), num))


def decay_of_classes(train: Problem) -> float:
    """Return the weight decay of a standard normal prior, 1 / effective number of rows.

    Without it, weights grow without bound where classes are separable. The value is
    rounded to a power of two, since each value compiles its own program.

    Args:
      train: rows whose weights sum to 1.
    """
    num_rows = 1 / np.square(train.weight).sum()
    return 2.0 ** -round(np.log2(num_rows))
