"""Every network of digits-macro on its own: the command that trains them, the table.

    python -m swajax.tangle.digits_table --out runs/digits-table

A stopped run goes on where it was if it is called again with the same options.
"""

import dataclasses
import functools
import itertools
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from swajax import commands, configs, runlog
from swajax.tangle import alone, digits
from swajax.tangle.choices import (
    Architecture,
    Probabilities,
    describe,
    num_options,
    one_hot,
    to_architecture,
)
from swajax.tangle.optimizers import SearchConfig
from swajax.tangle.rows import Split
from swajax.tangle.space import count_weights
from swajax.tangle.spaces import make_space

TABLE = Path(__file__).with_name("digits_macro.json")


@dataclasses.dataclass(frozen=True)
class TableCommand:
    """Train all 243 networks of digits-macro, each with several seeds."""

    num_seeds: int = 3
    """splits and starts of each network"""
    num_steps: int = 360
    """steps of 50 images; 6 steps are an epoch"""
    learning_rate: float = 1e-2
    """of Adam; falls along a cosine"""
    out: Path = Path("runs/digits-table")
    """folder of the run"""

    def __post_init__(self) -> None:
        """Reject numbers below one."""
        if self.num_seeds < 1:
            raise ValueError(f"num_seeds must be >= 1, got {self.num_seeds}")
        self.search_config()

    def search_config(self) -> SearchConfig:
        """How each network is trained."""
        return SearchConfig(
            num_steps=self.num_steps, batch_size=50, learning_rate=self.learning_rate
        )


class Standing(NamedTuple):
    """Where a network stands among all, by mean test loss over the seeds."""

    loss: float  # nats
    regret: float  # loss - that of the best network
    percentile: float  # share of the other networks that are worse, 0 to 100


def main(config: TableCommand) -> None:
    """Train what is missing, then write the table."""
    commands.use_compilation_cache()
    if (config.out / "config.json").is_file():
        if runlog.read_config(config.out, TableCommand) != config:
            raise ValueError(f"{config.out}: made with other options; choose another")
        runlog.truncate_metrics(config.out, 0)  # what a killed run left half
    else:
        runlog.make_run_folder(config.out, config)
    done = {line["network"] for line in runlog.read_metrics(config.out)}
    space = make_space("digits-macro")
    every = itertools.product(*map(range, num_options(space.choices)))
    splits = [digits.load_digits(seed) for seed in range(config.num_seeds)]
    stacked = jax.tree.map(lambda *parts: jnp.stack(parts), *splits)
    for place, genes in enumerate(tqdm(list(every), unit="network", disable=None)):
        if place in done:
            continue
        architecture = to_architecture(genes, space.choices)
        row = _score(stacked, architecture, config=config)
        runlog.log_metrics(config.out, {"network": place} | row)
    rows = sorted(runlog.read_metrics(config.out), key=lambda row: row["network"])
    how = {k: v for k, v in configs.to_dict(config).items() if k != "out"}
    table = {"config": how, "rows": rows}
    runlog.write_json(config.out / TABLE.name, table)
    sys.stdout.write(f"{len(rows)} networks are in {config.out / TABLE.name}\n")


def read_table(path: Path = TABLE) -> dict[str, Any]:
    """The table as `main` has written it.

    Raises:
      ValueError: the file is not there.
    """
    if not path.is_file():
        raise ValueError(f"{path}: no table; python -m swajax.tangle.digits_table")
    return json.loads(path.read_text(encoding="utf-8"))


def find_standing(table: Mapping[str, Any], architecture: Architecture) -> Standing:
    """Where a network stands in the table.

    Raises:
      ValueError: the network is not in it.
    """
    wanted = {name: list(index) for name, index in architecture.items()}
    losses = np.array([np.mean(row["test_loss"]) for row in table["rows"]])
    places = [n for n, row in enumerate(table["rows"]) if row["indices"] == wanted]
    if not places:
        raise ValueError(f"no such network in the table: {wanted}")
    loss = losses[places[0]]
    share = (losses > loss).sum() / max(len(losses) - 1, 1)
    return Standing(float(loss), float(loss - losses.min()), float(100 * share))


def _score(
    splits: Split, architecture: Architecture, *, config: TableCommand
) -> dict[str, Any]:
    """Scores of one network for each seed."""
    space = make_space("digits-macro")
    valid, test = _train(
        splits, one_hot(architecture, space.choices), config=config.search_config()
    )
    return {
        "indices": architecture,
        "options": describe(architecture, space.choices),
        "num_weights": count_weights(space, architecture),
        "valid_loss": valid.loss,
        "valid_accuracy": valid.accuracy,
        "test_loss": test.loss,
        "test_accuracy": test.accuracy,
    }


@functools.partial(jax.jit, static_argnames="config")
def _train(
    splits: Split, p: Probabilities, *, config: SearchConfig
) -> tuple[alone.Score, ...]:
    """Scores of a network given by one-hot probabilities, on its own on each split.

    By masks on the largest weights, where slices would be a program for each network:
    to compile them all takes longer than to train. The numbers are the same.
    """
    space = make_space("digits-macro")
    masked = dataclasses.replace(
        space,
        take=lambda params, _: params,
        apply_alone=lambda params, _, x: space.apply(params, p, x),
    )

    def run(seed_and_split: Any) -> Any:
        seed, split = seed_and_split
        return alone.train_and_judge(
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
    name = "python -m swajax.tangle.digits_table"
    sys.exit(commands.run_command(main, TableCommand, name=name))
