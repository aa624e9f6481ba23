"""Losses and distances by hand, and invariants of a step."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from autoencoder_cases import TINY

from swajax import autoencoder, network
from swajax import pretrain as pretraining
from swajax.autoencoder import AutoencoderConfig
from swajax.pretrain import PretrainingConfig, batches_by_depth, geometry, losses
from swajax.pretrain.presets import PRESETS

MODEL = AutoencoderConfig(max_depth=2, max_width=3, num_probes=4)
TRAINING = PretrainingConfig(autoencoder=MODEL, batch_size=16, num_points=8)


@pytest.mark.parametrize(
    ("error", "best", "mean"),
    [
        ("raw", (1 + 0.5) / 2, (1 + 4 + 2 + 0.5) / 4),
        ("normalised", (1 + 0.125) / 2, (1 + 1 + 2 + 0.125) / 4),
        ("log", np.log(1.1 * 0.225) / 2, np.log(1.1 * 1.1 * 2.1 * 0.225) / 4),
    ],
)
@pytest.mark.parametrize("loss", ["min", "mean"])
def test_losses_by_hand(monkeypatch, loss, error, best, mean):
    """Two decoders, two networks with the variances 1 and 4."""
    errors = jnp.array([[1.0, 4.0], [2.0, 0.5]])
    z = jnp.array([[0.0, 1.0], [1.0, 3.0]])
    y = jnp.array([[[0.0], [2.0]], [[1.0], [5.0]]])
    monkeypatch.setattr(losses, "LOG_FLOOR", 0.1)
    monkeypatch.setattr(batches_by_depth, "encode_groups", lambda *a, **k: (z, y))
    monkeypatch.setattr(batches_by_depth, "decoder_errors", lambda *a, **k: errors)
    config = dataclasses.replace(
        TRAINING, loss=loss, error=error, mean_weight=0.5, geometry_weight=0.0
    )
    value, metrics = pretraining.batch_loss(None, (), jnp.zeros((2, 3)), config=config)
    wanted = mean if loss == "mean" else best + 0.5 * mean
    assert metrics["loss"] == value
    numbers = {"loss": wanted, "min_loss": best, "min_mse": 0.75}
    for name, number in numbers.items():
        assert float(metrics[name]) == pytest.approx(number, rel=1e-5), name
    config = dataclasses.replace(config, geometry_weight=2.0)
    more, metrics = pretraining.batch_loss(None, (), jnp.zeros((2, 3)), config=config)
    cost = 1 - geometry.distance_correlation(z, y)
    assert float(more) == pytest.approx(wanted + 2 * float(cost), rel=1e-5)
    assert metrics["geometry"] == cost


def test_distance_correlation_is_that_of_numpy(maybe_jit):
    rng = np.random.default_rng(0)
    z = np.float32(rng.normal(size=(7, 5)))
    y = np.float32(rng.normal(size=(7, 4, 2)) * 10 ** rng.uniform(-1, 1, (7, 1, 1)))
    pairs = np.triu_indices(7, k=1)

    def distances(rows):
        rows = rows.reshape(7, -1)
        return np.sqrt(np.square(rows[:, None] - rows[None]).mean(axis=2))[pairs]

    wanted = np.corrcoef(distances(z), np.log(distances(y) + 1e-3))[0, 1]
    found = maybe_jit(geometry.distance_correlation)(jnp.asarray(z), jnp.asarray(y))
    assert abs(found - wanted) < 1e-4 and abs(wanted) < 0.9
    by_pair = maybe_jit(geometry.pairwise_distances)(jnp.asarray(z))
    np.testing.assert_allclose(by_pair[pairs], distances(z), rtol=1e-3)


def test_distance_correlation_has_a_gradient_for_equal_embeddings():
    y = jnp.arange(3.0)[:, None, None]
    gradient = jax.grad(geometry.distance_correlation)(jnp.zeros((3, 2)), y)
    assert np.isfinite(gradient).all()


def test_decoder_errors_are_those_of_each_network(key):
    like = jax.eval_shape(functools.partial(autoencoder.init, config=MODEL), key)
    leaves, structure = jax.tree.flatten(like)
    rng = np.random.default_rng(3)
    values = [np.float32(0.1 * rng.normal(size=leaf.shape)) for leaf in leaves]
    params = jax.tree.unflatten(structure, values)
    z = jax.random.normal(key, (3, MODEL.embedding_size))
    x, y = jnp.linspace(-1, 1, 15).reshape(5, 3), jnp.ones((3, 5, 1))
    errors = jax.jit(functools.partial(pretraining.decoder_errors, config=MODEL))
    found = errors(params, z, x, y)
    decode_all = jax.jit(functools.partial(autoencoder.decode_all, config=MODEL))
    for index in range(3):
        for depth, decoded in enumerate(decode_all(params, z[index])):
            out = network.apply(decoded, x, activations=MODEL.spec.activations)
            wanted = np.square(np.asarray(out) - 1).mean()
            np.testing.assert_allclose(found[depth, index], wanted, rtol=1e-3)


@pytest.mark.parametrize(
    "config",
    [
        *[PretrainingConfig(TINY[preset], batch_size=4) for preset in PRESETS],
        dataclasses.replace(TRAINING, optimizer="adam", geometry_weight=0.0),
    ],
    ids=[*PRESETS, "adam"],
)
def test_a_step_keeps_structure_and_dtypes(key, config):
    static = {"config": config, "optimizer": pretraining.make_optimizer(config)}
    state_like = jax.eval_shape(functools.partial(pretraining.init, **static), key)
    after, _ = jax.eval_shape(functools.partial(pretraining.step, **static), state_like)
    assert jax.tree.structure(after) == jax.tree.structure(state_like)
    for a, b in zip(jax.tree.leaves(after), jax.tree.leaves(state_like), strict=True):
        assert (a.shape, a.dtype, a.weak_type) == (b.shape, b.dtype, False)


@pytest.mark.parametrize("name", ["loss", "error", "optimizer", "schedule"])
def test_unknown_choices_are_refused(name):
    # The type checks of the tests would reject them first.
    config = dataclasses.replace(TRAINING)
    object.__setattr__(config, name, "huge")
    with pytest.raises(ValueError, match=f"{name} must be one of .* got 'huge'"):
        config.__post_init__()
