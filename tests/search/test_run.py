"""Whole searches on tiny tables: what they find, and how they end."""

import dataclasses
import functools
import itertools
import subprocess
import sys
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.autoencoder import AutoencoderConfig
from swajax.data.problem import Problem
from swajax.latent_search import DescentConfig
from swajax.model.front import Front
from swajax.network import apply, count_weights
from swajax.refine import batches, buckets
from swajax.refine.quadratic import Fit
from swajax.search import job as jobs
from swajax.search import last_polish, programs, run, sources, stages
from swajax.search import pool as pools
from swajax.search.config import SearchConfig
from swajax.search.job import make_job, sample_rows
from swajax.search.last_polish import _polish_front, select
from swajax.search.run import _fit_starts, find_front
from swajax.search.sources import random_networks
from swajax.search.sources.base import StartRequest, Starts
from swajax.search.sources.descent import DescentSourceConfig
from swajax.search.sources.supernets import SupernetSourceConfig
from swajax.tangle.selection import EvolutionConfig
from swajax.tangle.spaces.mlp import MlpConfig
from swajax.tangle.train.optimizers import SupernetConfig

CONFIG = SearchConfig(
    max_weights=10,
    num_starts=24,
    num_rounds=1,
    num_kept=4,
    max_width=3,
    max_depth=2,
    activations=("tanh",),
    sources=("random",),
)
NUM = 40


