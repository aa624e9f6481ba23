"""Record results of the package in small cases with fixed seeds.

    python tests/golden/record.py              # write numbers.json
    python tests/golden/record.py --check      # compare with numbers.json
    python tests/golden/record.py --only NAME  # one case, also with --check

`tests/test_golden.py` also compares. The numbers hold for the versions, the compiler
settings and the number of cores that are stored with them: one core instead of two
changes sums in their last digit, losses of a search by up to 1e-3, and some counts. On
another machine, record them again with the code before a change.
"""

import argparse
import dataclasses
import functools
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# As in tests/conftest.py, before JAX is imported.
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ.setdefault("JAX_NUM_CPU_DEVICES", "1")
if os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1") == "1":
    if importlib.metadata.version("jaxlib").startswith("0.10."):
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_use_fusion_emitters=false")

import jax
import jax.numpy as jnp
import numpy as np
from sklearn import datasets

from swajax import autoencoder, latent_search, network, pretrain, prior
from swajax.autoencoder import AutoencoderConfig
from swajax.autoencoder.pretrained import load_pretrained
from swajax.data.problem import choose_objective
from swajax.data.splits import split_table
from swajax.data.tables import load_table
from swajax.estimators import SparseMLPClassifier, SparseMLPRegressor
from swajax.latent_search import DescentConfig
from swajax.model.front import Front
from swajax.pretrain import PretrainingConfig
from swajax.pretrain.command import PretrainCommand
from swajax.pretrain.trainer import make_trainer
from swajax.search.config import (
    DescentSourceConfig,
    SearchConfig,
    SupernetSourceConfig,
)
from swajax.search.run import find_front
from swajax.tangle import experiment
from swajax.tangle.__main__ import TangleCommand, make_task
from swajax.tangle.samplers import make_sampler
from swajax.tangle.train.optimizers import SupernetConfig
from swajax.types import Network, NetworkSpec

PATH = Path(__file__).with_name("numbers.json")
DIGITS = 9  # significant digits of stored numbers
FLOOR = 1e-3  # relative to the largest number of an array; floor for comparisons

Numbers = dict[str, Any]
"""Names to numbers or nested lists of numbers."""

# Settings.

DESCENT = DescentConfig(num_steps=20, num_starts=2, num_screened=4, chunk_steps=10)
SEARCH = SearchConfig(
    max_weights=12,
    num_starts=16,
    num_rounds=1,
    num_kept=4,
    max_perturbed=5,
    max_width=4,
    max_depth=2,
    descent=DescentSourceConfig(descent=DESCENT),
    supernet=SupernetSourceConfig(
        num_supernets=2,
        num_drawn=4,
        training=SupernetConfig(num_steps=20, batch_size=16),
    ),
)
SMALLER = dataclasses.replace(
    SEARCH, max_weights=8, num_starts=8, num_rounds=0, num_kept=2
)
ESTIMATOR = {
    "valid_share": 0.2,
    "sources": ("random",),
    "max_weights": 8,
    "num_starts": 8,
    "num_rounds": 0,
    "max_perturbed": 0,
    "max_width": 3,
    "max_depth": 2,
    "activations": ("tanh", "linear"),
}
NUM_TANGLED = 2  # number of searches in one batch
NUM_LAST = 3  # steps of a pretraining whose metrics are stored

# The only functions that call the package.


def search_table(
    data: str, *sources: str, config: SearchConfig = SEARCH, test_share: float = 0.2
) -> Numbers:
    """Search a built-in table as `python -m swajax.search` does, without a budget."""
    table = load_table(data, target=None)
    dataset, scaling, _ = split_table(table, seed=0, test_share=test_share)
    front = find_front(
        jax.random.key(0),
        dataset.train,
        dataset.valid,
        objective=choose_objective(scaling.classes),
        config=dataclasses.replace(config, sources=sources),
    )
    return describe_front(front)


