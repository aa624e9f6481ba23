"""Rivals of the search: complete tiny runs, and properties of their steps."""

import dataclasses
import functools
import itertools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from figures.quality import rivals
from figures.quality.rivals import (
    RIVALS,
    architectures,
    common,
    darts_admm,
    extras,
    l0,
    magnitude,
    scikit_learn,
    training,
)
from figures.quality.rivals.common import Search
from figures.quality.rivals.training import ADAM
from swajax.data.problem import Problem
from swajax.latent_search import DescentConfig
from swajax.network import apply, count_weights, make_dense, pack, resize
from swajax.refine import batches
from swajax.search.config import SearchConfig
from swajax.search.run import find_pool, select
from swajax.search.sources import SOURCES
from swajax.search.sources.base import Source
from swajax.types import NetworkSpec

LIMITS = SearchConfig(
    max_weights=9,
    num_starts=4,
    num_rounds=0,
    num_kept=4,
    max_width=3,
    max_depth=2,
    activations=("tanh", "linear"),
)
FEW = {"num_networks": 8, "num_steps": 100, "lm_steps": 5, "max_restarts": 2}
CONFIGS = {
    "direct": {
        "descent": DescentConfig(num_steps=4),
        "max_restarts": 2,
    },
    "random": {"max_restarts": 2},
    "magnitude": FEW,
    "l0": FEW,
    "darts-admm": FEW | {"num_admm": 4},
    "architectures": {
        "num_shapes": 4,
        "num_starts": 2,
        "num_paths": 2,
        "lm_steps": 5,
        "max_restarts": 2,
    },
    "sklearn": {
        "num_networks": 2,
        "max_iter": 50,
        "keep_share": 0.5,
        "lm_steps": 5,
        "max_restarts": 2,
    },
}
NUM = 40


