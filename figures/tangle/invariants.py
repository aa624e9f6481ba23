"""Measure the invariants of the spaces: `python -m figures.tangle.invariants`.

The tests check small configurations of all spaces; this study measures the
configurations that searches use.
"""

import dataclasses
import functools
import json
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from figures.common import results, tables
from figures.common.checks import check_at_least, check_names
from swajax.io import commands, runlog
from swajax.tangle import selection
from swajax.tangle.choices import (
    Architecture,
    Choice,
    Probabilities,
    count_architectures,
    extreme,
    one_hot,
    to_architecture,
)
from swajax.tangle.data.loaders import LOADERS, load_split
from swajax.tangle.samplers import make_sampler
from swajax.tangle.spaces import make_space
from swajax.tangle.spaces.base import SearchSpace
from swajax.tangle.train import gradients
from swajax.tangle.train.optimizers import SupernetConfig, make_weight_optimizer

NUM_ROWS = 8
NUM_INPUTS = 5  # of the table for `mlp`
SPACES = ("mlp", *LOADERS)


@dataclasses.dataclass(frozen=True)
class InvariantsCommand:
    """Measure the numerical error of the invariants of the search spaces."""

    out: Path | None = None
    """folder for invariants.json and invariants.md
    [figures/tangle; quick: a new temporary folder]"""
    spaces: tuple[str, ...] = SPACES
    """search spaces"""
    num_networks: int = 4
    """number of random networks per space, besides the largest and the smallest"""
    seed: int = 0
    """seed of weights and networks"""
    summarize: bool = False
    """only rewrite the table from invariants.json"""
    quick: bool = False
    """measure the space mlp only to test the study"""

    def __post_init__(self) -> None:
        """Check names and numbers."""
        check_names("space", self.spaces, SPACES)
        check_at_least(0, self, "num_networks")


def main(config: InvariantsCommand) -> None:
    """Measure every space, then write the table."""
    commands.use_compilation_cache()
    out = results.choose_folder(config.out, "tangle", is_quick=config.quick)
    path = out / "invariants.json"
    if not config.summarize:
        names = ("mlp",) if config.quick else config.spaces
        rows = [measure_space(name, config) for name in names]
        found = {"versions": runlog.find_versions(), "spaces": rows}
        runlog.write_json(path, found)
    if not path.exists():
        raise ValueError(f"{path}: no numbers to summarize")
    table = format_table(json.loads(path.read_bytes())["spaces"])
    tables.write(out / "invariants.md", table)
    sys.stdout.write(f"{table}\n")


def measure_space(name: str, config: InvariantsCommand) -> dict[str, Any]:
    """Return the largest errors of a space over networks, and its least gradient."""
    space = make_space(name, **({"num_inputs": NUM_INPUTS} if name == "mlp" else {}))
    params_key, genes_key, x_key = jax.random.split(jax.random.key(config.seed), 3)
    params, x = space.init(params_key), draw_rows(name, x_key)
    genes = selection.draw_genes(genes_key, space.choices, num=config.num_networks)
    networks = [extreme(space.choices, is_largest=large) for large in (False, True)]
    networks += [to_architecture(row, space.choices) for row in np.asarray(genes)]
    pairs = [compare_outputs(space, params, network, x) for network in networks]
    gradient = find_gradient(space, params, x)
    p = draw_probabilities(space, jax.random.fold_in(genes_key, 1))
    return {
        "space": name,
        "num_architectures": count_architectures(space.choices),
        "num_compared": len(networks),
        "largest_output": max(float(jnp.abs(wanted).max()) for _, wanted in pairs),
        "output_error": max(float(jnp.abs(a - b).max()) for a, b in pairs),
        "mask_error": max(compare_masks(space, params, each) for each in networks),
        "mixture_error": compare_mixtures(space, p),
        "change_outside": measure_change_outside(space, params, x),
        "least_gradient": min(float(jnp.abs(g).min()) for g in gradient.values()),
    }


def draw_rows(name: str, key: jax.Array) -> Array:
    """Return inputs of a space: rows of its data, or of a random table."""
    if name not in LOADERS:
        return jax.random.normal(key, (NUM_ROWS, NUM_INPUTS))
    return jnp.asarray(load_split(name, 0).weights.x[:NUM_ROWS])


def compare_outputs(
    space: SearchSpace, params: Any, network: Architecture, x: Array
) -> tuple[Array, Array]:
    """Return outputs of the supernet at one-hot probabilities and of the slice."""
    p = one_hot(network, space.choices)

    @jax.jit
    def standalone(params: Any) -> Array:
        return space.apply_standalone(space.take(params, network), network, x)

    return jax.jit(space.apply)(params, p, x), standalone(params)


