"""Affine layers, embeddings and depth, against loops over options and slices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tangle_layer_cases import (
    INS,
    OUTS,
    ROWS,
    TOLERANCE,
    conv_alone,
    conv_case,
    draw,
    keep,
    one_hot,
    ones,
    shares,
    size,
)

from swajax.tangle.layers import affine, masks, reference


def test_superposed_convolution_is_the_mixture_of_entangled_outputs():
    a, o, k = shares(0), shares(1), shares(2)
    x, weight, bias, kept_by = conv_case(a, o, k)
    conv = jax.jit(functools.partial(affine.conv, masking="both"))
    mix = functools.partial(reference.mix_shared, num_channels=max(OUTS))
    alone = functools.partial(conv_alone, x, weight, bias)
    wanted = jax.jit(lambda *p: mix(p, alone))(a, o, k)
    np.testing.assert_allclose(conv(x, weight, bias, **kept_by), wanted, **TOLERANCE)


def test_superposed_linear_map_is_the_mixture_of_entangled_outputs():
    a, o = shares(0), shares(1)
    x, weight, bias = draw(0, ROWS, max(INS)), draw(1, max(INS), max(OUTS)), draw(2, 8)
    linear = jax.jit(functools.partial(affine.linear, masking="both"))

    def alone(option):
        i, j = size(INS[option[0]]), size(OUTS[option[1]])
        return x[:, i] @ weight[i, j] + bias[None, j]

    found = linear(x, weight, bias, keep_in=keep(a, INS), keep_out=keep(o, OUTS))
    wanted = reference.mix_shared((a, o), alone, num_channels=max(OUTS))
    np.testing.assert_allclose(found, wanted, **TOLERANCE)


def test_masks_of_readers_mix_the_inputs_only():
    a, o = shares(0), shares(1)
    x, weight, bias = draw(0, ROWS, max(INS)), draw(1, max(INS), max(OUTS)), draw(2, 8)
    linear = jax.jit(affine.linear)

    def alone(option):
        i = size(INS[option[0]])
        return x[:, i] @ weight[i] + bias[None]

    found = linear(x, weight, bias, keep_in=keep(a, INS), keep_out=keep(o, OUTS))
    wanted = reference.mix_shared((a,), alone, num_channels=max(OUTS))
    np.testing.assert_allclose(found, wanted, **TOLERANCE)


def test_independent_weights_that_are_equal_slices_are_the_entangled_ones():
    p, x, weight = shares(0), draw(0, ROWS, 4), draw(1, 4, max(OUTS))
    slices = [weight[:, size(out)] for out in OUTS]
    found = reference.mix_independent(
        (p,), lambda own, option: x @ own, slices, num_channels=max(OUTS)
    )
    wanted = x @ (weight * masks.outer(ones(4), keep(p, OUTS)))
    np.testing.assert_allclose(found, wanted, **TOLERANCE)


@pytest.mark.parametrize("masking", ["input", "both"])
@pytest.mark.parametrize("option", [(0, 1, 2), (2, 2, 0), (1, 0, 1)])
def test_a_one_hot_convolution_is_the_sliced_one(masking, option):
    x, weight, bias, kept_by = conv_case(*map(one_hot, option))
    out = affine.conv(x, weight, bias, masking=masking, **kept_by)
    wanted = conv_alone(x, weight, bias, option)
    np.testing.assert_allclose(out[..., : wanted.shape[-1]], wanted, **TOLERANCE)


@pytest.mark.parametrize("option", range(3))
def test_one_hot_embedding_and_depth_are_the_sliced_ones(option):
    ids, table = jnp.asarray([3, 0, 3]), draw(0, 4, max(INS))
    found = affine.embedding(ids, table, keep=keep(one_hot(option), INS))
    num = INS[option]
    np.testing.assert_array_equal(found[:, :num], table[ids][:, :num])
    np.testing.assert_array_equal(found[:, num:], 0)
    states = draw(1, 4, 2, 3)
    mixed = affine.mix_depths(states, one_hot(option), (2, 3, 4))
    np.testing.assert_allclose(mixed, states[option + 1], rtol=1e-6)


def test_superposed_embedding_is_the_mixture_of_its_columns():
    p, ids, table = shares(0), jnp.asarray([3, 0, 3]), draw(0, 4, max(INS))
    wanted = reference.mix_shared(
        (p,), lambda option: table[ids, : INS[option[0]]], num_channels=max(INS)
    )
    found = affine.embedding(ids, table, keep=keep(p, INS))
    np.testing.assert_allclose(found, wanted, **TOLERANCE)
