"""The loss near a network by automatic derivatives, and what fitting reaches."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.data.problem import Problem
from swajax.network import apply, pack, unpack
from swajax.objectives import losses
from swajax.refine.levenberg_marquardt import polish, solve
from swajax.refine.quadratic import (
    Fit,
    Quadratic,
    evaluate,
    expand_loss,
    find_places,
    trace,
)
from swajax.types import DEFAULT_ACTIVATIONS as ACTIVATIONS
from swajax.types import NetworkSpec

SPEC = NetworkSpec(
    num_inputs=2, num_outputs=2, max_width=3, max_depth=3, activations=ACTIVATIONS
)
FIT = Fit(activations=ACTIVATIONS)
NUM, PLACES = 17, 40
_polish = jax.jit(polish, static_argnames=("fit", "num_places"))
run = functools.partial(_polish, fit=FIT, num_places=PLACES)
expand = jax.jit(expand_loss, static_argnames="fit")
score = jax.jit(evaluate, static_argnames="fit")


def make_problem(spec=SPEC, num=NUM, seed=0):
    """Smooth targets, at points of unequal weight."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (spec.num_inputs, num))
    mixed = rng.normal(size=(spec.num_outputs, spec.num_inputs))
    weight = rng.uniform(0.2, 1, num)
    y = np.sin(mixed @ (2 * x))
    return Problem(*map(jnp.asarray, (x, y, weight / weight.sum())))


def make_classes(objective, seed=0):
    """Classes of points instead of numbers."""
    problem = make_problem(seed=seed)
    if objective == "logistic":
        return problem._replace(y=jnp.asarray(problem.y > 0, float))
    best = jnp.argmax(problem.y, axis=0)
    return problem._replace(y=jax.nn.one_hot(best, 2, axis=0))


def to_single(tree):
    def cast(leaf):
        is_float = jnp.issubdtype(leaf.dtype, jnp.floating)
        return leaf.astype(jnp.float32) if is_float else leaf

    return jax.tree.map(cast, tree)


def stack(*trees):
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)


@pytest.fixture
def network(x64, draw_network):
    return draw_network(1, spec=SPEC, depth=2, density=0.8)


@pytest.fixture
def problem(x64):
    return make_problem()


