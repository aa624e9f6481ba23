"""Training and validation of the preset `tabular`."""

import functools

import jax
import numpy as np
import pytest
from autoencoder_cases import TINY, make_params

from swajax import pretrain as pretraining
from swajax.pretrain import PretrainingConfig, validation_tabular
from swajax.pretrain.validation import validate

CONFIG = TINY["tabular"]


def test_training_makes_the_loss_smaller():
    config = PretrainingConfig(
        CONFIG, batch_size=32, num_points=16, num_steps=40, warmup_steps=2
    )
    optimizer = pretraining.make_optimizer(config)
    run = functools.partial(
        pretraining.chunk, num_steps=40, config=config, optimizer=optimizer
    )
    init = functools.partial(pretraining.init, config=config, optimizer=optimizer)
    state = jax.jit(init)(jax.random.key(0))
    _, metrics = jax.jit(run)(state)
    losses = np.asarray(metrics["loss"])
    assert np.isfinite(losses).all()
    assert losses[-8:].mean() < losses[:4].mean() - 0.1


def test_validation_tells_sizes_depths_and_inputs_apart(monkeypatch):
    monkeypatch.setattr(validation_tabular, "SIZES", (3, 9))
    monkeypatch.setattr(validation_tabular, "MORE_INPUTS", (5,))
    params = make_params("tabular")
    measure = functools.partial(
        validate, params, config=CONFIG, num_networks=40, num_geometry=20
    )
    found = measure(jax.random.key(3))
    assert found == measure(jax.random.key(3))
    shares = [found[f"wins_decoder_{depth}"] for depth in (1, 2)]
    assert sum(shares) == pytest.approx(1)
    explained = [v for name, v in found.items() if name.startswith("explained")]
    names = {f"explained_variance_inputs_{num}" for num in (1, 2, 3, 5)}
    names |= {f"explained_variance_size_{size}" for size in (3, 9)}
    names |= {f"explained_variance_depth_{depth}" for depth in (1, 2)}
    assert names <= set(found) and len(explained) == len(names) + 2
    assert max(explained) <= 1 and np.isfinite(explained).all()
    assert found["recall_at_1"] > 0.9 and -1 <= found["spearman"] <= 1
