"""The command `python -m swajax.search`: small networks for a table of numbers."""

import dataclasses
import functools
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from jaxtyping import Array, Float
from tqdm import tqdm

from swajax import autoencoder, checkpoints, commands, configs, latent_search, runlog
from swajax.autoencoder import AutoencoderConfig, Params
from swajax.autoencoder.pretrained import load_pretrained
from swajax.data.splits import Dataset, describe_scalers, split_table
from swajax.data.tables import load_table
from swajax.latent_search import Progress, SearchConfig, SearchResult, Space
from swajax.network import simplify
from swajax.report import candidates as report
from swajax.types import Activation, Network


@dataclasses.dataclass(frozen=True)
class SearchCommand:
    """Find small networks for a table by gradient descent on architecture and weights.

    For now: up to three numeric features and one numeric target.
    """

    data: str
    """CSV or TSV file, or a built-in table: diabetes, iris, himmelblau and others"""
    target: str | None = None
    """column to predict; built-in tables have a default"""
    features: tuple[str, ...] | None = None
    """columns to predict from, at most three; by default all others"""
    preset: str = "compact"
    """pretrained autoencoder: compact or paper, or a path to a checkpoint file"""
    activation: Activation = "sigmoid"
    """activation of the hidden neurons"""
    search: Annotated[SearchConfig, tyro.conf.arg(name="")] = dataclasses.field(
        default_factory=SearchConfig
    )
    """how to search"""
    seed: int = 0
    """of the split and of the starts"""
    time_budget: float | None = None
    """seconds after which the search ends with the best so far"""
    out: Path | None = None
    """folder for the results, new; by default runs/ and a name"""

    def __post_init__(self) -> None:
        """Reject what no random generator or clock takes."""
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"seed must be in [0, 2^32), got {self.seed}")
        if self.time_budget is not None and not self.time_budget > 0:
            raise ValueError(f"time_budget must be > 0 s, got {self.time_budget}")


def main(config: SearchCommand) -> None:
    """Table in, networks out; everything is written before the table is shown."""
    table = load_table(config.data, target=config.target, features=config.features)
    dataset, scalers = split_table(table, seed=config.seed)
    params, model = load_pretrained(config.preset, config.activation)
    space = make_space(model, num_inputs=len(table.features))
    folder = runlog.make_run_folder(config.out or _default_folder(config), config)
    result, last = _search(config, dataset, params, model, space, folder)
    outcome = report.evaluate(
        result,
        dataset,
        scalers,
        activations=space.spec.activations,
        sparsity_weights=config.search.sparsity_weights,
    )
    header = {
        "source": table.source,
        "features": table.features,
        "target": table.target,
        "num_rows": [len(y) for y in dataset[1::2]],
        "spec": configs.to_dict(space.spec),
        **describe_scalers(scalers),
    }
    _write(folder, header | last, result, outcome, space)
    features = ", ".join(map(repr, table.features))
    sys.stdout.write(
        f"{table.source}: {table.target!r} from {features}; "
        f"{'/'.join(map(str, header['num_rows']))} rows to train/validate/test\n"
        f"{last['step']} steps in {last['seconds']:.1f} s\n"
        f"{report.format_table(outcome.rows, target=table.target)}\n"
        f"networks, results.json and results.png are in {folder}\n"
    )


@functools.cache
def make_space(config: AutoencoderConfig, *, num_inputs: int) -> Space:
    """The space of an autoencoder, for tables with as many or fewer features.

    The networks keep the weights from their first inputs and lose the others, so that
    what the table does not use is neither counted nor penalized.
    """
    if not 1 <= num_inputs <= config.spec.num_inputs:
        raise ValueError(
            f"num_inputs must be in 1..{config.spec.num_inputs}, got {num_inputs}"
        )

    def decode_fn(params: Params, z: Float[Array, " Z"], depth: int) -> Network:
        network = autoencoder.decode(params, z, config=config, depth=depth)
        return network._replace(first=network.first[:num_inputs])

    spec = dataclasses.replace(config.spec, num_inputs=num_inputs)
    return Space(decode_fn, spec)


def _default_folder(config: SearchCommand) -> Path:
    stem = re.sub(r"[^\w-]+", "-", Path(config.data).stem).strip("-")
    return runlog.default_run_folder(f"search-{stem}")


def _search(
    config: SearchCommand,
    dataset: Dataset,
    params: Params,
    model: AutoencoderConfig,
    space: Space,
    folder: Path,
) -> tuple[SearchResult, dict[str, Any]]:
    """The search under a progress bar: the result, on the host, and the last report."""
    starts = _make_starts(
        jax.random.key(config.seed),
        params,
        config=config.search,
        autoencoder_config=model,
    )
    data = latent_search.Data(*map(jnp.asarray, dataset[:4]))
    last: dict[str, Any] = {"step": 0, "seconds": 0.0}
    with tqdm(total=config.search.num_steps, unit="step", disable=None) as bar:

        def callback(progress: Progress) -> None:
            last.update(
                step=progress.step,
                seconds=progress.seconds,
                loss=float(progress.best_loss.min()),
                objective=float(progress.objective.min()),
            )
            runlog.log_metrics(folder, last)
            bar.total = progress.num_steps
            bar.set_postfix(objective=f"{last['objective']:.4g}", refresh=False)
            bar.update(progress.step - bar.n)

        result, _ = latent_search.run(
            starts,
            params,
            data,
            space=space,
            config=config.search,
            callback=callback,
            time_budget=config.time_budget,
        )
    return jax.device_get(result), last


_make_starts = jax.jit(
    latent_search.make_starts, static_argnames=("config", "autoencoder_config")
)


def _write(
    folder: Path,
    header: dict[str, Any],
    result: SearchResult,
    outcome: report.Outcome,
    space: Space,
) -> None:
    best = report.pick(outcome.rows)
    shape = result.objective.shape
    index = np.unravel_index(best, shape)
    chosen = jax.tree.map(lambda leaf: jnp.asarray(leaf[index]), result.network)
    pruned = simplify(chosen, activations=space.spec.activations)
    checkpoints.save(folder / "networks.safetensors", result.network, header=header)
    checkpoints.save(folder / "best.safetensors", pruned, header=header)
    report.draw(folder / "results.png", outcome, target=header["target"])
    results = {
        **header,
        "best": best,
        "candidates": [row._asdict() for row in outcome.rows],
    }
    runlog.write_json(folder / "results.json", results)


if __name__ == "__main__":
    sys.exit(commands.run_command(main, SearchCommand, name="python -m swajax.search"))
