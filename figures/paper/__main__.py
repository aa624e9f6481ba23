"""Run the experiments of the paper and draw its figures: `python -m figures.paper`.

Each experiment is one run, stored with its settings and the fingerprint of its
autoencoder. Existing runs with the same settings and parameters are kept; others are
made again. Experiments whose autoencoder is missing are left out and named.
"""

import dataclasses
import functools
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax

from figures.common import results, teachers
from figures.common.checksum import checksum
from figures.common.results import Run, RunFile
from figures.paper import (
    describe,
    draw_framework,
    draw_reconstruction,
    draw_recovery,
    reconstruction,
    recovery,
    tables,
)
from swajax.autoencoder import AutoencoderConfig
from swajax.autoencoder.pretrained import list_pretrained, load_pretrained
from swajax.io import commands, configs
from swajax.latent_search import DescentConfig
from swajax.pretrain.validation import validate
from swajax.types import NetworkSpec

ACTIVATIONS = ("sigmoid", "leaky_relu", "linear")
PRESETS = ("compact_sigmoid", "compact_leaky_relu", "compact_linear", "paper_sigmoid")
MEAN = "compact-mean_sigmoid"
TEACHERS = {"deep": (3, 35), "shallow": (2, 14)}  # hidden layers, non-zero weights
QUANTILES = (0.9, 0.75, 0.5, 0.25)
# A tenth, one and ten times the weight of the paper.
SPARSITY_WEIGHTS = (0.1 / 7000, 1 / 7000, 10 / 7000)
FULL_DESCENT = DescentConfig(
    num_steps=1000, num_starts=8, sparsity_weights=SPARSITY_WEIGHTS
)
# Pretraining and its validation never draw from this key: its networks are unseen.
UNSEEN = 1_000_003


@dataclasses.dataclass(frozen=True)
class ReproductionCommand:
    """Run the experiments of the paper, then draw its figures and tables."""

    out: Path | None = None
    """folder for runs, figures and tables; existing runs are kept
    [figures/paper; quick: a new temporary folder]"""
    checkpoints: tuple[Path, ...] = ()
    """checkpoint files that replace the shipped autoencoders of the same preset and
    activation"""
    mean_checkpoint: Path | None = None
    """checkpoint file of an autoencoder trained by the mean loss, for figure 6"""
    unit_variance: bool = False
    """scale the outputs of the teachers to variance 1 [as the prior draws them]"""
    summarize: bool = False
    """only redraw figures and tables from existing runs"""
    quick: bool = False
    """use tiny sizes to test the study"""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """Numbers of networks, points and seeds, and the descent."""

    num_networks: int = 1600
    num_geometry: int = 1000
    num_each: int = 25
    num_points: tuple[int, int, int] = (1000, 500, 1000)
    num_seeds: int = 3
    is_unit_variance: bool = False
    descent: DescentConfig = FULL_DESCENT


QUICK = Sizes(
    num_networks=16,
    num_geometry=16,
    num_each=7,
    num_points=(16, 16, 16),
    num_seeds=2,
    descent=DescentConfig(
        num_steps=2,
        chunk_steps=1,
        num_starts=1,
        sparsity_weights=SPARSITY_WEIGHTS,
    ),
)


class Model(NamedTuple):
    """Autoencoder and fingerprint of its parameters."""

    params: Any
    config: AutoencoderConfig
    fingerprint: str


class Experiment(NamedTuple):
    """Name, settings and function of one run."""

    name: str
    settings: dict[str, Any]
    run_fn: Callable[[], Run]

    def make(self) -> Run:
        """Run the experiment; return its results with its settings and seconds."""
        begin = time.monotonic()
        found = self.run_fn()
        seconds = time.monotonic() - begin
        return {"settings": self.settings, "seconds": seconds} | found


def main(config: ReproductionCommand) -> None:
    """Run the missing experiments, then draw figures and tables."""
    commands.use_compilation_cache()
    out = results.choose_folder(config.out, "paper", is_quick=config.quick)
    runs = RunFile(out / results.FILE_NAME)
    if not config.summarize:
        run_missing(config, runs)
    draw(runs, out)


def run_missing(config: ReproductionCommand, runs: RunFile) -> None:
    """Run the experiments that are not in the file with the same settings."""
    models = load_models(config)
    sizes = dataclasses.replace(
        QUICK if config.quick else Sizes(), is_unit_variance=config.unit_variance
    )
    experiments = make_experiments(models, sizes)
    for name in (*PRESETS, MEAN):
        if name not in models:
            sys.stdout.write(f"left out: no autoencoder {name}\n")
    missing = [one for one in experiments if not is_done(runs, one)]
    results.make_missing(runs, [(one.name, one.make) for one in missing])
    num_kept = len(experiments) - len(missing)
    sys.stdout.write(f"{runs.path}: {len(missing)} experiments run, {num_kept} kept\n")


