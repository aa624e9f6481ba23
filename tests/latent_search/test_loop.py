"""The loop of a descent: budgets, interruption, results."""

import dataclasses
import functools
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from latent_cases import CONFIG, SPACE, SPEC, STATIC, decode, jitted, leaves_of

from swajax import latent_search, network
from swajax.latent_search import Space, loop


def make_clock(step=1.0):
    """A clock that advances by `step` seconds per call."""
    return functools.partial(next, itertools.count(0.0, step))


def rates_of(*shares):
    return [latent_search.decay_factor(share, config=CONFIG) for share in shares]


@pytest.fixture(scope="module")
def reference(params, data, starts):
    return latent_search.find_networks(starts, params, data, **STATIC)


@pytest.fixture
def chunks(monkeypatch, params, data, starts):
    """The learning rates of the chunks, which are replaced by no-ops."""
    rates, state = [], jitted(latent_search.init)(starts, params, data)

    def chunk(state, params, data, rate):
        rates.append(rate)
        return state

    monkeypatch.setattr(loop, "_init", lambda *args, **options: state)
    monkeypatch.setattr(loop, "_make_chunk", lambda *static: chunk)
    return rates


def test_a_descent_ends_when_its_steps_are_used(chunks, params, data, starts):
    config = dataclasses.replace(CONFIG, num_steps=8)
    static = {"space": SPACE, "config": config}
    state, steps = latent_search.descend(starts, params, data, **static)
    # Complete chunks; without a time budget the optimizer has the schedule.
    assert steps == 9 * state.loss.size and chunks == [None] * 3
    chunks.clear()
    options = static | {"time_budget": math.inf}
    latent_search.descend(starts, params, data, **options)
    np.testing.assert_allclose(chunks, rates_of(0.0, 3 / 8, 6 / 8), rtol=1e-6)


def test_a_descent_ends_when_its_seconds_are_used(chunks, params, data, starts):
    static = {"space": SPACE, "config": dataclasses.replace(CONFIG, num_steps=1000)}
    descend = functools.partial(latent_search.descend, starts, params, data, **static)
    # The clock is read at the start and before each chunk.
    descend(time_budget=4.0, clock=make_clock())
    np.testing.assert_allclose(chunks, rates_of(0.0, 2 / 4, 3 / 4), rtol=1e-6)
    for none_left in (0.5, 0.0, -1.0):  # one chunk is always taken
        chunks.clear()
        descend(time_budget=none_left, clock=make_clock())
        assert chunks == [1.0]


def test_mini_batches_are_drawn_per_chunk(chunks, params, data, starts):
    drawn = []

    def draw(index):
        drawn.append(index)
        return data

    latent_search.descend(starts, params, draw, **STATIC)
    assert drawn == [0, 1, 2]


def test_rows_of_another_space_are_refused(params, data, starts):
    with pytest.raises(ValueError, match=r"data.y must have the shape \[rows, 1\]"):
        wrong = data._replace(y=data.x)
        latent_search.descend(starts, params, wrong, **STATIC)


def test_ctrl_c_returns_the_best_so_far_but_not_nothing(
    monkeypatch, params, data, starts
):
    reports = []

    def interrupt(progress):
        reports.append(progress)
        raise KeyboardInterrupt

    result, state = latent_search.find_networks(
        starts, params, data, callback=interrupt, **STATIC
    )
    (report,) = reports
    assert (report.step, report.num_steps) == (CONFIG.chunk_steps, CONFIG.num_steps)
    assert report.network_steps == 3 * 2 * 2 * 3
    np.testing.assert_array_equal(report.objective, result.objective)
    np.testing.assert_array_equal(report.best_loss, state.best_loss.min(-1))
    networks = report.networks_fn()
    assert len(networks.depth) == 2 * 2 * 3
    one = np.asarray(result.start[1, 0]) + 2 * 3
    for leaf, wanted in zip(networks, result.network, strict=True):
        np.testing.assert_array_equal(leaf[one], wanted[1, 0])
    first = jitted(latent_search.init)(starts, params, data)
    first = jitted(latent_search.chunk)(first, params, data)
    np.testing.assert_allclose(state.best_loss, first.best_loss, rtol=1e-4)
    monkeypatch.setattr(loop, "_make_chunk", lambda *static: lambda *_: interrupt(None))
    with pytest.raises(KeyboardInterrupt):
        latent_search.descend(starts, params, data, **STATIC)


