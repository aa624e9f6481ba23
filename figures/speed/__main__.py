"""Every rate of swajax in one run: `python -m figures.speed`.

Each task is timed over and over, in turns with the others of its group, and the fastest
time counts: the others are disturbed. Beside each rate stands what the machine does in
a large matrix product, measured in the same run. Floating point operations are those
that XLA counts in the compiled program.
"""

import dataclasses
import functools
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from figures.common.results import count_cores
from swajax import autoencoder, latent_search, prior
from swajax import pretrain as pretraining
from swajax.autoencoder import AutoencoderConfig
from swajax.data.problem import Problem
from swajax.io import commands, files
from swajax.network import pack, unpack
from swajax.network.batched import apply_batch
from swajax.pretrain import PretrainingConfig
from swajax.refine.levenberg_marquardt import solve
from swajax.refine.quadratic import (
    Fit,
    Quadratic,
    active_indices,
    expand_loss,
    trace,
    transpose,
)
from swajax.types import DEFAULT_ACTIVATIONS, Network, NetworkSpec

# Measured for the authors' code on 2 cores: networks/s and candidate-steps/s.
AUTHORS_TRAINING = 38.0
AUTHORS_SEARCH = 71.0

FORMS = ("plain", "fast")
# Fast to plain form; none was set for the second.
FORM_AIMS = {"value and gradient": 4.0, "Levenberg-Marquardt step": None}
MATRIX = 2048
NUM_NETWORKS, NUM_POINTS = 1024, 128
SEARCH_POINTS = 1000
POLISHED, POLISH_POINTS = 16, 400
POLISH_CAPACITIES = (32, 64, 128)


@dataclasses.dataclass(frozen=True)
class SpeedCommand:
    """Measure every rate of swajax beside the machine's matrix-product rate."""

    seconds: float = 10.0
    """time for each task, compilation not counted"""
    out: Path | None = None
    """JSON file for the numbers"""

    def __post_init__(self) -> None:
        """Reject what leaves nothing to measure or nowhere to write."""
        if not self.seconds > 0:
            raise ValueError(f"seconds must be > 0, got {self.seconds}")
        if self.out is not None and not self.out.parent.is_dir():
            raise FileNotFoundError(f"{self.out.parent}: no such folder")


@dataclasses.dataclass(frozen=True)
class SpeedTask:
    """One thing to time: a compiled function and what a call of it achieves."""

    name: str
    fn: Callable[..., Any]
    args: tuple[Any, ...]
    num_items: int | float
    unit: str
    reference: float | None = None
    """items a second to compare with"""
    aim: float | None = None
    """ratio to the reference that is aimed at"""


def main(config: SpeedCommand) -> None:
    """Time all tasks, print the table, write the numbers."""
    rows = []
    for make_tasks in (
        matrix_tasks,
        evaluation_tasks,
        prior_tasks,
        polish_tasks,
        training_tasks,
        search_tasks,
    ):
        tasks = make_tasks()
        rows += measure(tasks, seconds=config.seconds)
    for what, aim in FORM_AIMS.items():
        plain, fast = (find_row(rows, f"{what}, {form} form") for form in FORMS)
        fast |= {"ratio": fast["rate"] / plain["rate"], "aim": aim}
    sys.stdout.write(format_table(rows) + "\n")
    if config.out is not None:
        record = {
            "machine": f"{platform.machine()}, {jax.local_device_count()} "
            f"{jax.default_backend()} device, {count_cores()} cores",
            "jax": jax.__version__,
            "rows": rows,
        }
        files.write_bytes(config.out, (json.dumps(record, indent=1) + "\n").encode())


def matrix_tasks() -> list[SpeedTask]:
    """The machine itself: a float32 matrix product."""
    a = jnp.ones((MATRIX, MATRIX))
    flops = 2 * MATRIX**3 / 1e9
    return [
        SpeedTask(
            f"matrix product {MATRIX}", jax.jit(jnp.matmul), (a, a), flops, "GFLOP"
        )
    ]


