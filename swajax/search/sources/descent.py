"""Sources `direct` and `latent`: gradient descent on weights or on embeddings.

Both minimise the error plus the sparsity penalty of `swajax.latent_search` with the
same gates, losses and optimizer. `direct` moves the weights themselves, `latent` the
points of a learned space (arXiv:2410.08339).
"""

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from swajax import latent_search
from swajax.autoencoder.pretrained import load_pretrained
from swajax.data.problem import MAX_ROWS, Problem
from swajax.io.configs import convert_fields
from swajax.latent_search import (
    Data,
    DescentConfig,
    DescentProblem,
    DescentProgress,
    check_table,
    direct,
)
from swajax.network import resize
from swajax.objectives import Objective
from swajax.search.sources.base import Source, StartRequest, Starts
from swajax.types import Activation, Key, NetworkSpec

BATCH_ROWS = 4096  # rows of a mini-batch

MakeProblem = Callable[[Key, StartRequest], DescentProblem]


@dataclasses.dataclass(frozen=True)
class DescentSourceConfig:
    """Options of `direct` and `latent`."""

    preset: str = "tabular"
    """latent: pretrained autoencoder, or path of a checkpoint file"""
    activation: Activation | None = None
    """latent: activation of the autoencoder's networks, if several are shipped"""
    descent: DescentConfig = dataclasses.field(
        default_factory=lambda: DescentConfig(
            num_steps=500, num_starts=8, chunk_steps=25
        )
    )
    """the gradient descent"""

    def __post_init__(self) -> None:
        """Convert values and refuse those of wrong types."""
        convert_fields(self)


def descend_from_random(
    key: Key, request: StartRequest, *, make_problem: MakeProblem
) -> Starts:
    """Descend from random points and return the best network of each candidate."""
    problem = make_problem(key, request)
    _check_limits(problem.space.spec, request.limits)

    def callback(progress: DescentProgress) -> None:
        if request.watch is not None:
            request.watch(progress.network_steps, progress.networks_fn)

    state, num_steps = latent_search.descend(
        problem.starts,
        problem.params,
        functools.partial(draw_rows, request.train, request.valid),
        space=problem.space,
        config=request.options.descent,
        callback=callback,
        time_budget=request.seconds,
        clock=request.clock,
    )
    found = latent_search.harden(state.picked, problem.params, space=problem.space)
    networks = resize.fit_into(found, problem.space.spec, request.limits)
    return Starts(networks, num_steps)


def make_direct(key: Key, request: StartRequest) -> DescentProblem:
    """Return weights of random networks, [R K, ...] (K screened per start)."""
    limits = request.limits
    starts = direct.make_direct_starts(
        key,
        config=request.options.descent,
        spec=limits,
        max_weights=request.max_weights,
    )
    space = direct.make_direct_space(limits, request.objective)
    return DescentProblem(space, None, starts)


def make_latent(key: Key, request: StartRequest) -> DescentProblem:
    """Return embeddings of random networks, [R K, ...]; the space sets limits."""
    options, limits = request.options, request.limits
    params, model = load_pretrained(options.preset, options.activation)
    space = latent_search.make_space(model, limits=limits, objective=request.objective)
    starts = latent_search.draw_starts(
        key,
        params,
        config=options.descent,
        autoencoder_config=model,
        limits=limits,
        max_weights=request.max_weights,
    )
    return DescentProblem(space, params, starts)


def check_latent(
    limits: NetworkSpec, objective: Objective, options: DescentSourceConfig
) -> None:
    """Refuse tables and limits for which the learned space has no networks.

    Raises:
      ValueError: says why, and what to do.
    """
    _, model = load_pretrained(options.preset, options.activation)
    _check_limits(model.spec, limits)
    try:
        check_table(model, num_inputs=limits.num_inputs, objective=objective)
    except ValueError as error:
        advice = "use --sources random, direct or tangle"
        raise ValueError(f"{error}; {advice}") from error


def _check_limits(spec: NetworkSpec, limits: NetworkSpec) -> None:
    absent = set(spec.activations) - set(limits.activations)
    if spec.max_width > limits.max_width or spec.max_depth > limits.max_depth or absent:
        raise ValueError(
            f"the space has networks of {spec.max_depth} layers of {spec.max_width} "
            f"neurons, {', '.join(spec.activations)}: raise --max-depth, --max-width "
            "or --activations"
        )


def draw_rows(train: Problem, valid: Problem, chunk: int) -> Data:
    """Return all rows, or a mini-batch if they are many or of unequal weight.

    Mini-batches are drawn anew for each chunk, in proportion to the weights.
    """

    def draw(part: Problem) -> tuple[jax.Array, jax.Array]:
        num, weight = len(part.y), part.weight.astype(np.float64)
        weight = weight / weight.sum()
        if num <= MAX_ROWS and np.ptp(weight) == 0:
            return jnp.asarray(part.x), jnp.asarray(part.y)
        num_drawn = num if num <= MAX_ROWS else BATCH_ROWS
        rows = np.random.default_rng(chunk).choice(num, num_drawn, p=weight)
        return jnp.asarray(part.x[rows]), jnp.asarray(part.y[rows])

    return Data(*draw(train), *draw(valid))


DIRECT = Source(
    functools.partial(descend_from_random, make_problem=make_direct),
    options_field="descent",
)
LATENT = Source(
    functools.partial(descend_from_random, make_problem=make_latent),
    check=check_latent,
    options_field="descent",
)
