"""How exactly the spaces keep what they promise, at their full configurations.

    python -m swajax.benchmarks.tangle.invariants

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

from swajax import commands, files, runlog
from swajax.benchmarks.quality.summary import format_rows
from swajax.report import facts
from swajax.tangle import selection
from swajax.tangle.choices import (
    Architecture,
    count_architectures,
    extreme,
    one_hot,
    to_architecture,
)
from swajax.tangle.data import LOADERS, load_split
from swajax.tangle.samplers import make_sampler
from swajax.tangle.space import Space
from swajax.tangle.spaces import make_space

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
    found = {"versions": facts.find_versions(), "spaces": rows}
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
    return {
        "space": name,
        "num_architectures": count_architectures(space.choices),
        "num_compared": len(networks),
        "largest_output": max(float(jnp.abs(wanted).max()) for _, wanted in pairs),
        "output_error": max(float(jnp.abs(a - b).max()) for a, b in pairs),
        "mask_error": max(compare_masks(space, params, each) for each in networks),
        "least_gradient": min(float(jnp.abs(g).min()) for g in gradient.values()),
    }


def draw_rows(name: str, key: jax.Array) -> Array:
    """Inputs of a space: rows of its data, or of a random table."""
    if name not in LOADERS:
        return jax.random.normal(key, (NUM_ROWS, NUM_INPUTS))
    return jnp.asarray(load_split(name, 0).weights.x[:NUM_ROWS])


def compare_outputs(
    space: Space, params: Any, network: Architecture, x: Array
) -> tuple[Array, Array]:
    """Outputs of the supernet at one-hot probabilities, and of the sliced network."""
    p = one_hot(network, space.choices)

    @jax.jit
    def alone(params: Any) -> Array:
        return space.apply_alone(space.take(params, network), network, x)

    return jax.jit(space.apply)(params, p, x), alone(params)


def compare_masks(space: Space, params: Any, network: Architecture) -> float:
    """Largest difference of one-hot masks to ones at the weights that slices take."""
    taken, pull = jax.vjp(functools.partial(space.take, architecture=network), params)
    (wanted,) = pull(jax.tree.map(jnp.ones_like, taken))
    found = space.masks(one_hot(network, space.choices))
    gaps = jax.tree.map(lambda a, b: jnp.abs(a - b).max(), found, wanted)
    return max(float(gap) for gap in jax.tree.leaves(gaps))


def find_gradient(space: Space, params: Any, x: Array) -> dict[str, Array]:
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
    header += ["outputs up to", "masks against slices", "least gradient of a vector"]
    cells = [
        [
            row["space"],
            f"{row['num_architectures']:,}",
            str(row["num_compared"]),
            f"{row['output_error']:.1e}",
            f"{row['largest_output']:.2g}",
            f"{row['mask_error']:.1g}",
            f"{row['least_gradient']:.1e}",
        ]
        for row in rows
    ]
    return format_rows(header, cells)


if __name__ == "__main__":
    name = "python -m swajax.benchmarks.tangle.invariants"
    sys.exit(commands.run_command(main, InvariantsCommand, name=name))
