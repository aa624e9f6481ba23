"""Validation metrics on arrays with known results."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from swajax import autoencoder
from swajax.autoencoder import AutoencoderConfig
from swajax.network import uniform_activation
from swajax.network.batched import apply_batch
from swajax.pretrain import batches_by_depth, geometry
from swajax.pretrain import validation_by_depth as validation
from swajax.pretrain.validation_by_depth import Fidelity
from swajax.types import Network

CONFIG = AutoencoderConfig(num_inputs=2, max_width=3, max_depth=2, activation="tanh")


@pytest.fixture
def networks():
    """Four dense networks, two of each depth; some neurons are absent."""
    rng = np.random.default_rng(0)
    draw = lambda *shape: jnp.float32(rng.normal(size=(4, *shape)))  # noqa: E731
    depth = jnp.array([1, 1, 2, 2], jnp.int32)
    mask = jnp.ones((4, 2, 3)).at[1, 0, 2].set(0.0).at[3, 1, 0].set(0.0)
    return Network(
        first=draw(2, 3),
        hidden=draw(1, 3, 3),
        readout=draw(3, 1),
        bias=draw(2, 3),
        readout_bias=draw(1),
        mask=mask.at[:2, 1].set(0.0),
        activation=jnp.broadcast_to(uniform_activation(CONFIG.spec), (4, 2, 3, 1)),
        depth=depth,
    )


def test_grid_is_regular_and_has_the_corners():
    points = validation.grid(3)
    assert points.shape == (1000, 3) and points.dtype == np.float32
    assert len({tuple(point) for point in points.tolist()}) == 1000
    for corner in itertools.product((-1, 1), repeat=3):
        assert (points == corner).all(axis=1).any()
    steps = np.diff(np.unique(points))
    np.testing.assert_allclose(steps, 2 / 9, rtol=1e-4)
    few = validation.grid(2, num_each=3)
    wanted = set(itertools.product((-1.0, 0.0, 1.0), repeat=2))
    assert {tuple(point) for point in few.tolist()} == wanted


def test_summary_by_hand():
    fidelity = Fidelity(
        mse=np.array([[0.0, 2.0, 1.2, 4.0], [1.0, 0.5, 3.0, 8.0]]),
        mpe_percent=np.array([[0.0, 30.0, 50.0, 70.0], [9.0, 10.0, 20.0, 80.0]]),
        variance=np.array([1.0, 1.0, 2.0, 40.0]),
        depth=np.array([1, 1, 2, 2]),
    )
    # Explained by the best decoders: 1, 0.5, 0.4, 0.9; their MPE: 0, 10, 20, 70.
    assert validation.summarise(fidelity) == pytest.approx(
        {
            "explained_variance": 0.7,
            "explained_variance_q25": 0.475,
            "mpe_percent": 15.0,
            "mpe_percent_mean": 25.0,
            "mse": 5.7 / 4,
            "explained_variance_depth_1": 0.75,
            "explained_variance_depth_2": 0.65,
            "mpe_percent_depth_1": 5.0,
            "mpe_percent_depth_2": 45.0,
            "wins_decoder_1": 0.75,
            "wins_decoder_2": 0.25,
        }
    )


def test_constant_networks_have_finite_measures():
    zero = np.zeros((1, 2))
    fidelity = Fidelity(zero, zero, variance=zero[0], depth=np.array([1, 1]))
    assert validation.summarise(fidelity)["explained_variance"] == 1.0
    wrong = fidelity._replace(mse=zero + 1)
    assert np.isfinite(validation.summarise(wrong)["explained_variance"])


def test_fidelity_of_constant_decoders(monkeypatch, networks):
    """Decoder d returns d times the embedding, a number, at every point."""
    zero = jax.tree.map(lambda leaf: jnp.zeros_like(leaf[0]), networks)

    def decode_all(params, z, *, config):
        return tuple(zero._replace(readout_bias=depth * z) for depth in (1, 2))

    z = np.float32([[1.0], [2.0], [-1.0], [0.5]])
    y = np.random.default_rng(2).normal(size=(4, 100, 1)).astype(np.float32)
    embed = lambda *args, **kwargs: (jnp.asarray(z), jnp.asarray(y))  # noqa: E731
    monkeypatch.setattr(autoencoder, "decode_all", decode_all)
    monkeypatch.setattr(batches_by_depth, "sample_groups", lambda *a, **k: (networks,))
    monkeypatch.setattr(batches_by_depth, "encode_groups", embed)
    # Not compiled, so that no program with these stubs is cached.
    fidelity_fn = validation._fidelity.__wrapped__
    fidelity = fidelity_fn(None, jax.random.key(0), config=CONFIG, num=4)
    error = np.stack([z[:, None], 2 * z[:, None]]) - y[None]
    mse = np.square(error).mean(axis=(2, 3))
    mpe = 100 * np.median(np.abs(error / y[None]), axis=(2, 3))
    np.testing.assert_allclose(fidelity.mse, mse, rtol=1e-4)
    np.testing.assert_allclose(fidelity.mpe_percent, mpe, rtol=1e-3)
    np.testing.assert_allclose(fidelity.variance, y.var(axis=(1, 2)), rtol=1e-4)
    np.testing.assert_array_equal(fidelity.depth, networks.depth)


def outputs(networks, x):
    return apply_batch(networks, x, activations=("tanh",), form="plain")


def test_spearman_of_equal_and_opposite_orders():
    """Three networks whose distances have the order 01 < 12 < 02, or the opposite."""
    z = np.array([[0.0, 0.0], [1.0, 0.0], [3.0, 0.0]])
    same = geometry.summarise_geometry(z, z, np.exp(z))
    assert same["spearman"] == pytest.approx(1.0)
    y = np.array([[0.0, 0.0], [3.0, 0.0], [0.5, 0.5]])
    opposite = geometry.summarise_geometry(z, z, y)
    assert opposite["spearman"] == pytest.approx(-1.0)


def test_spearman_is_that_of_all_pairs():
    rng = np.random.default_rng(1)
    z, y = rng.normal(size=(8, 3)), rng.normal(size=(8, 5))
    pairs = list(itertools.combinations(range(8), 2))
    sides = [[np.linalg.norm(rows[i] - rows[j]) for i, j in pairs] for rows in (z, y)]
    wanted = scipy.stats.spearmanr(*sides).statistic
    found = geometry.summarise_geometry(z, z, y)["spearman"]
    assert found == pytest.approx(wanted) and abs(wanted) < 0.9


def test_recall_of_permuted_copies():
    z = 100.0 + np.diag(np.float32([1, 2, 3, 4]))
    recall = lambda copies: geometry.summarise_geometry(z, copies, z)["recall_at_1"]  # noqa: E731
    assert recall(z + 1e-4) == 1.0
    assert recall(z[[0, 1, 3, 2]]) == 0.5
    assert recall(z[[1, 2, 3, 0]]) == 0.0


def test_shuffled_neurons_keep_the_outputs(key, networks):
    shuffled = geometry.shuffle_neurons(key, networks)
    assert (np.abs(shuffled.first - networks.first).max(axis=(1, 2)) > 0).any()
    orders = {tuple(row) for row in np.argsort(shuffled.first[:, 0]).tolist()}
    assert orders != {tuple(row) for row in np.argsort(networks.first[:, 0]).tolist()}
    x = jnp.asarray(validation.grid(2))
    np.testing.assert_allclose(
        outputs(shuffled, x), outputs(networks, x), rtol=1e-4, atol=1e-5
    )
