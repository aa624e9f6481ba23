"""Entangled outputs as a search space."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tangle_cases import SMALL, TOLERANCE, draw_probabilities, make_case

from figures.tangle import entangling, methods
from figures.tangle.entangling import mix_outputs
from figures.tangle.methods import Settings
from swajax.tangle import selection
from swajax.tangle.choices import one_hot, to_architecture
from swajax.tangle.data.examples import Rows, Split
from swajax.tangle.experiment import SupernetTask
from swajax.tangle.spaces.digits_vit import DigitsVitConfig

CASES = ("digits-vit", "digits-cell", "digits-cell, all else")


def make_mixing(case):
    """The space, the same with outputs mixed, weights and inputs."""
    space, params, x = make_case(case)
    config = entangling.CONFIGS[space.name](**SMALL[case])
    return space, mix_outputs(space, config), params, x


@pytest.mark.parametrize("case", CASES)
def test_with_one_option_each_it_is_the_supernet(case):
    space, mixing, params, x = make_mixing(case)
    for genes in selection.draw_genes(jax.random.key(0), space.choices, num=5):
        p = one_hot(to_architecture(np.asarray(genes), space.choices), space.choices)
        found = jax.jit(mixing.apply)(params, p, x)
        np.testing.assert_allclose(found, space.apply(params, p, x), **TOLERANCE)


@pytest.mark.parametrize("case", CASES[:2])
def test_between_options_normalisation_makes_a_difference(case):
    space, mixing, params, x = make_mixing(case)
    p = draw_probabilities(space)
    found, other = (each.apply(params, p, x) for each in (mixing, space))
    assert np.isfinite(found).all() and np.abs(found - other).max() > 1e-2


def test_a_search_keeps_the_weights_of_the_space(monkeypatch):
    space, _, params, x = make_mixing("digits-vit")
    small = functools.partial(DigitsVitConfig, **SMALL["digits-vit"])
    monkeypatch.setitem(entangling.CONFIGS, "digits-vit", small)
    y = jnp.eye(3)[jnp.arange(len(x)) % 3]
    rows = Rows(np.asarray(x), np.asarray(y))
    split = Split(weights=rows, architecture=rows, test=rows)
    found = methods.find_network(
        jax.random.key(0),
        "drnas-outputs",
        methods.ABLATIONS["drnas-outputs"],
        SupernetTask(space, split, "softmax"),
        Settings(passes=4, batch_size=2),
    )
    shapes = jax.tree.map(jnp.shape, (found.params, params))
    assert jax.tree.all(jax.tree.map(lambda a, b: a == b, *shapes))
