"""Training loop of a run: compiled chunks, validation and saved states."""

import dataclasses
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from tqdm import tqdm

from swajax import pretrain as pretraining
from swajax.io import files, interrupts, processes, runlog
from swajax.pretrain import PretrainingState
from swajax.pretrain.command import PretrainCommand
from swajax.pretrain.journal import (
    STATE_FILE,
    PretrainProgress,
    read_progress,
    save_best,
    save_state,
)
from swajax.pretrain.presets import PRESETS
from swajax.pretrain.validation import NUM_GEOMETRY, validate

TRAINING_SHARE = 0.9  # of a time budget; the rest is for the last validation
TIMED_STEPS = 10  # steps between two looks at the clock, with a time budget


@dataclasses.dataclass(frozen=True)
class Trainer:
    """Compiled programs of a run."""

    init_fn: Callable[[jax.Array], PretrainingState]
    chunk_fn: Callable[..., tuple[PretrainingState, pretraining.Metrics]]
    replicated: NamedSharding


def make_trainer(config: PretrainCommand) -> Trainer:
    """Compile init and chunk, data-parallel over all devices of all hosts.

    The state is replicated; each device samples its part of a batch.

    Raises:
      ValueError: the batch cannot be divided over the devices.
    """
    training = config.training
    num_devices, num_groups = jax.device_count(), training.num_groups
    if training.batch_size % (num_devices * num_groups):
        raise ValueError(
            f"batch_size must be a multiple of {num_devices * num_groups} on "
            f"{num_devices} devices, got {training.batch_size}"
        )
    mesh = Mesh(np.array(jax.devices()), ("data",))
    replicated = NamedSharding(mesh, PartitionSpec())
    shared = {"config": training, "optimizer": pretraining.make_optimizer(training)}
    sharded = shared | {"sharding": NamedSharding(mesh, PartitionSpec("data"))}
    compiled = functools.partial(jax.jit, out_shardings=replicated)
    is_scan_slow = PRESETS[training.autoencoder.preset].is_scan_slow_on_cpu
    if is_scan_slow and jax.default_backend() == "cpu":
        step = functools.partial(pretraining.step, **sharded)
        chunk_fn = _make_loop(compiled(step, donate_argnums=0))
    else:
        chunk = functools.partial(pretraining.chunk, **sharded)
        chunk_fn = compiled(chunk, static_argnames="num_steps", donate_argnums=0)
    init_fn = compiled(functools.partial(pretraining.init, **shared))
    return Trainer(init_fn, chunk_fn, replicated)


def train(
    state: PretrainingState, trainer: Trainer, *, config: PretrainCommand, folder: Path
) -> PretrainingState:
    """Train until the steps or the time budget are used up; save after each chunk.

    A deferred Ctrl-C ends the training after the current chunk, like the budget; a
    second one ends the process at once, with the state of the last chunk saved.

    Args:
      state: initial or restored state.
      trainer: compiled programs.
      config: options of the run.
      folder: the run folder.

    Returns:
      The last state.

    Raises:
      ValueError: the loss or a parameter is not finite; the state of the last chunk
        stays saved.
    """
    training = config.training
    best, spent, before = read_progress(folder, config.start_from)
    start, step = time.monotonic(), int(state.step)
    bar = tqdm(
        total=training.num_steps, initial=step, unit="step", disable=_is_bar_off()
    )
    budget = processes.remaining_time(config.time_budget)
    end = None if budget is None else start + TRAINING_SHARE * budget
    while step < training.num_steps:
        num_steps = min(config.chunk_steps, training.num_steps - step)
        state, metrics, is_over = _advance(state, trainer, num_steps, end)
        num_steps = len(metrics["loss"])
        _check_finite(metrics["loss"], state.params, step, folder)
        means = {name: float(values.mean()) for name, values in metrics.items()}
        step += num_steps
        seconds = spent + time.monotonic() - start
        is_last = is_over or step == training.num_steps
        line = {"step": step, "seconds": seconds, **means}
        if is_last or (step // config.chunk_steps) % config.validation_chunks == 0:
            line |= _validate(state, config)
            if line["explained_variance"] > best:
                best = line["explained_variance"]
                save_best(folder, state.params, line, config=config, before=before)
        runlog.log_metrics(folder, line)
        save_state(folder, state, PretrainProgress(best, seconds, before))
        bar.update(num_steps)
        bar.set_postfix(loss=f"{means['loss']:.4g}", best_explained=f"{best:.4f}")
        if is_over:
            break
    bar.close()
    return state


def _advance(
    state: PretrainingState, trainer: Trainer, num_steps: int, end: float | None
) -> tuple[PretrainingState, dict[str, np.ndarray], bool]:
    """Take the steps of a chunk, or fewer once the time `end` has come.

    Returns:
      The state, the metrics of each step, and whether the training is over.
    """
    if end is None:
        state, metrics = trainer.chunk_fn(state, num_steps=num_steps)
        return state, jax.device_get(metrics), _is_over(None)
    parts, is_over = [], False
    while num_steps and not is_over:
        now = min(num_steps, TIMED_STEPS)
        state, metrics = trainer.chunk_fn(state, num_steps=now)
        parts.append(jax.device_get(metrics))
        num_steps -= now
        is_over = _is_over(end)
    return state, jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts), is_over


def _make_loop(step_fn: Callable[..., Any]) -> Callable[..., Any]:
    """Return a chunk function that calls the compiled step once per step."""

    def chunk(
        state: PretrainingState, *, num_steps: int
    ) -> tuple[PretrainingState, pretraining.Metrics]:
        rows = []
        for _ in range(num_steps):
            state, metrics = step_fn(state)
            rows.append(metrics)
        return state, jax.tree.map(lambda *values: np.stack(values), *rows)

    return chunk


def _check_finite(losses: np.ndarray, params: Any, start: int, folder: Path) -> None:
    """Reject a loss or parameter that is not finite.

    The loss of a step is that of the parameters before it.
    """
    bad = np.flatnonzero(~np.isfinite(losses))
    leaves = jax.tree.leaves(jax.device_get(params))
    if bad.size:
        what = f"the loss is {losses[bad[0]]} at step {start + bad[0] + 1}"
    elif not all(np.isfinite(leaf).all() for leaf in leaves):
        what = f"a parameter is not finite after step {start + len(losses)}"
    else:
        return
    path = folder / STATE_FILE
    kept = f"the last good state is kept in {path}"
    raise ValueError(f"{what}; {kept if path.exists() else 'none was saved before'}")


def _is_over(end: float | None) -> bool:
    """Return whether the time has come or a signal.

    The first of several hosts decides for all.
    """
    is_over = interrupts.should_end(num_deferred=1)
    is_over |= end is not None and time.monotonic() >= end
    return bool(multihost_utils.broadcast_one_to_all(np.bool_(is_over)))


def _validate(state: PretrainingState, config: PretrainCommand) -> dict[str, float]:
    # No training step uses this key, so that the networks are unseen.
    key = jax.random.fold_in(jax.random.key(config.seed), 2**31)
    return validate(
        state.params,
        key,
        config=config.training.autoencoder,
        num_networks=config.validation_networks,
        num_geometry=min(config.validation_networks, NUM_GEOMETRY),
    )


def _is_bar_off() -> bool | None:
    return None if files.is_writer() else True