def evaluation_tasks() -> list[SpeedTask]:
    """Value and gradient of many networks at many points, plain and fast form."""
    spec = NetworkSpec(activations=("tanh",))
    networks = prior.sample_batch(
        jax.random.key(0), NUM_NETWORKS, spec=spec, depth=spec.max_depth
    )
    shape = (NUM_POINTS, spec.num_inputs)
    x = jax.random.uniform(jax.random.key(1), shape, minval=-1.0)

    def loss(numbers: dict[str, jax.Array], networks: Network, form: str) -> jax.Array:
        out = apply_batch(
            networks._replace(**numbers),
            x,
            activations=spec.activations,
            depth=spec.max_depth,
            form=form,
        )
        return jnp.square(out).mean()

    numbers = {name: getattr(networks, name) for name in ("first", "hidden", "readout")}
    return [
        SpeedTask(
            f"value and gradient, {form} form",
            jax.jit(jax.value_and_grad(functools.partial(loss, form=form))),
            (numbers, networks),
            NUM_NETWORKS,
            "networks",
        )
        for form in FORMS
    ]


def prior_tasks() -> list[SpeedTask]:
    """Random networks as pretraining draws them."""
    config = AutoencoderConfig()
    fn = functools.partial(pretraining.sample_groups, num=NUM_NETWORKS, config=config)
    return [
        SpeedTask(
            "sampling", jax.jit(fn), (jax.random.key(0),), NUM_NETWORKS, "networks"
        )
    ]


def polish_tasks() -> list[SpeedTask]:
    """A Levenberg-Marquardt step; at one capacity also by automatic derivatives."""
    kinds = DEFAULT_ACTIVATIONS
    spec = NetworkSpec(num_inputs=4, max_width=8, max_depth=3, activations=kinds)
    x = jax.random.uniform(jax.random.key(1), (POLISH_POINTS, 4), minval=-1.0)
    weight = jnp.full(POLISH_POINTS, 1 / POLISH_POINTS)
    problem = Problem(x, jnp.sin(3 * x).sum(axis=1, keepdims=True), weight)
    fit = Fit(activations=spec.activations)
    tasks = []
    for capacity in POLISH_CAPACITIES:
        networks = prior.sample_starts(
            jax.random.key(0), num=POLISHED, spec=spec, max_weights=capacity - 1
        )
        for form in FORMS if capacity == POLISH_CAPACITIES[1] else FORMS[1:]:
            step = functools.partial(
                lm_step, problem=problem, fit=fit, capacity=capacity, form=form
            )
            name = f"Levenberg-Marquardt step, {form} form"
            if capacity != POLISH_CAPACITIES[1]:
                name = f"Levenberg-Marquardt step, up to {capacity - 1} weights"
            fn = jax.jit(jax.vmap(step))
            tasks.append(SpeedTask(name, fn, (networks,), POLISHED, "networks"))
    return tasks


def lm_step(
    network: Network, *, problem: Problem, fit: Fit, capacity: int, form: str
) -> jax.Array:
    """Change of the weights of one network; the plain form by automatic derivatives."""
    indices, is_active = active_indices(network, capacity)
    if form == "fast":
        columns = transpose(problem)
        quadratic = expand_loss(network, indices, is_active, columns, fit=fit)
    else:
        quadratic = _expand_plainly(network, indices, is_active, problem, fit)
    return solve(quadratic, is_active, jnp.asarray(fit.first_damping))


def _expand_plainly(
    network: Network,
    indices: jax.Array,
    is_active: jax.Array,
    problem: Problem,
    fit: Fit,
) -> Quadratic:
    weights = pack(network)

    def residual(chosen: jax.Array) -> jax.Array:
        changed = unpack(weights.at[indices].add(chosen * is_active), network)
        _, _, out = trace(changed, problem.x, activations=fit.activations)
        return ((out - problem.y.T) * jnp.sqrt(2 * problem.weight)[None]).ravel()

    zeros = jnp.zeros(len(indices))
    errors, jacobian = residual(zeros), jax.jacfwd(residual)(zeros)
    own, decay = weights[indices] * is_active, fit.weight_decay
    return Quadratic(
        (jnp.square(errors).sum() + decay * jnp.square(own).sum()) / 2,
        jacobian.T @ errors + decay * own,
        jacobian.T @ jacobian + decay * jnp.diag(is_active.astype(own.dtype)),
    )


