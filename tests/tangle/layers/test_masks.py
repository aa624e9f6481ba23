"""Keep probabilities and masks, against sums of padded slices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tangle_layer_cases import (
    INS,
    KERNELS,
    TOLERANCE,
    conv_case,
    conv_slices,
    draw,
    shares,
    size,
    sum_padded,
)

from swajax.tangle.layers import masks


def test_keep_probability_by_hand():
    p = jnp.asarray([0.5, 0.3, 0.2])
    kept = masks.keep_probability(p, masks.prefix((1, 2, 4)))
    np.testing.assert_allclose(kept, [1, 0.5, 0.2, 0.2], rtol=1e-6)
    kernel = masks.keep_probability(p, masks.centre((1, 3, 5)))
    np.testing.assert_allclose(kernel[2], [0.2, 0.5, 1, 0.5, 0.2], rtol=1e-6)
    np.testing.assert_allclose(kernel[0], [0.2] * 5, rtol=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_the_mask_of_a_convolution_is_the_sum_of_padded_slices(seed):
    a, o, k = (shares(seed + n) for n in (0, 10, 20))
    _, weight, _, kept_by = conv_case(a, o, k)
    order = [kept_by[name] for name in ("keep_kernel", "keep_in", "keep_out")]
    wanted = sum_padded(weight, (a, o, k), conv_slices)
    found = jax.jit(masks.outer)(*order) * weight
    np.testing.assert_allclose(found, wanted, **TOLERANCE)


def test_the_mask_of_a_width_by_ratio_is_the_sum_of_padded_slices():
    sizes, ratios = (4, 6, 8), (1, 1.5, 2)
    e, r, weight = shares(0), shares(1), draw(2, 8, 16)
    tables = masks.prefix(sizes), masks.prefix_product(sizes, ratios)

    def slices(option):
        return size(sizes[option[0]]), size(int(sizes[option[0]] * ratios[option[1]]))

    wanted = sum_padded(weight, (e, r), slices)
    found = jax.jit(lambda e, r: masks.ratio_mask(e, r, *tables))(e, r) * weight
    np.testing.assert_allclose(found, wanted, **TOLERANCE)


def test_products_of_probabilities_sum_to_one():
    a, o, k = shares(0), shares(1), shares(2)
    *_, kept_by = conv_case(a, o, k)
    mask = masks.outer(*(kept_by[n] for n in ("keep_kernel", "keep_in", "keep_out")))
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
