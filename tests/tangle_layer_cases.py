"""Inputs, weights and probabilities of single weight-entangled layers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from swajax.tangle.layers import affine, attention, masks, reference

ROWS, INS, OUTS, KERNELS = 5, (2, 4, 6), (3, 5, 8), (1, 3, 5)
HEADS, HEAD_SIZE = (1, 2, 3), 4
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def draw(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def shares(seed, num=3):
    """Probabilities in generic position."""
    p = np.random.default_rng(seed).dirichlet(np.ones(num)).astype(np.float32)
    return jnp.asarray(p)


def one_hot(index, num=3):
    return jnp.eye(num)[index]


def size(sizes):
    return slice(0, sizes)


def middle(kernel):
    start = (max(KERNELS) - kernel) // 2
    return slice(start, start + kernel)


def ones(num):
    return jnp.ones(num)


@functools.partial(jax.jit, static_argnums=2)
def sum_padded(weight, probabilities, slices_fn):
    """Compiled, because shapes differ between options."""
    return reference.sum_padded(weight, probabilities, slices_fn)


def keep(p, sizes):
    return masks.keep_probability(p, masks.prefix(sizes))


def conv_case(a, o, k):
    """Input, weight, bias and kept_by of a convolution with three choices."""
    kept_by = {
        "keep_in": keep(a, INS),
        "keep_out": keep(o, OUTS),
        "keep_kernel": masks.keep_probability(k, masks.centre(KERNELS)),
    }
    x, weight = draw(0, 2, 4, 4, max(INS)), draw(1, 5, 5, max(INS), max(OUTS))
    return x, weight, draw(2, max(OUTS)), kept_by


def conv_slices(option):
    i, o, k = option
    return middle(KERNELS[k]), middle(KERNELS[k]), size(INS[i]), size(OUTS[o])


def conv_alone(x, weight, bias, option):
    where = conv_slices(option)
    out = affine.convolve(x[..., where[2]], weight[where])
    return out + bias[where[3]][None, None, None]


def attention_case():
    weights = attention.draw_attention(
        jax.random.key(0), num_heads=3, head_size=HEAD_SIZE, num_channels=max(INS)
    )
    biases = {"qkv_bias": draw(1, 3, 3, HEAD_SIZE), "out_bias": draw(2, max(INS))}
    return draw(0, ROWS, max(INS)), weights._replace(**biases)


def of_heads(option):
    return size(HEADS[option[0]])


def of_channels(option):
    return size(INS[option[0]])
