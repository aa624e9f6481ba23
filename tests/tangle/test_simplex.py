"""Maps onto the simplex: distributions of draws, and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import stats

from swajax.tangle import simplex

ALPHAS = jnp.asarray([[0.5, -1.0, 0.2], [2.0, 0.0, -3.0]])


def draw_many(draw_fn, num=4000):
    keys = jax.random.split(jax.random.key(1), num)
    return np.asarray(jax.jit(jax.vmap(draw_fn))(keys))


def test_sparsemax_by_hand_and_as_a_projection(maybe_jit):
    found = maybe_jit(simplex.sparsemax)(jnp.asarray([[1.0, 0.8, 0.1], [3.0, 0, 0]]))
    np.testing.assert_allclose(found, [[0.6, 0.4, 0.0], [1.0, 0.0, 0.0]], atol=1e-6)
    inside = jnp.asarray([[0.2, 0.5, 0.3]])
    np.testing.assert_allclose(simplex.sparsemax(inside + 7), inside, atol=1e-6)


@pytest.mark.usefixtures("x64")
def test_deterministic_maps_have_their_true_gradients():
    alphas = jnp.asarray([[1.0, 0.8, 0.1, -2.0]], jnp.float64)
    check_grads(jax.jit(simplex.sparsemax), (alphas,), order=1, rtol=1e-6)
    check_grads(jax.jit(simplex.dirichlet_divergence), (alphas,), order=1, rtol=1e-5)


@pytest.mark.usefixtures("x64")
def test_dirichlet_draws_have_a_pathwise_gradient():
    """The gradient of the mean of draws equals that of the distribution's mean."""
    alphas = jnp.asarray([[0.5, -0.4, 0.2]], jnp.float64)
    scale = jnp.asarray([[1.0, 2.0, 4.0]])

    def mean(alphas):
        beta = simplex.concentration(alphas)
        return (scale * beta).sum() / beta.sum()

    slope = jax.grad(lambda a, key: (scale * simplex.dirichlet(key, a)).sum())
    found = draw_many(lambda key: slope(alphas, key))
    error = found.std(axis=0) / len(found) ** 0.5
    assert (np.abs(found.mean(axis=0) - jax.grad(mean)(alphas)) < 4 * error).all()
    assert error.max() < 0.05


def test_dirichlet_draws_are_those_of_scipy():
    beta = np.asarray(simplex.concentration(ALPHAS[0]))
    np.testing.assert_allclose(beta, [1.5, np.exp(-1), 1.2], rtol=1e-6)
    draws = draw_many(lambda key: simplex.dirichlet(key, ALPHAS[:1]))[:, 0]
    marginal = stats.beta(beta[0], beta[1:].sum())
    assert stats.kstest(draws[:, 0], marginal.cdf).pvalue > 1e-3


def test_dirichlet_draws_of_several_choices_are_independent():
    alphas = {"a": ALPHAS[:1], "b": ALPHAS[:1]}
    draws = draw_many(lambda key: jnp.stack([*simplex.dirichlet(key, alphas).values()]))
    first, second = draws[:, 0, 0, 0], draws[:, 1, 0, 0]
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / len(first) ** 0.5


def test_dirichlet_divergence_by_hand():
    assert simplex.dirichlet_divergence(jnp.zeros((2, 3))) == pytest.approx(0, abs=1e-5)
    # Dirichlet(2, 1) has density 2 x on the unit interval.
    x = np.linspace(1e-6, 1, 200_001)
    wanted = np.trapezoid(2 * x * np.log(2 * x), x)
    found = simplex.dirichlet_divergence(jnp.asarray([[1.0, 0.0]]))
    assert found == pytest.approx(wanted, rel=1e-4)


def test_gumbel_draws_are_one_hot_with_the_softmax_as_probabilities():
    draws = draw_many(lambda key: simplex.gumbel(key, ALPHAS, 3.0))
    assert set(np.unique(draws)) == {0.0, 1.0}
    p = np.asarray(jax.nn.softmax(ALPHAS))
    error = np.sqrt(p * (1 - p) / len(draws))
    assert (np.abs(draws.mean(axis=0) - p) < 4 * error).all()


def test_gumbel_draws_have_the_gradient_of_the_softened_ones():
    key, scale = jax.random.key(3), jnp.arange(6.0).reshape(2, 3)

    def soft(alphas):
        noise = jax.random.gumbel(key, alphas.shape)
        return (scale * jax.nn.softmax((alphas + noise) / 2.0)).sum()

    found = jax.grad(lambda a: (scale * simplex.gumbel(key, a, 2.0)).sum())(ALPHAS)
    # log softmax and its argument differ by a constant of each row.
    np.testing.assert_allclose(found, jax.grad(soft)(ALPHAS), rtol=1e-4, atol=1e-5)


def test_single_path_draws_are_uniform_whatever_the_vectors():
    draws = draw_many(lambda key: simplex.uniform_one_hot(key, 100 * ALPHAS))
    assert set(np.unique(draws)) == {0.0, 1.0}
    error = np.sqrt(2 / 9 / len(draws))
    assert (np.abs(draws.mean(axis=0) - 1 / 3) < 4 * error).all()
