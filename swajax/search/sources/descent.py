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

from swajax.autoencoder import AutoencoderConfig
from swajax.autoencoder.pretrained import load_pretrained
from swajax.data.problem import MAX_ROWS, Problem
from swajax.latent_search import Data, DescentConfig, descent, spaces
from swajax.latent_search.descent import Budget, Explorer
from swajax.network import resize
from swajax.objectives import Objective
from swajax.search.sources.base import Source, StartRequest, Starts
from swajax.types import Activation, Key, NetworkSpec

MAX_INPUTS = 512
BATCH_ROWS = 4096  # rows of a mini-batch

MakeExplorer = Callable[[Key, StartRequest], Explorer]


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


def find(key: Key, request: StartRequest, *, make_explorer: MakeExplorer) -> Starts:
    """Descend from random points and return the best network of each candidate."""
    explorer = make_explorer(key, request)
    _check_limits(explorer.space.spec, request.limits)
    config = request.options.descent
    num = config.num_starts * len(config.sparsity_weights)
    num *= explorer.space.spec.max_depth
    budget = Budget(seconds=request.seconds, candidate_steps=config.num_steps * num)
    networks, num_steps = descent.descend(
        explorer,
        functools.partial(draw_rows, request.train, request.valid),
        search=config,
        budget=budget,
        clock=request.clock,
        watch=request.watch,
    )
    networks = resize.fit_into(networks, explorer.space.spec, request.limits)
    return Starts(networks, num_steps)


def make_direct(key: Key, request: StartRequest) -> Explorer:
    """Weights of random networks as points, [R K, ...] (K screened for each start)."""
    config, limits = request.options.descent, request.limits
    key, network_key = jax.random.split(key)
    networks = spaces.draw_networks(network_key, config, limits, request.max_weights)
    starts = spaces.unfold_starts(key, networks)
    return Explorer(spaces.make_direct_space(limits, request.objective), None, starts)


def make_latent(key: Key, request: StartRequest) -> Explorer:
    """Embeddings of random networks, [R K, ...]; the space has limits of its own."""
    options, limits = request.options, request.limits
    params, model = load_pretrained(options.preset, options.activation)
    if model.preset == "tabular":
        space = spaces.make_tabular_space(model, limits, request.objective)
        networks = spaces.draw_networks(
            key, options.descent, space.spec, request.max_weights
        )
        starts = spaces.encode_starts(params, networks, model=model)
    else:
        space = spaces.make_compact_space(model, num_inputs=limits.num_inputs)
        starts = spaces.draw_compact_starts(
            key, params, config=options.descent, autoencoder_config=model
        )
    return Explorer(space, params, starts)


def check_latent(
    limits: NetworkSpec, objective: Objective, options: DescentSourceConfig
) -> None:
    """Refuse tables and limits for which the learned space has no networks.

    Raises:
      ValueError: says why, and what to do.
    """
    _, model = load_pretrained(options.preset, options.activation)
    _check_limits(model.spec, limits)
    _check_table(limits.num_inputs, objective, options, model)


def _check_table(
    num_inputs: int,
    objective: Objective,
    options: DescentSourceConfig,
    model: AutoencoderConfig,
) -> None:
    if model.preset == "tabular" and num_inputs > MAX_INPUTS:
        raise ValueError(
            f"the space {options.preset} reads at most {MAX_INPUTS} inputs, the table "
            f"has {num_inputs}; use --sources random, direct or tangle"
        )
    is_served = num_inputs <= model.num_inputs and objective == "squared"
    if model.preset != "tabular" and not is_served:
        task = "regression" if objective == "squared" else "classification"
        raise ValueError(
            f"the space {options.preset} has networks of up to {model.num_inputs} "
            f"inputs and one number as output, the table is a {task} of {num_inputs} "
            "inputs; use --sources random, direct or tangle"
        )


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
    functools.partial(find, make_explorer=make_direct), options_field="descent"
)
LATENT = Source(
    functools.partial(find, make_explorer=make_latent),
    check=check_latent,
    options_field="descent",
)
