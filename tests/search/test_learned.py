"""Source `learned`: networks sampled for the rows of a search."""

import dataclasses
import functools
import math

import jax
import numpy as np
import pytest

from swajax.autoencoder import flow
from swajax.autoencoder.flow import FlowConfig
from swajax.data.problem import Problem
from swajax.io import checkpoints, configs
from swajax.refine import batches
from swajax.search import sources
from swajax.search.config import SearchConfig
from swajax.search.run import find_front
from swajax.search.sources.base import StartRequest
from swajax.search.sources.learned import LearnedSourceConfig

MODEL = FlowConfig(max_width=4, num_steps=2)
LIMITS = SearchConfig(max_weights=20, max_width=4, max_depth=2).make_spec(3, 1)


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    params = jax.jit(functools.partial(flow.init, config=MODEL))(jax.random.key(0))
    path = tmp_path_factory.mktemp("flow") / "flow.safetensors"
    checkpoints.save(path, params, header={"flow": configs.to_dict(MODEL)})
    return LearnedSourceConfig(file=str(path))


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    x = np.float32(rng.uniform(-1, 1, (70, 3)))
    return Problem(x, x[:, :1] * x[:, 1:2], np.ones(70, np.float32))


def propose(rows, options, num_starts=11, limits=LIMITS):
    request = StartRequest(
        rows, rows, "squared", limits, 20, num_starts, seconds=math.inf
    )
    names = ["learned"]
    (found,) = sources.find_starts(
        jax.random.key(0), request, names, {"learned": options}
    )
    return found.networks


def test_proposals_are_within_the_limits_and_repeat(rows, options):
    networks = propose(rows, options)
    assert networks.first.shape == (12, 3, 4) and networks.readout.shape == (12, 4, 1)
    assert networks.depth.tolist() == [1] * 6 + [2] * 6
    sizes = batches.count(networks)
    assert sizes.max() <= 26 and sizes[:6].argmax() == 5
    for leaf, same in zip(networks, propose(rows, options), strict=True):
        np.testing.assert_array_equal(leaf, same)


def test_proposals_fit_into_smaller_and_larger_limits(rows, options):
    small = dataclasses.replace(LIMITS, max_width=2, max_depth=1)
    networks = propose(rows, options, num_starts=4, limits=small)
    assert networks.mask.shape == (4, 1, 2)
    large = dataclasses.replace(LIMITS, max_width=5, max_depth=3)
    assert propose(rows, options, limits=large).mask.shape == (12, 3, 5)


def test_a_search_begins_with_proposals(rows, options):
    config = SearchConfig(
        max_weights=8,
        max_width=4,
        max_depth=2,
        num_starts=8,
        num_rounds=0,
        max_perturbed=0,
        sources=("learned", "linear"),
        learned=options,
    )
    front = find_front(jax.random.key(0), rows, rows, config=config)
    assert np.isfinite(front.valid_loss).all()


def test_limits_without_the_activations_are_refused(options):
    config = SearchConfig(activations=("tanh",), sources=("learned",), learned=options)
    with pytest.raises(ValueError, match="--activations"):
        config.check(3, "squared")