def compare_masks(space: SearchSpace, params: Any, network: Architecture) -> float:
    """Return the largest difference of one-hot masks to the weights of the slice."""
    wanted = find_taken(space, params, network)
    found = space.masks(one_hot(network, space.choices))
    differences = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), found, wanted)
    return max(float(one) for one in jax.tree.leaves(differences))


def find_taken(space: SearchSpace, params: Any, network: Architecture) -> Any:
    """Return 1 at the weights that the slice of a network takes, else 0."""
    taken, pull = jax.vjp(functools.partial(space.take, architecture=network), params)
    return pull(jax.tree.map(jnp.ones_like, taken))[0]


def draw_probabilities(space: SearchSpace, key: jax.Array) -> Probabilities:
    """Draw probabilities uniformly over the simplex of each row."""
    return {
        choice.name: jax.random.dirichlet(
            jax.random.fold_in(key, index),
            jnp.ones(len(choice.options)),
            (choice.num_rows,),
        )
        for index, choice in enumerate(space.choices)
    }


def compare_mixtures(space: SearchSpace, p: Probabilities) -> float:
    """Return the largest difference of masks to the mean over networks drawn by `p`.

    Rows vary one at a time: a function that is linear in each row is this mean if it is
    correct at one-hot probabilities, which `compare_masks` checks.
    """

    @jax.jit
    def find_differences(p: Probabilities) -> list[Array]:
        return [find_difference(p, choice) for choice in space.choices]

    def find_difference(p: Probabilities, choice: Choice) -> Array:
        """Return the largest difference over the rows of a choice."""
        rows, corners = p[choice.name], jnp.eye(len(choice.options))
        found = space.masks(p)

        def find(row: Array) -> Array:
            each = jax.vmap(
                lambda corner: space.masks({**p, choice.name: rows.at[row].set(corner)})
            )(corners)
            differences = jax.tree.map(
                lambda a, b: jnp.abs(a - jnp.tensordot(rows[row], b, axes=1)).max(),
                found,
                each,
            )
            return jnp.stack(jax.tree.leaves(differences)).max()

        return jax.lax.map(find, jnp.arange(choice.num_rows)).max()

    return max(map(float, find_differences(p)))


def measure_change_outside(space: SearchSpace, params: Any, x: Array) -> float:
    """Return the largest change of weights outside the smallest network in a step.

    A previous step of the largest network gives all weights a momentum.
    """
    optimizer = make_weight_optimizer(SupernetConfig())

    @jax.jit
    def step(params: Any, state: Any, p: Probabilities) -> Any:
        def loss_fn(params: Any) -> Array:
            return jnp.square(space.apply(params, p, x) - 1).mean()

        slope = jax.grad(loss_fn)(params)
        return gradients.masked_update(
            slope, state, params, space.masks(p), optimizer=optimizer
        )

    small, large = (extreme(space.choices, is_largest=b) for b in (False, True))
    state = optimizer.init(params)
    before, state = step(params, state, one_hot(large, space.choices))
    after, _ = step(before, state, one_hot(small, space.choices))
    changes = jax.tree.map(
        lambda old, new, mask: ((1 - mask) * jnp.abs(new - old)).max(),
        before,
        after,
        find_taken(space, params, small),
    )
    return float(max(jax.tree.leaves(changes)))


def find_gradient(space: SearchSpace, params: Any, x: Array) -> dict[str, Array]:
    """Return the gradient of a loss by the architecture vectors of `darts`."""
    sampler = make_sampler("darts")
    alphas = sampler.init(jax.random.key(0), space.choices)

    def loss(alphas: Any) -> Array:
        out = space.apply(params, sampler.sample(jax.random.key(0), alphas, 0.0), x)
        return jnp.square(out - 1).mean()

    return jax.jit(jax.grad(loss))(alphas)


def format_table(rows: list[dict[str, Any]]) -> str:
    """Return the measurements, one row per space."""
    header = ["space", "networks", "compared", "one-hot against sliced"]
    header += ["outputs up to", "masks against slices", "mixed masks against means"]
    header += ["change outside of a single path", "least gradient of a vector"]
    cells = [
        [
            row["space"],
            f"{row['num_architectures']:,}",
            str(row["num_compared"]),
            f"{row['output_error']:.1e}",
            f"{row['largest_output']:.2g}",
            f"{row['mask_error']:.1g}",
            f"{row['mixture_error']:.1g}",
            f"{row['change_outside']:.1g}",
            f"{row['least_gradient']:.1e}",
        ]
        for row in rows
    ]
    return tables.format_rows(header, cells)


if __name__ == "__main__":
    name = "python -m figures.tangle.invariants"
    sys.exit(commands.run_command(main, InvariantsCommand, name=name))
