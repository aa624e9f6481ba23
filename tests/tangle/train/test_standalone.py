"""Training and scores of standalone networks."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.tangle.choices import one_hot
from swajax.tangle.data.examples import Rows
from swajax.tangle.spaces import make_space
from swajax.tangle.train import standalone, supernet
from swajax.tangle.train.optimizers import SupernetConfig

SMALL = {
    "num_inputs": 2,
    "widths": (1, 4),
    "depths": (1, 2),
    "activations": ("sigmoid", "linear"),
}
CONFIG = SupernetConfig(num_steps=60, batch_size=32, alpha_learning_rate=0.1)


def make_rows(seed, num=64):
    """Rows of a linear function that ignores the second input."""
    x = np.random.default_rng(seed).normal(size=(num, 2)).astype(np.float32)
    return Rows(x, 2 * x[:, :1] - 0.5)


ROWS = make_rows(0), make_rows(1)


def test_an_inherited_network_scores_as_the_supernet_and_gets_better_by_training():
    space = make_space("mlp", **SMALL)
    params = space.init(jax.random.key(0))
    architecture = {
        "depth": (0,),
        "width": (1, 0),
        "activation": (1, 0),
        "input": (1, 0),
    }
    rows, test = (Rows(*map(jnp.asarray, part)) for part in ROWS)
    p = one_hot(architecture, space.choices)
    start = space.take(params, architecture)
    before = standalone.score_outputs(
        space.apply_standalone(start, architecture, test.x), test, objective="squared"
    )
    loss_fn = supernet.make_loss_fn(space, "squared")
    assert before.loss == pytest.approx(float(loss_fn(params, p, test)), rel=1e-5)
    assert np.isnan(before.accuracy)
    train = functools.partial(
        standalone.train,
        space=space,
        architecture=architecture,
        objective="squared",
        config=dataclasses.replace(CONFIG, num_steps=100, learning_rate=0.05),
    )
    weights = jax.jit(train)(jax.random.key(1), start, rows)
    out = space.apply_standalone(weights, architecture, test.x)
    assert (
        standalone.score_outputs(out, test, objective="squared").loss
        < 0.05 * before.loss
    )


def test_scores_by_hand():
    out = jnp.asarray([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    rows = Rows(np.zeros((3, 1), np.float32), np.float32([[1, 0], [0, 1], [0, 1]]))
    found = standalone.score_outputs(out, rows, objective="softmax")
    assert found.accuracy == pytest.approx(2 / 3)
    wanted = np.log(1 + np.exp([-2.0, -1.0, 3.0])).mean()
    assert found.loss == pytest.approx(wanted, rel=1e-5)
    binary = Rows(rows.x, np.float32([[1], [0], [0]]))
    logit = jnp.asarray([[2.0], [-1.0], [3.0]])
    assert standalone.score_outputs(logit, binary, objective="logistic").accuracy == (
        pytest.approx(2 / 3)
    )
