"""Networks of a space, each trained on its own: the command that does it, the table.

    python -m figures.tangle.standalone_table
    python -m figures.tangle.standalone_table --space digits-vit --num-networks 60

A stopped run goes on where it was if it is called again with the same options.
"""

import dataclasses
import functools
import json
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from tqdm import tqdm

from swajax.io import commands, configs, runlog
from swajax.tangle.choices import (
    Architecture,
    Probabilities,
    clear_absent,
    count_architectures,
    num_options,
    one_hot,
    to_architecture,
    to_options,
)
from swajax.tangle.data import loaders
from swajax.tangle.data.examples import Split
from swajax.tangle.spaces import make_space
from swajax.tangle.spaces.base import SearchSpace, count_weights
from swajax.tangle.train import standalone
from swajax.tangle.train.optimizers import SupernetConfig

DIGITS_MACRO = Path(__file__).with_name("digits_macro.json")
MAX_ALL = 1000  # networks of a space, up to which all can be trained


@dataclasses.dataclass(frozen=True)
class TableCommand:
    """Train all networks of a space, or some of them, each with several seeds."""

    space: Literal["digits-macro", "digits-vit", "digits-cell", "chars-gpt"] = (
        "digits-macro"
    )
    """search space"""
    num_networks: int | None = None
    """networks drawn at random [all]"""
    num_seeds: int = 3
    """splits and starts of each network"""
    num_steps: int = 360
    """steps of training; of 50 of 300 images 6 are an epoch"""
    batch_size: int = 50
    """rows a step"""
    learning_rate: float = 1e-2
    """of Adam; falls along a cosine"""
    out: Path | None = None
    """folder of the run [runs/SPACE-table]"""

    def __post_init__(self) -> None:
        """Reject numbers below one, and all of a space that is too large."""
        if self.num_seeds < 1:
            raise ValueError(f"num_seeds must be >= 1, got {self.num_seeds}")
        num = count_architectures(make_space(self.space).choices)
        if self.num_networks is None and num > MAX_ALL:
            raise ValueError(
                f"{self.space} has {num:,} networks: give --num-networks, such as 60"
            )
        if self.num_networks is not None and not 1 <= self.num_networks <= num:
            raise ValueError(
                f"num_networks must be 1..{num:,}, got {self.num_networks}"
            )
        self.search_config()

    def search_config(self) -> SupernetConfig:
        """How each network is trained."""
        return SupernetConfig(
            num_steps=self.num_steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
        )


class Standing(NamedTuple):
    """Where a network stands among those of a table."""

    loss: float  # test loss, nats
    regret: float  # loss - that of the best network
    percentile: float  # share of the other networks that are worse, 0 to 100


def main(config: TableCommand) -> None:
    """Train what is missing, then write the table."""
    commands.use_compilation_cache()
    out = config.out or Path("runs", f"{config.space}-table")
    config = dataclasses.replace(config, out=out)
    if (config.out / "config.json").is_file():
        if runlog.read_config(config.out, TableCommand) != config:
            raise ValueError(f"{config.out}: made with other options; choose another")
        runlog.truncate_metrics(config.out, 0)  # what a killed run left half
    else:
        runlog.make_run_folder(config.out, config)
    done = {line["network"] for line in runlog.read_metrics(config.out)}
    space = make_space(config.space)
    splits = [
        loaders.load_split(config.space, seed) for seed in range(config.num_seeds)
    ]
    stacked = jax.tree.map(lambda *parts: jnp.stack(parts), *splits)
    networks = list_networks(space, config.num_networks)
    for place, architecture in enumerate(tqdm(networks, unit="network", disable=None)):
        if place in done:
            continue
        row = _score(stacked, architecture, space=space, config=config)
        runlog.log_metrics(config.out, {"network": place} | row)
    rows = sorted(runlog.read_metrics(config.out), key=lambda row: row["network"])
    how = {k: v for k, v in configs.to_dict(config).items() if k != "out"}
    path = config.out / "table.json"
    about = {"config": how, "data": loaders.read_provenance(config.space)}
    runlog.write_json(path, about | {"rows": rows})
    sys.stdout.write(f"{len(rows)} networks are in {path}\n")


def list_networks(space: SearchSpace, num: int | None = None) -> list[Architecture]:
    """All networks of a space in order, or some, the same each time; each once."""
    sizes = num_options(space.choices)
    places = np.arange(math.prod(sizes))
    if num is not None:
        places = np.random.default_rng(0).permutation(places)
    genes = np.stack(np.unravel_index(places, sizes), axis=1)
    cleared = np.asarray(clear_absent(jnp.asarray(genes), space.choices))
    _, first = np.unique(cleared, axis=0, return_index=True)
    chosen = np.sort(places[np.sort(first)[:num]])
    rows = np.stack(np.unravel_index(chosen, sizes), axis=1)
    return [to_architecture(row, space.choices) for row in rows]


def read_table(path: Path = DIGITS_MACRO) -> dict[str, Any]:
    """A table as `main` has written it, by default that of digits-macro.

    Raises:
      ValueError: the file is not there.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no table; python -m figures.tangle.standalone_table")
    return json.loads(path.read_text(encoding="utf-8"))


def read_networks(table: Mapping[str, Any]) -> list[Architecture]:
    """The networks of a table, in its order."""
    rows = (row["indices"] for row in table["rows"])
    return [{name: tuple(index) for name, index in row.items()} for row in rows]


def find_standing(table: Mapping[str, Any], architecture: Architecture) -> Standing:
    """Where a network of the table stands, by mean test loss over the seeds.

    Raises:
      ValueError: the network is not in it.
    """
    networks, losses = read_networks(table), mean_losses(table)
    if architecture not in networks:
        raise ValueError(f"no such network in the table: {architecture}")
    place = networks.index(architecture)
    loss, others = losses[place], np.delete(losses, place)
    share = (others > loss).mean() if len(others) else 0.0
    return Standing(float(loss), float(loss - losses.min()), float(100 * share))


def mean_losses(table: Mapping[str, Any]) -> Float[np.ndarray, " R"]:
    """Test loss of each network of a table, the mean over the seeds."""
    return np.array([np.mean(row["test_loss"]) for row in table["rows"]])


def _score(
    splits: Split,
    architecture: Architecture,
    *,
    space: SearchSpace,
    config: TableCommand,
) -> dict[str, Any]:
    """Scores of one network for each seed."""
    p = one_hot(architecture, space.choices)
    valid, test = _train(splits, p, space=space, config=config.search_config())
    return {
        "indices": architecture,
        "options": to_options(architecture, space.choices),
        "num_weights": count_weights(space, architecture),
        "valid_loss": valid.loss,
        "valid_accuracy": valid.accuracy,
        "test_loss": test.loss,
        "test_accuracy": test.accuracy,
    }


@functools.partial(jax.jit, static_argnames=("space", "config"))
def _train(
    splits: Split, p: Probabilities, *, space: SearchSpace, config: SupernetConfig
) -> tuple[standalone.Score, ...]:
    """Scores of a network given by one-hot probabilities, on its own on each split."""
    masked = standalone.by_masks(space, p)

    def run(seed_and_split: Any) -> Any:
        seed, split = seed_and_split
        return standalone.train_and_evaluate(
            jax.random.key(seed),
            split.weights,
            (split.architecture, split.test),
            space=masked,
            architecture={},
            objective="softmax",
            config=config,
        )

    return jax.lax.map(run, (jnp.arange(len(splits.test.x)), splits))


if __name__ == "__main__":
    name = "python -m figures.tangle.standalone_table"
    sys.exit(commands.run_command(main, TableCommand, name=name))
