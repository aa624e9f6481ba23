"""Multilayer perceptrons of scikit-learn, pruned by magnitude and refit.

scikit-learn cannot keep weights at zero, so pruned networks are refit by
Levenberg-Marquardt steps. Each size is pruned from the next larger one.
"""

import dataclasses
import math
import warnings
from typing import Literal

import jax
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from figures.quality.rivals.common import RestartsConfig, Search, check_positive
from swajax.data.problem import Problem, thin
from swajax.network import resize
from swajax.objectives import Objective
from swajax.types import Key, Network

# Names in scikit-learn. Its rectifier is not leaky, which the refit corrects.
KINDS = {
    "tanh": "tanh",
    "sigmoid": "logistic",
    "leaky_relu": "relu",
    "linear": "identity",
}


@dataclasses.dataclass(frozen=True)
class Config(RestartsConfig):
    """Settings of the fits and of the pruning."""

    num_networks: int = 16
    """number of networks per run"""
    run_share: float = 0.25
    """share of the time budget after which a run gets no more networks"""
    solver: Literal["lbfgs", "adam"] = "lbfgs"
    """solver of scikit-learn"""
    alphas: tuple[float, ...] = (1e-5, 1e-3, 1e-1)
    """weight decays, one drawn per network"""
    # In trials 1,000 iterations or finer pruning were no better at equal time.
    max_iter: int = 300
    """maximum number of iterations of the solver"""
    keep_share: float = 0.7
    """share of the weights that each pruning keeps"""
    lm_steps: int = 30
    """number of Levenberg-Marquardt steps after each pruning"""

    def __post_init__(self) -> None:
        """Check options."""
        check_positive(self, but=("lm_steps",))
        if self.solver not in ("lbfgs", "adam"):
            raise ValueError(f"solver must be lbfgs or adam, got {self.solver!r}")
        if not self.alphas or min(self.alphas) < 0:
            raise ValueError(f"alphas must be numbers >= 0, got {self.alphas}")
        if not self.keep_share < 1:
            raise ValueError(f"keep_share must be < 1, got {self.keep_share}")


def find_networks(key: Key, search: Search, *, config: Config) -> None:
    """Fit networks one after another, then prune them together."""
    rows = thin(search.train)
    networks = []
    end = search.end_of_run(config.run_share)
    for seed in np.asarray(jax.random.bits(key, (config.num_networks,))):
        model, kind = make_model(int(seed), search, config=config)
        fit(model, rows, search.job.fit.objective)
        search.job.network_steps += model.n_iter_
        networks.append(to_network(model, kind, search))
        if search.job.seconds() >= end:
            break
    together = jax.tree.map(lambda *leaves: np.concatenate(leaves), *networks)
    prune(together, search, config=config)


def make_model(
    seed: int, search: Search, *, config: Config
) -> tuple[MLPRegressor | MLPClassifier, str]:
    """Return a model of random shape within the limits, and its activation."""
    job, rng = search.job, np.random.default_rng(seed)
    kind = rng.choice(job.spec.activations)
    depth = rng.integers(1, job.spec.max_depth + 1)
    width = rng.integers((job.spec.max_width + 1) // 2, job.spec.max_width + 1)
    make = MLPRegressor if job.fit.objective == "squared" else MLPClassifier
    model = make(
        hidden_layer_sizes=(int(width),) * int(depth),
        activation=KINDS[kind],
        solver=config.solver,
        alpha=float(rng.choice(config.alphas)),
        max_iter=config.max_iter,
        random_state=seed,
    )
    return model, str(kind)


def fit(
    model: MLPRegressor | MLPClassifier, rows: Problem, objective: Objective
) -> None:
    """Fit a model to all rows; classes are integer codes."""
    y = rows.y if rows.y.shape[1] > 1 else rows.y[:, 0]
    if objective == "softmax":
        y = rows.y.argmax(axis=1)
    weight = rows.weight / rows.weight.mean()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(rows.x, y, sample_weight=weight)


def to_network(
    model: MLPRegressor | MLPClassifier, kind: str, search: Search
) -> Network:
    """Return a fitted model as a batch of one `Network`."""
    spec, num_inputs = search.job.spec, search.job.train.x.shape[1]
    shape = (spec.max_depth, spec.max_width)
    first = np.zeros((num_inputs, shape[1]), np.float32)
    hidden = np.zeros((shape[0] - 1, shape[1], shape[1]), np.float32)
    readout = np.zeros((shape[1], spec.num_outputs), np.float32)
    bias, mask = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    *inner, last = model.coefs_
    first[: inner[0].shape[0], : inner[0].shape[1]] = inner[0]
    for layer, weights in enumerate(inner[1:]):
        hidden[layer, : weights.shape[0], : weights.shape[1]] = weights
    for layer, values in enumerate(model.intercepts_[:-1]):
        bias[layer, : len(values)], mask[layer, : len(values)] = values, 1.0
    readout[: len(last)] = last
    activation = np.zeros((*shape, len(spec.activations)), np.float32)
    activation[..., spec.activations.index(kind)] = 1.0
    depth = np.asarray(len(inner), np.int32)
    readout_bias = np.float32(model.intercepts_[-1])
    record = (first, hidden, readout, bias, readout_bias, mask, activation, depth)
    return Network(*(leaf[None] for leaf in record))


def prune(networks: Network, search: Search, *, config: Config) -> None:
    """Prune the smallest weights step by step; refit and keep each network."""
    size = search.job.config.max_weights
    while size >= 1:
        networks = resize.cut(networks, num_weights=size)
        networks = search.refit(networks, num_steps=config.lm_steps)
        if search.job.is_over():
            break
        size = min(size - 1, math.floor(config.keep_share * size))
