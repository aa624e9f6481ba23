"""Batches of networks, from the host (see also the searches in `tests/search`)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from refine_cases import SMALL, SMALL_FIT, make_small_problem, one_layer, stack

from swajax.network import count_weights
from swajax.refine import batches, block_programs

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


def test_scores_are_those_of_a_plain_computation_for_any_weights(monkeypatch):
    monkeypatch.setattr(batches, "MAX_SCORED", 2)  # in three parts
    rng = np.random.default_rng(1)
    shifts = rng.normal(size=5)
    networks = stack(*[one_layer([NEURON], shift) for shift in shifts])
    networks = jax.tree.map(np.array, networks)
    networks.readout_bias[3] = np.nan
    x, y, _ = problem = jax.tree.map(np.asarray, make_small_problem())
    weight = rng.uniform(0, 1, len(x))
    weight /= weight.sum()
    loss, error = batches.validation_scores(
        networks, problem._replace(weight=weight), fit=SMALL_FIT
    )
    out = 1.5 * np.tanh(x @ [2.0, 0.5] + 0.4)
    each = np.square(out + np.delete(shifts, 3)[:, None] - y[:, 0])
    mean = each @ weight
    gap = each - each[mean.argmin()]
    spread = np.square(gap - (gap @ weight)[:, None]) @ weight
    wanted = np.sqrt(spread * np.square(weight).sum())
    assert np.isnan(loss[3])
    np.testing.assert_allclose(np.delete(loss, 3), mean, rtol=1e-5)
    np.testing.assert_allclose(np.delete(error, 3), wanted, rtol=1e-4, atol=1e-7)


def test_weights_are_counted_as_by_the_network(draw_network, mixed_spec):
    drawn = [
        draw_network(seed, spec=mixed_spec, depth=depth, density=density)
        for seed in range(5)
        for depth in (1, 2, 3)
        for density in (0.3, 1.0)
    ]
    networks = stack(*drawn)
    # Weights of absent neurons do not count.
    networks = networks._replace(bias=jnp.ones_like(networks.bias))
    wanted = jax.vmap(count_weights)(networks)
    assert len(np.unique(wanted)) > 5
    np.testing.assert_array_equal(batches.count(networks), wanted)


@pytest.mark.parametrize(
    ("answers", "wanted"),
    [
        (None, [120]),
        ([False, False], [50, 50, 20]),
        ([False, True], [50, 50]),
        ([True], [50]),
    ],
)
def test_a_polish_ends_between_chunks_of_steps(monkeypatch, answers, wanted):
    numbers = []

    def program(block, problem, fit, num_steps):
        numbers.append(int(num_steps))
        first = block.first + 1.0
        return block._replace(first=first), first.sum(axis=(1, 2))

    monkeypatch.setattr(batches, "get_program", lambda *_: program)
    is_over = None if answers is None else iter(answers).__next__
    networks = jax.device_get(stack(one_layer([NEURON])))
    polished, _ = batches.polish_batch(
        networks,
        np.array([5]),
        make_small_problem(),
        fit=SMALL_FIT,
        num_steps=120,
        is_over=is_over,
    )
    assert numbers == wanted
    # The next chunk goes on from the last.
    np.testing.assert_array_equal(polished.first, networks.first + len(wanted))


def test_a_program_is_compiled_as_it_will_be_called():
    problem = jax.device_get(make_small_problem())
    networks = jax.device_get(stack(one_layer([NEURON]), one_layer([NEURON])))
    devices = tuple(jax.local_devices())
    shared = {"fit": SMALL_FIT, "devices": devices}
    compiled = []

    def listen(event, _, **__):
        if event.endswith("backend_compile_duration"):
            compiled.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        block_programs.compile_program("score", problem, spec=SMALL, **shared)
        assert len(compiled) == 1
        batches.simplify_and_score(networks, problem, **shared)
        assert len(compiled) == 1
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)
