"""Gradient descent within a budget."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.latent_search import Data, DescentConfig, Point, descent
from swajax.latent_search.descent import Budget
from swajax.search.config import ExploreConfig, SearchConfig
from swajax.search.sources import descent as descent_source

SEARCH = DescentConfig(
    chunk_steps=2, num_starts=2, num_screened=3, sparsity_weights=(1e-3, 1e-2)
)
LIMITS = SearchConfig(max_weights=12, max_width=3, max_depth=1).make_spec(1, 1)
NUM_CANDIDATES = 4


@functools.cache
def make_explorer():
    return descent_source.make_explorer(
        jax.random.key(0),
        "direct",
        "squared",
        config=ExploreConfig(search=SEARCH),
        limits=LIMITS,
        max_weights=12,
    )


def make_data():
    x = jnp.linspace(-1, 1, 20)[:, None]
    return Data(x, jnp.sin(3 * x), x, jnp.sin(3 * x))


def descend(**options):
    return descent.descend(make_explorer(), make_data(), search=SEARCH, **options)


def make_clock(step=1.0):
    """So many seconds more at each look."""
    return functools.partial(next, itertools.count(0.0, step))


def test_it_ends_when_the_steps_or_the_seconds_are_spent():
    chunk = SEARCH.chunk_steps * NUM_CANDIDATES
    networks, steps = descend(budget=Budget(candidate_steps=3 * chunk))
    assert steps == 3 * chunk and len(networks.depth) == NUM_CANDIDATES
    _, steps = descend(budget=Budget(seconds=4.0), clock=make_clock())
    assert steps == 3 * chunk  # looks at 1, 2 and 3 s
    _, steps = descend(budget=Budget(seconds=0.5), clock=make_clock())
    assert steps == chunk  # one at least


def test_ctrl_c_keeps_what_is_found_but_not_nothing(monkeypatch):
    seen = []

    def watch(steps, networks_fn):
        seen.append(networks_fn())
        raise KeyboardInterrupt

    networks, _ = descend(budget=Budget(seconds=100.0), watch=watch)
    for leaf, wanted in zip(networks, seen[0], strict=True):
        np.testing.assert_array_equal(leaf, wanted)

    def interrupt(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(descent, "_chunk", interrupt)
    with pytest.raises(KeyboardInterrupt):
        descend(budget=Budget(seconds=100.0))


def test_the_step_size_falls_with_the_share_of_the_budget():
    budget = Budget(seconds=10.0, candidate_steps=100)
    assert descent.find_share(budget, 9.0, 0) == 0.0  # nothing is done yet
    assert descent.find_share(budget, 2.0, 50) == 0.5
    assert descent.find_share(budget, 20.0, 50) == 2.0
    for seconds in (0.0, -1.0):  # what was there before may have taken all
        spent = Budget(seconds=seconds)
        assert (
            descent.find_share(spent, 0.0, 0) < 1 <= descent.find_share(spent, 0.0, 5)
        )
    optimizer = descent.make_optimizer(dataclasses.replace(SEARCH, decay="constant"))
    point = Point(jnp.ones(2), jnp.ones(()))
    state = optimizer.init(point)
    full, _ = optimizer.update(point, state)
    inner, rate = state
    half, _ = optimizer.update(point, (inner, rate._replace(factor=rate.factor / 2)))
    np.testing.assert_allclose(half.z, full.z / 2)
    np.testing.assert_allclose(half.threshold, full.threshold / 2)
