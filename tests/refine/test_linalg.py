"""Inverses of small matrices against LAPACK."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.refine.linalg import invert, invert_root, solve

SIZES = (1, 2, 3, 7, 8, 9, 13, 16, 17, 31, 40)


def make_matrices(size, num=4, condition=1e3):
    """Positive definite matrices, eigenvalues from 1 to the condition number."""
    rng = np.random.default_rng(size)
    basis = np.linalg.qr(rng.normal(size=(num, size, size)))[0]
    values = np.geomspace(1, condition, size)
    return (basis * values) @ basis.swapaxes(1, 2)


@pytest.mark.parametrize("size", SIZES)
def test_a_batch_in_double(x64, size):
    matrices = make_matrices(size)
    out = jax.jit(jax.vmap(invert))(jnp.asarray(matrices))
    assert out.dtype == jnp.float64
    np.testing.assert_allclose(out, np.linalg.inv(matrices), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("size", [1, 11])
def test_one_in_single(maybe_jit, size):
    matrix = make_matrices(size, num=1, condition=30.0)[0]
    out = maybe_jit(invert)(jnp.asarray(matrix, jnp.float32))
    assert out.dtype == jnp.float32
    np.testing.assert_allclose(out, np.linalg.inv(matrix), rtol=1e-3, atol=1e-4)


def test_single_stays_single_where_there_are_doubles(x64):
    matrix = make_matrices(11, num=1)[0]
    assert jax.eval_shape(invert, jnp.asarray(matrix, jnp.float32)).dtype == jnp.float32


def test_badly_conditioned_matrices_are_inverted_as_well_as_lapack_does(x64):
    matrices = make_matrices(29, condition=1e9)
    inverses = np.asarray(jax.jit(jax.vmap(invert))(jnp.asarray(matrices)))
    own = np.abs(matrices @ inverses - np.eye(29))
    lapack = np.abs(matrices @ np.linalg.inv(matrices) - np.eye(29))
    assert own.max() < 30 * lapack.max() < 1e-4


def test_equations_are_solved_and_roots_are_those_of_cholesky(x64):
    matrices = make_matrices(13)
    b = np.random.default_rng(0).normal(size=(4, 13))
    out = jax.jit(jax.vmap(solve))(jnp.asarray(matrices), jnp.asarray(b))
    wanted = np.linalg.solve(matrices, b[..., None])[..., 0]
    np.testing.assert_allclose(out, wanted, rtol=1e-9, atol=1e-11)
    roots = jax.jit(jax.vmap(invert_root))(jnp.asarray(matrices))
    wanted = np.linalg.inv(np.linalg.cholesky(matrices))
    np.testing.assert_allclose(roots, wanted, rtol=1e-9, atol=1e-11)


def test_two_by_two_by_hand():
    out = invert(jnp.asarray([[2.0, 1.0], [1.0, 1.0]]))
    np.testing.assert_allclose(out, [[1, -1], [-1, 2]], atol=1e-6)
