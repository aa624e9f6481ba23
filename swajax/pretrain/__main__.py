"""The command `python -m swajax.pretrain`: train an autoencoder of networks."""

import contextlib
import dataclasses
import functools
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import jax
import numpy as np
import tyro
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from tqdm import tqdm

from swajax import pretrain as pretraining
from swajax.autoencoder.pretrained import load_pretrained
from swajax.io import checkpoints, commands, files, runlog
from swajax.pretrain import PretrainingConfig, PretrainingState
from swajax.pretrain.curves import draw_curves
from swajax.pretrain.journal import (
    BEST_FILE,
    STATE_FILE,
    PretrainProgress,
    read_progress,
    save_best,
    save_state,
)
from swajax.pretrain.validation import NUM_GEOMETRY, NUM_NETWORKS, validate


@dataclasses.dataclass(frozen=True)
class PretrainCommand:
    """Pretrain an autoencoder on random networks, on all devices there are."""

    # Without a default here, so that what is not given can follow the preset.
    training: Annotated[
        PretrainingConfig, tyro.conf.arg(name=""), tyro.conf.OmitArgPrefixes
    ]
    """how to train"""
    chunk_steps: int = 250
    """steps between two saved states: what kill -9 can lose"""
    validation_chunks: int = 8
    """chunks between two validations"""
    validation_networks: int = NUM_NETWORKS
    """unseen networks of a validation; distances are compared of 1,000 at most"""
    seed: int = 0
    """of the parameters and of all networks"""
    time_budget: float | None = None
    """seconds after which the run ends, saved and ready to be resumed"""
    out: Path | None = None
    """folder of the run, new; by default runs/ and a name"""
    resume: Path | None = None
    """folder of a run to go on with; its own settings hold, others are ignored"""
    start_from: Path | None = None
    """checkpoint file whose parameters are the start of a new run"""
    coordinator: str | None = None
    """host:port of the first process, if several hosts train together"""
    num_processes: int | None = None
    """processes that train together, with --coordinator"""
    process_id: int | None = None
    """number of this process, from 0, with --coordinator"""

    def __post_init__(self) -> None:
        """Reject what cannot run."""
        for name in ("chunk_steps", "validation_chunks", "validation_networks"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be in [0, 2^32), got {self.seed}")
        if self.time_budget is not None and not self.time_budget > 0:
            raise ValueError(f"time_budget must be > 0 s, got {self.time_budget}")
        processes = (self.coordinator, self.num_processes, self.process_id)
        if processes.count(None) not in (0, 3):
            raise ValueError(
                "coordinator, num_processes and process_id go together, got "
                f"{processes}"
            )


def main(config: PretrainCommand) -> None:
    """Train, saving as it goes; ends with the curves and the best measures."""
    if config.coordinator is not None:
        jax.distributed.initialize(
            config.coordinator, config.num_processes, config.process_id
        )
    folder, config = _find_run(config)
    trainer = make_trainer(config)
    state = _start(config, folder, trainer)
    if config.resume is None:  # only now: what is refused leaves no folder behind
        runlog.make_run_folder(folder, config)
    with _saved_on_interrupt(folder):
        state = train(state, trainer, config=config, folder=folder)
    if not files.is_writer():
        return
    draw_curves(folder)
    _, header = checkpoints.load(folder / BEST_FILE)
    sys.stdout.write(
        f"step {int(state.step)} of {config.training.num_steps}; best at step "
        f"{header['step']}:\n"
        + "".join(f"  {k:28} {v:.4g}\n" for k, v in header["validation"].items())
        + f"curves.png and {BEST_FILE} are in {folder}\n"
    )


@dataclasses.dataclass(frozen=True)
class Trainer:
    """The compiled programs of a run."""

    init_fn: Callable[[jax.Array], PretrainingState]
    chunk_fn: Callable[..., tuple[PretrainingState, pretraining.Metrics]]
    replicated: NamedSharding


def make_trainer(config: PretrainCommand) -> Trainer:
    """Compiled init and chunk, data-parallel over all devices of all hosts.

    State is replicated; each device draws and trains on its share of a batch.
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
    # XLA's CPU compiler makes convolutions 4 times slower inside of a scan.
    if training.autoencoder.preset == "paper" and jax.default_backend() == "cpu":
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
    """Chunks until the schedule or the time budget ends; saves after each.

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
    while step < training.num_steps:
        num_steps = min(config.chunk_steps, training.num_steps - step)
        state, metrics = trainer.chunk_fn(state, num_steps=num_steps)
        metrics = jax.device_get(metrics)
        _check_finite(metrics["loss"], state.params, step, folder)
        means = {name: float(values.mean()) for name, values in metrics.items()}
        step += num_steps
        seconds = spent + time.monotonic() - start
        is_over = _is_over(config.time_budget, time.monotonic() - start)
        is_last = is_over or step == training.num_steps
        line = {"step": step, "seconds": seconds, **means}
        if is_last or (step // config.chunk_steps) % config.validation_chunks == 0:
            line |= _validate(state, config)
            if line["explained_variance"] > best:
                best = line["explained_variance"]
                made = {"config": training, "seed": config.seed, "before": before}
                save_best(folder, state.params, line, **made)
        runlog.log_metrics(folder, line)
        save_state(folder, state, PretrainProgress(best, seconds, before))
        bar.update(num_steps)
        bar.set_postfix(loss=f"{means['loss']:.4g}", best_explained=f"{best:.4f}")
        if is_over:
            break
    bar.close()
    return state


def _make_loop(step_fn: Callable[..., Any]) -> Callable[..., Any]:
    """As `pretraining.chunk`, each step a call of its own."""

    def chunk(
        state: PretrainingState, *, num_steps: int
    ) -> tuple[PretrainingState, pretraining.Metrics]:
        rows = []
        for _ in range(num_steps):
            state, metrics = step_fn(state)
            rows.append(metrics)
        return state, jax.tree.map(lambda *values: np.stack(values), *rows)

    return chunk


def _find_run(config: PretrainCommand) -> tuple[Path, PretrainCommand]:
    """The run's folder and configuration, of a new run or of the one to resume."""
    if config.resume is None:
        training = config.training.autoencoder
        name = f"pretrain-{training.preset}-{training.activation}"
        return config.out or runlog.default_run_folder(name), config
    stored = runlog.read_config(config.resume, PretrainCommand)
    kept = ("resume", "time_budget", "coordinator", "num_processes", "process_id")
    now = {name: getattr(config, name) for name in kept}
    return config.resume, dataclasses.replace(stored, **now)


def _start(config: PretrainCommand, folder: Path, trainer: Trainer) -> PretrainingState:
    key = jax.random.key(config.seed)
    if config.resume is not None and (folder / STATE_FILE).exists():
        like = jax.eval_shape(trainer.init_fn, key)
        saved = checkpoints.restore(folder / STATE_FILE, like)
        if files.is_writer():
            runlog.truncate_metrics(folder, int(saved.step))
        return jax.device_put(saved, trainer.replicated)
    if config.start_from is None:
        return trainer.init_fn(key)
    params, model = load_pretrained(config.start_from)
    if model != config.training.autoencoder:
        raise ValueError(f"{config.start_from} holds {model}, not what is trained")
    params = jax.device_put(params, trainer.replicated)
    return trainer.init_fn(key)._replace(params=params)


def _check_finite(losses: np.ndarray, params: Any, start: int, folder: Path) -> None:
    """Stop where numbers are lost; a loss is of the parameters BEFORE its step."""
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


def _is_over(time_budget: float | None, seconds: float) -> bool:
    """Whether the budget is spent; the first of several hosts decides for all."""
    if time_budget is None:
        return False
    is_spent = np.bool_(seconds >= time_budget)
    return bool(multihost_utils.broadcast_one_to_all(is_spent))


def _validate(state: PretrainingState, config: PretrainCommand) -> dict[str, float]:
    # The networks are those of another key than any training step's.
    key = jax.random.fold_in(jax.random.key(config.seed), 2**31)
    return validate(
        state.params,
        key,
        config=config.training.autoencoder,
        num_networks=config.validation_networks,
        num_geometry=min(config.validation_networks, NUM_GEOMETRY),
    )


@contextlib.contextmanager
def _saved_on_interrupt(folder: Path) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write(f"\nstopped; go on by --resume {folder}\n")
        raise


def _is_bar_off() -> bool | None:
    return None if files.is_writer() else True


if __name__ == "__main__":
    sys.exit(
        commands.run_command(main, PretrainCommand, name="python -m swajax.pretrain")
    )
