"""Train networks of a space standalone and write a table of their scores.

    python -m figures.tangle.standalone_table
    python -m figures.tangle.standalone_table --space digits-vit --num-networks 60

An interrupted run resumes when it is called again with the same options.
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

from figures.common import results
from figures.common.checks import check_at_least
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

DIGITS_MACRO = Path(__file__).parent / "digits-macro" / "table.json"
MAX_ALL = 1000  # largest number of networks of a space that are all trained


@dataclasses.dataclass(frozen=True)
class TableCommand:
    """Train all networks of a space, or a sample, each with several seeds."""

    space: Literal["digits-macro", "digits-vit", "digits-cell", "chars-gpt"] = (
        "digits-macro"
    )
    """search space"""
    num_networks: int | None = None
    """number of networks drawn at random [all]"""
    num_seeds: int = 3
    """number of splits and starts per network"""
    num_steps: int = 360
    """number of training steps; with 50 of 300 images, 6 steps are an epoch"""
    batch_size: int = 50
    """number of rows per step"""
    learning_rate: float = 1e-2
    """learning rate of Adam, with cosine decay"""
    out: Path | None = None
    """folder of the run [runs/SPACE-table; quick: a new temporary folder]"""
    quick: bool = False
    """train two networks for two steps to test the study"""

    def __post_init__(self) -> None:
        """Check numbers; a large space needs `num_networks`."""
        check_at_least(1, self, "num_seeds")
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
        """Return the training settings of each network."""
        return SupernetConfig(
            num_steps=self.num_steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
        )


class Rank(NamedTuple):
    """Rank of a network in a table."""

    loss: float  # test loss, nats
    regret: float  # loss - that of the best network
    percentile: float  # percentage of the other networks that are worse


def main(config: TableCommand) -> None:
    """Train the missing networks, then write the table."""
    commands.use_compilation_cache()
    config = _complete(config)
    if (config.out / "config.json").is_file():
        if runlog.read_config(config.out, TableCommand) != config:
            raise ValueError(
                f"{config.out} was made with other options: choose another --out"
            )
        runlog.truncate_metrics(config.out, 0)  # drop a partial last line
    else:
        runlog.make_run_folder(config.out, config)
    done = {line["network"] for line in runlog.read_metrics(config.out)}
    space = make_space(config.space)
    splits = [
        loaders.load_split(config.space, seed) for seed in range(config.num_seeds)
    ]
    stacked = jax.tree.map(lambda *parts: jnp.stack(parts), *splits)
    networks = list_networks(space, config.num_networks)
    for index, architecture in enumerate(tqdm(networks, unit="network", disable=None)):
        if index in done:
            continue
        row = _score(stacked, architecture, space=space, config=config)
        runlog.log_metrics(config.out, {"network": index} | row)
    rows = sorted(runlog.read_metrics(config.out), key=lambda row: row["network"])
    used = {
        k: v for k, v in configs.to_dict(config).items() if k not in ("out", "quick")
    }
    path = config.out / "table.json"
    facts = {"config": used, "data": loaders.read_provenance(config.space)}
    runlog.write_json(path, facts | {"rows": rows})
    sys.stdout.write(f"{path}: {len(rows)} networks\n")


def _complete(config: TableCommand) -> TableCommand:
    """Fill in the defaults that depend on `quick`."""
    if not config.quick:
        out = config.out or Path("runs", f"{config.space}-table")
        return dataclasses.replace(config, out=out)
    out = results.choose_folder(config.out, f"{config.space}-table", is_quick=True)
    small = {"num_networks": 2, "num_seeds": 1, "num_steps": 2, "quick": False}
    return dataclasses.replace(config, out=out, **small)


def list_networks(space: SearchSpace, num: int | None = None) -> list[Architecture]:
    """Return all networks of a space, or a sample that is the same in each call."""
    sizes = num_options(space.choices)
    indices = np.arange(math.prod(sizes))
    if num is not None:
        indices = np.random.default_rng(0).permutation(indices)
    genes = np.stack(np.unravel_index(indices, sizes), axis=1)
    cleared = np.asarray(clear_absent(jnp.asarray(genes), space.choices))
    _, first = np.unique(cleared, axis=0, return_index=True)
    chosen = np.sort(indices[np.sort(first)[:num]])
    rows = np.stack(np.unravel_index(chosen, sizes), axis=1)
    return [to_architecture(row, space.choices) for row in rows]


def read_table(path: Path = DIGITS_MACRO) -> dict[str, Any]:
    """Read a table of `main`, by default that of digits-macro.

    Raises:
      ValueError: the file does not exist.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no table; python -m figures.tangle.standalone_table")
    return json.loads(path.read_text(encoding="utf-8"))


def read_networks(table: Mapping[str, Any]) -> list[Architecture]:
    """Return the networks of a table in their order."""
    rows = (row["indices"] for row in table["rows"])
    return [{name: tuple(index) for name, index in row.items()} for row in rows]


def find_rank(table: Mapping[str, Any], architecture: Architecture) -> Rank:
    """Return the rank of a network by mean test loss over the seeds.

    Raises:
      ValueError: the network is not in the table.
    """
    networks, losses = read_networks(table), mean_losses(table)
    if architecture not in networks:
        raise ValueError(f"no such network in the table: {architecture}")
    index = networks.index(architecture)
    loss, others = losses[index], np.delete(losses, index)
    share = (others > loss).mean() if len(others) else 0.0
    return Rank(float(loss), float(loss - losses.min()), float(100 * share))


def mean_losses(table: Mapping[str, Any]) -> Float[np.ndarray, " R"]:
    """Return the test loss of each network of a table, mean over the seeds."""
    return np.array([np.mean(row["test_loss"]) for row in table["rows"]])


def _score(
    splits: Split,
    architecture: Architecture,
    *,
    space: SearchSpace,
    config: TableCommand,
) -> dict[str, Any]:
    """Return the scores of one network for each seed."""
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
    """Train a network, given by one-hot probabilities, standalone on each split."""
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
