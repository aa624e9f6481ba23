"""How exactly the spaces keep what they promise, at their full configurations.

    python -m figures.tangle.invariants

The tests hold small configurations of all spaces to these and further invariants; here
are numbers of those that searches run on.
"""

import dataclasses
import functools
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from figures.quality.tables import format_rows
from swajax.io import commands, files, runlog
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
NUM_INPUTS = 5  # of the table of `mlp`


@dataclasses.dataclass(frozen=True)
class InvariantsCommand:
    """Measure how exactly the spaces keep their invariants."""

    out: Path = Path("figures/out/tangle")
    """folder of invariants.json and invariants.md"""
    spaces: tuple[str, ...] = ("mlp", *LOADERS)
    """which ones"""
    num_networks: int = 4
    """random networks of each, besides the largest and the smallest"""
    seed: int = 0
    """of weights and networks"""

    def __post_init__(self) -> None:
        """Reject numbers below zero."""
        if self.num_networks < 0:
            raise ValueError(f"num_networks must be >= 0, got {self.num_networks}")


def main(config: InvariantsCommand) -> None:
    """Every space, then the table."""
    commands.use_compilation_cache()
    rows = [measure(name, config) for name in config.spaces]
    config.out.mkdir(parents=True, exist_ok=True)
    found = {"versions": runlog.find_versions(), "spaces": rows}
    runlog.write_json(config.out / "invariants.json", found)
    table = format_table(rows)
    files.write_bytes(config.out / "invariants.md", f"{table}\n".encode())
    sys.stdout.write(f"{table}\n")


def measure(name: str, config: InvariantsCommand) -> dict[str, Any]:
    """The largest errors of a space over some networks, and its smallest gradient."""
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
    """Inputs of a space: rows of its data, or of a random table."""
    if name not in LOADERS:
        return jax.random.normal(key, (NUM_ROWS, NUM_INPUTS))
    return jnp.asarray(load_split(name, 0).weights.x[:NUM_ROWS])


def compare_outputs(
    space: SearchSpace, params: Any, network: Architecture, x: Array
) -> tuple[Array, Array]:
    """Outputs of the supernet at one-hot probabilities, and of the sliced network."""
    p = one_hot(network, space.choices)

    @jax.jit
    def alone(params: Any) -> Array:
        return space.apply_standalone(space.take(params, network), network, x)

    return jax.jit(space.apply)(params, p, x), alone(params)


def compare_masks(space: SearchSpace, params: Any, network: Architecture) -> float:
    """Largest difference of one-hot masks to ones at the weights that slices take."""
    wanted = find_taken(space, params, network)
    found = space.masks(one_hot(network, space.choices))
    gaps = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), found, wanted)
    return max(float(gap) for gap in jax.tree.leaves(gaps))


def find_taken(space: SearchSpace, params: Any, network: Architecture) -> Any:
    """1 at the weights that the slices of a network take, else 0."""
    taken, pull = jax.vjp(functools.partial(space.take, architecture=network), params)
    return pull(jax.tree.map(jnp.ones_like, taken))[0]


def draw_probabilities(space: SearchSpace, key: jax.Array) -> Probabilities:
    """Mixed ones, uniform over the simplex of each row."""
    return {
        choice.name: jax.random.dirichlet(
            jax.random.fold_in(key, place),
            jnp.ones(len(choice.options)),
            (choice.num_rows,),
        )
        for place, choice in enumerate(space.choices)
    }


def compare_mixtures(space: SearchSpace, p: Probabilities) -> float:
    """Largest difference of masks to the mean over the networks drawn by `p`.

    Row by row, the others held: what is linear in each row is such a mean if it is
    right at one-hot probabilities, which `compare_masks` looks at.
    """

    @jax.jit
    def find_gaps(p: Probabilities) -> list[Array]:
        return [find_gap(p, choice) for choice in space.choices]

    def find_gap(p: Probabilities, choice: Choice) -> Array:
        """The largest of all rows of a choice."""
        rows, corners = p[choice.name], jnp.eye(len(choice.options))
        found = space.masks(p)

        def find(row: Array) -> Array:
            each = jax.vmap(
                lambda corner: space.masks({**p, choice.name: rows.at[row].set(corner)})
            )(corners)
            gaps = jax.tree.map(
                lambda a, b: jnp.abs(a - jnp.tensordot(rows[row], b, axes=1)).max(),
                found,
                each,
            )
            return jnp.stack(jax.tree.leaves(gaps)).max()

        return jax.lax.map(find, jnp.arange(choice.num_rows)).max()

    return max(map(float, find_gaps(p)))


def measure_change_outside(space: SearchSpace, params: Any, x: Array) -> float:
    """Largest change of weights that the smallest network has not, by training it.

    A step of the largest network before gives all weights a momentum to go on with.
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
    """Gradient of a loss by the architecture vectors of `darts`."""
    sampler = make_sampler("darts")
    alphas = sampler.init(jax.random.key(0), space.choices)

    def loss(alphas: Any) -> Array:
        out = space.apply(params, sampler.sample(jax.random.key(0), alphas, 0.0), x)
        return jnp.square(out - 1).mean()

    return jax.jit(jax.grad(loss))(alphas)


def format_table(rows: list[dict[str, Any]]) -> str:
    """A row a space."""
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
    return format_rows(header, cells)


if __name__ == "__main__":
    name = "python -m figures.tangle.invariants"
    sys.exit(commands.run_command(main, InvariantsCommand, name=name))