def draw(runs: Mapping[str, Run], out: Path) -> None:
    """Draw the figures and write the tables for which there are runs.

    Args:
      runs: experiments by name.
      out: folder.
    """
    draw_framework.draw(out)
    draw_reconstruction.draw(runs, out)
    draw_recovery.draw(runs, out)
    tables.write(runs, out)


def load_models(config: ReproductionCommand) -> dict[str, Model]:
    """Load autoencoders by name; given files replace shipped ones."""
    loaded = {}
    for path in config.checkpoints:
        params, model = load_pretrained(path)
        name = f"{model.preset}_{model.activation}"
        if name not in PRESETS:
            raise ValueError(f"{path} holds {name}; allowed are {', '.join(PRESETS)}")
        loaded[name] = params, model
    for preset, activation in list_pretrained():
        name = f"{preset}_{activation}"
        if name in PRESETS and name not in loaded:
            loaded[name] = load_pretrained(preset, activation)
    if config.mean_checkpoint is not None:
        loaded[MEAN] = load_pretrained(config.mean_checkpoint, "sigmoid")
    return {
        name: Model(params, model, checksum(params))
        for name, (params, model) in loaded.items()
    }


def make_experiments(models: dict[str, Model], sizes: Sizes) -> list[Experiment]:
    """Return the experiments of the loaded autoencoders, short ones first."""
    experiments = [
        make_fn(name, model, sizes)
        for make_fn in (_make_validation, _make_reconstruction)
        for name, model in models.items()
    ]
    for activation in ACTIVATIONS:
        if model := models.get(f"compact_{activation}"):
            experiments += _make_searches(model, activation, sizes)
    return experiments


def is_done(runs: Mapping[str, Run], experiment: Experiment) -> bool:
    """Return whether a run exists and was made with the same settings."""
    if experiment.name not in runs:
        return False
    found = runs[experiment.name].get("settings")
    return found == json.loads(json.dumps(experiment.settings))


def _make_validation(name: str, model: Model, sizes: Sizes) -> Experiment:
    options = {
        "num_networks": sizes.num_networks,
        "num_geometry": sizes.num_geometry,
    }

    def run_fn() -> Run:
        key = jax.random.key(UNSEEN)
        return validate(model.params, key, config=model.config, **options)

    return Experiment(f"validation_{name}", _describe(model) | options, run_fn)


def _make_reconstruction(name: str, model: Model, sizes: Sizes) -> Experiment:
    options = {
        "num_networks": sizes.num_networks,
        "quantiles": QUANTILES,
        "num_each": sizes.num_each,
    }

    def run_fn() -> Run:
        key = jax.random.key(UNSEEN)
        pairs = reconstruction.reconstruct(
            model.params, key, config=model.config, **options
        )
        axis = describe.surface_axis(sizes.num_each)
        return {"activation": model.config.activation, "axis": axis, "networks": pairs}

    return Experiment(f"reconstruction_{name}", _describe(model) | options, run_fn)


def _make_searches(model: Model, activation: str, sizes: Sizes) -> Iterator[Experiment]:
    """Return one search per teacher and seed; the seed is of points and starts."""
    for teacher_name, (depth, num_weights) in TEACHERS.items():
        for seed in range(sizes.num_seeds):
            settings = _describe(model) | {
                "teacher": {"depth": depth, "num_weights": num_weights},
                "is_unit_variance": sizes.is_unit_variance,
                "seed": seed,
                "num_points": sizes.num_points,
                "num_each": sizes.num_each,
                "search": configs.to_dict(sizes.descent),
            }
            yield Experiment(
                f"search_{teacher_name}_{activation}_{seed}",
                settings,
                functools.partial(
                    _search, model, depth, num_weights, seed=seed, sizes=sizes
                ),
            )


def _search(
    model: Model, depth: int, num_weights: int, *, seed: int, sizes: Sizes
) -> Run:
    """Search the networks of one teacher."""
    teacher = teachers.plant(
        jax.random.key(UNSEEN),
        spec=NetworkSpec(activations=model.config.spec.activations),
        depth=depth,
        num_weights=num_weights,
        is_unit_variance=sizes.is_unit_variance,
    )
    return recovery.recover(
        model.params,
        jax.random.key(seed),
        teacher,
        autoencoder_config=model.config,
        descent=sizes.descent,
        num_points=sizes.num_points,
        num_each=sizes.num_each,
    )


def _describe(model: Model) -> dict[str, Any]:
    return {
        "autoencoder": configs.to_dict(model.config),
        "fingerprint": model.fingerprint,
    }


if __name__ == "__main__":
    sys.exit(
        commands.run_command(
            main,
            ReproductionCommand,
            name="python -m figures.paper",
        )
    )