@pytest.mark.parametrize("num_inputs", [2, 14], ids=["written out", "products"])
def test_the_trace_ends_in_the_outputs(x64, draw_network, num_inputs):
    spec = dataclasses.replace(SPEC, num_inputs=num_inputs)
    networks = [
        draw_network(seed, spec=spec, depth=1 + seed % 3, density=0.7)
        for seed in range(6)
    ]
    x = make_problem(spec).x
    static = {"activations": ACTIVATIONS}
    fn = jax.jit(jax.vmap(functools.partial(trace, **static), in_axes=(0, None)))
    values, slopes, out = fn(stack(*networks), x)
    assert values.shape == (6, 1 + num_inputs + 9, NUM) and slopes.shape[1:3] == (3, 3)
    for index, network in enumerate(networks):
        wanted = apply(network, x.T, **static)
        np.testing.assert_allclose(out[index].T, wanted, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(values[:, 0], 1.0)
    np.testing.assert_array_equal(values[:, 1 : 1 + num_inputs], [np.asarray(x)] * 6)


def outputs(vector, network, x):
    return apply(unpack(vector, network), x.T, activations=ACTIVATIONS).T


def curvature_by_outputs(out, objective):
    """Hessian of the loss of each point by the outputs, on paper."""
    eye = np.eye(len(out))[..., None]
    if objective == "squared":
        return 2 / len(out) * np.broadcast_to(eye, (*eye.shape[:2], out.shape[1]))
    if objective == "logistic":
        p = 1 / (1 + np.exp(-out))
        return (p * (1 - p))[:, None] * eye
    p = np.exp(out) / np.exp(out).sum(axis=0)
    return p[:, None] * eye - p[:, None] * p[None]


@pytest.mark.parametrize("objective", ["squared", "logistic", "softmax"])
def test_the_expansion_is_that_of_automatic_derivatives(x64, draw_network, objective):
    fit = dataclasses.replace(FIT, objective=objective, weight_decay=0.1)
    problem = make_problem() if objective == "squared" else make_classes(objective)

    @jax.jit
    def by_hand(network):
        vector = pack(network)

        def loss(vector):
            each = losses(
                outputs(vector, network, problem.x), problem.y, objective=objective
            )
            return (problem.weight * each).sum() + 0.05 * (vector**2).sum()

        value, gradient = jax.value_and_grad(loss)(vector)
        jacobian = jax.jacobian(outputs)(vector, network, problem.x)
        return value, gradient, jacobian, outputs(vector, network, problem.x)

    for depth in (1, 2, 3):
        network = draw_network(depth, spec=SPEC, depth=depth, density=0.8)
        places, is_open = find_places(network, PLACES)
        form = expand(network, places, is_open, problem, fit=fit)
        value, gradient, jacobian, out = jax.device_get(by_hand(network))
        outer = curvature_by_outputs(out, objective) * np.asarray(problem.weight)
        curvature = np.einsum("onk,opn,pnl->kl", jacobian, outer, jacobian)
        curvature += 0.1 * np.eye(len(gradient))
        own = np.asarray(places)[np.asarray(is_open)]
        num = len(own)
        assert set(own) == set(np.flatnonzero(pack(network))) and num > 10
        np.testing.assert_allclose(form.loss, value, rtol=1e-12)
        np.testing.assert_allclose(form.gradient[:num], gradient[own], atol=1e-11)
        np.testing.assert_allclose(
            form.curvature[:num, :num], curvature[np.ix_(own, own)], atol=1e-11
        )
        assert not np.asarray(form.gradient)[num:].any()
        assert not np.asarray(form.curvature)[num:].any()


def test_places_are_the_weights_in_order_then_absent_ones(network):
    network = unpack(pack(network).at[4].set(0.0), network)
    places, is_open = find_places(network, PLACES)
    present = np.flatnonzero(pack(network))
    np.testing.assert_array_equal(places[: len(present)], present)
    np.testing.assert_array_equal(is_open, np.arange(PLACES) < len(present))
    assert len(np.unique(places)) == len(places)


def test_the_step_is_damped_by_the_largest_curvature(x64):
    root = np.random.default_rng(0).normal(size=(3, 5))
    curvature = np.zeros((4, 4))
    curvature[:3, :3] = root @ root.T
    form = Quadratic(0.0, jnp.asarray([1.0, -2.0, 3.0, 0.0]), jnp.asarray(curvature))
    is_open = jnp.asarray([True, True, True, False])
    step = solve(form, is_open, jnp.asarray(0.5))
    damped = curvature[:3, :3] + 0.5 * np.diag(curvature).max() * np.eye(3)
    wanted = -np.linalg.solve(damped, [1.0, -2.0, 3.0])
    np.testing.assert_allclose(step, [*wanted, 0.0], rtol=1e-10)


def test_a_linear_network_reaches_least_squares(x64, draw_network):
    spec = NetworkSpec(
        num_inputs=2, num_outputs=1, max_width=2, max_depth=2, activations=("linear",)
    )
    network, problem = draw_network(3, spec=spec, depth=1), make_problem(spec)
    fit = Fit(activations=("linear",), weight_decay=0.0)
    fitted, loss = _polish(network, problem, fit=fit, num_places=12, num_steps=40)
    root = np.sqrt(problem.weight)[:, None]
    design = np.concatenate([problem.x.T, np.ones((NUM, 1))], axis=1)
    best = np.linalg.lstsq(design * root, problem.y.T * root)[0]
    rest = (root * (design @ best - problem.y.T)) ** 2
    assert rest.sum() > 1e-3, "the targets are not linear"
    np.testing.assert_allclose(loss, rest.sum(), rtol=1e-9)
    out = apply(fitted, problem.x.T, activations=("linear",))
    np.testing.assert_allclose(out, design @ best, atol=1e-6)


def test_a_network_that_fits_exactly_is_found_again(x64, draw_network):
    network, problem = draw_network(5, spec=SPEC, depth=2), make_problem()
    problem = problem._replace(y=outputs(pack(network), network, problem.x))
    near = unpack(pack(network) * 1.05, network)
    before, _ = score(near, problem, fit=FIT)
    fitted, _ = run(near, problem, num_steps=60)
    after, each = score(fitted, problem, fit=FIT)
    assert before > 1e-4 and after < 1e-9
    wanted = ((outputs(pack(fitted), fitted, problem.x) - problem.y) ** 2).mean(axis=0)
    np.testing.assert_allclose(each, wanted, atol=1e-15)
    np.testing.assert_allclose(after, (problem.weight * wanted).sum(), atol=1e-15)


def test_the_loss_never_rises_and_the_structure_stays(network, problem):
    ends = [run(network, problem, num_steps=steps) for steps in range(12)]
    loss = np.array([loss for _, loss in ends])
    np.testing.assert_allclose(
        loss[0],
        expand(network, *find_places(network, PLACES), problem, fit=FIT).loss,
        rtol=1e-12,
    )
    assert (np.diff(loss) <= 0).all() and loss[-1] < 0.5 * loss[0]
    fitted = ends[-1][0]
    np.testing.assert_array_equal(pack(fitted) == 0, pack(network) == 0)
    for name in ("mask", "activation", "depth"):
        np.testing.assert_array_equal(getattr(fitted, name), getattr(network, name))


def test_weight_decay_counts_in_the_loss_and_shrinks_weights(network, problem):
    fit = dataclasses.replace(FIT, weight_decay=0.1)
    fitted, loss = run(network, problem, fit=fit, num_steps=30)
    plain, _ = score(fitted, problem, fit=fit)
    vector = np.asarray(pack(fitted))
    np.testing.assert_allclose(loss, plain + 0.05 * (vector**2).sum(), rtol=1e-12)
    free, _ = run(network, problem, num_steps=30)
    assert (vector**2).sum() < 0.7 * (np.asarray(pack(free)) ** 2).sum()


def test_room_and_points_without_weight_change_nothing(network, problem):
    wanted, loss = run(network, problem, num_steps=15)
    num = int(np.count_nonzero(pack(network)))
    tight = run(network, problem, num_places=num, num_steps=15)
    rows = ((0, 0), (0, 5))
    padded = Problem(
        jnp.pad(problem.x, rows, constant_values=3.0),
        jnp.pad(problem.y, rows, constant_values=-9.0),
        jnp.pad(problem.weight, (0, 5)),
    )
    for other, own in (tight, run(network, padded, num_steps=15)):
        np.testing.assert_allclose(pack(other), pack(wanted), rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(own, loss, rtol=1e-8)


def test_a_batch_of_any_structures_is_a_loop(x64, draw_network):
    networks = [
        draw_network(seed, spec=SPEC, depth=depth, density=0.8)
        for seed, depth in enumerate((1, 2, 3))
    ]
    problems = [make_problem(seed=seed) for seed in range(3)]
    fn = functools.partial(polish, fit=FIT, num_places=PLACES, num_steps=8)
    batch, batch_loss = jax.jit(jax.vmap(fn))(stack(*networks), stack(*problems))
    for index, pair in enumerate(zip(networks, problems, strict=True)):
        one, loss = run(*pair, num_steps=8)
        own = jax.tree.map(lambda leaf, index=index: leaf[index], batch)
        np.testing.assert_allclose(pack(own), pack(one), rtol=1e-6, atol=1e-8)
        np.testing.assert_allclose(batch_loss[index], loss, rtol=1e-9)


def test_plain_is_compiled(x64, draw_network):
    spec = dataclasses.replace(SPEC, num_outputs=1, max_width=2, max_depth=1)
    args = draw_network(0, spec=spec, depth=1), make_problem(spec)
    static = {"fit": FIT, "num_places": 9, "num_steps": 3}
    wanted, loss = _polish(*args, **static)
    other, own = polish(*args, **static)
    np.testing.assert_allclose(pack(other), pack(wanted), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(own, loss, rtol=1e-12)


@pytest.mark.parametrize("name", ["x", "y"])
def test_a_step_to_what_is_not_finite_is_never_taken(network, problem, name):
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
    before, _ = score(*single, fit=FIT)
    fitted, loss = run(*single, num_steps=30)
    assert loss.dtype == jnp.float32
    assert {leaf.dtype for leaf in fitted[:-1]} == {np.dtype("float32")}
    assert 0.98 * wanted < loss < 0.2 * before
    after, each = score(to_single(fitted), single[1], fit=FIT)
    np.testing.assert_allclose(after, loss, rtol=1e-4)
    assert each.dtype == jnp.float32