def test_a_descent_compiles_once_reports_each_chunk_and_learns(params, data, starts):
    num_traces, reports = 0, []

    def counting_decode(params, z, depth):
        nonlocal num_traces
        num_traces += 1
        return decode(params, z, depth)

    def callback(progress):
        reports.append((num_traces, progress))

    config = dataclasses.replace(CONFIG, num_steps=250, chunk_steps=100)
    static = {"space": Space(counting_decode, SPEC), "config": config}
    result, state = latent_search.find_networks(
        starts, params, data, callback=callback, **static
    )
    assert [progress.step for _, progress in reports] == [100, 200, 300]
    assert len({traces for traces, _ in reports}) == 1
    after_one_run = num_traces
    latent_search.find_networks(starts + 1, params, data, **static)
    assert num_traces == after_one_run
    start = jitted(latent_search.init)(starts, params, data)
    first = jitted(latent_search.step)(start, params, data).loss
    assert (state.best_loss < first).all()
    assert state.best_loss.mean() < 0.2 * first.mean()
    # More weight on the penalty: no more weights.
    assert (result.num_weights_raw[:, 1] <= result.num_weights_raw[:, 0]).all()


def test_result_is_the_best_hard_network_and_its_numbers(reference, data):
    result, state = reference
    np.testing.assert_array_equal(result.objective, state.picked_objective.min(-1))
    kinds = {"activations": SPEC.activations}
    for d, s in np.ndindex(2, 2):
        net = jax.tree.map(lambda leaf: leaf[d, s], result.network)  # noqa: B023
        numbers = network.pack(net)
        kept = np.abs(numbers[numbers != 0])
        assert (kept >= result.point.threshold[d, s]).all()
        train = network.apply(net, data.x, **kinds) - data.y
        valid = network.apply(net, data.x_valid, **kinds) - data.y_valid
        np.testing.assert_allclose(result.train_mse[d, s], (train**2).mean(), rtol=1e-4)
        np.testing.assert_allclose(result.valid_mse[d, s], (valid**2).mean(), rtol=1e-4)
        cost = 0.5 * kept.size + 0.1 * kept.sum()
        objective = (valid**2).mean() + state.penalty_weight[d, s, 0] * cost
        np.testing.assert_allclose(result.objective[d, s], objective, rtol=1e-4)
        live = network.simplify(net, **kinds)
        assert result.num_weights_raw[d, s] == kept.size
        assert result.num_weights[d, s] == network.count_weights(live)
        assert result.num_neurons[d, s] == network.count_neurons(live)


def test_nothing_finite_is_an_error(params, data, starts):
    with pytest.raises(ValueError, match="no candidate has a finite error"):
        latent_search.find_networks(
            jnp.full_like(starts, jnp.nan), params, data, **STATIC
        )


def test_a_start_that_is_not_finite_harms_no_other(reference, params, data, starts):
    _, clean = reference
    _, broken = latent_search.find_networks(
        starts.at[0].set(jnp.nan), params, data, **STATIC
    )
    for a, b in leaves_of(clean, broken):
        np.testing.assert_array_equal(a[:, :, 1:], b[:, :, 1:])
    assert np.isinf(broken.best_loss[:, :, 0]).all()


def test_a_descent_repeats_itself(reference, params, data, starts):
    again = latent_search.find_networks(starts, params, data, **STATIC)
    for a, b in leaves_of(reference, again):
        np.testing.assert_array_equal(a, b)


def test_in_another_program_over_three_data_sets(reference, params, data, starts):
    many = jax.tree.map(lambda leaf: jnp.stack([leaf, 2 * leaf, leaf + 1]), data)

    @jax.jit
    @jax.vmap
    def search(data):
        def body(state, _):
            return latent_search.chunk(state, params, data, **STATIC), None

        state = latent_search.init(starts, params, data, **STATIC)
        state, _ = jax.lax.scan(body, state, length=2)
        return latent_search.collect(state, params, data, **STATIC)

    together = search(many)
    one, _ = reference
    for a, b in leaves_of(together, one):
        assert a.shape == (3, *b.shape)
        np.testing.assert_allclose(a[0], b, rtol=1e-3, atol=1e-5)
