import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from swajax import gates

WEIGHTS = jnp.asarray([-2.0, -0.3, 0.0, 0.4, 3.0])


def test_binarize_rounds_exactly_at_half(maybe_jit):
    probability = jnp.asarray([0.0, 0.3, 0.5, 0.7, 1.0, jnp.nan])
    out = maybe_jit(gates.binarize)(probability)
    np.testing.assert_array_equal(out, [0, 0, 0, 1, 1, 0])


def test_binarize_has_the_gradient_of_identity(maybe_jit):
    probability = jnp.asarray([0.1, 0.5, 0.9])
    scale = jnp.asarray([1.0, 2.0, 3.0])
    gradient = jax.grad(lambda p: (scale * gates.binarize(p)).sum())
    np.testing.assert_array_equal(maybe_jit(gradient)(probability), scale)


def test_soft_threshold_by_hand(maybe_jit):
    out = maybe_jit(gates.soft_threshold)(WEIGHTS, jnp.asarray(0.4))
    sigmoid = 1 / (1 + np.exp(10.0))
    np.testing.assert_allclose(out, [-2, -0.3 * sigmoid, 0, 0.2, 3], rtol=1e-5)


def test_soft_threshold_gradient_is_the_true_one():
    with jax.enable_x64(True):
        weights = jnp.asarray([-0.7, -0.35, 0.2, 0.45])
        fn = lambda w, t: gates.soft_threshold(w, t, sharpness=5.0)  # noqa: E731
        check_grads(jax.jit(fn), (weights, jnp.asarray(0.4)), order=1, rtol=1e-6)


def test_soft_threshold_has_a_finite_gradient_at_zero():
    gradient = jax.grad(gates.soft_threshold)(jnp.asarray(0.0), 0.0)
    assert gradient == pytest.approx(0.5)


def test_hard_threshold_forward_and_declared_gradient(maybe_jit):
    threshold = jnp.asarray(0.4)
    out = maybe_jit(gates.hard_threshold)(WEIGHTS, threshold)
    np.testing.assert_array_equal(out, np.float32([-2, 0, 0, 0.4, 3]))
    gradient = jax.grad(lambda w, t: gates.hard_threshold(w, t).sum(), argnums=(0, 1))
    by_weights, by_threshold = maybe_jit(gradient)(WEIGHTS, threshold)
    np.testing.assert_array_equal(by_weights, [1, 0, 0, 1, 1])
    assert by_threshold == 0


def test_soft_threshold_tends_to_the_hard_one():
    threshold = jnp.asarray(0.35)
    soft = gates.soft_threshold(WEIGHTS, threshold, sharpness=1e4)
    hard = gates.hard_threshold(WEIGHTS, threshold)
    np.testing.assert_allclose(soft, hard, atol=1e-6)