def training_tasks() -> list[SpeedTask]:
    """A whole pretraining step: sampling, both networks' outputs, update."""
    tasks = []
    for preset, aim in (("compact", 150.0), ("paper", 10.0)):
        config = PretrainingConfig(autoencoder=AutoencoderConfig(preset=preset))
        shared = {"config": config, "optimizer": pretraining.make_optimizer(config)}
        init = jax.jit(functools.partial(pretraining.init, **shared))
        step = jax.jit(functools.partial(pretraining.step, **shared))
        tasks.append(
            SpeedTask(
                f"training step, {preset}, batch {config.batch_size}",
                step,
                (init(jax.random.key(0)),),
                config.batch_size,
                "networks",
                AUTHORS_TRAINING,
                aim,
            )
        )
    return tasks


def search_tasks() -> list[SpeedTask]:
    """A step of the default latent search with all decoders at 1,000 points."""
    model = AutoencoderConfig()
    config = latent_search.DescentConfig()
    space = latent_search.make_space(model)
    init = jax.jit(functools.partial(autoencoder.init, config=model))
    params = init(jax.random.key(0))
    starts = latent_search.make_starts(
        jax.random.key(1), params, config=config, autoencoder_config=model
    )
    x = jax.random.uniform(jax.random.key(2), (SEARCH_POINTS, 3), minval=-1.0)
    y = jnp.sin(3 * x).sum(axis=1, keepdims=True)
    data = latent_search.Data(x, y, x, y)
    static = {"space": space, "config": config}
    state = jax.jit(functools.partial(latent_search.init, **static))(
        starts, params, data
    )
    return [
        SpeedTask(
            f"latent search, {SEARCH_POINTS} points",
            jax.jit(functools.partial(latent_search.step, **static)),
            (state, params, data),
            state.loss.size,
            "candidate-steps",
            AUTHORS_SEARCH,
            100.0,
        )
    ]


def measure(tasks: list[SpeedTask], *, seconds: float) -> list[dict[str, Any]]:
    """Fastest call of each task, all of them in turns; a row of the table each."""
    compiled = [task.fn.lower(*task.args).compile() for task in tasks]
    times: list[list[float]] = [[] for _ in tasks]
    for fn, task in zip(compiled, tasks, strict=True):
        jax.block_until_ready(fn(*task.args))
    end = time.monotonic() + seconds * len(tasks)
    while time.monotonic() < end:
        for fn, task, mine in zip(compiled, tasks, times, strict=True):
            begin = time.perf_counter()
            jax.block_until_ready(fn(*task.args))
            mine.append(time.perf_counter() - begin)
    return [
        _row(task, fn, np.array(mine))
        for task, fn, mine in zip(tasks, compiled, times, strict=True)
    ]


def find_row(rows: list[dict[str, Any]], task: str) -> dict[str, Any]:
    """The row of a task."""
    return next(row for row in rows if row["task"] == task)


def format_table(rows: list[dict[str, Any]]) -> str:
    """The rows as a table in Markdown."""
    lines = [
        "| task | rate | GFLOP/s | ms a call (median) | ratio | aim |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        ratio = f"{row['ratio']:.1f}x" if row.get("ratio") else ""
        aim = f"{row['aim']:.0f}x" if row.get("aim") else ""
        lines.append(
            f"| {row['task']} | {row['rate']:,.0f} {row['unit']}/s "
            f"| {row['gflop_per_second']:.0f} "
            f"| {row['ms']:.1f} ({row['ms_median']:.1f}) | {ratio} | {aim} |"
        )
    return "\n".join(lines)


def _row(task: SpeedTask, compiled: Any, times: np.ndarray) -> dict[str, Any]:
    rate = task.num_items / times.min()
    return {
        "task": task.name,
        "rate": rate,
        "unit": task.unit,
        "gflop_per_second": compiled.cost_analysis()["flops"] / times.min() / 1e9,
        "ms": 1e3 * times.min(),
        "ms_median": 1e3 * float(np.median(times)),
        "num_calls": len(times),
        "ratio": rate / task.reference if task.reference else None,
        "aim": task.aim,
    }


if __name__ == "__main__":
    sys.exit(commands.run_command(main, SpeedCommand, name="python -m figures.speed"))
