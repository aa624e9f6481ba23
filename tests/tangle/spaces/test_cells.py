"""Cells: ranks of operations, and the probability of a kind of convolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tangle_cases import NUM, draw_probabilities, make_case, make_small

from swajax.tangle.layers import operations
from swajax.tangle.spaces import cells


@pytest.mark.parametrize("stride", [1, 2])
def test_ranks_are_in_the_order_of_the_weights(stride):
    def count(name):
        how = {"num_channels": 8, "stride": stride}
        edge = cells.draw_edge(jax.random.key(0), (name,), **how)
        return sum(leaf.size for leaf in jax.tree.leaves(edge))

    names = sorted(operations.OPERATIONS, key=lambda n: operations.OPERATIONS[n].rank)
    sizes = [count(name) for name in names]
    assert sizes == sorted(sizes) and sizes[-1] == 9 * 8 * 8


@pytest.mark.parametrize(("masking", "has_signal"), [("input", True), ("both", False)])
def test_the_probability_of_a_kind_of_convolution_counts_behind_its_norm(
    masking, has_signal
):
    operations = ("dil3", "dil5", "conv1", "conv3")
    space = make_small("digits-cell", masking, operations=operations)
    params, p = jax.jit(space.init)(jax.random.key(0)), draw_probabilities(space)
    x = make_case("digits-cell", masking)[2]
    weight = jnp.asarray(np.random.default_rng(1).normal(size=(NUM, 3)), jnp.float32)

    def loss(share):
        """Return the loss for a share of the first kind, the rest being the second."""
        row = jnp.stack([share, share, 1 - share, 1 - share]) / 2
        rows = p | {"reduce": p["reduce"].at[0].set(row)}
        return (weight * space.apply(params, rows, x)).sum()

    slope = jax.jit(jax.grad(loss))(0.5)
    assert (np.abs(slope) > 0.05) == has_signal