def describe_front(front: Front) -> Numbers:
    """Return sizes, losses and choice of a front."""
    return {
        "num_weights": front.num_weights,
        "train_loss": front.train_loss,
        "valid_loss": front.valid_loss,
        "pick": front.pick,
    }


def fit_regressor() -> Numbers:
    """Fit the regressor to 60 rows and predict 5 others."""
    x, y = datasets.load_diabetes(return_X_y=True)
    model = SparseMLPRegressor(**ESTIMATOR).fit(x[:60], y[:60])
    return describe_rows(model.front_) | {"prediction": model.predict(x[60:65])}


def fit_classifier() -> Numbers:
    """Fit the classifier to every second row and predict 5 others."""
    x, y = datasets.load_iris(return_X_y=True)
    model = SparseMLPClassifier(**ESTIMATOR).fit(x[::2], y[::2])
    probability = model.predict_proba(x[1::30])
    return describe_rows(model.front_) | {"probability": probability}


def describe_rows(rows: list[Any]) -> Numbers:
    """Return the columns of the front of an estimator."""
    names = ("num_weights", "train_loss", "valid_loss")
    columns = {name: [getattr(row, name) for row in rows] for name in names}
    return columns | {"pick": [row.is_picked for row in rows].index(True)}


def train_autoencoder(preset: str, batch_size: int) -> Numbers:
    """Train an autoencoder for 20 steps as `python -m swajax.pretrain` does."""
    training = configure_training(preset, batch_size)
    trainer = make_trainer(PretrainCommand(training))
    state = trainer.init_fn(jax.random.key(0))
    state, metrics = trainer.chunk_fn(state, num_steps=training.num_steps)
    last = {name: values[-NUM_LAST:] for name, values in metrics.items()}
    return last | {"params": sum_up(state.params)}


def train_paper() -> Numbers:
    """Train `paper` for 20 steps in separate calls, as the command does.

    The loop of the command returns NumPy arrays, which violates its annotations if
    types are checked.
    """
    training = configure_training("paper", batch_size=4)
    how = {"config": training, "optimizer": pretrain.make_optimizer(training)}
    step_fn = jax.jit(functools.partial(pretrain.step, **how))
    state = jax.jit(functools.partial(pretrain.init, **how))(jax.random.key(0))
    rows = []
    for _ in range(training.num_steps):
        state, metrics = step_fn(state)
        rows.append(metrics)
    last = {name: [row[name] for row in rows[-NUM_LAST:]] for name in rows[0]}
    return last | {"params": sum_up(state.params)}


def configure_training(preset: str, batch_size: int) -> PretrainingConfig:
    """Return a short training of an autoencoder with two decoders.

    Compiling takes most of the time; the cases `embed` have all decoders.
    """
    return PretrainingConfig(
        AutoencoderConfig(preset=preset, max_depth=2),
        batch_size=batch_size,
        num_points=32,
        num_steps=20,
    )


def search_space() -> Numbers:
    """Search in the space `compact` for 50 steps, as the README shows."""
    params, config = load_pretrained("compact", "sigmoid")
    x = jax.random.uniform(jax.random.key(1), (300, 3), minval=-1)
    y = jnp.sin(3 * x[:, :1])
    data = latent_search.Data(x[:200], y[:200], x[200:], y[200:])
    settings = DescentConfig(num_steps=50, num_starts=4, chunk_steps=25)
    starts = latent_search.make_starts(
        jax.random.key(2), params, config=settings, autoencoder_config=config
    )
    space = latent_search.make_space(config)
    result, state = latent_search.find_networks(
        starts, params, data, space=space, config=settings
    )
    names = ("objective", "train_mse", "valid_mse", "num_weights", "num_neurons")
    found = {name: getattr(result, name) for name in names}
    return found | {"best_loss": state.best_loss.min(axis=-1)}