def make_problem(seed, objective="squared"):
    """Three inputs, of which the second does nothing."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (3, NUM)).T
    y = 2 * np.tanh(1.5 * x[:, :1] - 0.5) + 0.7 * np.tanh(x[:, 2:])
    if objective == "logistic":
        y = (y > 0).astype(float)
    elif objective == "softmax":
        y = np.eye(3)[np.digitize(y[:, 0], [-1.0, 0.5])]
    return Problem(x, y, rng.uniform(0.5, 2, NUM))


def search(seed=0, objective="squared", config=CONFIG, **more):
    problems = make_problem(0, objective), make_problem(1, objective)
    key = jax.random.key(seed)
    return find_front(key, *problems, objective=objective, config=config, **more)


def draw_starts(key, config, problem):
    """Random starts, as the source `random` finds them."""
    limits = config.make_spec(problem.x.shape[1], problem.y.shape[1])
    request = StartRequest(
        problem, problem, "squared", limits, config.max_weights, config.num_starts
    )
    return random_networks.draw_starts(key, request).networks


def fit_starts(networks, job):
    """Starts of one source, as a search prepares them."""
    return next(_fit_starts([Starts(networks, 0)], job))


@pytest.fixture
def all_ready(monkeypatch):
    """Wait for every program, however short the time."""
    monkeypatch.setattr(programs, "is_ready", lambda key, **_: True)


def errors(front, problem):
    """Weighted mean squared errors of a front, and errors of the gaps, from outside."""
    with jax.enable_x64(True):
        fn = functools.partial(apply, activations=CONFIG.activations)
        out = jax.jit(jax.vmap(fn, in_axes=(0, None)))(front.network, problem.x)
    each = (np.asarray(out) - problem.y[None])[..., 0] ** 2
    weight = problem.weight / problem.weight.sum()
    loss = each @ weight
    gap = each - each[-1]
    variance = ((gap - (gap @ weight)[:, None]) ** 2) @ weight
    return loss, np.sqrt(variance * (weight**2).sum())


@pytest.fixture(scope="module")
def found():
    reports = []
    front = search(callback=reports.append)
    return front, reports


def test_the_function_is_found_with_the_weights_it_has(found):
    front, _ = found
    fits = front.valid_loss < 1e-6
    # Two neurons: three numbers and two.
    assert fits.any() and front.num_weights[fits].min() <= 6
    picked = jax.tree.map(lambda leaf: leaf[front.pick], front.network)
    assert fits[front.pick] and not picked.first[1].any()


def test_the_front_is_what_it_says(found):
    front, _ = found
    np.testing.assert_array_equal(
        front.num_weights, jax.vmap(count_weights)(front.network)
    )
    assert front.num_weights[0] >= 1 and front.num_weights[-1] <= CONFIG.max_weights
    assert (np.diff(front.num_weights) > 0).all() and (
        np.diff(front.valid_loss) < 0
    ).all()
    assert front.network.first.shape == (len(front.num_weights), 3, 3)
    loss, _ = errors(front, make_problem(0))
    np.testing.assert_allclose(front.train_loss, loss, rtol=1e-6, atol=1e-12)
    loss, error = errors(front, make_problem(1))
    np.testing.assert_allclose(front.valid_loss, loss, rtol=1e-6, atol=1e-12)
    np.testing.assert_allclose(front.valid_loss_diff_se, error, rtol=1e-6, atol=1e-12)


def test_the_stages_follow_each_other_and_only_improve(found):
    _, reports = found
    names = [r.stage for r in reports]
    # Down, up and down again; small ones are varied on all ways.
    ways = [name for name in names if name != "perturb"]
    wanted = ["polish", "prune", "grow", "prune"]
    assert [name for name, _ in itertools.groupby(ways)] == wanted
    num_raced = names.index("perturb")
    assert names[:num_raced] == ["polish"] * num_raced
    assert 0.9 * len(reports) <= reports[0].num_blocks < 2 * len(reports)
    assert (np.diff([r.seconds for r in reports]) >= 0).all()
    steps = [r.network_steps for r in reports]
    num_first = 2 * CONFIG.num_starts // buckets.MAX_BLOCK  # blocks
    assert num_raced >= num_first + len(stages.RACE) - 1
    assert steps[0] == buckets.MAX_BLOCK * stages.RACE[0].num_steps
    assert steps[num_first - 1] == 2 * CONFIG.num_starts * stages.RACE[0].num_steps
    assert (np.diff(steps) > 0).all()
    for before, after in itertools.pairwise(r.pool for r in reports):
        for size in np.unique(before.num_weights):
            own = after.loss[after.num_weights == size]
            assert own.min() <= before.loss[before.num_weights == size].min()
            assert len(own) <= CONFIG.num_kept


def test_small_networks_are_varied_on_all_ways(monkeypatch):
    seen, vary = [], batches.perturb

    def spy(key, networks, index, problem, **how):
        varied = vary(key, networks, index, problem, **how)
        chosen = jax.tree.map(lambda leaf: leaf[index], networks)
        (size,) = np.unique(batches.count(chosen)).tolist()
        num = stages.num_perturbations(size, config)
        assert len(index) == num * len(np.unique(index))
        leaves = zip(varied, chosen, strict=True)
        changes = [(a != b).reshape(len(index), -1).any(1) for a, b in leaves]
        assert np.any(changes, axis=0).all()
        # Variants of one network are not alike.
        pairs = [(a[::2] != a[1::2]).reshape(len(index) // 2, -1) for a in varied]
        assert np.concatenate(pairs, axis=1).any(1).all()
        seen.append(size)
        return varied

    monkeypatch.setattr(batches, "perturb", spy)
    reports = []
    config = dataclasses.replace(CONFIG, max_perturbed=5)
    search(config=config, callback=reports.append)
    assert seen == [5, 4, 3, 3, 4, 5, 5, 4, 3]
    assert len(reports) <= reports[0].num_blocks
    stages_seen = [r.stage for r in reports]
    assert stages_seen.count("perturb") == len(seen)
    # Before they lose a weight on the way down, gain one on the way up.
    following = [b for a, b in itertools.pairwise(stages_seen) if a == "perturb"]
    assert following[:6] == ["prune"] * 3 + ["grow"] * 3


def test_without_variants_there_are_none():
    reports = []
    config = dataclasses.replace(CONFIG, max_perturbed=0)
    search(config=config, callback=reports.append)
    assert "perturb" not in {r.stage for r in reports}


def test_stages_use_as_many_rows_as_their_cost_allows(monkeypatch):
    monkeypatch.setattr(jobs, "RACE_ROWS", 31)
    monkeypatch.setattr(jobs, "STAGE_ROWS", 30)
    train = make_problem(0, "softmax")
    job = make_job(train, train, "softmax", CONFIG, None, time.monotonic)
    # Three directions a row of the race.
    numbers = [(rows.weight > 0).sum() for rows in (job.few_rows, job.rows, job.train)]
    assert numbers == [10, 30, NUM]


def test_some_rows_are_drawn_once_each_with_their_weights():
    train = make_problem(0, "softmax")
    job = make_job(train, train, "softmax", CONFIG, None, time.monotonic)
    assert sample_rows(job.train, NUM) is job.train
    part = sample_rows(job.train, 20)
    is_real = part.weight > 0
    assert is_real.sum() == 20
    np.testing.assert_allclose(part.weight.sum(), 1)
    rows = [np.flatnonzero((train.x == x[None, :3]).all(1)) for x in part.x[is_real]]
    rows = np.concatenate(rows)
    assert len(np.unique(rows)) == 20
    np.testing.assert_array_equal(part.y[is_real], train.y[rows])
    ratio = part.weight[is_real] / train.weight[rows]
    np.testing.assert_allclose(ratio, ratio[0])


def test_the_race_begins_on_a_part_of_the_points(monkeypatch):
    heats = stages.Heat(2, 0.5, True, 1.0), stages.Heat(3, 1.0, False, 1.0)
    monkeypatch.setattr(stages, "RACE", heats)
    monkeypatch.setattr(jobs, "RACE_ROWS", 10)
    numbers, polish_all = [], batches.polish_batch

    def spy(networks, sizes, problem, **how):
        numbers.append((int((problem.weight > 0).sum()), how["num_steps"]))
        return polish_all(networks, sizes, problem, **how)

    monkeypatch.setattr(batches, "polish_batch", spy)
    search()
    assert numbers[0] == (10, 2) and (NUM, 3) in numbers
    assert all(num == NUM for num, steps in numbers if steps != 2)


def test_each_heat_and_all_stages_have_their_share_of_the_time(monkeypatch):
    monkeypatch.setattr(buckets, "MAX_BLOCK", 1)
    shares = (0.3, 0.4, 0.5)
    race = [
        heat._replace(end=own) for heat, own in zip(stages.RACE, shares, strict=True)
    ]
    monkeypatch.setattr(stages, "RACE", race)
    reports = []
    config = dataclasses.replace(CONFIG, max_perturbed=0)
    clock = {"time_budget": 20.0, "clock": lambda: float(len(reports))}
    search(config=config, **clock, callback=reports.append)
    # A block is a second. The last heat ends when its networks are polished.
    steps = np.diff([0, *(r.network_steps for r in reports)])
    wanted = np.repeat([heat.num_steps for heat in race], [6, 2, 2])
    np.testing.assert_array_equal(steps[:10], wanted)
    stages_seen = [r.stage for r in reports]
    assert stages_seen[:11] == ["polish"] * 10 + ["prune"]
    assert len(reports) == stages.SEARCH_SHARE * 20


def test_steps_end_with_the_share_of_their_stage(monkeypatch):
    now, seen, problem = [0.0], [], make_problem(0)
    starts = draw_starts(jax.random.key(0), CONFIG, problem)

    def spy(networks, sizes, problem, **how):
        seen.append(how)
        return networks, sizes

    monkeypatch.setattr(batches, "polish_batch", spy)
    for budget in (10.0, None):
        job = make_job(problem, problem, "squared", CONFIG, budget, lambda: now[0])
        job.polish(starts, np.zeros(len(starts.depth)), 5, share=0.5)
    is_over = seen[0]["is_over"]
    assert not is_over() and seen[1]["is_over"] is None
    now[0] = 5.0
    assert is_over()


def test_a_clock_of_the_caller_does_not_count_compilation(monkeypatch):
    monkeypatch.setattr(programs, "is_ready", lambda key, *, seconds: False)
    both = [make_problem(0)] * 2
    clocks = (1.0, lambda: 9.0), (None, time.monotonic), (1.0, time.monotonic)
    jobs = [make_job(*both, "squared", CONFIG, *clock) for clock in clocks]
    assert [job.is_ready("polish") for job in jobs] == [True, True, False]


def test_a_source_that_is_late_is_left_out(monkeypatch, all_ready):
    def find(key, request):
        while request.clock() < np.inf:
            time.sleep(0.01)

    late = sources.SOURCES["tangle"]._replace(find=find, check=lambda *_: None)
    monkeypatch.setitem(sources.SOURCES, "tangle", late)
    monkeypatch.setattr(sources, "SLACK", 0.0)
    config = dataclasses.replace(
        CONFIG, num_rounds=0, max_perturbed=0, sources=("random", "tangle")
    )
    with pytest.warns(UserWarning, match="did not suffice for the source tangle$"):
        front = search(config=config, time_budget=1e4)
    assert len(front.num_weights) > 1


@pytest.mark.parametrize("ready", [{"polish"}, {"polish", "remove"}])
def test_programs_that_are_not_compiled_in_time_are_left_out(monkeypatch, ready):
    config = dataclasses.replace(
        CONFIG, max_weights=50, max_width=6, activations=("linear",)
    )
    is_double, called = [], []

    def is_ready(key, **_):
        is_double.append(key[-1])
        return not key[-1] and key[0] in ready and key[1] == buckets.BUCKETS[0]

    def spy_on(name):
        fn = getattr(batches, name)

        def spy(*args, **how):
            called.append((name, jax.config.jax_enable_x64))
            return fn(*args, **how)

        monkeypatch.setattr(batches, name, spy)

    for name in ("polish_batch", "remove", "grow", "perturb"):
        spy_on(name)
    monkeypatch.setattr(programs, "is_ready", is_ready)
    reports = []
    with pytest.warns(UserWarning, match="time budget did not suffice for") as warned:
        front = search(config=config, time_budget=1e4, callback=reports.append)
    assert [str(warning.message).partition(" for ")[2] for warning in warned] == [
        "networks whose programs were not compiled in time, the last polish in float64"
    ]
    wanted = {"polish_batch", *ready} - {"polish"}
    assert any(is_double) and set(called) == {(name, False) for name in wanted}
    assert max(report.pool.num_weights.max() for report in reports) <= 32
    assert len(front.num_weights) > 1


def test_networks_of_the_race_go_by_their_own_sizes(monkeypatch):
    config = dataclasses.replace(
        CONFIG, max_weights=50, max_width=6, activations=("linear",)
    )
    problem = make_problem(0)
    job = make_job(problem, problem, "squared", config, None, time.monotonic)
    seen, polish_all = [], batches.polish_batch

    def spy(networks, sizes, problem, **how):
        np.testing.assert_array_equal(sizes, batches.count(networks))
        seen.append(sizes)
        return polish_all(networks, sizes, problem, **how)

    monkeypatch.setattr(batches, "polish_batch", spy)
    starts = fit_starts(draw_starts(jax.random.key(6), config, problem), job)
    assert len(list(stages.race([starts], job))) == len(seen)
    num_rooms = len(
        {buckets.bucket_of(size) for size in batches.count(starts).tolist()}
    )
    assert num_rooms > 1 and len(seen) > len(stages.RACE)


@pytest.mark.parametrize("num_each", [1, 3])
def test_networks_of_one_shape_go_together_and_the_first_of_each_come_first(
    monkeypatch, num_each
):
    monkeypatch.setattr(buckets, "MAX_BLOCK", 1)
    problem, fit = make_problem(0), Fit("squared", CONFIG.activations)
    sizes, rank = np.array([5, 40, 10, 50, 31, 7]), np.array([3, 1, 2, 0, 9, 1])
    parts = buckets.divide(sizes, rank, problem, fit=fit, num_blocks=num_each)
    wanted = {1: [[5], [3], [2], [1], [0], [4]], 3: [[5, 2, 0], [3, 1], [4]]}
    assert [part.tolist() for part in parts] == wanted[num_each]


@pytest.mark.parametrize("block", [1, 2])
@pytest.mark.parametrize(
    ("budget", "share", "is_short"),
    [(1.1, 1.0, True), (1e4, 1.0, False), (1e4, 1e-9, True)],
)
def test_only_the_best_are_shrunk_where_time_is_short(
    monkeypatch, budget, share, is_short, block
):
    monkeypatch.setattr(run, "FIRST_SHARE", share)
    monkeypatch.setattr(stages, "SEARCH_SHARE", 1.0)
    monkeypatch.setattr(buckets, "MAX_BLOCK", block)
    indices, remove = [], batches.remove
    varied, vary = [], batches.perturb

    def spy(networks, index, *args, **how):
        indices.append(index)
        return remove(networks, index, *args, **how)

    def spy_on_variants(key, networks, index, *args, **how):
        varied.append((len(indices), len(np.unique(index))))
        return vary(key, networks, index, *args, **how)

    monkeypatch.setattr(batches, "remove", spy)
    monkeypatch.setattr(batches, "perturb", spy_on_variants)
    search(time_budget=budget, clock=lambda: float(len(indices)))
    assert len(indices[0]) > 2 and varied[0][1] > 2
    # A block costs the same however full it is.
    assert len(indices[1]) == block if is_short else len(indices[1]) > 2
    # Of the second size there are variants where there is time.
    assert [num > 2 for done, num in varied if done == 1] == [True] * (not is_short)


@pytest.mark.parametrize(
    ("seconds", "is_varied", "most"),
    [(1e4, True, 4), (110.0, True, 2), (50.0, False, 4), (1.0, False, 2)],
)
def test_variants_go_before_networks_do(monkeypatch, seconds, is_varied, most):
    monkeypatch.setattr(stages, "SEARCH_SHARE", 1.0)
    monkeypatch.setattr(buckets, "MAX_BLOCK", 2)
    now = [0.0]
    config = dataclasses.replace(CONFIG, num_kept=4)
    problem = make_problem(0)
    job = make_job(problem, problem, "squared", config, seconds, lambda: now[0])
    way = stages.Effort([6, 5, 4, 3, 2, 1], stages.PRUNE_STEPS, job)
    assert (way.has_perturbations, way.max_networks) == (True, 4)
    # A block of two with four variants each: 26 s. Three such and two sizes without
    # are 80 s more, all of them without variants 8 s.
    now[0] = 2 * (stages.PRUNE_STEPS + 4 * stages.PERTURB_STEPS) / 10
    way.adapt(0, 1, 0.0)
    assert (way.has_perturbations, way.max_networks) == (is_varied, most)


def test_only_as_many_are_varied_as_go_on(found, monkeypatch):
    pool, seen, vary = found[1][-1].pool, [], batches.perturb

    def spy(key, networks, index, *args, **how):
        seen.append(index.tolist())
        return vary(key, networks, index, *args, **how)

    monkeypatch.setattr(batches, "perturb", spy)
    sizes, counts = np.unique(pool.num_weights, return_counts=True)
    size = int(sizes[(counts > 1) & (sizes >= stages.MIN_PERTURBED)][0])
    problem = make_problem(0)
    job = make_job(problem, problem, "squared", CONFIG, None, time.monotonic)
    way = stages.Effort([size], stages.PRUNE_STEPS, job)
    way.max_networks = 1
    assert len(list(stages._perturb(jax.random.key(0), pool, size - 1, size, way))) == 1
    best = np.flatnonzero(pool.num_weights == size)[0]
    assert seen == [[best] * stages.num_perturbations(size, CONFIG)]


def test_the_way_up_is_limited_as_the_way_down(monkeypatch):
    monkeypatch.setattr(stages, "SEARCH_SHARE", 1.0)
    monkeypatch.setattr(buckets, "MAX_BLOCK", 1)
    grown, grow = [], batches.grow

    def spy(networks, index, *args, **how):
        grown.append(len(index))
        return grow(networks, index, *args, **how)

    monkeypatch.setattr(batches, "grow", spy)
    # From the third size on, the first with more than one network, a block is a second.
    search(time_budget=10.5, clock=lambda: 7.0 + len(grown) if len(grown) > 2 else 0.0)
    assert grown[2] > 1 and grown[3:] == [1]


def test_a_way_costs_what_its_steps_do():
    problem = make_problem(0)
    config = dataclasses.replace(CONFIG, max_perturbed=20)
    job = make_job(problem, problem, "squared", config, None, time.monotonic)
    way = stages.Effort([1], stages.PRUNE_STEPS, job)
    plain = way.cost(21, True)
    steps = stages.PRUNE_STEPS + stages.NUM_PERTURBATIONS * stages.PERTURB_STEPS
    assert way.cost(20, True) / plain == steps / stages.PRUNE_STEPS
    # The smallest have twice as many variants, but for those of two weights.
    assert way.cost(12, True) - plain == 2 * (way.cost(13, True) - plain)
    assert way.cost(20, False) == plain == way.cost(2, True)
    assert way.cost(40, True) == 2 * plain


def test_rungs_are_all_small_sizes_and_some_large_ones():
    assert stages.size_schedule(1) == [1]
    assert stages.size_schedule(32) == [32, *range(30, 0, -1)]
    assert stages.size_schedule(100)[:3] == [100, 94, 89]


def test_large_networks_lose_and_gain_several_weights(monkeypatch):
    seen = {"remove": [], "grow": []}

    def spy_on(name):
        change = getattr(batches, name)

        def spy(networks, index, size, problem, *, num, **how):
            chosen = jax.tree.map(lambda leaf: leaf[index], networks)
            after = change(networks, index, size, problem, num=num, **how)
            seen[name].append((size, num, batches.count(chosen), batches.count(after)))
            return after

        monkeypatch.setattr(batches, name, spy)

    for name in seen:
        spy_on(name)
    config = dataclasses.replace(
        CONFIG, max_weights=50, max_width=6, max_perturbed=0, activations=("linear",)
    )
    search(seed=1, config=config)
    for name, sign in (("remove", -1), ("grow", 1)):
        assert {num for _, num, *_ in seen[name]} == {1, 2, 3}
        for size, num, before, after in seen[name]:
            assert (before <= size).all() and (before > size - num).all()
            assert num == 1 or size > 30
            change = sign * (after - before)
            # A neuron that goes may be several weights, and there may be none to gain.
            assert (change >= num).all() if sign < 0 else (change <= num).all()
        largest = [row for row in seen[name] if row[1] == 3]
        assert any((sign * (row[3] - row[2]) == 3).any() for row in largest)


def test_the_best_of_some_sizes_come_first(found):
    front, _ = found
    networks = jax.tree.map(
        lambda leaf: np.resize(leaf, (4, *leaf.shape[1:])), front.network
    )
    losses = np.array([0.1, 0.4, 0.2, 0.3])
    pool = pools.make_pool(networks, np.array([3, 4, 5, 5]), losses)
    np.testing.assert_array_equal(stages._find(pool, 3, 5), [2, 3, 1])
    is_wanted = np.array([True, True, False, True])
    np.testing.assert_array_equal(stages._find(pool, 2, 4, is_wanted), [0, 1])


def test_a_neuron_that_goes_counts_for_several_weights():
    starts = draw_starts(jax.random.key(0), CONFIG, make_problem(0))
    one = jax.tree.map(lambda leaf: np.array(leaf[:1]) * 0, starts)
    one.first[0, :2, :2] = 1.0, -0.5
    one.readout[0, :2, 0] = 1.0, 1e-6  # the second neuron hardly matters
    one.mask[0, 0, :2] = one.depth[0] = 1
    one.activation[..., 0] = 1
    fit = Fit("squared", CONFIG.activations)
    left = batches.remove(one, np.arange(1), 6, make_problem(0), fit=fit, num=2)
    assert batches.count(one).item() == 6 and batches.count(left).item() == 3


@pytest.mark.parametrize(
    ("begin", "num_polished"), [(0.5, 10), (0.7, 8), (0.9, 4), (1.1, 0)]
)
def test_the_front_is_polished_as_far_as_the_time_goes(
    monkeypatch, found, begin, num_polished
):
    monkeypatch.setattr(buckets, "MAX_BLOCK", 4)
    front, calls = found[0], []
    front = jax.tree.map(lambda leaf: np.resize(leaf, (10, *leaf.shape[1:])), front[:5])
    job = make_job(*[make_problem(0)] * 2, "squared", CONFIG, 1.0, lambda: 0.0)
    job.clock = lambda: begin + 0.2 * len(calls)

    def polish(network, sizes, num_steps, rows):
        assert num_steps == last_polish.LAST_STEPS and rows is job.train
        calls.append(sizes)
        return network._replace(first=network.first + 1), sizes

    monkeypatch.setattr(job, "polish", polish)
    last = _polish_front(Front(*front, pick=0), job)
    is_polished = (last.first == front[0].first + 1).all(axis=(1, 2))
    assert is_polished[:num_polished].all() and is_polished.sum() == num_polished


def test_the_last_polish_is_not_taken_where_it_hurts(found):
    train = make_problem(0)
    best = jax.tree.map(lambda leaf: leaf[:1], found[0].network)
    other = best._replace(readout_bias=best.readout_bias + 0.03)
    fn = functools.partial(apply, activations=CONFIG.activations)
    with jax.enable_x64(True):
        y = jax.vmap(fn, in_axes=(0, None))(other, jnp.asarray(train.x))
    valid = train._replace(y=np.asarray(y)[0])
    job = make_job(train, valid, "squared", CONFIG, None, time.monotonic)
    pool, polished = (job.make_pool(fit_starts(n, job)) for n in (other, best))
    # On training data better, but so little that the two would be one in a pool.
    assert len(pools.merge([pool, polished], num_each=2).loss) == 1
    assert polished.loss[0] < pool.loss[0]
    assert select(pool, job).valid_loss[0] < 1e-9


def test_half_of_the_starts_are_small(key):
    config = dataclasses.replace(CONFIG, num_starts=200, max_weights=60, max_width=8)
    starts = draw_starts(key, config, make_problem(0))
    sizes = batches.count(starts)
    assert len(sizes) == 2 * config.num_starts
    assert sizes[: config.num_starts].max() <= random_networks.SMALL_WEIGHTS
    # Some are too large, none by more than the progress bar counts with.
    assert 60 < sizes.max() <= random_networks.LARGEST_START * 60


def test_one_program_draws_all_starts(key):
    random_networks._sample.cache_clear()
    config = dataclasses.replace(CONFIG, max_weights=60)
    for num in (70, 20):
        draw_starts(key, dataclasses.replace(config, num_starts=num), make_problem(0))
    spec = dataclasses.replace(config.make_spec(3, 1), num_inputs=4)
    assert random_networks._sample.cache_info().misses == 1
    assert random_networks._sample(spec)._cache_size() == 1


def test_starts_are_drawn_by_the_odds_of_their_inputs(key):
    config = dataclasses.replace(CONFIG, num_starts=200, max_weights=20)
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (500, 10))
    problem = Problem(x, x[:, :1] + 2 * np.square(x[:, 1:2]), np.ones(500))
    starts = draw_starts(key, config, problem)
    counts = (starts.first != 0).sum((0, 2))
    assert counts[:2].min() > 1.3 * counts[2:].max()


def test_padded_inputs_have_no_weights(found):
    _, reports = found
    for report in reports:
        first = report.pool.network.first
        assert first.shape[1] == 4 and not first[:, 3:].any()


def test_the_key_tells_everything(found, all_ready):
    front, _ = found
    for a, b in zip(jax.tree.leaves(front), jax.tree.leaves(search()), strict=True):
        np.testing.assert_array_equal(a, b)
    other = search(seed=1, time_budget=1e-9)
    assert not np.isin(other.train_loss, front.train_loss).all()


def test_without_time_the_first_networks_are_the_front(all_ready):
    reports = []
    front = search(time_budget=1e-9, callback=reports.append)
    assert len(front.num_weights) and np.isfinite(front.valid_loss).all()
    assert [report.stage for report in reports] == ["polish"]


def test_ctrl_c_keeps_the_front_so_far():
    reports = []

    def interrupt(report):
        reports.append(report)
        if len(reports) == 8:
            raise KeyboardInterrupt

    front = search(callback=interrupt)
    assert len(reports) == 8 and np.isfinite(front.valid_loss).all()
    best = reports[-1].pool
    best = best.loss[best.num_weights <= CONFIG.max_weights].min()
    # The front goes by validation, and the pool is in float32.
    assert front.train_loss.min() <= best * 1.01


def test_starts_can_be_given(found, all_ready):
    front, _ = found
    starts = jax.tree.map(lambda leaf: leaf[-2:], front.network)
    again = search(starts=starts, time_budget=1e-9)
    assert again.train_loss.min() <= front.train_loss[-2:].min() * (1 + 1e-6) + 1e-12


def test_starts_of_another_shape_are_refused(found):
    networks = found[0].network
    narrow = networks._replace(mask=networks.mask[..., :1])
    wrong = [jax.tree.map(lambda leaf: leaf[0], networks), narrow]
    wrong.append(jax.tree.map(lambda leaf: leaf[:0], networks))
    wrong.append(networks._replace(first=np.zeros((1, 9, 9))))
    for starts in wrong:
        with pytest.raises(ValueError, match=r"starts must be a batch \[R, ...\]"):
            search(starts=starts)


def test_the_pick_can_be_asked_for_by_error(all_ready):
    config = dataclasses.replace(CONFIG, max_error=0.5)
    front = search(config=config, time_budget=1e-9)
    small = np.flatnonzero(front.valid_loss <= 0.5)
    assert front.pick == (small[0] if len(small) else len(front.valid_loss) - 1)


@pytest.mark.parametrize(
    ("objective", "num_outputs"), [("logistic", 1), ("softmax", 3)]
)
def test_classes_are_told_apart(objective, num_outputs):
    front = search(
        objective=objective, config=dataclasses.replace(CONFIG, num_rounds=0)
    )
    y, weight = (getattr(make_problem(1, objective), name) for name in ("y", "weight"))
    shares = np.average(y, axis=0, weights=weight)
    shares = np.append(shares, 1 - shares.sum())
    chance = -(shares * np.log(np.maximum(shares, 1e-9))).sum()
    assert front.network.readout.shape[2] == num_outputs
    assert front.valid_loss.min() < 0.5 * chance
    assert len(front.num_weights) > 1 and front.num_weights[-1] <= CONFIG.max_weights
    assert all(np.isfinite(leaf).all() for leaf in front.network)


@pytest.mark.parametrize(
    ("weight", "decay"),
    [
        (np.ones(100), 1 / 128),
        (np.repeat([3.0, 0.0], [64, 36]), 1 / 64),  # 64 points that count
        (np.ones(1400), 1 / 1024),
    ],
)
def test_few_rows_of_classes_hold_the_weights_back(weight, decay):
    x = np.zeros((len(weight), 3))
    problem = Problem(x, x[:, :1], weight)
    rest = SearchConfig(), None, time.monotonic
    assert make_job(problem, problem, "logistic", *rest).fit.weight_decay == decay
    assert make_job(problem, problem, "squared", *rest).fit.weight_decay == 1e-9
    rest = SearchConfig(weight_decay=0.5), *rest[1:]
    assert make_job(problem, problem, "logistic", *rest).fit.weight_decay == 0.5


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("y", np.nan, "y of train must hold finite real numbers"),
        ("x", np.inf, "x of train must hold finite real numbers"),
        ("y", 1e200, "no network has a finite loss"),
    ],
)
def test_numbers_that_are_not_finite_or_huge_are_refused(name, value, message):
    train, valid = make_problem(0), make_problem(1)
    values = getattr(train, name).copy()
    values[3, 0] = value
    train = train._replace(**{name: values})
    with pytest.raises(ValueError, match=message):
        find_front(jax.random.key(0), train, valid, objective="squared", config=CONFIG)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("num_starts", 0),
        ("num_kept", 0),
        ("num_rounds", -1),
        ("max_perturbed", -1),
        ("max_error", float("nan")),
        ("weight_decay", -1.0),
        ("max_width", 0),
        ("max_weights", 2),
    ],
)
def test_bad_configuration_names_the_field(field, value):
    with pytest.raises(ValueError, match=f"{field} must be .* got {value}"):
        SearchConfig(**{field: value})


def configure(config_class, values):
    """Build a configuration past the type checks of the tests."""
    config = config_class()
    for name, value in values.items():
        object.__setattr__(config, name, value)
    config.__post_init__()
    return config


def test_a_configuration_takes_whole_floats_and_single_names():
    config = configure(SearchConfig, {"max_weights": 8.0, "activations": "tanh"})
    assert config == SearchConfig(max_weights=8, activations=("tanh",))
    assert type(config.max_weights) is int


@pytest.mark.parametrize(
    ("config_class", "good", "bad"),
    [
        (DescentConfig, {"num_steps": 8.0}, {"num_steps": 8.5}),
        (DescentConfig, {"sparsity_weights": [0, 1]}, {"sparsity_weights": "few"}),
        (DescentConfig, {"decay": "constant"}, {"decay": "linear"}),
        (DescentSourceConfig, {"activation": "tanh"}, {"activation": "swish"}),
        (DescentSourceConfig, {"preset": "compact"}, {"descent": {"num_steps": 8}}),
        (SupernetSourceConfig, {"num_drawn": 3.0}, {"num_drawn": "3"}),
        (SupernetSourceConfig, {}, {"training": DescentConfig()}),
        (SupernetConfig, {"batch_size": 3.0}, {"batch_size": None}),
        (SupernetConfig, {"order": "second"}, {"order": "third"}),
        (SearchConfig, {}, {"supernet": SupernetConfig()}),
        (EvolutionConfig, {"num_rounds": 3.0}, {"num_rounds": 3.5}),
        (AutoencoderConfig, {"max_width": 3.0}, {"max_width": "3"}),
        (MlpConfig, {"widths": [2.0, 3]}, {"widths": (2.5,)}),
    ],
)
def test_nested_configurations_convert_and_name_fields(config_class, good, bad):
    config = configure(config_class, good)
    for name, value in good.items():
        kept = getattr(config, name)
        assert kept == (tuple(value) if isinstance(value, list) else value)
        assert type(kept) in (int, str, tuple)
    with pytest.raises(ValueError, match=f"{next(iter(bad))} must "):
        configure(config_class, bad)


def test_a_search_refuses_rows_and_budgets_that_it_cannot_use():
    rows, key = make_problem(0), jax.random.key(0)
    few = rows._replace(x=rows.x[:, :1])
    with pytest.raises(ValueError, match="same numbers of inputs and outputs"):
        find_front(key, rows, few, config=CONFIG)
    with pytest.raises(ValueError, match="folds choose networks only without valid"):
        find_front(key, rows, rows, folds=np.arange(len(rows.y)) % 2, config=CONFIG)
    with pytest.raises(ValueError, match="time_budget must be > 0 s, got -1"):
        find_front(key, rows, rows, config=CONFIG, time_budget=-1.0)


WRONG_TYPES = """
import jax, numpy as np
from swajax import Problem, SearchConfig, find_front

rows, key = Problem(np.eye(9), np.eye(9)[:, :1], np.ones(9)), jax.random.key(0)
wrong = [{"config": {"max_weights": 8}}, {"devices": 2}, {"devices": ["cpu"]}]
keys = (0, None, np.zeros(2), jax.random.split(key))
for options in [*wrong, *({"key": key} for key in keys)]:
    try:
        find_front(**{"key": key, "train": rows, **options})
    except ValueError as error:
        print(error)
"""


def test_a_search_names_arguments_of_another_type():
    command = [sys.executable, "-c", WRONG_TYPES]  # without the checks of annotations
    result = subprocess.run(command, capture_output=True, text=True)
    names = [line.split(" must be ")[0] for line in result.stdout.splitlines()]
    assert names == ["config", "devices", "devices"] + 4 * ["key"], result.stderr
