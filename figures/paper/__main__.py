"""The experiments behind the figures: `python -m figures.paper`.

Each experiment writes one JSON file, with the settings and the fingerprint of the
autoencoder that it was made with. A file that fits is kept, so that an interrupted run
goes on where it was; one made with other settings or parameters is made anew. What an
absent autoencoder would be needed for is left out and named. `figures/` draws.
"""

import dataclasses
import functools
import json
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from tqdm import tqdm

from figures.common import teachers
from figures.paper import describe, reconstruction, recovery
from swajax.autoencoder import AutoencoderConfig
from swajax.autoencoder.pretrained import list_pretrained, load_pretrained
from swajax.io import commands, configs, runlog
from swajax.latent_search import DescentConfig
from swajax.pretrain.validation import validate
from swajax.types import NetworkSpec

ACTIVATIONS = ("sigmoid", "leaky_relu", "linear")
PRESETS = ("compact_sigmoid", "compact_leaky_relu", "compact_linear", "paper_sigmoid")
MEAN = "compact-mean_sigmoid"
TEACHERS = {"deep": (3, 35), "shallow": (2, 14)}  # hidden layers, non-zero weights
QUANTILES = (0.9, 0.75, 0.5, 0.25)
# The paper's own, and a tenth and ten times as much.
SPARSITY_WEIGHTS = (0.1 / 7000, 1 / 7000, 10 / 7000)
FULL_SEARCH = DescentConfig(
    num_steps=1000, num_starts=8, sparsity_weights=SPARSITY_WEIGHTS
)
# Neither pretraining nor its validation ever draws from this key: unseen networks.
UNSEEN = 1_000_003


@dataclasses.dataclass(frozen=True)
class ReproductionCommand:
    """Run what the figures and tables show and write the numbers, as JSON."""

    out: Path = Path("runs/reproduction")
    """folder for the results; what is there and fits is kept"""
    checkpoints: tuple[Path, ...] = ()
    """files of autoencoders to use instead of those shipped, each for its own preset
    and activation"""
    mean_checkpoint: Path | None = None
    """file of an autoencoder trained by the mean loss, for figure 6"""
    unit_variance: bool = False
    """scale the teachers' outputs to variance 1; by default they are as the prior
    draws them, where autoencoders are at home"""
    quick: bool = False
    """tiny sizes, to try out that everything runs; the numbers mean nothing"""


@dataclasses.dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    num_networks: int = 1600
    num_geometry: int = 1000
    num_each: int = 25
    num_points: tuple[int, int, int] = (1000, 500, 1000)
    num_seeds: int = 3
    is_unit_variance: bool = False
    search: DescentConfig = FULL_SEARCH


QUICK = Sizes(
    num_networks=16,
    num_geometry=16,
    num_each=7,
    num_points=(16, 16, 16),
    num_seeds=2,
    search=DescentConfig(
        num_steps=2,
        chunk_steps=1,
        num_starts=1,
        sparsity_weights=SPARSITY_WEIGHTS,
    ),
)


class Model(NamedTuple):
    """An autoencoder and the fingerprint of its parameters."""

    params: Any
    config: AutoencoderConfig
    fingerprint: str


class Experiment(NamedTuple):
    """One file of results: its name, what it depends on, and how it is made."""

    name: str
    settings: dict[str, Any]
    run_fn: Callable[[], dict[str, Any]]


def main(config: ReproductionCommand) -> None:
    """Every experiment that can be run and is not there yet."""
    models = load_models(config)
    sizes = dataclasses.replace(
        QUICK if config.quick else Sizes(), is_unit_variance=config.unit_variance
    )
    experiments = make_experiments(models, sizes)
    config.out.mkdir(parents=True, exist_ok=True)
    for name in (*PRESETS, MEAN):
        if name not in models:
            sys.stdout.write(f"left out: no autoencoder {name}\n")
    todo = [one for one in experiments if not is_done(config.out, one)]
    with tqdm(todo, unit="experiment", disable=None) as bar:
        for experiment in bar:
            bar.set_postfix_str(experiment.name)
            seconds = run(config.out, experiment)
            tqdm.write(f"{experiment.name}: {seconds:.1f} s")
    kept = len(experiments) - len(todo)
    sys.stdout.write(f"{config.out}: {len(todo)} experiments run, {kept} kept\n")


