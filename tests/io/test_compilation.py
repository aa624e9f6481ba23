"""Compiler options."""

import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.io import compilation


@pytest.fixture(autouse=True)
def fresh_options():
    """Options that no other test has left, and that none is left to."""
    compilation._choose_options.cache_clear()
    yield
    compilation._choose_options.cache_clear()


@pytest.mark.parametrize("use", typing.get_args(compilation.Use))
def test_every_use_computes_the_same(use):
    def fn(x, num):
        return jnp.tanh(x @ x.T)[:num].sum(axis=1)

    x = jax.random.normal(jax.random.key(0), (20, 5))
    found = compilation.compile_for(use, fn, static_argnames="num")(x, num=7)
    np.testing.assert_allclose(found, fn(x, 7), rtol=1e-5)


def test_seldom_used_programs_are_optimised_less():
    levels = [
        (compilation._choose_options(use) or {}).get("xla_backend_optimization_level")
        for use in ("often", "seldom", "once")
    ]
    assert levels == [None, 1, 0]


def test_accelerators_and_other_compilers_get_no_options(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(jax, "default_backend", lambda: "gpu")
        assert compilation._choose_options("once") is None
    compilation._choose_options.cache_clear()
    monkeypatch.setitem(compilation.LEVELS, "once", "many")
    assert compilation._choose_options("once") is None
    fn = compilation.compile_for("once", lambda x: x + 1)
    assert fn(1.0) == 2.0
