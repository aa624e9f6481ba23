"""Losses against SciPy; Gauss-Newton factors against automatic derivatives."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import log_softmax, softmax
from scipy.stats import bernoulli

from swajax.objectives import OBJECTIVES, local_form, losses, num_directions

NUM = 9
CASES = [
    (objective, num_outputs)
    for objective in OBJECTIVES
    for num_outputs in (1, 3)
    if (objective, num_outputs) != ("softmax", 1)
]


def draw(objective, num_outputs, scale=2.0):
    rng = np.random.default_rng(0)
    out = scale * rng.normal(size=(num_outputs, NUM))
    if objective == "squared":
        y = rng.normal(size=out.shape)
    elif objective == "logistic":
        y = rng.integers(2, size=out.shape)
    else:
        y = np.eye(num_outputs)[:, rng.integers(num_outputs, size=NUM)]
    return jnp.asarray(out), jnp.asarray(y, float)


@pytest.mark.parametrize(("objective", "num_outputs"), CASES)
def test_losses_equal_those_of_scipy(x64, objective, num_outputs):
    out, y = draw(objective, num_outputs)
    if objective == "squared":
        wanted = ((np.asarray(out) - np.asarray(y)) ** 2).mean(axis=0)
    elif objective == "logistic":
        probability = 1 / (1 + np.exp(-np.asarray(out)))
        wanted = -bernoulli.logpmf(np.asarray(y), probability).sum(axis=0)
    else:
        wanted = -(log_softmax(np.asarray(out), axis=0) * y).sum(axis=0)
    np.testing.assert_allclose(losses(out, y, objective=objective), wanted, rtol=1e-12)


@pytest.mark.parametrize(("objective", "num_outputs"), CASES)
def test_the_local_form_is_gradient_and_hessian(x64, objective, num_outputs):
    out, y = draw(objective, num_outputs)
    form = local_form(out, y, objective=objective)

    def loss_of_point(out, y):
        return losses(out[:, None], y[:, None], objective=objective)[0]

    @jax.jit
    @functools.partial(jax.vmap, in_axes=1, out_axes=-1)
    def derive(out, y):
        value, gradient = jax.value_and_grad(loss_of_point)(out, y)
        return value, gradient, jax.hessian(loss_of_point)(out, y)

    loss, gradient, hessian = derive(out, y)
    np.testing.assert_allclose(form.loss, loss, rtol=1e-12)
    np.testing.assert_allclose(
        np.einsum("omn,mn->on", form.factor, form.residual), gradient, atol=1e-12
    )
    np.testing.assert_allclose(
        np.einsum("omn,pmn->opn", form.factor, form.factor), hessian, atol=1e-12
    )


def test_local_forms_by_hand():
    squared = local_form(
        jnp.asarray([[3.0]]), jnp.asarray([[1.0]]), objective="squared"
    )
    # The loss (3 - 1)^2 = 4 has gradient 4 and curvature 2.
    np.testing.assert_allclose(squared.loss, [4.0])
    np.testing.assert_allclose(squared.factor[0, 0] ** 2, [2.0], rtol=1e-6)
    np.testing.assert_allclose(squared.factor[0] * squared.residual, [[4.0]], rtol=1e-6)
    even = local_form(jnp.zeros((1, 1)), jnp.ones((1, 1)), objective="logistic")
    np.testing.assert_allclose(even.loss, [np.log(2)], rtol=1e-6)
    np.testing.assert_allclose(even.residual, [[-1.0]])
    np.testing.assert_allclose(even.factor, [[[0.5]]])


@pytest.mark.parametrize(
    ("objective", "y", "loss_if_wrong"),
    [("logistic", [[1.0, 0.0]], 1e3), ("softmax", [[1.0, 0.0], [0.0, 1.0]], 2e3)],
)
@pytest.mark.parametrize("is_right", [True, False])
def test_confident_points_are_finite_and_keep_their_gradient(
    maybe_jit, objective, y, loss_if_wrong, is_right
):
    y = np.array(y, np.float32)
    out = np.where(y == 1, 1e3, -1e3).astype(np.float32) * (1 if is_right else -1)
    fn = maybe_jit(local_form, static_argnames="objective")
    form = jax.device_get(fn(jnp.asarray(out), jnp.asarray(y), objective=objective))
    assert all(np.isfinite(leaf).all() for leaf in form)
    np.testing.assert_allclose(form.loss, 0.0 if is_right else loss_if_wrong, atol=1e-6)
    # The gradient is probability - y.
    gradient = np.einsum("omn,mn->on", form.factor, form.residual)
    np.testing.assert_allclose(gradient, 0.0 if is_right else 1 - 2 * y, atol=1e-5)
    assert (np.abs(form.factor).sum(axis=(0, 1)) > 0).all(), "curvatures are positive"


def test_the_form_of_many_classes_is_exact_in_the_gradient_and_right_on_average(x64):
    num = 64_000
    rng = np.random.default_rng(0)
    # All points have the same outputs, so that one Hessian is the exact average.
    out = np.repeat(rng.normal(size=(6, 1)), num, axis=1)
    y = np.eye(6)[:, rng.integers(6, size=num)]
    form = local_form(jnp.asarray(out), jnp.asarray(y), objective="softmax")
    assert form.factor.shape == (6, num_directions(6, "softmax"), num)
    p = softmax(out[:, 0])
    gradient = np.einsum("omn,mn->on", form.factor, form.residual)
    np.testing.assert_allclose(gradient, p[:, None] - y, atol=1e-12)
    hessian = np.einsum("omn,pmn->op", form.factor, form.factor) / num
    residual = p[:, None] - y
    hessian -= 0.01 * residual @ residual.T / num  # the column of the gradient
    wanted = np.diag(p) - np.outer(p, p)
    np.testing.assert_allclose(hessian, wanted, atol=0.1 * np.abs(wanted).max())