def tangle(space: str, sampler: str, num_steps: int) -> Numbers:
    """Search a supernet as `python -m swajax.tangle` does."""
    search = SupernetConfig(num_steps=num_steps, batch_size=16)
    command = TangleCommand(space=space, sampler=sampler, search=search)
    *_, last = experiment.search(
        jax.random.key(0),
        make_task(command),
        sampler=make_sampler(sampler),
        config=search,
        num_starts=NUM_TANGLED,
    )
    alphas = {f"alphas_{k}": sum_up(v) for k, v in sorted(last.state.alphas.items())}
    return alphas | {
        "weights_loss": last.losses.weights,
        "architecture_loss": last.losses.architecture,
        "score_loss": last.score.loss,
        "params": sum_up(last.state.params),
    }


def embed_paper() -> Numbers:
    """Encode and decode networks by fresh parameters of `paper`."""
    config = AutoencoderConfig(preset="paper")
    init = jax.jit(functools.partial(autoencoder.init, config=config))
    networks = prior.sample_batch(jax.random.key(1), 2, spec=config.spec)
    return embed(init(jax.random.key(0)), config, networks)


def embed_compact() -> Numbers:
    """Encode and decode networks by the shipped `compact`."""
    params, config = load_pretrained("compact", "sigmoid")
    networks = prior.sample_batch(jax.random.key(1), 2, spec=config.spec)
    return embed(params, config, networks)


def embed_tabular() -> Numbers:
    """Encode and decode networks of 5 inputs and 2 outputs by the shipped `tabular`."""
    params, config = load_pretrained("tabular")
    model = config.spec
    spec = NetworkSpec(5, 2, model.max_width, model.max_depth, model.activations)
    key = jax.random.key(1)
    networks = prior.sample_starts(key, num=2, spec=spec, max_weights=30.0)
    return embed(params, config, networks, num_weights=12)


def embed(
    params: Any, config: AutoencoderConfig, networks: Network, **how: Any
) -> Numbers:
    """Return points, and sums and outputs of their decoded networks."""

    def go(params: Any, own: Network) -> tuple[Any, ...]:
        z = autoencoder.encode(params, own, config=config)
        decoded = autoencoder.decode_all(params, z, config=config, **how)
        return z, decoded, [apply(one) for one in (own, *decoded)]

    def apply(own: Network) -> jax.Array:
        num_inputs = own.first.shape[0]
        x = jnp.linspace(-1.0, 1.0, 4 * num_inputs).reshape(num_inputs, 4).T
        return network.apply(own, x, activations=config.spec.activations)

    z, decoded, outputs = jax.jit(jax.vmap(go, in_axes=(None, 0)))(params, networks)
    points = z._asdict() if hasattr(z, "_asdict") else {"z": z}
    packed = [jax.vmap(network.pack)(own) for own in decoded]
    outputs = {f"outputs_{depth}": y for depth, y in enumerate(outputs)}
    sums = [[sum_up(row) for row in rows] for rows in packed]
    return points | outputs | {"decoded": sums}


# The cases.

CASES: dict[str, Callable[[], Numbers]] = {
    "search-himmelblau": functools.partial(
        search_table, "himmelblau", "random", config=SMALLER, test_share=0.7
    ),
    "search-iris": functools.partial(search_table, "iris", "random", "tangle"),
    "search-diabetes": functools.partial(search_table, "diabetes", "direct"),
    "estimator-regressor": fit_regressor,
    "estimator-classifier": fit_classifier,
    "pretrain-paper": train_paper,
    "pretrain-compact": functools.partial(train_autoencoder, "compact", batch_size=16),
    "pretrain-tabular": functools.partial(train_autoencoder, "tabular", batch_size=8),
    "latent-compact": search_space,
    "tangle-digits-macro": functools.partial(tangle, "digits-macro", "drnas", 50),
    "tangle-mlp": functools.partial(tangle, "mlp", "drnas", 50),
    "tangle-mlp-darts": functools.partial(tangle, "mlp", "darts", 10),
    "tangle-mlp-gdas": functools.partial(tangle, "mlp", "gdas", 10),
    "tangle-mlp-spos": functools.partial(tangle, "mlp", "spos", 10),
    "embed-paper": embed_paper,
    "embed-compact": embed_compact,
    "embed-tabular": embed_tabular,
}
"""Names of cases to functions without arguments."""


