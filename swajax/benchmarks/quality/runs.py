"""One run of a method on a task, as a JSON file, and all files of a folder."""

import dataclasses
import json
import os
import platform
import time
import zlib
from pathlib import Path
from typing import Any

import jax

from swajax import commands, runlog
from swajax.baselines import extras
from swajax.baselines.extras import Fitted
from swajax.benchmarks import kept
from swajax.benchmarks.clock import WorkClock
from swajax.benchmarks.quality import methods, tasks
from swajax.benchmarks.quality.outcomes import ForeignLevel, Level, Outcome
from swajax.benchmarks.quality.settings import Settings
from swajax.benchmarks.quality.tasks import Task
from swajax.report import facts
from swajax.types import Key

LATE = 1.5  # of the seconds, and the last polish of the front comes on top
LATE_SECONDS = 15.0
WALL_SECONDS = 600.0  # for compilation


def make_path(folder: Path, task: str, seed: int, method: str) -> Path:
    """The file of a run."""
    return folder / "runs" / f"{task}.{seed}.{method}.json"


def make_key(name: str, seed: int) -> Key:
    """For the methods on a task; the task itself is drawn by other keys."""
    return jax.random.key(zlib.crc32(f"{name}.{seed}".encode()))


def run(name: str, seed: int, method: str, settings: Settings) -> dict[str, Any]:
    """What the file of a run holds; failures are results as well.

    The test part is read when the fronts stand.

    Raises:
      ValueError: the task cannot be made.
      KeyboardInterrupt: Ctrl-C; there is no result then.
    """
    task = tasks.make_task(name, seed)
    record = describe(task, method, settings)
    seconds = settings.seconds * tasks.PATIENCE.get(name, 1.0)
    settings = dataclasses.replace(settings, seconds=seconds)
    record["budget_seconds"] = seconds
    limit = LATE * seconds + LATE_SECONDS
    begin = time.monotonic()
    with WorkClock() as clock:
        work = clock()
        try:
            with kept.interrupting(limit + WALL_SECONDS):
                outcome = methods.run(
                    method,
                    make_key(name, seed),
                    task._replace(test=None),
                    settings=settings,
                    clock=clock,
                )
            with clock.paused():
                found = {"status": "ok", "message": ""} | judge(outcome, task)
        except Exception as error:  # whatever it is, the benchmark goes on
            message = f"{type(error).__name__}: {commands.describe(error)}"[:500]
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


def describe(task: Task, method: str, settings: Settings) -> dict[str, Any]:
    """All that is known before a run."""
    return {
        "task": task.name,
        "group": task.group,
        "seed": task.seed,
        "method": method,
        "seeds": task.seeds,
        "objective": task.objective,
        "num_points": [part.x.shape[1] for part in (task.train, task.valid, task.test)],
        "num_inputs": task.train.x.shape[0],
        "num_outputs": task.train.y.shape[0],
        "teacher": None if task.teacher is None else task.teacher._asdict(),
        "settings": methods.describe(method, task.name, settings),
        "versions": facts.find_versions(),
        "machine": f"{platform.machine()}, {count_cores()} cores, "
        f"{jax.device_count()} {jax.default_backend()} device",
    }


def count_cores() -> int:
    """Those that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def judge(outcome: Outcome, task: Task) -> dict[str, Any]:
    """The fronts that stand, with their test losses: the one look at the test part."""
    constant = tasks.constant_loss(task)
    is_number = task.objective == "squared"
    return {
        "scale": float(task.test.y.var()) if is_number else constant,
        "constant_loss": constant,
        "levels": {
            name: _judge_level(level, task) for name, level in outcome.levels.items()
        },
        "curve": outcome.curve,
    }


def _judge_level(level: Level | ForeignLevel, task: Task) -> dict[str, Any]:
    if isinstance(level, ForeignLevel):
        return _judge_models(level, task)
    front = level.front
    return {
        "num_weights": front.num_weights.tolist(),
        "train_loss": front.train_loss.tolist(),
        "valid_loss": front.valid_loss.tolist(),
        "pick": front.pick,
        "test_loss": tasks.judge(task, front.network, level.activations).tolist(),
        "seconds": level.seconds,
        "candidate_steps": level.candidate_steps,
    }


def _judge_models(level: ForeignLevel, task: Task) -> dict[str, Any]:
    def judge(model: Fitted) -> float:
        return extras.mean_loss(model.predict_fn, task.test, task.objective)

    return {
        "num_weights": [model.num_weights for model in level.front],
        "train_loss": [model.train_loss for model in level.front],
        "valid_loss": [model.valid_loss for model in level.front],
        "pick": len(level.front) - 1,
        "test_loss": [judge(model) for model in level.front],
        "seconds": level.seconds,
        "candidate_steps": None,
    }


def is_by_steps(method: str) -> bool:
    """Whether the budget of a method is no time, so that it is never late."""
    way = methods.ABLATIONS.get(method)
    return way is not None and way.is_by_steps


def load(folder: Path) -> list[dict[str, Any]]:
    """All runs of a folder."""
    return [
        json.loads(p.read_bytes()) for p in sorted((folder / "runs").glob("*.json"))
    ]


def save(path: Path, run: dict[str, Any]) -> None:
    """Write the file of a run at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    runlog.write_json(path, run)
