"""Costs and corrections of blocks, against the quadratic form itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.data.problem import Problem
from swajax.network import make_layered
from swajax.refine.block_pruning import (
    choose,
    find_blocks,
    find_costs,
    narrow,
    remove,
)
from swajax.refine.gauss_newton import Trace, trace
from swajax.refine.matrices import to_layered, to_stack
from swajax.refine.quadratic import Fit

RNG = np.random.default_rng(0)
NUM = 200
X = RNG.normal(size=(NUM, 5)).astype(np.float32)


@pytest.fixture(scope="module")
def linear():
    """One linear layer: its blocks are the whole Gauss-Newton matrix of an output."""
    matrix = RNG.normal(size=(6, 2)).astype(np.float32)
    values = np.concatenate([np.ones((NUM, 1), np.float32), X], axis=1)
    curvature = RNG.uniform(0.5, 1, (NUM, 2)).astype(np.float32) / NUM
    return matrix, values, Trace((values,), (curvature,))


def test_a_removal_costs_what_the_quadratic_form_rises(linear):
    matrix, values, traced = linear
    blocks = find_blocks(traced)
    costs = find_costs((matrix,), blocks)[0]
    for place in ((2, 0), (4, 1)):
        kept = np.ones(matrix.shape, bool)
        kept[place] = False
        changed = remove((matrix,), blocks, (kept,))[0]
        assert not changed[~kept].any()
        rise = traced.curvatures[0] * np.square(values @ (changed - matrix))
        assert rise.sum() / 2 == pytest.approx(costs[place], rel=0.02)
        np.testing.assert_allclose(
            changed[:, 1 - place[1]], matrix[:, 1 - place[1]], rtol=1e-6
        )


def test_a_copied_input_leaves_at_no_cost(linear):
    matrix, values, traced = linear
    values = values.copy()
    values[:, 5] = values[:, 4]
    blocks = find_blocks(traced._replace(inputs=(values,)))
    costs = find_costs((matrix,), blocks)[0]
    assert (costs[4:] < 0.05 * costs[1:4].min()).all()
    kept = np.ones(matrix.shape, bool)
    kept[5] = False
    changed = remove((matrix,), blocks, (kept,))[0]
    np.testing.assert_allclose(values @ changed, values @ matrix, atol=0.02)


def test_the_cheapest_weights_and_neurons_leave():
    matrices = [np.ones((3, 4), np.float32), np.ones((5, 1), np.float32)]
    costs = [np.full((3, 4), 5.0), np.array([[9.0], [1.0], [50.0], [60.0], [70.0]])]
    kept = choose(matrices, costs, num_weights=13, widths=[4])
    assert not kept[0][:, 0].any() and not kept[1][1]  # 1 / 4 per weight
    assert sum(map(np.sum, kept)) == 13
    kept = choose(matrices, costs, num_weights=13, widths=[2])
    assert kept[0].any(axis=0).tolist() == [False, False, True, True]
    costs[0][1, 3] = 2.0
    kept = choose(matrices, costs, num_weights=12, widths=[4])
    assert not kept[0][1, 3] and sum(map(np.sum, kept)) == 12


def test_wide_layers_lose_inputs_that_others_replace():
    """Half of the neurons and inputs are copies of the others."""
    x = np.concatenate([X, X], axis=1)
    first, last = RNG.normal(size=(10, 8)), RNG.normal(size=(16, 1))
    network = make_layered(
        [np.concatenate([first, first], axis=1), last], [np.zeros(16), [0.5]], ["tanh"]
    )
    problem = Problem(x, RNG.normal(size=(NUM, 1)), np.full(NUM, 1 / NUM))
    problem = jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), problem)
    stack = to_stack(network)
    traced = trace(stack.matrices, problem, stack.short_names, fit=Fit())
    small = narrow(stack, jax.device_get(traced), 8)
    assert [m.shape for m in small.matrices] == [(9, 8), (9, 1)]
    out, wanted = to_layered(small, 10).apply(x), network.apply(x)
    assert np.square(out - wanted).mean() < 0.01 * np.var(wanted)
