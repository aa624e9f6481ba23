"""Spaces of autoencoders and of raw weights, and their starts."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from latent_cases import CONFIG

from swajax import autoencoder, latent_search, prior
from swajax.autoencoder import AutoencoderConfig
from swajax.latent_search import direct
from swajax.network import count_weights, pack
from swajax.network.batched import apply_batch
from swajax.types import NetworkSpec

MODELS = {
    preset: AutoencoderConfig(preset=preset, max_width=4, max_depth=2, num_probes=4)
    for preset in ("compact", "paper", "tabular")
}
SPEC = NetworkSpec(3, 2, 4, 2, MODELS["tabular"].spec.activations)


@pytest.fixture(scope="module")
def networks():
    key = jax.random.key(0)
    return prior.sample_starts(key, num=6, spec=SPEC, max_weights=20)


@pytest.mark.parametrize("preset", MODELS)
def test_starts_of_every_preset_fit_its_space(key, preset):
    """Check shapes only; tests of the search compile and run a descent."""
    model = MODELS[preset]
    limits = NetworkSpec(num_inputs=2)
    space = latent_search.make_space(model, limits=limits)
    assert space is latent_search.make_space(dataclasses.replace(model), limits=limits)
    assert space.spec == dataclasses.replace(model.spec, num_inputs=2, num_outputs=1)
    params = jax.eval_shape(functools.partial(autoencoder.init, config=model), key)
    data = latent_search.Data(*[jnp.zeros((5, n)) for n in (2, 1, 2, 1)])
    static = {"space": space, "config": CONFIG}

    def first_step(params, starts):
        state = latent_search.init(starts, params, data, **static)
        return latent_search.step(state, params, data, **static)

    make_starts = functools.partial(
        latent_search.draw_starts, config=CONFIG, autoencoder_config=model
    )
    if model.is_any_table:  # sorts on the host
        sampled = prior.sample_starts(key, num=3, spec=space.spec, max_weights=9)
        encode = functools.partial(latent_search.starts.encode_starts, model=model)
        starts = jax.eval_shape(encode, params, sampled)
    else:
        starts = jax.eval_shape(make_starts, key, params)
    state = jax.eval_shape(first_step, params, starts)
    for leaf in jax.tree.leaves(state.point.z):
        assert leaf.shape[:3] == (2, 2, 3)


def test_a_space_with_fixed_inputs_serves_smaller_tables_only():
    model = MODELS["compact"]
    for limits, message in (
        (NetworkSpec(num_inputs=4), "num_inputs must be in 1..3, got 4"),
        (NetworkSpec(num_outputs=2), "num_outputs must be 1, got 2"),
    ):
        with pytest.raises(ValueError, match=message):
            latent_search.make_space(model, limits=limits)


@pytest.mark.parametrize(
    ("preset", "num_inputs", "objective", "message"),
    [
        ("compact", 4, "squared", "up to 3 inputs .* a regression of 4 inputs"),
        ("paper", 3, "softmax", "one number as output, .* a classification of 3"),
        ("tabular", 513, "softmax", "at most 512 inputs, the table has 513"),
    ],
)
def test_tables_without_networks_are_refused(preset, num_inputs, objective, message):
    check = functools.partial(latent_search.check_table, MODELS[preset])
    check(num_inputs=3, objective="squared")
    with pytest.raises(ValueError, match=message):
        check(num_inputs=num_inputs, objective=objective)


def test_points_of_weights_are_the_networks_they_come_from(networks):
    points = direct.unfold_starts(jax.random.key(1), networks)
    space = direct.make_direct_space(SPEC, "squared")
    x = jax.random.uniform(jax.random.key(2), (20, 3), minval=-1.0)
    for depth in (1, 2):
        decode = jax.jit(jax.vmap(lambda z, d=depth: space.decode_fn(None, z, d)))
        decoded = decode(points)
        assert (decoded.depth == depth).all()
        mine = np.asarray(networks.depth) == depth
        out, wanted = (
            apply_batch(n, x, activations=SPEC.activations)[mine]
            for n in (decoded, networks)
        )
        assert mine.any()
        np.testing.assert_allclose(out, wanted, rtol=1e-4, atol=1e-5)


def test_points_of_weights_have_exactly_the_size_they_say(networks):
    points = direct.unfold_starts(jax.random.key(1), networks)
    space = direct.make_direct_space(SPEC, "squared")
    sizes = jnp.array([3.0, 5.0, 9.0, 12.0, 20.0, 30.0])
    points = points._replace(log_size=jnp.log(sizes))
    decoded = jax.vmap(lambda z: space.decode_fn(None, z, 2))(points)
    np.testing.assert_array_equal(jax.vmap(count_weights)(decoded), sizes)


def test_points_of_weights_have_gradients_for_closed_gates_too(networks):
    points = direct.unfold_starts(jax.random.key(1), networks)
    space = direct.make_direct_space(SPEC, "squared")
    one = jax.tree.map(lambda leaf: leaf[0], points)
    loss = lambda z: jnp.square(pack(space.decode_fn(None, z, 2)) - 1).sum()  # noqa: E731
    gradient = jax.grad(loss)(one)
    is_open = pack(space.decode_fn(None, one, 2)) != 0
    assert np.any(gradient.weights[is_open]) and np.any(gradient.scores[~is_open])
    assert not np.any(gradient.weights[~is_open])


def test_uniform_starts_are_those_of_the_paper(key):
    config = dataclasses.replace(CONFIG, starts="uniform", num_starts=50)
    model = autoencoder.AutoencoderConfig()
    starts = latent_search.make_starts(
        key, None, config=config, autoencoder_config=model
    )
    assert starts.shape == (50, 128)
    assert starts.min() >= 0 and starts.max() < 1
    assert abs(starts.mean() - 0.5) < 0.02
    fewer = dataclasses.replace(config, num_starts=2)
    first = latent_search.make_starts(key, None, config=fewer, autoencoder_config=model)
    np.testing.assert_array_equal(first, starts[:2])


def test_uniform_starts_need_fixed_inputs(key):
    config = dataclasses.replace(CONFIG, starts="uniform")
    with pytest.raises(ValueError, match="starts must be 'encoded' with the preset"):
        latent_search.draw_starts(
            key, None, config=config, autoencoder_config=MODELS["tabular"]
        )