def make_problem(seed, objective="squared"):
    """Three inputs, the second of which has no effect."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (NUM, 3))
    y = 2 * np.tanh(1.5 * x[:, :1] - 0.5) + 0.7 * np.tanh(x[:, 2:])
    if objective == "logistic":
        y = (y > 0).astype(float)
    elif objective == "softmax":
        y = np.eye(3)[np.digitize(y[:, 0], [-1.0, 0.5])]
    return Problem(x, y, rng.uniform(0.5, 2, NUM))


def run(name, seed=0, objective="squared", time_budget=None, **more):
    clock = {"clock": more.pop("clock")} if "clock" in more else {}
    return rivals.run_rival(
        name,
        jax.random.key(seed),
        make_problem(0, objective),
        make_problem(1, objective),
        objective=objective,
        config=RIVALS[name].config_class(**CONFIGS[name] | more),
        limits=LIMITS,
        time_budget=time_budget,
        **clock,
    )


@functools.cache
def found(name):
    return run(name)


def mse(front, problem):
    """Weighted mean squared errors of the networks of a front."""
    with jax.enable_x64(True):
        fn = functools.partial(apply, activations=LIMITS.activations)
        out = jax.jit(jax.vmap(fn, in_axes=(0, None)))(front.network, problem.x)
    each = (np.asarray(out) - problem.y[None])[..., 0] ** 2
    return each @ (problem.weight / problem.weight.sum())


@pytest.fixture(autouse=True)
def random_starts(monkeypatch):
    """Replace the descent of `direct`, which takes half a minute to compile.

    The descent is tested elsewhere.
    """

    def find(key, request):
        assert request.options.descent.num_steps == 4
        assert len(request.train.x) == len(request.valid.y) == NUM
        np.testing.assert_allclose(request.train.weight.mean(), 1, rtol=1e-6)
        found = SOURCES["random"].find(key, request)
        return found._replace(num_steps=16)

    monkeypatch.setitem(SOURCES, "direct", Source(find))


def make_clock():
    """A clock that advances by one second per call."""
    return functools.partial(next, itertools.count(0.0, 1.0))


@pytest.mark.parametrize("name", RIVALS)
def test_the_front_is_what_it_says(name):
    front, network_steps = found(name)
    assert network_steps > 0 and isinstance(network_steps, int)
    sizes = front.num_weights
    assert sizes[0] >= 1 and sizes[-1] <= LIMITS.max_weights
    assert (np.diff(sizes) > 0).all() and (np.diff(front.valid_loss) < 0).all()
    np.testing.assert_array_equal(sizes, jax.vmap(count_weights)(front.network))
    for problem, loss in (
        (make_problem(0), front.train_loss),
        (make_problem(1), front.valid_loss),
    ):
        np.testing.assert_allclose(loss, mse(front, problem), rtol=1e-5, atol=1e-12)
    assert front.network.first.shape == (len(sizes), 3, LIMITS.max_width)
    np.testing.assert_array_equal(
        np.sort(front.network.activation), [[[[0, 1]] * 3] * 2] * len(sizes)
    )


@pytest.mark.parametrize("name", RIVALS)
def test_something_is_learned(name):
    # Of the variance of the targets, about 1.9, the linear part explains most.
    assert found(name).front.valid_loss.min() < 0.3


@pytest.mark.parametrize("name", RIVALS)
def test_the_key_tells_everything(name):
    again = run(name)
    for a, b in zip(jax.tree.leaves(found(name)), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", RIVALS)
def test_the_work_ends_with_the_budget_and_uses_it(name):
    clock = make_clock()
    short = run(name, time_budget=1e-9, clock=clock)
    assert len(short.front.num_weights) and np.isfinite(short.front.valid_loss).all()
    assert short.network_steps < 0.7 * found(name).network_steps


@pytest.mark.parametrize("name", [n for n in RIVALS if RIVALS[n].is_pipelined])
def test_restarts_are_polished_to_the_end_once_for_all(name, monkeypatch):
    calls = []

    def spy(function):
        def call(*args, **how):
            calls.append(function.__name__)
            return function(*args, **how)

        return call

    for function in (find_pool, select):
        monkeypatch.setattr(common, function.__name__, spy(function))
    run(name)
    assert calls == ["find_pool", "find_pool", "select"]


@pytest.mark.parametrize("objective", ["logistic", "softmax"])
def test_classes_are_told_apart_by_gradient_descent(objective):
    problems = make_problem(0, objective), make_problem(1, objective)
    # The decay for few rows of classes would hide the effect of the descent.
    limits = dataclasses.replace(LIMITS, weight_decay=1e-4)
    search = Search(*problems, objective, limits)
    networks = training.draw_dense(jax.random.key(0), search, num=8)
    task = training.make_task(search, networks, jnp.full(8, 9.0))
    weights = jax.vmap(pack)(networks)
    state = training.train(
        jax.random.key(1),
        magnitude.step,
        magnitude.State(weights, ADAM.init(weights)),
        task,
        search,
        config=magnitude.Config(num_steps=300),
    )
    found = jax.device_get(training.with_weights(networks, state.weights))
    loss, _ = batches.validation_scores(found, search.job.valid, fit=search.job.fit)
    y, weight = problems[1][1:]
    shares = np.average(y, axis=0, weights=weight)
    shares = np.append(shares, 1 - shares.sum())
    chance = -(shares * np.log(np.maximum(shares, 1e-9))).sum()
    assert loss.min() < 0.5 * chance


@pytest.mark.parametrize(
    ("objective", "activation"),
    [
        ("squared", "tanh"),
        ("squared", "sigmoid"),
        ("squared", "linear"),
        ("logistic", "tanh"),
        ("softmax", "sigmoid"),
    ],
)
def test_a_model_of_scikit_learn_and_its_record_say_the_same(objective, activation):
    train = make_problem(0, objective)
    limits = dataclasses.replace(LIMITS, activations=(activation,))
    search = Search(train, train, objective, limits)
    config = scikit_learn.Config(max_iter=20)
    model, kind = scikit_learn.make_model(0, search, config=config)
    scikit_learn.fit(model, train, objective)
    network = scikit_learn.to_network(model, kind, search)
    one = jax.tree.map(lambda leaf: jnp.asarray(leaf[0]), network)
    x = jnp.asarray(search.job.train.x[:NUM], jnp.float32)
    out = apply(one, x, activations=limits.activations)
    if objective == "squared":
        wanted, out = model.predict(train.x), out[:, 0]
    else:
        wanted = model.predict_proba(train.x)
        logits = out if objective == "softmax" else jnp.pad(out, ((0, 0), (1, 0)))
        out = jax.nn.softmax(logits)
    np.testing.assert_allclose(out, wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("direct", "max_restarts", 0),
        ("random", "max_restarts", 0),
        ("magnitude", "learning_rate", 0.0),
        ("magnitude", "prune_end", 1.0),
        ("l0", "gate_share", 1.0),
        ("l0", "max_penalty", 1e-9),
        ("darts-admm", "num_networks", 0),
        ("darts-admm", "admm_share", 0.9),
        ("architectures", "num_paths", -1),
        ("sklearn", "max_iter", 0),
        ("sklearn", "keep_share", 1.0),
        ("sklearn", "alphas", ()),
    ],
)
def test_bad_configuration_names_the_field(name, field, value):
    with pytest.raises(ValueError, match=f"{field}.* must be"):
        RIVALS[name].config_class(**{field: value})


@pytest.mark.parametrize("name", ["magnitude", "sklearn"])
def test_numbers_that_are_not_finite_are_refused(name):
    train = make_problem(0)
    train.y[3, 0] = np.nan
    with pytest.raises(ValueError, match=r"finite|NaN"):
        rivals.run_rival(
            name,
            jax.random.key(0),
            train,
            make_problem(1),
            objective="squared",
            config=RIVALS[name].config_class(**CONFIGS[name]),
            limits=LIMITS,
            time_budget=None,
        )


@pytest.fixture
def search():
    return Search(make_problem(0), make_problem(1), "squared", LIMITS)


@pytest.fixture
def task(search):
    networks = training.draw_dense(jax.random.key(1), search, num=8)
    return training.make_task(search, networks, jnp.array([3.0, 4, 5, 6, 7, 8, 9, 9]))


def test_dense_networks_read_no_padded_input_and_are_large_enough(task):
    assert not task.networks.first[:, 3:].any()
    assert (jax.vmap(count_weights)(task.networks) > LIMITS.max_weights // 2).all()


def test_magnitude_pruning_follows_the_cubic_and_nothing_comes_back(task, search):
    config = magnitude.Config(prune_begin=0.2, prune_end=0.6)
    first, last = jnp.array([29.0, 3.0]), jnp.array([5.0, 5.0])
    sizes = functools.partial(magnitude.scheduled_sizes, first, last, config=config)
    np.testing.assert_array_equal(sizes(jnp.asarray(0.1))[0], 29)
    np.testing.assert_array_equal(sizes(jnp.asarray(0.4)), [5 + 24 / 8, 5])
    np.testing.assert_array_equal(sizes(jnp.asarray(0.7))[0], 5)
    weights = jax.vmap(pack)(task.networks)
    state = magnitude.State(weights, ADAM.init(weights))
    is_left = weights != 0
    step = jax.jit(functools.partial(magnitude.step, fit=search.job.fit, config=config))
    for progress in (0.0, 0.3, 0.5, 0.7, 0.9):
        state = step(state, task, jax.random.key(2), jnp.float32(progress))
        assert not (~is_left & (state.weights != 0)).any()
        is_left = state.weights != 0
    assert (is_left.sum(axis=1) <= task.goal).all()


def test_gates_open_by_their_chance_and_close_for_good():
    key, logits = jax.random.key(0), jnp.array([[-3.0, -1.0, 0.5, 4.0]])
    noise = jax.random.uniform(key, (20_000, 4), minval=1e-6, maxval=1 - 1e-6)
    gates = jax.vmap(l0.sample_gates, in_axes=(None, 0))(logits, noise[:, None])
    assert ((gates >= 0) & (gates <= 1)).all()
    share = (gates > 0).mean(axis=0)
    np.testing.assert_allclose(share, l0.active_probability(logits), atol=0.01)
    assert l0.expected_gates(logits)[0, 0] == 0


def test_dear_gates_are_closed_and_cheap_ones_are_not(search):
    config = l0.Config(num_steps=400)

    def count_open(penalty):
        networks = training.draw_dense(jax.random.key(1), search, num=8)
        task = training.make_task(search, networks, jnp.full(8, penalty))
        weights = jax.vmap(pack)(networks)
        gated = l0.Gated(weights, jnp.full_like(weights, config.first_logit))
        state = l0.State(gated, ADAM.init(gated))
        state = training.train(
            jax.random.key(2), l0.step, state, task, search, config=config
        )
        gates = l0.expected_gates(state.gated.logits) * (weights != 0)
        return int((gates > 0).sum())

    assert count_open(10.0) < 0.2 * count_open(1e-6)


def test_mixtures_are_decided_and_weights_drawn_to_few(task, search):
    config = darts_admm.Config(num_steps=100, num_admm=4)
    state = darts_admm.make_state(task.networks)
    step = jax.jit(
        functools.partial(darts_admm.step, fit=search.job.fit, config=config)
    )
    updates = []
    for progress in np.float32([0.0, 0.1, 0.31, 0.35, 0.45, 0.55, 0.65, 0.71, 0.9]):
        moved = state.weights + state.dual
        state = step(state, task, jax.random.key(3), progress)
        if updates and state.num_updates > updates[-1]:
            np.testing.assert_allclose(state.target + state.dual, moved, rtol=1e-5)
        updates.append(int(state.num_updates))
    assert updates == [0, 0, 1, 1, 2, 3, 4, 4, 4]
    assert state.logits.any()
    assert ((state.target != 0).sum(axis=1) <= task.goal).all()
    assert ((state.weights != 0).sum(axis=1) <= task.goal).all()
    mixed = darts_admm.mix(state.logits, is_decided=True)
    np.testing.assert_array_equal(jnp.sort(mixed)[..., -1], 1)


def test_starts_of_one_shape_differ_in_weights_only(search):
    config = architectures.Config(num_shapes=4, num_starts=2)
    starts = architectures.draw_starts(jax.random.key(0), search, config=config)
    for leaf in (starts.mask, starts.activation, starts.depth):
        np.testing.assert_array_equal(leaf[::2], leaf[1::2])
    one, other = (np.asarray(jax.vmap(pack)(starts))[i::2] for i in (0, 1))
    np.testing.assert_array_equal(one != 0, other != 0)
    assert (one != other)[one != 0].all()


def test_schedules_reach_their_end_however_slow_the_steps_are(search):
    seen = []

    def spy(state, task, key, progress, *, fit, config):
        jax.debug.callback(lambda p: seen.append(float(p)), progress, ordered=True)
        return state

    config = magnitude.Config(num_steps=10_000, run_share=1.0)
    search.job = dataclasses.replace(
        search.job, time_budget=7.0, clock=make_clock(), begin=0.0
    )
    networks = training.draw_dense(jax.random.key(1), search, num=8)
    task = training.make_task(search, networks, jnp.zeros(8))
    training.train(jax.random.key(0), spy, jnp.zeros(8), task, search, config=config)
    jax.effects_barrier()
    assert len(seen) % training.CHUNK_STEPS == 0 and len(seen) < 10_000
    assert (np.diff(seen) > 0).all() and 0.95 < seen[-1] < 1
    assert search.job.network_steps == 8 * len(seen)


@pytest.mark.parametrize(("now", "end"), [(0.0, 2.5), (5.0, 7.5), (8.0, 9.0)])
def test_the_last_training_leaves_time_to_refit(search, now, end):
    search.job = dataclasses.replace(
        search.job, time_budget=10.0, clock=lambda: now, begin=0.0
    )
    assert search.end_of_run(0.25) == pytest.approx(end)


def test_refit_keeps_the_order(search):
    networks = training.draw_dense(jax.random.key(1), search, num=8)
    kept = search.refit(networks, num_steps=0)
    cut = resize.cut(networks, num_weights=LIMITS.max_weights)
    for leaf, wanted in zip(kept, cut, strict=True):
        np.testing.assert_array_equal(leaf, wanted)


def test_equal_weights_are_cut_as_well():
    spec = NetworkSpec(num_inputs=2, max_width=3, max_depth=2)
    networks = jax.tree.map(lambda leaf: leaf[None], make_dense(spec))
    for num in (1, 7, 1000):
        cut = resize.cut(networks, num_weights=num)
        total = sum(np.count_nonzero(leaf) for leaf in cut[:5])
        assert total == min(num, 2 * 3 + 3 * 3 + 3 + 2 * 3 + 1)


def test_extras_give_a_front_and_say_what_they_need(monkeypatch):
    sizes, losses = (9, 4, 4, 20, 7, 30), (0.3, 0.9, 0.8, 0.1, 0.8, 0.05)
    found = [
        extras.Fitted(size, 0.0, loss, np.zeros_like)
        for size, loss in zip(sizes, losses, strict=True)
    ]
    found.append(extras.Fitted(3, 0.0, float("nan"), np.zeros_like))
    front = extras.choose(found, max_weights=25)
    assert [one.num_weights for one in front] == [4, 9, 20]
    monkeypatch.setitem(sys.modules, "lassonet", None)
    with pytest.raises(ModuleNotFoundError, match=r"lassonet: pip install"):
        extras.run_lassonet(
            0,
            make_problem(0),
            make_problem(1),
            objective="squared",
            max_weights=20,
            time_budget=1.0,
        )
