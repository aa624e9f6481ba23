"""Masked normalisation, and the mass of a group."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tangle_layer_cases import (
    INS,
    ROWS,
    TOLERANCE,
    draw,
    keep,
    one_hot,
    ones,
)

from swajax.tangle.layers import affine, masks, norms


@pytest.mark.parametrize("option", range(3))
def test_one_hot_layer_norm_is_the_sliced_one_but_not_in_the_papers_form(option):
    x, scale, bias = draw(0, ROWS, max(INS)), draw(1, max(INS)), draw(2, max(INS))
    kept, num = keep(one_hot(option), INS), INS[option]
    inner = np.asarray(x[:, :num])
    wanted = inner - inner.mean(axis=1, keepdims=True)
    wanted /= np.sqrt(inner.var(axis=1, keepdims=True) + norms.EPSILON)
    wanted = wanted * scale[None, :num] + bias[None, :num]
    found = norms.layer_norm(x, scale, bias, keep=kept)
    np.testing.assert_allclose(found[:, :num], wanted, **TOLERANCE)
    np.testing.assert_array_equal(found[:, num:], 0)
    full = norms.layer_norm(x, scale, bias, keep=kept, is_paper_form=True)
    padded = np.pad(inner, ((0, 0), (0, max(INS) - num)))
    plain = inner - padded.mean(axis=1, keepdims=True)
    plain /= np.sqrt(padded.var(axis=1, keepdims=True) + norms.EPSILON)
    plain = plain * scale[None, :num] + bias[None, :num]
    np.testing.assert_allclose(full[:, :num], plain, **TOLERANCE)
    assert np.allclose(plain, wanted, atol=1e-3) == (option == 2)


def test_one_hot_batch_norm_is_the_sliced_one():
    x, scale, bias = draw(0, 2, 3, max(INS)), draw(1, max(INS)), draw(2, max(INS))
    kept = keep(one_hot(1), INS)
    found = norms.batch_norm(x, scale, bias, keep=kept)
    inner = np.asarray(x[..., : INS[1]])
    wanted = (inner - inner.mean((0, 1))) / np.sqrt(inner.var((0, 1)) + norms.EPSILON)
    wanted = wanted * np.asarray(scale[: INS[1]]) + np.asarray(bias[: INS[1]])
    np.testing.assert_allclose(found[..., : INS[1]], wanted, **TOLERANCE)
    np.testing.assert_array_equal(found[..., INS[1] :], 0)


def group_output(p, is_paper_form):
    """Kernels 3 and 5 of a convolution with batch norm; the third option is zero."""
    x, weight = draw(0, 2, 4, 4, 2), draw(1, 5, 5, 2, 3)
    table = masks.centre((3, 5))

    def normalised(group):
        mask = masks.outer(masks.keep_probability(group, table), ones(2), ones(3))
        out = affine.convolve(x, mask * weight)
        return norms.batch_norm(out, ones(3), jnp.zeros(3), keep=ones(3))

    return norms.group_norm_with_mass(p[:2], normalised, is_paper_form=is_paper_form)


def test_the_mass_of_a_group_gets_through_batch_norm_but_not_in_the_papers_form():
    p = jnp.asarray([0.3, 0.2, 0.5])
    less = jnp.asarray([0.15, 0.1, 0.75])
    full = group_output(p / 0.5, is_paper_form=False)
    for q, mass in ((p, 0.5), (less, 0.25)):
        found = group_output(q, is_paper_form=False)
        np.testing.assert_allclose(found, mass * full, **TOLERANCE)
        lost = group_output(q, is_paper_form=True)
        np.testing.assert_allclose(lost, full, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(group_output(one_hot(2), is_paper_form=False), 0)


def test_probabilities_of_a_group_have_gradients_along_its_mass():
    scale = draw(9, 2, 4, 4, 3)

    def total(log_mass, p, is_paper_form):
        return (scale * group_output(p * jnp.exp(log_mass), is_paper_form)).sum()

    p = jnp.asarray([0.3, 0.2, 0.5])
    slope = jax.jit(jax.grad(total), static_argnames="is_paper_form")
    assert abs(slope(0.0, p, is_paper_form=False)) > 1e-2
    assert abs(slope(0.0, p, is_paper_form=True)) < 1e-3
    total_fixed = jax.jit(jax.grad(lambda p: total(0.0, p, is_paper_form=False)))
    absent = total_fixed(one_hot(2))
    assert np.isfinite(absent).all()
    # The gradient of a group that is not drawn is its output.
    would = (scale * group_output(jnp.asarray([0.5, 0.5, 0.0]), False)).sum()
    np.testing.assert_allclose(absent[:2], would, rtol=1e-3)
