"""Random functions: scaled, of relevant inputs only."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.prior.functions import FAMILIES, sample_function

NUM = 40


@pytest.fixture(scope="module")
def x():
    return jax.random.uniform(jax.random.key(1), (NUM, 4), minval=-1)


@pytest.mark.parametrize("family", FAMILIES)
def test_irrelevant_inputs_do_not_matter(family, x):
    relevance = jnp.array([1.0, 0.0, 1.0, 0.0])
    other = x.at[:, 1].set(0.3).at[:, 3].multiply(-1.0)
    fn = jax.jit(jax.vmap(family, in_axes=(0, None, None)))
    keys = jax.random.split(jax.random.key(0), 8)
    values = fn(keys, x, relevance)
    assert np.isfinite(values).all()
    # Draws of inputs and networks may pick an irrelevant one with probability 1e-6.
    np.testing.assert_allclose(values, fn(keys, other, relevance), atol=1e-4)
    assert (values.std(axis=1) > 1e-3).sum() >= 6


def test_values_are_standardised_and_differ(x):
    fn = jax.jit(jax.vmap(sample_function, in_axes=(0, None, None)))
    values = fn(jax.random.split(jax.random.key(0), 16), x, jnp.ones(4))
    np.testing.assert_allclose(values.mean(axis=1), 0, atol=1e-4)
    np.testing.assert_allclose(values.std(axis=1), 1, atol=1e-3)
    assert np.abs(np.corrcoef(values) - np.eye(16)).max() < 0.999
