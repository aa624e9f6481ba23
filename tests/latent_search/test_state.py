"""The pure functions of a descent: init, step, validate, chunk."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from latent_cases import CONFIG, SIZE, STATIC, jitted, leaves_of

from swajax import latent_search
from swajax.latent_search import DescentConfig, Point


@pytest.mark.parametrize(
    ("field", "value"),
    [("num_steps", 0), ("block_size", 0), ("sparsity_weights", (-1.0,))],
)
def test_bad_configuration_names_the_field(field, value):
    with pytest.raises(ValueError, match=field):
        DescentConfig(**{field: value})


def test_learning_rates_decay_as_those_of_optax():
    cosine = optax.cosine_decay_schedule(1.0, 100, alpha=0.01)
    constant = dataclasses.replace(CONFIG, decay="constant")
    for progress in np.linspace(0, 1, 11):
        found = latent_search.decay_factor(progress, config=CONFIG)
        np.testing.assert_allclose(found, cosine(100 * progress), rtol=1e-5)
        assert latent_search.decay_factor(progress, config=constant) == 1.0


def test_the_rate_scales_a_step(params, data, starts):
    """The first step evaluates the starts; the second moves by the learning rate."""
    state = jitted(latent_search.init)(starts, params, data)
    step = jitted(latent_search.step)
    state = step(state, params, data)
    plain = step(state, params, data)
    first, last = (
        step(state, params, data, rate=jnp.float32(rate)).point.z - state.point.z
        for rate in (1.0, 0.01)
    )
    np.testing.assert_allclose(first, plain.point.z - state.point.z, rtol=1e-5)
    assert np.abs(first).max() > 0.05
    np.testing.assert_allclose(last, 0.01 * first, rtol=1e-3, atol=1e-6)


def test_a_number_of_starts_that_screening_does_not_divide_is_refused(
    params, data, starts
):
    config = dataclasses.replace(CONFIG, num_screened=2)
    with pytest.raises(ValueError, match="multiple of num_screened = 2, got 3"):
        latent_search.init(starts, params, data, **(STATIC | {"config": config}))


def test_a_step_that_is_not_finite_is_not_taken(params, data, starts):
    state = jitted(latent_search.init)(starts, params, data)
    state = jitted(latent_search.step)(state, params, data)
    is_first = jnp.arange(3) == 0
    bad = jnp.where(is_first[None, None, :, None], jnp.nan, state.gradient.z)
    poisoned = state._replace(gradient=state.gradient._replace(z=bad))
    after = jitted(latent_search.step)(poisoned, params, data)
    normal = jitted(latent_search.step)(state, params, data)
    np.testing.assert_array_equal(after.point.z[:, :, 0], state.point.z[:, :, 0])
    np.testing.assert_array_equal(after.best_loss[:, :, 0], state.best_loss[:, :, 0])
    np.testing.assert_array_equal(after.point.z[:, :, 1:], normal.point.z[:, :, 1:])


def test_the_state_keeps_its_structure_and_dtypes(params, data, starts):
    state = jax.eval_shape(jitted(latent_search.init), starts, params, data)
    for fn in (latent_search.step, latent_search.validate, latent_search.chunk):
        after = jax.eval_shape(jitted(fn), state, params, data)
        assert jax.tree.structure(after) == jax.tree.structure(state)
        for a, b in zip(jax.tree.leaves(after), jax.tree.leaves(state), strict=True):
            assert (a.shape, a.dtype, a.weak_type) == (b.shape, b.dtype, False)


def test_screening_keeps_the_best_start_of_each_decoder(params, data, starts):
    config = dataclasses.replace(CONFIG, num_screened=3, penalty_scale="first_mse")
    starts = jnp.concatenate([starts, jnp.full((1, SIZE), jnp.nan), starts[:2] / 9])
    state = jitted(latent_search.init, config=config)(starts, params, data)
    assert state.point.z.shape == (2, 2, 2, SIZE)
    zeros = jnp.zeros(6)
    args = (Point(starts, zeros), zeros, params, data.x, data.y)
    for depth in (1, 2):
        errors = jitted(latent_search.loss_fn, depth=depth)(*args).reshape(2, 3)
        kept = np.nanargmin(errors, axis=1) + np.array([0, 3])
        for s, weight in enumerate(CONFIG.sparsity_weights):
            found = state.point.z[depth - 1, s], state.penalty_weight[depth - 1, s]
            np.testing.assert_array_equal(found[0], starts[kept])
            expected = weight * np.nanmin(errors, axis=1)
            np.testing.assert_allclose(found[1], expected, rtol=1e-5)


def test_best_never_rises_and_counts_every_point_and_the_last(params, data, starts):
    state = jitted(latent_search.init)(starts, params, data)
    losses, bests = [state.loss], [state.best_loss]
    for _ in range(CONFIG.num_steps):
        state = jitted(latent_search.step)(state, params, data)
        losses.append(state.loss)
        bests.append(state.best_loss)
    np.testing.assert_array_equal(bests, np.minimum.accumulate(losses))
    assert np.isfinite(losses[1]).all(), "the first step evaluates the starts"
    is_last_best = np.argmin(losses, axis=0) == CONFIG.num_steps
    assert is_last_best.any(), "no candidate where the last step could be missed"
    for depth in (1, 2):
        best = jax.tree.map(lambda leaf: leaf[depth - 1, 1], state.best)  # noqa: B023
        args = (best, state.penalty_weight[depth - 1, 1], params, data.x, data.y)
        again = jitted(latent_search.loss_fn, depth=depth)(*args)
        np.testing.assert_allclose(again, state.best_loss[depth - 1, 1], rtol=1e-5)
    end = jitted(latent_search.init)(starts, params, data)
    for _ in range(CONFIG.num_steps // CONFIG.chunk_steps):
        end = jitted(latent_search.chunk)(end, params, data)
    np.testing.assert_allclose(end.best_loss, state.best_loss, rtol=1e-4)
    np.testing.assert_allclose(end.point.z, state.point.z, rtol=1e-3, atol=1e-5)


def test_a_start_alone_in_blocks_of_one_equals_it_among_others(params, data, starts):
    together = jitted(latent_search.init)(starts, params, data)
    together = jitted(latent_search.chunk)(together, params, data)
    config = dataclasses.replace(CONFIG, block_size=1)
    state = jitted(latent_search.init, config=config)(starts[1:2], params, data)
    alone = jitted(latent_search.chunk, config=config)(state, params, data)
    for a, b in leaves_of(together, alone):
        np.testing.assert_allclose(a[:, :, 1:2], b, rtol=1e-3, atol=1e-5)
