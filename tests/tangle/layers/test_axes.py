"""Declared axes: masks, slices and shapes by hand."""

import jax.numpy as jnp
import numpy as np

from swajax.tangle.choices import Choice
from swajax.tangle.layers import axes
from swajax.tangle.layers.axes import Layers, Leaf

DEPTH = Choice("depth", (1, 3), "depth")
WIDTH = Choice("width", (2, 1), num_rows=3, is_layered=True)
KERNEL = Choice("kernel", (1, 3), "kernel")
INPUT = Choice("input", (0, 1), num_rows=2)
P = {
    "depth": jnp.asarray([[0.25, 0.75]]),
    "width": jnp.asarray([[0.5, 0.5], [1.0, 0.0], [0.2, 0.8]]),
    "kernel": jnp.asarray([[0.9, 0.1]]),
    "input": jnp.asarray([[0.6, 0.4], [0.0, 1.0]]),
}


def test_masks_are_products_of_keep_probabilities():
    leaf = Leaf(axes.select(INPUT), axes.follow(WIDTH, 2), axes.fixed(1))
    wanted = np.outer([0.4, 1.0], [1.0, 0.2])[..., None]
    np.testing.assert_allclose(leaf.mask(P), wanted, rtol=1e-6)
    kernel = Leaf(axes.follow(KERNEL), axes.fixed(2))
    assert kernel.shape == (3, 3, 2)
    np.testing.assert_allclose(kernel.mask(P)[:, 1, 0], [0.1, 1.0, 0.1], rtol=1e-6)


def test_slices_are_blocks_prefixes_and_chosen_entries():
    weight = np.arange(2 * 2 * 1).reshape(2, 2, 1)
    leaf = Leaf(axes.select(INPUT), axes.follow(WIDTH, 2), axes.fixed(1))
    found = leaf.take(weight, {"input": (0, 1), "width": (0, 0, 1)})
    np.testing.assert_array_equal(found, [[[2]]])
    kernel = np.arange(9).reshape(3, 3)
    found = Leaf(axes.follow(KERNEL)).take(kernel, {"kernel": (0,)})
    np.testing.assert_array_equal(found, [[4]])


def test_options_that_keep_nothing_remove_the_weight():
    table = np.array([[True], [False]])
    choice = Choice("edge", ("conv", "skip"), "operation")
    leaf = Leaf(axes.follow(choice, table=table[:, 0]), axes.fixed(2))
    assert leaf.shape == (2,)
    np.testing.assert_array_equal(leaf.take(np.ones(2), {"edge": (0,)}), np.ones(2))
    assert leaf.take(np.ones(2), {"edge": (1,)}) is None
    p = {"edge": jnp.asarray([[0.3, 0.7]])}
    np.testing.assert_allclose(leaf.mask(p), [0.3, 0.3], rtol=1e-6)


def test_layers_are_stacked_in_masks_and_a_tuple_in_slices():
    declared = {
        "layers": Layers(axes.follow(DEPTH), Leaf(axes.follow(WIDTH, slice(None)))),
        "between": Layers(
            axes.follow(DEPTH, table=DEPTH.table[:, 1:]),
            Leaf(axes.follow(WIDTH, slice(-1)), axes.follow(WIDTH, slice(1, None))),
        ),
    }
    weights = {"layers": np.arange(6).reshape(3, 2), "between": np.ones((2, 2, 2))}
    for name, leaf in axes.zeros(declared).items():
        assert leaf.shape == weights[name].shape
    found = axes.mask(declared, P)
    wanted = np.array([[1, 0.5], [0.75, 0.75], [0.75, 0.15]])
    np.testing.assert_allclose(found["layers"], wanted, rtol=1e-6)
    np.testing.assert_allclose(
        found["between"][1], 0.75 * np.outer([1, 1], [1, 0.2]), rtol=1e-6
    )
    deep = axes.take(declared, weights, {"depth": (1,), "width": (1, 0, 1)})
    assert [leaf.tolist() for leaf in deep["layers"]] == [[0], [2, 3], [4]]
    assert [leaf.shape for leaf in deep["between"]] == [(1, 2), (2, 1)]
    shallow = axes.take(declared, weights, {"depth": (0,), "width": (0, 0, 0)})
    assert [leaf.tolist() for leaf in shallow["layers"]] == [[0, 1]]
    assert shallow["between"] == ()