def load_models(config: ReproductionCommand) -> dict[str, Model]:
    """Autoencoders by name: those given as files before those shipped."""
    loaded = {}
    for path in config.checkpoints:
        params, model = load_pretrained(path)
        name = f"{model.preset}_{model.activation}"
        if name not in PRESETS:
            raise ValueError(f"{path} is of {name}; used are {', '.join(PRESETS)}")
        loaded[name] = params, model
    for preset, activation in list_pretrained():
        name = f"{preset}_{activation}"
        if name in PRESETS and name not in loaded:
            loaded[name] = load_pretrained(preset, activation)
    if config.mean_checkpoint is not None:
        loaded[MEAN] = load_pretrained(config.mean_checkpoint, "sigmoid")
    return {
        name: Model(params, model, _fingerprint(params))
        for name, (params, model) in loaded.items()
    }


def make_experiments(models: dict[str, Model], sizes: Sizes) -> list[Experiment]:
    """All that the loaded autoencoders allow, short ones first."""
    experiments = [
        make_fn(name, model, sizes)
        for make_fn in (_make_validation, _make_reconstruction)
        for name, model in models.items()
    ]
    for activation in ACTIVATIONS:
        if model := models.get(f"compact_{activation}"):
            experiments += _make_searches(model, activation, sizes)
    return experiments


def is_done(out: Path, experiment: Experiment) -> bool:
    """Whether a file of results is there and was made with the same settings."""
    path = out / f"{experiment.name}.json"
    if not path.exists():
        return False
    try:
        found = json.loads(path.read_bytes())["settings"]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: no results of an experiment ({error})") from error
    return found == json.loads(json.dumps(experiment.settings))


def run(out: Path, experiment: Experiment) -> float:
    """Run one experiment and write its file; seconds."""
    begin = time.monotonic()
    results = experiment.run_fn()
    seconds = time.monotonic() - begin
    head = {"settings": experiment.settings, "seconds": seconds}
    runlog.write_json(out / f"{experiment.name}.json", head | results)
    return seconds


def _make_validation(name: str, model: Model, sizes: Sizes) -> Experiment:
    options = {
        "num_networks": sizes.num_networks,
        "num_geometry": sizes.num_geometry,
    }

    def run_fn() -> dict[str, Any]:
        key = jax.random.key(UNSEEN)
        return validate(model.params, key, config=model.config, **options)

    return Experiment(f"validation_{name}", _describe(model) | options, run_fn)


def _make_reconstruction(name: str, model: Model, sizes: Sizes) -> Experiment:
    options = {
        "num_networks": sizes.num_networks,
        "quantiles": QUANTILES,
        "num_each": sizes.num_each,
    }

    def run_fn() -> dict[str, Any]:
        key = jax.random.key(UNSEEN)
        pairs = reconstruction.reconstruct(
            model.params, key, config=model.config, **options
        )
        axis = describe.surface_axis(sizes.num_each)
        return {"activation": model.config.activation, "axis": axis, "networks": pairs}

    return Experiment(f"reconstruction_{name}", _describe(model) | options, run_fn)


def _make_searches(model: Model, activation: str, sizes: Sizes) -> Iterator[Experiment]:
    """One search a teacher and seed; the seed is of the points and the starts."""
    for teacher_name, (depth, num_weights) in TEACHERS.items():
        for seed in range(sizes.num_seeds):
            settings = _describe(model) | {
                "teacher": {"depth": depth, "num_weights": num_weights},
                "is_unit_variance": sizes.is_unit_variance,
                "seed": seed,
                "num_points": sizes.num_points,
                "num_each": sizes.num_each,
                "search": configs.to_dict(sizes.search),
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
) -> dict[str, Any]:
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
        search=sizes.search,
        num_points=sizes.num_points,
        num_each=sizes.num_each,
    )


def _describe(model: Model) -> dict[str, Any]:
    return {
        "autoencoder": configs.to_dict(model.config),
        "fingerprint": model.fingerprint,
    }


def _fingerprint(params: Any) -> str:
    """A checksum of all parameters."""
    total = 0
    for leaf in jax.tree.leaves(params):
        total = zlib.crc32(np.ascontiguousarray(leaf).tobytes(), total)
    return f"{total:08x}"


if __name__ == "__main__":
    sys.exit(
        commands.run_command(
            main,
            ReproductionCommand,
            name="python -m figures.paper",
        )
    )
