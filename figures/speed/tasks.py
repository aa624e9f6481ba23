"""Tasks of the speed study: compiled functions and the items that a call processes."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from swajax import autoencoder, latent_search, prior
from swajax import pretrain as pretraining
from swajax.autoencoder import AutoencoderConfig
from swajax.data.problem import Problem
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

# Rates of the code of arXiv:2410.08339 on 2 cores: networks/s and network steps/s.
AUTHORS_TRAINING = 38.0
AUTHORS_SEARCH = 71.0

FORMS = ("plain", "fast")
# Aims for the ratio of the fast to the plain form; the second task has none.
FORM_AIMS = {"value and gradient": 4.0, "Levenberg-Marquardt step": None}
MATRIX = 2048
NUM_NETWORKS, NUM_POINTS = 1024, 128
SEARCH_POINTS = 1000
POLISHED, POLISH_POINTS = 16, 400
POLISH_CAPACITIES = (32, 64, 128)


@dataclasses.dataclass(frozen=True)
class SpeedTask:
    """Function to time, and the number of items that one call processes."""

    name: str
    fn: Callable[..., Any]
    args: tuple[Any, ...]
    num_items: int | float
    unit: str
    reference: float | None = None
    """reference in items per second"""
    aim: float | None = None
    """aim for the ratio to the reference"""


def matrix_tasks() -> list[SpeedTask]:
    """Make the reference task of the machine, a float32 matrix product."""
    a = jnp.ones((MATRIX, MATRIX))
    flops = 2 * MATRIX**3 / 1e9
    return [
        SpeedTask(
            f"matrix product {MATRIX}", jax.jit(jnp.matmul), (a, a), flops, "GFLOP"
        )
    ]


def evaluation_tasks() -> list[SpeedTask]:
    """Make tasks for value and gradient of many networks, plain and fast."""
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
    """Make the task of sampling random networks for pretraining."""
    config = AutoencoderConfig()
    fn = functools.partial(pretraining.sample_groups, num=NUM_NETWORKS, config=config)
    return [
        SpeedTask(
            "sampling", jax.jit(fn), (jax.random.key(0),), NUM_NETWORKS, "networks"
        )
    ]


def polish_tasks() -> list[SpeedTask]:
    """Make tasks for Levenberg-Marquardt steps, one also with automatic derivatives."""
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
    """Return the step of one network; the plain form uses automatic derivatives."""
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
    active, decay = weights[indices] * is_active, fit.weight_decay
    return Quadratic(
        (jnp.square(errors).sum() + decay * jnp.square(active).sum()) / 2,
        jacobian.T @ errors + decay * active,
        jacobian.T @ jacobian + decay * jnp.diag(is_active.astype(active.dtype)),
    )


def training_tasks() -> list[SpeedTask]:
    """Make tasks for pretraining steps: sampling, outputs, losses, update."""
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
    """Make the task of a latent search step with all decoders at 1,000 points."""
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
            "network steps",
            AUTHORS_SEARCH,
            100.0,
        )
    ]


GROUPS = (
    matrix_tasks,
    evaluation_tasks,
    prior_tasks,
    polish_tasks,
    training_tasks,
    search_tasks,
)
"""Functions that make the tasks of each group, which are timed alternately."""
