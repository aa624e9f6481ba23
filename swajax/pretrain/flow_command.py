"""The command `python -m swajax.pretrain flow`: train `flow` on ends."""

import dataclasses
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import tyro
from jaxtyping import Array, Float, Int
from tqdm import tqdm

from swajax.autoencoder import flow
from swajax.autoencoder.flow import FlowConfig
from swajax.io import checkpoints, commands, configs, interrupts, processes, runlog
from swajax.io.compilation import compile_for
from swajax.pretrain.ends.shards import list_shards
from swajax.pretrain.flow_data import Group, Pairs, divide_paths, load_pairs
from swajax.pretrain.flow_loss import batch_loss
from swajax.types import Key

STATE_FILE, PARAMS_FILE = "state.safetensors", "flow.safetensors"
AVERAGING = 0.999  # share of the mean parameters that a step keeps
NUM_VALID = 512  # pairs per group of a validation


@dataclasses.dataclass(frozen=True)
class FlowCommand:
    """Train the space `flow` on the ends of `python -m swajax.pretrain ends`."""

    ends: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """folders of shards; new shards are read at each start"""
    flow: FlowConfig = dataclasses.field(default_factory=FlowConfig)
    """limits of the networks"""
    num_steps: int = 20_000
    """number of optimizer steps"""
    batch_size: int = 192
    """pairs of table and end per step"""
    chunk_steps: int = 20
    """steps on pairs of one shape"""
    save_chunks: int = 25
    """chunks between validations and saved states"""
    learning_rate: float = 1.5e-3
    """peak learning rate; it falls to 0 along a cosine"""
    weight_decay: float = 1e-3
    """weight decay of AdamW"""
    seed: int = 0
    """seed of the parameters and the draws"""
    time_budget: float | None = None
    """seconds after which the command ends; it can be resumed"""
    out: Path | None = None
    """new folder of the run [runs/flow-NUMBER]"""
    resume: Path | None = None
    """folder of a run to continue with its stored options"""

    def __post_init__(self) -> None:
        """Reject numbers out of range."""
        names = "num_steps", "batch_size", "chunk_steps", "save_chunks"
        configs.check_fields(self, *names, minimum=1)
        configs.check_fields(self, "learning_rate", above=0)
        commands.check_seed_and_budget(self.seed, self.time_budget)


class FlowState(NamedTuple):
    """Parameters, their running mean, and the state of the optimizer."""

    params: Any
    mean: Any
    opt_state: Any
    step: Int[Array, ""]


def main(config: FlowCommand) -> None:
    """Train, saving state and mean parameters; print the last validation.

    Raises:
      ValueError: options or files are invalid, or there are no shards.
      OSError: a folder exists or is missing.
    """
    commands.use_compilation_cache()
    folder, config = _find_run(config)
    paths = [path for own in config.ends for path in list_shards(own)]
    train, valid = (load_pairs(own) for own in divide_paths(paths))
    if not train or not valid:
        raise ValueError(f"{config.ends}: at least two shards of ends are needed")
    optimizer = make_optimizer(config)
    state = init(jax.random.key(config.seed), config=config, optimizer=optimizer)
    if config.resume is None:
        runlog.make_run_folder(folder, config)
    else:
        if (folder / STATE_FILE).exists():
            like = jax.eval_shape(lambda: state)
            state = checkpoints.restore(folder / STATE_FILE, like)
        runlog.truncate_metrics(folder, int(state.step))
    _train(state, folder, train, valid, config=config)


