"""Superposition of single layers: against loops over options, and against slices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.tangle.layers import affine, attention, masks, norms, reference
from swajax.tangle.spaces import transformer

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
    """Compiled, as each option has shapes of its own."""
    return reference.sum_padded(weight, probabilities, slices_fn)


def keep(p, sizes):
    return masks.keep_probability(p, masks.prefix(sizes))


def conv_case(a, o, k):
    """Input, weight, bias and survivals of a convolution with three choices."""
    survivals = {
        "keep_in": keep(a, INS),
        "keep_out": keep(o, OUTS),
        "keep_kernel": masks.keep_probability(k, masks.centre(KERNELS)),
    }
    x, weight = draw(0, 2, 4, 4, max(INS)), draw(1, 5, 5, max(INS), max(OUTS))
    return x, weight, draw(2, max(OUTS)), survivals


def conv_slices(option):
    i, o, k = option
    return middle(KERNELS[k]), middle(KERNELS[k]), size(INS[i]), size(OUTS[o])


def conv_alone(x, weight, bias, option):
    where = conv_slices(option)
    out = affine.convolve(x[..., where[2]], weight[where])
    return out + bias[where[3]][None, None, None]


def test_survival_by_hand():
    p = jnp.asarray([0.5, 0.3, 0.2])
    kept = masks.keep_probability(p, masks.prefix((1, 2, 4)))
    np.testing.assert_allclose(kept, [1, 0.5, 0.2, 0.2], rtol=1e-6)
    kernel = masks.keep_probability(p, masks.centre((1, 3, 5)))
    np.testing.assert_allclose(kernel[2], [0.2, 0.5, 1, 0.5, 0.2], rtol=1e-6)
    np.testing.assert_allclose(kernel[0], [0.2] * 5, rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_mask_of_a_convolution_is_the_sum_of_padded_slices(maybe_jit, seed):
    a, o, k = (shares(seed + n) for n in (0, 10, 20))
    _, weight, _, survivals = conv_case(a, o, k)
    order = [survivals[name] for name in ("keep_kernel", "keep_in", "keep_out")]
    wanted = sum_padded(weight, (a, o, k), conv_slices)
    found = maybe_jit(masks.outer)(*order) * weight
    np.testing.assert_allclose(found, wanted, **TOLERANCE)


def test_the_mask_of_a_width_by_ratio_is_the_sum_of_padded_slices(maybe_jit):
    sizes, ratios = (4, 6, 8), (1, 1.5, 2)
    e, r, weight = shares(0), shares(1), draw(2, 8, 16)
    tables = masks.prefix(sizes), masks.prefix_product(sizes, ratios)

    def slices(option):
        return size(sizes[option[0]]), size(int(sizes[option[0]] * ratios[option[1]]))

    wanted = sum_padded(weight, (e, r), slices)
    found = maybe_jit(lambda e, r: masks.ratio_mask(e, r, *tables))(e, r) * weight
    np.testing.assert_allclose(found, wanted, **TOLERANCE)


def test_products_of_probabilities_sum_to_one():
    a, o, k = shares(0), shares(1), shares(2)
    *_, survivals = conv_case(a, o, k)
    mask = masks.outer(*(survivals[n] for n in ("keep_kernel", "keep_in", "keep_out")))
    np.testing.assert_allclose(mask[2, 2, 0, 0], 1.0, rtol=1e-6)
    np.testing.assert_allclose(mask.max(), 1.0, rtol=1e-6)
    tables = masks.prefix((4, 6)), masks.prefix_product((4, 6), (1, 2))
    combi = masks.ratio_mask(shares(3, 2), shares(4, 2), *tables)
    np.testing.assert_allclose(combi[0, 0], 1.0, rtol=1e-6)


def test_the_order_of_options_does_not_matter():
    order = np.array([2, 0, 1])
    p, q = shares(0), shares(1)
    for table, sizes in ((masks.prefix, INS), (masks.centre, KERNELS)):
        shuffled = masks.keep_probability(p[order], table([sizes[i] for i in order]))
        wanted = masks.keep_probability(p, table(sizes))
        np.testing.assert_allclose(shuffled, wanted, rtol=1e-6)
    ratios = (1, 2, 3)
    tables = masks.prefix(INS), masks.prefix_product(INS, ratios)
    moved = [INS[i] for i in order], [ratios[i] for i in order]
    tables_moved = masks.prefix(moved[0]), masks.prefix_product(*moved)
    wanted = masks.ratio_mask(p, q, *tables)
    found = masks.ratio_mask(p[order], q[order], *tables_moved)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_superposed_convolution_is_the_mixture_of_entangled_outputs(maybe_jit):
    a, o, k = shares(0), shares(1), shares(2)
    x, weight, bias, survivals = conv_case(a, o, k)
    conv = maybe_jit(functools.partial(affine.conv, masking="both"))
    mix = functools.partial(reference.mix_shared, num_channels=max(OUTS))
    alone = functools.partial(conv_alone, x, weight, bias)
    wanted = jax.jit(lambda *p: mix(p, alone))(a, o, k)
    np.testing.assert_allclose(conv(x, weight, bias, **survivals), wanted, **TOLERANCE)


def test_superposed_linear_map_is_the_mixture_of_entangled_outputs(maybe_jit):
    a, o = shares(0), shares(1)
    x, weight, bias = draw(0, ROWS, max(INS)), draw(1, max(INS), max(OUTS)), draw(2, 8)
    linear = maybe_jit(functools.partial(affine.linear, masking="both"))

    def alone(option):
        i, j = size(INS[option[0]]), size(OUTS[option[1]])
        return x[:, i] @ weight[i, j] + bias[None, j]

    found = linear(x, weight, bias, keep_in=keep(a, INS), keep_out=keep(o, OUTS))
    wanted = reference.mix_shared((a, o), alone, num_channels=max(OUTS))
    np.testing.assert_allclose(found, wanted, **TOLERANCE)


def test_masks_of_readers_mix_the_inputs_only(maybe_jit):
    a, o = shares(0), shares(1)
    x, weight, bias = draw(0, ROWS, max(INS)), draw(1, max(INS), max(OUTS)), draw(2, 8)
    linear = maybe_jit(affine.linear)

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
    x, weight, bias, survivals = conv_case(*map(one_hot, option))
    out = affine.conv(x, weight, bias, masking=masking, **survivals)
    wanted = conv_alone(x, weight, bias, option)
    np.testing.assert_allclose(out[..., : wanted.shape[-1]], wanted, **TOLERANCE)


def attention_case():
    weights = attention.draw_attention(
        jax.random.key(0), num_heads=3, head_size=HEAD_SIZE, num_channels=max(INS)
    )
    biases = {"qkv_bias": draw(1, 3, 3, HEAD_SIZE), "out_bias": draw(2, max(INS))}
    return draw(0, ROWS, max(INS)), weights._replace(**biases)


@pytest.mark.parametrize("masking", ["input", "both"])
@pytest.mark.parametrize("option", [(0, 1), (1, 2), (2, 0)])
def test_one_hot_attention_is_the_sliced_one(masking, option, maybe_jit):
    x, weights = attention_case()
    e, t = INS[option[0]], HEADS[option[1]]
    attention_mask = jnp.tril(jnp.ones((ROWS, ROWS), bool))
    attend = maybe_jit(attention.attend, static_argnames="masking")
    channels = keep(one_hot(option[0]), INS)
    found = attend(
        x,
        weights,
        keep_in=channels,
        keep_heads=keep(one_hot(option[1]), HEADS),
        keep_out=channels,
        masking=masking,
        attention_mask=attention_mask,
    )
    q, k, v = (
        np.einsum("ne,tde->tnd", x[:, :e], weights.qkv[part, :t, :, :e])
        + weights.qkv_bias[part, :t, None]
        for part in range(3)
    )
    logits = np.where(attention_mask, q @ k.swapaxes(1, 2) / HEAD_SIZE**0.5, -np.inf)
    attended = np.asarray(jax.nn.softmax(jnp.asarray(logits))) @ v
    wanted = np.einsum("tnd,tde->ne", attended, weights.out[:t, :, :e])
    wanted = wanted + weights.out_bias[None, :e]
    np.testing.assert_allclose(found[:, :e], wanted, **TOLERANCE)


def of_heads(option):
    return size(HEADS[option[0]])


def of_channels(option):
    return size(INS[option[0]])


def test_superposed_attention_has_sums_of_padded_slices():
    (x, weights), e, t = attention_case(), shares(0), shares(1)
    every = slice(None)

    def in_every(option):
        return every, of_heads(option), every, size(INS[option[1]])

    def out_slices(option):
        return of_heads(option), every, size(INS[option[1]])

    kept = {"keep_in": keep(e, INS), "keep_heads": keep(t, HEADS)}
    found = attention.attend(x, weights, **kept, keep_out=keep(e, INS), masking="both")
    summed = attention.Attention(
        sum_padded(weights.qkv, (t, e), in_every),
        sum_padded(weights.qkv_bias, (t,), lambda o: (every, of_heads(o))),
        sum_padded(weights.out, (t, e), out_slices),
        sum_padded(weights.out_bias, (e,), of_channels),
    )
    whole = {"keep_in": ones(6), "keep_heads": ones(3), "keep_out": ones(6)}
    wanted = attention.attend(x, summed, **whole)
    np.testing.assert_allclose(found, wanted, **TOLERANCE)
    # Masks of readers only: channels of the inputs, heads of the output projection.
    found = attention.attend(x, weights, **kept, keep_out=keep(e, INS))
    read = weights._replace(
        qkv=sum_padded(weights.qkv, (e,), lambda o: (every,) * 3 + (of_channels(o),)),
        out=sum_padded(weights.out, (t,), of_heads),
    )
    wanted = attention.attend(x, read, **whole)
    np.testing.assert_allclose(found, wanted, **TOLERANCE)


@pytest.mark.parametrize("masking", ["input", "both"])
def test_superposed_feed_forward_has_sums_of_padded_slices(masking):
    config = transformer.TransformerConfig(embed=INS, ratios=(1, 2), masking=masking)
    stack = transformer.draw_stack(jax.random.key(0), config)
    weights = jax.tree.map(lambda leaf: leaf[0], stack.layers)
    weights = weights._replace(widen_bias=draw(1, 12), narrow_bias=draw(2, 6))
    e, r = shares(0), shares(1, 2)
    p = {"embed": e[None], "ratio": jnp.tile(r, (4, 1)), "heads": jnp.ones((4, 3)) / 3}
    kept = transformer.keep_probability(config, p)
    kept = kept._replace(heads=kept.heads[0], neurons=kept.neurons[0])
    x = draw(3, 2, ROWS, 6)
    found = transformer._feed_forward(x, weights, kept, masking=masking)

    def neurons(option):
        return size(INS[option[0]] * config.ratios[option[1]])

    widen, narrow = weights.widen, sum_padded(weights.narrow, (e, r), neurons)
    widen_bias, narrow_bias = weights.widen_bias, weights.narrow_bias
    if masking == "both":

        def in_slices(option):
            return of_channels(option), neurons(option)

        widen = sum_padded(widen, (e, r), in_slices)
        narrow = sum_padded(weights.narrow, (e, r), lambda o: in_slices(o)[::-1])
        widen_bias = sum_padded(widen_bias, (e, r), neurons)
        narrow_bias = sum_padded(narrow_bias, (e,), of_channels)
    hidden = jax.nn.gelu(x @ widen + widen_bias[None, None])
    wanted = hidden @ narrow + narrow_bias[None, None]
    np.testing.assert_allclose(found, wanted, **TOLERANCE)


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
    """Kernels 3 and 5 of one convolution and batch norm; the third option is none."""
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
    # What is not drawn is told what it would have given.
    would = (scale * group_output(jnp.asarray([0.5, 0.5, 0.0]), False)).sum()
    np.testing.assert_allclose(absent[:2], would, rtol=1e-3)


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


def test_every_probability_has_a_gradient_through_every_layer():
    x, weights = attention_case()

    def total(e, t):
        stream = norms.layer_norm(x, ones(6), ones(6), keep=keep(e, INS))
        how = {"keep_in": keep(e, INS), "keep_out": keep(e, INS), "masking": "both"}
        out = attention.attend(stream, weights, keep_heads=keep(t, HEADS), **how)
        return (draw(3, ROWS, 6) * out).sum()

    for gradient in jax.jit(jax.grad(total, argnums=(0, 1)))(shares(0), shares(1)):
        assert np.isfinite(gradient).all()
        assert np.ptp(gradient) > 1e-4


@pytest.mark.parametrize(
    ("table", "arguments", "message"),
    [
        (masks.centre, ((1, 2, 3),), r"kernel sizes \(1, 2, 3\) do not nest"),
        (masks.prefix_product, ((3, 4), (1, 1.5)), "do not nest"),
        (masks.prefix, ((0, 0),), "sizes must be whole numbers"),
        (masks.prefix, ((-1, 4),), "sizes must be whole numbers"),
    ],
)
def test_options_that_do_not_nest_are_refused(table, arguments, message):
    with pytest.raises(ValueError, match=message):
        table(*arguments)
