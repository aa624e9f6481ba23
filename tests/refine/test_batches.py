"""Batches of networks, from the host (see also the searches in `tests/search`)."""

import jax
import numpy as np
import pytest
from refine_cases import SMALL_FIT, make_small_problem, one_layer, stack

from swajax.refine import batches

NEURON = (2.0, 0.5, 0.4, 1.5)


def test_a_network_that_its_bucket_does_not_hold_is_refused(monkeypatch):
    monkeypatch.setattr("swajax.refine.buckets.BUCKETS", (5, 32))
    networks = stack(one_layer([NEURON]), one_layer([NEURON, NEURON]))
    networks, problem = jax.device_get((networks, make_small_problem()))
    with pytest.raises(ValueError, match=r"network 1 has 8 weights, .* holds 5"):
        batches.polish_batch(
            networks, np.array([4, 4]), problem, fit=SMALL_FIT, num_steps=1
        )
    with pytest.raises(ValueError, match=r"network 0 has 8 weights, .* holds 5"):
        batches.remove(networks, np.array([1, 0]), 4, problem, fit=SMALL_FIT)


def test_losses_are_compared_to_the_lowest_row_by_row():
    networks = stack(one_layer([NEURON]), one_layer([NEURON], 0.5), one_layer([NEURON]))
    problem = make_small_problem()
    loss, error = batches.validation_scores(networks, problem, fit=SMALL_FIT)
    assert loss[0] == loss[2] and loss.shape == error.shape == (3,)
    x, y, _ = (np.asarray(leaf) for leaf in problem)
    out = 1.5 * np.tanh(x @ [2.0, 0.5] + 0.4)
    each = np.square(out + np.array([[0.0], [0.5]]) - y[:, 0])
    np.testing.assert_allclose(loss[:2], each.mean(axis=1), rtol=1e-5)
    best = np.argmin(each.mean(axis=1))
    wanted = (each - each[best]).std(axis=1) / np.sqrt(len(x))
    np.testing.assert_allclose(error[:2], wanted, rtol=1e-4, atol=1e-7)
