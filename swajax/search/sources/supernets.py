"""Source `tangle`: networks sampled from weight-entangled supernets.

Several supernets of the space `mlp` are trained at once (arXiv:2312.10440); networks
are sampled from the trained architecture parameters, with the weights they inherit.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from swajax.data.problem import MAX_ROWS, Problem, padded_inputs
from swajax.io import interrupts
from swajax.io.configs import check_fields, convert_fields
from swajax.objectives import Objective
from swajax.search.sources.base import Source, StartRequest, Starts
from swajax.tangle.choices import harden
from swajax.tangle.data.examples import Rows
from swajax.tangle.samplers import Sampler, make_sampler
from swajax.tangle.spaces import mlp
from swajax.tangle.spaces.mlp import MlpConfig
from swajax.tangle.train import supernet
from swajax.tangle.train.optimizers import SupernetConfig
from swajax.tangle.train.supernet import SupernetState
from swajax.types import Key, Network, NetworkSpec

CHUNK_STEPS = 50  # between two looks at the clock


@dataclasses.dataclass(frozen=True)
class SupernetSourceConfig:
    """Options of `tangle`."""

    num_supernets: int = 8
    """number of supernets, trained side by side"""
    num_drawn: int = 12
    """networks per supernet: the most probable one, and draws"""
    training: SupernetConfig = dataclasses.field(default_factory=SupernetConfig)
    """training of each supernet, with samples of a Dirichlet distribution"""

    def __post_init__(self) -> None:
        """Refuse numbers below one."""
        convert_fields(self)
        check_fields(self, "num_supernets", "num_drawn", minimum=1)


def has_choices(limits: NetworkSpec) -> bool:
    """Whether the limits leave widths, depths and activations to choose among."""
    is_large = limits.max_width >= 3 and limits.max_depth >= 2
    return is_large and len(limits.activations) >= 2


def check(limits: NetworkSpec, objective: Objective, options: Any) -> None:
    """Refuse limits without a choice.

    Raises:
      ValueError: names the smallest limits.
    """
    del objective, options
    if not has_choices(limits):
        raise ValueError(
            "supernets choose among widths, depths and activations: they need "
            "--max-width 3, --max-depth 2 and two activations or more"
        )


def train_and_sample(key: Key, request: StartRequest) -> Starts:
    """Train supernets and draw networks with the weights that they inherit.

    Raises:
      ValueError: a loss is not finite.
    """
    config, limits = request.options, request.limits
    train, valid = (_resample(part) for part in (request.train, request.valid))
    clock, seconds = request.clock, request.seconds
    # Padded inputs: tables of similar size share compiled programs.
    num_inputs = padded_inputs(limits.num_inputs)
    space = make_config(dataclasses.replace(limits, num_inputs=num_inputs))
    trainer = _make_trainer(space, request.objective, config.training)
    make_key, step_key, draw_key = jax.random.split(key, 3)
    num, begin = config.num_supernets, clock()
    state = trainer.init_fn(jax.random.split(make_key, num))
    state = _scale_first(state, (num_inputs / limits.num_inputs) ** 0.5)
    keys = jax.random.split(step_key, num)
    rows = _pad(train, num_inputs), _pad(valid, num_inputs)
    step, total = 0, config.training.num_steps
    while not step or (step < total and clock() - begin < seconds):
        num_steps = min(CHUNK_STEPS, total - step)
        state, losses = trainer.step_fn(state, keys, step, rows, num_steps=num_steps)
        supernet.check_losses(jax.device_get(losses), step)
        step += num_steps
        if interrupts.should_end():
            break
    networks = _draw(
        jax.random.split(draw_key, num),
        state,
        sampler=trainer.sampler,
        config=space,
        num=config.num_drawn,
    )
    networks = jax.device_get(networks)
    first = networks.first[:, : limits.num_inputs]
    return Starts(networks._replace(first=first), step * num)


def _pad(rows: Rows, num_inputs: int) -> Rows:
    """Move rows to the device, padded with inputs of 0."""
    more = num_inputs - rows.x.shape[1]
    return jax.device_put(rows._replace(x=np.pad(rows.x, ((0, 0), (0, more)))))


def _scale_first(state: SupernetState, factor: float) -> SupernetState:
    """Restore the variance that input weights have without padding."""
    first = factor * state.params.first
    return state._replace(params=state.params._replace(first=first))


def make_config(limits: NetworkSpec) -> MlpConfig:
    """Return the space of all depths and every second width within the limits."""
    widths = tuple(range(2 - limits.max_width % 2, limits.max_width + 1, 2))
    return MlpConfig(
        num_inputs=limits.num_inputs,
        num_outputs=limits.num_outputs,
        widths=widths,
        depths=tuple(range(1, limits.max_depth + 1)),
        activations=limits.activations,
    )


class Trainer(NamedTuple):
    """Compiled functions of several supernets of one space."""

    sampler: Sampler
    init_fn: Callable[[Array], SupernetState]
    step_fn: Callable[..., Any]


@functools.cache  # equal settings share compiled programs
def _make_trainer(
    config: MlpConfig, objective: Objective, search: SupernetConfig
) -> Trainer:
    space, sampler = mlp.make_mlp(config), make_sampler("drnas")
    static = {"space": space, "sampler": sampler, "config": search}
    loss_fn = supernet.make_loss_fn(space, objective)

    def advance(
        state: SupernetState, keys: Array, step: Array, rows: Any, *, num_steps: int
    ) -> Any:
        def own(state: SupernetState, key: Key) -> Any:
            return supernet.search_steps(
                state, key, step, *rows, num=num_steps, loss_fn=loss_fn, **static
            )

        return jax.vmap(own)(state, keys)

    return Trainer(
        sampler,
        jax.jit(jax.vmap(functools.partial(supernet.make_state, **static))),
        jax.jit(advance, static_argnames="num_steps"),
    )


@functools.partial(jax.jit, static_argnames=("sampler", "config", "num"))
def _draw(
    keys: Array, state: SupernetState, *, sampler: Sampler, config: MlpConfig, num: int
) -> Network:
    """Return the most probable network of each supernet, and draws, [B N, ...]."""

    def one(key: Key, params: Any, alphas: Any, is_likeliest: Array) -> Network:
        drawn = sampler.sample(key, alphas, 1.0)
        scores = {
            name: jnp.where(is_likeliest, alphas[name], drawn[name]) for name in drawn
        }
        return mlp.to_network(params, harden(scores), config=config)

    def each(key: Key, params: Any, alphas: Any) -> Network:
        draw = jax.vmap(one, in_axes=(0, None, None, 0))
        return draw(jax.random.split(key, num), params, alphas, jnp.arange(num) == 0)

    networks = jax.vmap(each)(keys, state.params, state.alphas)
    return jax.tree.map(lambda leaf: leaf.reshape(-1, *leaf.shape[2:]), networks)


def _resample(part: Problem) -> Rows:
    """Repeat rows in proportion to their weights, to one number for every table.

    Tables then share compiled programs.
    """
    edges = np.cumsum(part.weight, dtype=np.float64)
    places = (np.arange(MAX_ROWS) + 0.5) / MAX_ROWS * edges[-1]
    rows = np.searchsorted(edges, places)
    return Rows(part.x[rows], part.y[rows])


SOURCE = Source(train_and_sample, check=check, options_field="supernet")
