"""Parameters, rows and starts of a small search.

Imports stay inside: modules imported before the tests are collected are not checked.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest


@pytest.fixture(scope="session")
def params():
    from latent_cases import SIZE, template

    from swajax import network

    key, num = jax.random.key(0), network.pack(template()).size
    return [
        {
            "weights": 2
            * jax.random.normal(jax.random.fold_in(key, depth), (SIZE, num)),
            "mask": jax.random.normal(jax.random.fold_in(key, 9 + depth), (SIZE, 8)),
        }
        for depth in range(2)
    ]


@pytest.fixture(scope="session")
def data():
    from swajax.latent_search import Data

    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (30, 3)).astype(np.float32)
    y = np.sin(2 * x[:, :1]) + x[:, 1:2] * x[:, 2:]
    return Data(*map(jnp.asarray, (x[:20], y[:20], x[20:], y[20:])))


@pytest.fixture(scope="session")
def starts():
    from latent_cases import SIZE

    key = jax.random.fold_in(jax.random.key(0), 5)
    return jax.random.normal(key, (3, SIZE))