def _train(
    state: FlowState,
    folder: Path,
    train: dict[Group, Pairs],
    valid: dict[Group, Pairs],
    *,
    config: FlowCommand,
) -> None:
    budget = processes.remaining_time(config.time_budget)
    end = np.inf if budget is None else time.monotonic() + budget
    begin, step, losses = time.monotonic(), int(state.step), []
    train, valid = jax.device_put((train, valid))
    # Runs that differ in their folders only share compiled programs.
    places = {"ends": (), "out": None, "resume": None, "time_budget": None}
    settings = dataclasses.replace(config, **places)
    bar = tqdm(total=config.num_steps, initial=step, unit="step", disable=None)
    while step < config.num_steps:
        group = choose_group(train, config.seed, step)
        advance_chunk = make_advance(settings, group[-1])
        state, loss = advance_chunk(state, train[group])
        step += config.chunk_steps
        losses.append(float(loss))
        bar.update(config.chunk_steps)
        is_over = time.monotonic() >= end or interrupts.should_end()
        is_over |= step >= config.num_steps
        if is_over or (step // config.chunk_steps) % config.save_chunks == 0:
            line = {"step": step, "seconds": time.monotonic() - begin}
            line |= {"loss": np.mean(losses)} | validate(state.mean, valid, config)
            save(folder, state, line, config)
            bar.set_postfix(loss=line["loss"], valid_loss=line["valid_loss"])
            losses = []
        if is_over:
            break
    bar.close()


def make_optimizer(config: FlowCommand) -> optax.GradientTransformation:
    """Return AdamW with a warm-up, a cosine decay and clipped gradients."""
    warmup = min(200, config.num_steps // 2)
    schedule = optax.warmup_cosine_decay_schedule(
        0.0, config.learning_rate, warmup, config.num_steps, 1e-6
    )
    adam = optax.adamw(schedule, weight_decay=config.weight_decay)
    return optax.chain(optax.clip_by_global_norm(1.0), adam)


def init(
    key: Key, *, config: FlowCommand, optimizer: optax.GradientTransformation
) -> FlowState:
    """Return a fresh state."""
    params = jax.jit(functools.partial(flow.init, config=config.flow))(key)
    step = jnp.zeros((), jnp.int32)
    mean = jax.tree.map(jnp.copy, params)
    return FlowState(params, mean, optimizer.init(params), step)


@functools.cache
def make_advance(
    config: FlowCommand, depth: int
) -> Callable[[FlowState, Pairs], tuple[FlowState, Float[Array, ""]]]:
    """Return the compiled function of a chunk of steps on ends of one depth."""
    optimizer = make_optimizer(config)
    options = {"optimizer": optimizer, "config": config, "depth": depth}
    advance_chunk = functools.partial(advance, num=config.chunk_steps, **options)
    return compile_for("often", advance_chunk, donate_argnums=0)


def advance(
    state: FlowState,
    pairs: Pairs,
    *,
    optimizer: optax.GradientTransformation,
    config: FlowCommand,
    num: int,
    depth: int,
) -> tuple[FlowState, Float[Array, ""]]:
    """Take `num` steps on pairs of one shape; return the mean loss, too."""
    options = {"num": config.batch_size, "depth": depth, "config": config.flow}
    key = jax.random.key(config.seed)

    def step(state: FlowState, _: None) -> tuple[FlowState, Float[Array, ""]]:
        own_key = jax.random.fold_in(key, state.step)
        loss, grads = jax.value_and_grad(batch_loss)(
            state.params, own_key, pairs, **options
        )
        updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
        params = optax.apply_updates(state.params, updates)
        mean = optax.incremental_update(params, state.mean, 1 - AVERAGING)
        return FlowState(params, mean, opt_state, state.step + 1), loss

    state, losses = jax.lax.scan(step, state, None, length=num)
    return state, losses.mean()


def choose_group(pairs: dict[Group, Pairs], seed: int, step: int) -> Group:
    """Draw a group in proportion to the square root of its number of pairs."""
    groups = sorted(pairs)
    odds = np.sqrt([float(pairs[group].num) for group in groups])
    rng = np.random.default_rng((seed, step))
    return groups[rng.choice(len(groups), p=odds / odds.sum())]


def validate(
    params: Any, valid: dict[Group, Pairs], config: FlowCommand
) -> dict[str, float]:
    """Return the loss on unseen tables, in all and by depth."""
    losses = {
        group: float(_make_valid_loss(config.flow, group[-1])(params, own))
        for group, own in valid.items()
    }
    each = {f"valid_{i}x{o}_depth_{d}": v for (i, o, d), v in losses.items()}
    return {"valid_loss": float(np.mean(list(losses.values())))} | each


@functools.cache
def _make_valid_loss(config: FlowConfig, depth: int) -> Callable[[Any, Pairs], Array]:
    options = {"num": NUM_VALID, "depth": depth, "config": config}

    def loss(params: Any, pairs: Pairs) -> Array:
        return batch_loss(params, jax.random.key(2026), pairs, **options)

    return compile_for("seldom", loss)


def save(
    folder: Path, state: FlowState, line: dict[str, Any], config: FlowCommand
) -> None:
    """Log a validation; replace the files of the state and the mean parameters."""
    runlog.log_metrics(folder, line)
    checkpoints.save(folder / STATE_FILE, state, header={"step": int(state.step)})
    header = {"flow": configs.to_dict(config.flow), "validation": line}
    checkpoints.save(folder / PARAMS_FILE, state.mean, header=header)


def _find_run(config: FlowCommand) -> tuple[Path, FlowCommand]:
    """Return folder and options of a new run or of the one to resume."""
    if config.resume is None:
        return config.out or runlog.default_run_folder("flow"), config
    stored = runlog.read_config(config.resume, FlowCommand)
    kept = ("resume", "time_budget", "ends")
    return config.resume, dataclasses.replace(
        stored, **{name: getattr(config, name) for name in kept}
    )