def compute(name: str) -> Numbers:
    """Compute a case in the form that the file would return."""
    return {key: to_plain(value) for key, value in CASES[name]().items()}


def sum_up(tree: Any) -> list[float]:
    """Return the sum and the sum of squares of all numbers of a tree."""
    leaves = [np.asarray(leaf, np.float64) for leaf in jax.tree.leaves(tree)]
    return [sum(a.sum() for a in leaves), sum(np.square(a).sum() for a in leaves)]


def to_plain(value: Any) -> Any:
    """Turn an array into nested lists; round what is not an integer."""
    array = np.asarray(value)
    if array.dtype.kind in "biu":
        return array.astype(int).tolist()
    rounded = [float(f"{number:.{DIGITS}g}") for number in array.ravel()]
    return np.reshape(rounded, array.shape).tolist()


# Reading, comparing, writing.


def find_environment() -> dict[str, str]:
    """Return what the numbers depend on besides the package."""
    packages = ("jax", "jaxlib", "numpy", "optax", "scikit-learn")
    versions = {name: importlib.metadata.version(name) for name in packages}
    names = ("JAX_DISABLE_MOST_OPTIMIZATIONS", "XLA_FLAGS")
    settings = {name: os.environ.get(name, "") for name in names}
    return versions | settings | {"cores": str(_count_cores())}


def _count_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on every system
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def load() -> dict[str, dict[str, Any]]:
    """Read the environment and the cases; both are empty without a file."""
    if not PATH.exists():
        return {"environment": {}, "cases": {}}
    return json.loads(PATH.read_text())


def save(cases: dict[str, Numbers]) -> None:
    """Write the environment and the cases, one case per line."""
    environment = json.dumps(find_environment())
    lines = [f'"{name}": {json.dumps(cases[name])}' for name in CASES if name in cases]
    body = ",\n".join(lines)
    PATH.write_text(f'{{"environment": {environment},\n"cases": {{\n{body}\n}}}}\n')


def differences(found: Numbers, recorded: Numbers) -> dict[str, float]:
    """Return the largest relative difference of each entry; inf if sizes differ."""
    names = sorted(found.keys() | recorded.keys())
    return {name: _compare(found.get(name), recorded.get(name)) for name in names}


def _compare(found: Any, recorded: Any) -> float:
    if found is None or recorded is None:
        return np.inf
    found, recorded = np.asarray(found), np.asarray(recorded)
    if found.shape != recorded.shape or found.dtype != recorded.dtype:
        return np.inf
    if recorded.dtype.kind == "i":
        return 0.0 if (found == recorded).all() else np.inf
    size = np.abs(recorded)
    scale = np.maximum(size, max(FLOOR * size.max(), np.finfo(float).tiny))
    difference = float((np.abs(found - recorded) / scale).max())
    return difference if np.isfinite(difference) else np.inf


def main() -> None:
    """Record or check the requested cases."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare, write nothing")
    parser.add_argument("--only", choices=CASES, help="one case")
    args = parser.parse_args()
    stored = load()
    if args.check and stored["environment"] != find_environment():
        sys.stdout.write(f"recorded in another environment: {stored['environment']}\n")
    for name in [args.only] if args.only else CASES:
        begin = time.process_time()
        found = compute(name)
        line = f"{name:22} {time.process_time() - begin:6.1f} s of CPU"
        if args.check:
            gaps = differences(found, stored["cases"].get(name, {}))
            worst = max(gaps, key=gaps.get)
            line += f"  difference {gaps[worst]:.1e} ({worst})"
        else:
            stored["cases"][name] = found
            save(stored["cases"])
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
