"""Fits against least squares, and their invariants."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from refine_cases import (
    MIXED,
    MIXED_CAPACITY,
    MIXED_FIT,
    NUM_MIXED,
    STATIC,
    expand,
    find_active,
    make_mixed_problem,
    outputs,
    stack,
    to_single,
)

from swajax.data.problem import Problem
from swajax.network import apply, mask_weights, pack, unpack
from swajax.refine.levenberg_marquardt import polish, solve
from swajax.refine.quadratic import Fit, Quadratic, evaluate, transpose
from swajax.types import NetworkSpec

_polish = jax.jit(polish, **STATIC)
run = functools.partial(_polish, fit=MIXED_FIT, capacity=MIXED_CAPACITY)
score = jax.jit(evaluate, static_argnames="fit")


@pytest.fixture
def network(x64, draw_network):
    return draw_network(1, spec=MIXED, depth=2, density=0.8)


@pytest.fixture
def problem(x64):
    return make_mixed_problem()


def test_the_step_is_damped_by_the_largest_curvature(x64):
    root = np.random.default_rng(0).normal(size=(3, 5))
    curvature = np.zeros((4, 4))
    curvature[:3, :3] = root @ root.T
    form = Quadratic(0.0, jnp.asarray([1.0, -2.0, 3.0, 0.0]), jnp.asarray(curvature))
    is_active = jnp.asarray([True, True, True, False])
    step = solve(form, is_active, jnp.asarray(0.5))
    damped = curvature[:3, :3] + 0.5 * np.diag(curvature).max() * np.eye(3)
    wanted = -np.linalg.solve(damped, [1.0, -2.0, 3.0])
    np.testing.assert_allclose(step, [*wanted, 0.0], rtol=1e-10)


def test_a_linear_network_reaches_least_squares_plain_and_compiled(x64, draw_network):
    spec = NetworkSpec(
        num_inputs=2, num_outputs=1, max_width=2, max_depth=1, activations=("linear",)
    )
    network, problem = draw_network(3, spec=spec, depth=1), make_mixed_problem(spec)
    static = {"fit": Fit(activations=("linear",), weight_decay=0.0), "capacity": 9}
    fitted, loss = _polish(network, problem, **static, num_steps=40)
    root = np.sqrt(problem.weight)[:, None]
    design = np.concatenate([problem.x, np.ones((NUM_MIXED, 1))], axis=1)
    best = np.linalg.lstsq(design * root, problem.y * root)[0]
    rest = (root * (design @ best - problem.y)) ** 2
    assert rest.sum() > 1e-3, "the targets are not linear"
    np.testing.assert_allclose(loss, rest.sum(), rtol=1e-9)
    out = apply(fitted, problem.x, activations=("linear",))
    np.testing.assert_allclose(out, design @ best, atol=1e-6)
    wanted, loss = _polish(network, problem, **static, num_steps=3)
    plain, own = polish(network, problem, **static, num_steps=3)
    np.testing.assert_allclose(pack(plain), pack(wanted), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(own, loss, rtol=1e-12)


def test_a_network_that_fits_exactly_is_found_again(x64, draw_network):
    network, problem = draw_network(5, spec=MIXED, depth=2), make_mixed_problem()
    problem = problem._replace(y=outputs(network, problem))
    near = unpack(pack(network) * 1.05, network)
    before, _ = score(near, problem, fit=MIXED_FIT)
    fitted, _ = run(near, problem, num_steps=60)
    after, _ = score(fitted, problem, fit=MIXED_FIT)
    assert before > 1e-4 and after < 1e-9


def test_the_loss_never_rises_and_the_structure_stays(network, problem):
    ends = [run(network, problem, num_steps=steps) for steps in range(12)]
    loss = np.array([loss for _, loss in ends])
    active = find_active(network, capacity=MIXED_CAPACITY)
    first = expand(network, *active, transpose(problem), fit=MIXED_FIT)
    np.testing.assert_allclose(loss[0], first.loss, rtol=1e-12)
    assert (np.diff(loss) <= 0).all() and loss[-1] < 0.5 * loss[0]
    fitted = ends[-1][0]
    np.testing.assert_array_equal(pack(fitted) == 0, pack(network) == 0)
    for name in ("mask", "activation", "depth"):
        np.testing.assert_array_equal(getattr(fitted, name), getattr(network, name))


def test_weights_of_absent_neurons_are_not_fitted(network, problem):
    # One neuron is masked out, and it and the layer after `depth` keep their weights.
    assert network.mask[0, 0] == 1
    masked = network._replace(mask=network.mask.at[0, 0].set(0.0))
    masked = masked._replace(hidden=masked.hidden.at[1].set(0.3))
    assert np.count_nonzero(pack(masked)) > np.count_nonzero(pack(mask_weights(masked)))
    fitted, loss = run(masked, problem, num_steps=9)
    wanted, wanted_loss = run(mask_weights(masked), problem, num_steps=9)
    np.testing.assert_array_equal(pack(fitted), pack(wanted))
    np.testing.assert_array_equal(loss, wanted_loss)
    each = ((outputs(fitted, problem) - problem.y) ** 2).mean(axis=1)
    penalty = MIXED_FIT.weight_decay / 2 * (np.asarray(pack(fitted)) ** 2).sum()
    np.testing.assert_allclose(loss, (problem.weight * each).sum() + penalty)


def test_weight_decay_counts_in_the_loss_and_shrinks_weights(network, problem):
    fit = dataclasses.replace(MIXED_FIT, weight_decay=0.1)
    fitted, loss = run(network, problem, fit=fit, num_steps=30)
    plain, _ = score(fitted, problem, fit=MIXED_FIT)
    vector = np.asarray(pack(fitted))
    np.testing.assert_allclose(loss, plain + 0.05 * (vector**2).sum(), rtol=1e-12)
    free, _ = run(network, problem, num_steps=30)
    assert (vector**2).sum() < 0.7 * (np.asarray(pack(free)) ** 2).sum()


def test_spare_capacity_and_rows_without_weight_change_nothing(network, problem):
    wanted, loss = run(network, problem, num_steps=15)
    num = int(np.count_nonzero(pack(network)))
    padded = Problem(
        jnp.pad(problem.x, ((0, 5), (0, 0)), constant_values=3.0),
        jnp.pad(problem.y, ((0, 5), (0, 0)), constant_values=-9.0),
        jnp.pad(problem.weight, (0, 5)),
    )
    other, own = run(network, padded, capacity=num, num_steps=15)
    np.testing.assert_allclose(pack(other), pack(wanted), rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(own, loss, rtol=1e-8)


def test_a_batch_of_any_structures_is_a_loop(x64, draw_network):
    networks = [
        draw_network(seed, spec=MIXED, depth=depth, density=0.8)
        for seed, depth in enumerate((1, 2, 3))
    ]
    problems = [make_mixed_problem(seed=seed) for seed in range(3)]
    fn = functools.partial(polish, fit=MIXED_FIT, capacity=MIXED_CAPACITY, num_steps=8)
    batch, batch_loss = jax.jit(jax.vmap(fn))(stack(*networks), stack(*problems))
    for index, pair in enumerate(zip(networks, problems, strict=True)):
        one, loss = run(*pair, num_steps=8)
        own = jax.tree.map(lambda leaf, index=index: leaf[index], batch)
        np.testing.assert_allclose(pack(own), pack(one), rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(batch_loss[index], loss, rtol=1e-9)


@pytest.mark.parametrize("name", ["x", "y"])
def test_a_step_to_a_loss_that_is_not_finite_is_never_taken(network, problem, name):
    huge = getattr(problem, name).at[0, 0].set(1e200)
    before, first_loss = run(network, problem._replace(**{name: huge}), num_steps=0)
    after, loss = run(network, problem._replace(**{name: huge}), num_steps=9)
    assert np.isfinite(pack(after)).all()
    assert loss <= first_loss or not np.isfinite(first_loss)
    lost = problem._replace(**{name: huge.at[0, 0].set(jnp.nan)})
    after, loss = run(network, lost, num_steps=9)
    assert np.isnan(loss)
    np.testing.assert_array_equal(pack(after), pack(before))


def test_single_precision_works_and_stays_single(network, problem):
    _, wanted = run(network, problem, num_steps=30)
    single = to_single((network, problem))
    before, _ = score(*single, fit=MIXED_FIT)
    fitted, loss = run(*single, num_steps=30)
    assert loss.dtype == jnp.float32
    assert {leaf.dtype for leaf in fitted[:-1]} == {np.dtype("float32")}
    assert 0.98 * wanted < loss < 0.2 * before
    after, each = score(fitted, single[1], fit=MIXED_FIT)
    np.testing.assert_allclose(after, loss, rtol=1e-4)
    assert each.dtype == jnp.float32
