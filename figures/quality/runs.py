"""One run of a method on a task."""

import dataclasses
import platform
import time
import zlib
from typing import Any

import jax

from figures.common import results
from figures.common.clock import WorkClock
from figures.common.results import Run
from figures.quality import ablation, methods, tasks
from figures.quality.outcomes import ForeignLevel, Level, Outcome
from figures.quality.rivals import extras
from figures.quality.rivals.extras import Fitted
from figures.quality.settings import Settings
from figures.quality.tasks import QualityTask
from swajax.io import commands, runlog
from swajax.types import Key

LATE_FACTOR = 1.5  # of the seconds of work; with LATE_SECONDS for the last polish
LATE_SECONDS = 15.0
WALL_SECONDS = 600.0  # allowance for compilation


def make_key(name: str, seed: int) -> Key:
    """Return the key of the methods on a task; the data have other keys."""
    return jax.random.key(zlib.crc32(f"{name}.{seed}".encode()))


def run_method(name: str, seed: int, method: str, settings: Settings) -> Run:
    """Run a method on a task, then evaluate its fronts on the test part.

    Args:
      name: of the task.
      seed: of the data.
      method: one of `methods.NAMES`.
      settings: budgets and limits.

    Returns:
      A line of `runs.jsonl`. Its status is "ok", "late" or "failed".

    Raises:
      ValueError: the task cannot be made.
      KeyboardInterrupt: after Ctrl-C; there is no run then.
    """
    task = tasks.make_task(name, seed)
    record = describe(task, method, settings)
    seconds = settings.seconds * tasks.BUDGET_FACTORS.get(name, 1.0)
    settings = dataclasses.replace(settings, seconds=seconds)
    record["budget_seconds"] = seconds
    limit = LATE_FACTOR * seconds + LATE_SECONDS
    begin = time.monotonic()
    with WorkClock() as clock:
        work = clock()
        try:
            with results.interrupting(limit + WALL_SECONDS):
                outcome = methods.run_method(
                    method,
                    make_key(name, seed),
                    task._replace(test=None),
                    settings=settings,
                    clock=clock,
                )
            with clock.paused():
                found = {"status": "ok", "message": ""} | evaluate(outcome, task)
        except Exception as error:  # a failure is a result
            message = f"{type(error).__name__}: {commands.describe_error(error)}"[:500]
            found = {"status": "failed", "message": message}
        record |= {
            "wall_seconds": time.monotonic() - begin,
            "work_seconds": clock() - work,
            "compile_seconds": clock.compile_seconds,
        }
    is_late = record["work_seconds"] > limit and not is_by_steps(method)
    if is_late and found["status"] == "ok":
        found |= {"status": "late", "message": f"more than {limit:.0f} s of work"}
    return record | found


def describe(task: QualityTask, method: str, settings: Settings) -> dict[str, Any]:
    """Return the facts that are known before a run."""
    return {
        "task": task.name,
        "group": task.group,
        "seed": task.seed,
        "method": method,
        "seeds": task.seeds,
        "objective": task.objective,
        "num_points": [len(part.x) for part in (task.train, task.valid, task.test)],
        "num_inputs": task.train.x.shape[1],
        "num_outputs": task.train.y.shape[1],
        "teacher": None if task.teacher is None else task.teacher._asdict(),
        "settings": methods.describe(method, task.name, settings),
        "versions": runlog.find_versions(),
        "machine": f"{platform.machine()}, {results.count_cores()} cores, "
        f"{jax.device_count()} {jax.default_backend()} device",
    }


def evaluate(outcome: Outcome, task: QualityTask) -> dict[str, Any]:
    """Evaluate all fronts on the test part."""
    constant = tasks.constant_loss(task)
    is_number = task.objective == "squared"
    return {
        "scale": float(task.test.y.var()) if is_number else constant,
        "constant_loss": constant,
        "levels": {
            name: _evaluate_level(level, task) for name, level in outcome.levels.items()
        },
        "curve": outcome.curve,
    }


def _evaluate_level(level: Level | ForeignLevel, task: QualityTask) -> dict[str, Any]:
    if isinstance(level, ForeignLevel):
        return _evaluate_models(level, task)
    front = level.front
    return {
        "num_weights": front.num_weights.tolist(),
        "train_loss": front.train_loss.tolist(),
        "valid_loss": front.valid_loss.tolist(),
        "pick": front.pick,
        "test_loss": tasks.test_losses(task, front.network, level.activations).tolist(),
        "seconds": level.seconds,
        "network_steps": level.network_steps,
    }


def _evaluate_models(level: ForeignLevel, task: QualityTask) -> dict[str, Any]:
    def test_loss(model: Fitted) -> float:
        return extras.mean_loss(model.predict_fn, task.test, task.objective)

    return {
        "num_weights": [model.num_weights for model in level.front],
        "train_loss": [model.train_loss for model in level.front],
        "valid_loss": [model.valid_loss for model in level.front],
        "pick": len(level.front) - 1,
        "test_loss": [test_loss(model) for model in level.front],
        "seconds": level.seconds,
        "network_steps": None,
    }


def is_by_steps(method: str) -> bool:
    """Return whether the budget of a method is in steps, so that it is never late."""
    found = ablation.ABLATIONS.get(method)
    return found is not None and found.is_by_steps
