"""Time polish and whole searches on one core, and on 1, 2, 4 and 8 CPU devices.

    python -m figures.speed.devices

JAX has a fixed number of CPU devices per process, so that each number is measured in
processes of its own, alternately. Where there are fewer cores than devices, the wall
time cannot fall further; the CPU time then shows what the division costs. A search on
one device uses other cores to compile programs and to train a supernet: the ratio to
the search on one core is what all cores bring.
"""

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from figures.common import results
from figures.speed.tasks import POLISH_POINTS, POLISHED
from swajax import prior
from swajax.data.problem import Problem
from swajax.data.splits import split_into_folds
from swajax.data.tables import load_table
from swajax.io import commands, runlog
from swajax.refine import batches
from swajax.refine.quadratic import Fit
from swajax.search.config import SearchConfig
from swajax.search.run import find_front
from swajax.types import DEFAULT_ACTIVATIONS, NetworkSpec

NUM_INPUTS, SIZE, NUM_STEPS = 4, 31, 200
TINY = SearchConfig(
    max_weights=6, max_depth=1, max_width=2, num_starts=8, num_rounds=0, num_kept=4
)


@dataclasses.dataclass(frozen=True)
class DevicesCommand:
    """Time polish and whole searches on several numbers of CPU devices."""

    out: Path | None = None
    """JSON file [figures/speed/devices.json; quick: a temporary file]"""
    devices: tuple[int, ...] = (1, 2, 4, 8)
    """numbers of devices"""
    repeats: int = 2
    """number of processes per number of devices; the fastest counts"""
    measure: bool = False
    """measure this process and print one line of JSON"""
    quick: bool = False
    """run tiny searches on one and two devices to test the study"""


def main(config: DevicesCommand) -> None:
    """Run a process per number of devices and repeat, then write the file."""
    if config.measure:
        rows = measure_polish() | measure_search(is_quick=config.quick)
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    folder = None if config.out is None else config.out.parent
    folder = results.choose_folder(folder, "speed", is_quick=config.quick)
    numbers = (1, 2) if config.quick else config.devices
    cores = results.count_cores()
    cases = [(1, 1), *((cores, num) for num in numbers)]
    repeats = 1 if config.quick else config.repeats
    with tempfile.TemporaryDirectory() as cache:
        # The first process of each case compiles the programs.
        found = [
            {case: _run(*case, cache, is_quick=config.quick) for case in cases}
            for _ in range(1 + repeats)
        ][1:]
    rows = [
        {"cores": case[0], "devices": case[1]} | _fastest([one[case] for one in found])
        for case in cases
    ]
    for row in rows:
        row["polish_ratio"] = (
            row["network_steps_per_second"] / rows[0]["network_steps_per_second"]
        )
        row["search_ratio"] = rows[0]["search_seconds"] / row["search_seconds"]
        sys.stdout.write(f"{row}\n")
    about = {"cores": cores, "versions": runlog.find_versions()}
    out = config.out or folder / "devices.json"
    runlog.write_json(out, about | {"rows": rows})


def measure_polish() -> dict[str, float]:
    """Return the rate of Levenberg-Marquardt steps of blocks of small networks."""
    spec = NetworkSpec(NUM_INPUTS, 1, 8, 3, DEFAULT_ACTIVATIONS)
    x = np.random.default_rng(0).uniform(-1, 1, (POLISH_POINTS, NUM_INPUTS))
    weight = np.full(POLISH_POINTS, 1 / POLISH_POINTS)
    problem = Problem(x, np.sin(3 * x).sum(axis=1, keepdims=True), weight)
    num = POLISHED * jax.local_device_count()
    networks = jax.device_get(
        prior.sample_starts(
            jax.random.key(0), num=num, spec=spec, max_weights=float(SIZE)
        )
    )
    best = np.inf
    for _ in range(6):  # the first one compiles
        begin = time.perf_counter()
        batches.polish_batch(
            networks,
            np.full(num, SIZE),
            problem,
            fit=Fit(activations=spec.activations),
            num_steps=NUM_STEPS,
        )
        best = min(best, time.perf_counter() - begin)
    return {"network_steps_per_second": num * NUM_STEPS / best}


def measure_search(*, is_quick: bool) -> dict[str, Any]:
    """Return the seconds of a whole search of `diabetes`, and its front."""
    dataset, folds, _, _ = split_into_folds(load_table("diabetes"), seed=0)
    begin, cpu = time.perf_counter(), time.process_time()
    front = find_front(
        jax.random.key(0),
        dataset.train,
        folds=folds,
        config=TINY if is_quick else SearchConfig(),
    )
    return {
        "search_seconds": time.perf_counter() - begin,
        "search_cpu_seconds": time.process_time() - cpu,
        "sizes": front.num_weights.tolist(),
        "valid_loss": front.valid_loss.tolist(),
    }


def _run(cores: int, num: int, cache: str, *, is_quick: bool) -> dict[str, Any]:
    """Measure `num` devices in a process that may use so many cores."""
    command = [sys.executable, "-m", "figures.speed.devices", "--measure"]
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "JAX_NUM_CPU_DEVICES": str(num),
        "JAX_COMPILATION_CACHE_DIR": cache,
    }
    with _on_cores(cores):
        done = subprocess.run(  # noqa: S603  # fixed command
            [*command, *(["--quick"] if is_quick else [])],
            env=environment,
            stdout=subprocess.PIPE,
            check=True,
        )
    return json.loads(done.stdout.splitlines()[-1])


@contextlib.contextmanager
def _on_cores(num: int) -> Iterator[None]:
    """Start processes on the first `num` cores, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:num])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _fastest(found: list[dict[str, Any]]) -> dict[str, Any]:
    best = min(found, key=lambda one: one["search_seconds"])
    rate = max(one["network_steps_per_second"] for one in found)
    return best | {"network_steps_per_second": rate}


if __name__ == "__main__":
    name = "python -m figures.speed.devices"
    sys.exit(commands.run_command(main, DevicesCommand, name=name))
