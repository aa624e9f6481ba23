"""Random tables: rows, padding, targets and what is true of them."""

import functools

import jax
import numpy as np
import pytest

from swajax.prior.tables import MIN_ROWS, TableShape, sample_table

NUM_TABLES, NUM_TRUTH = 12, 20
SHAPES = (
    TableShape(100, 4),
    TableShape(100, 4, 1, "logistic"),
    TableShape(100, 4, 3, "softmax"),
)


@pytest.fixture(scope="module", params=SHAPES, ids=lambda shape: shape.objective)
def case(request):
    draw = functools.partial(sample_table, shape=request.param, num_truth=NUM_TRUTH)
    keys = jax.random.split(jax.random.key(0), NUM_TABLES)
    return request.param, jax.device_get(jax.jit(jax.vmap(draw))(keys))


def test_rows_and_inputs_are_within_their_limits(case):
    shape, table = case
    x, y, weight = table.problem
    assert x.shape == (NUM_TABLES, 100, 4) and y.shape[2] == shape.num_outputs
    np.testing.assert_allclose(weight.sum(axis=1), 1, rtol=1e-5)
    num_rows = (weight > 0).sum(axis=1)
    assert num_rows.min() >= MIN_ROWS and len(set(num_rows.tolist())) > 3
    assert np.abs(x).max() <= 1 and np.ptp(table.is_input.sum(axis=1)) > 0
    assert not (x * (1 - table.is_input[:, None])).any()


def test_targets_fit_the_objective(case):
    shape, table = case
    y, truth = table.problem.y, table.truth.y
    if shape.objective == "squared":
        mean = (y[..., 0] * table.problem.weight).sum(axis=1)
        np.testing.assert_allclose(mean, 0, atol=1e-4)
        assert truth.std() < y.std() + 0.3
        return
    assert set(np.unique(y)) == {0.0, 1.0}
    assert ((truth >= 0) & (truth <= 1)).all() and len(np.unique(truth)) > 99
    if shape.objective == "softmax":
        np.testing.assert_allclose(y.sum(axis=2), 1)
        np.testing.assert_allclose(truth.sum(axis=2), 1, rtol=1e-4)
