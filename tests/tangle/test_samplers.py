"""Properties of every sampler."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.tangle import simplex
from swajax.tangle.choices import Choice, check_probabilities
from swajax.tangle.samplers import SAMPLERS, make_sampler

CHOICES = (
    Choice("width", (4, 2, 8), "size", num_rows=3),
    Choice("activation", ("tanh", "sigmoid"), "operation"),
)


CASES = {
    "darts": {},
    "darts-sparsemax": {"projection": "sparsemax"},
    "drnas": {},
    "drnas-kl": {"divergence_weight": 1e-3},
    "gdas": {},
    "spos": {},
}
ALPHAS = jnp.asarray([[0.5, -1.0, 0.2], [2.0, 0.0, -3.0]])


def make(case):
    return make_sampler(case.partition("-")[0], **CASES[case])


def draw_many(draw_fn, num=4000):
    keys = jax.random.split(jax.random.key(1), num)
    return np.asarray(jax.jit(jax.vmap(draw_fn))(keys))


def test_there_is_a_case_of_every_sampler():
    assert {case.partition("-")[0] for case in CASES} == set(SAMPLERS)


@pytest.mark.parametrize("case", CASES)
def test_samples_are_probabilities_and_depend_on_nothing_but_the_key(case):
    sampler = make(case)
    alphas = sampler.init(jax.random.key(0), CHOICES)
    assert {name: a.shape for name, a in alphas.items()} == {
        "width": (3, 3),
        "activation": (1, 2),
    }
    assert 0 < np.abs(alphas["width"]).max() < 1e-2
    sample = jax.jit(sampler.sample)
    first = sample(jax.random.key(1), alphas, 0.3)
    again = sample(jax.random.key(1), dict(reversed(alphas.items())), 0.3)
    check_probabilities(first, CHOICES)
    jax.tree.map(np.testing.assert_array_equal, first, again)


@pytest.mark.parametrize("case", CASES)
def test_the_mean_of_a_sampler_is_that_of_its_draws(case):
    sampler = make(case)
    draws = draw_many(lambda key: sampler.sample(key, {"width": ALPHAS}, 0.5)["width"])
    np.testing.assert_allclose(sampler.mean(ALPHAS), draws.mean(0), atol=0.025)
    stacked = sampler.mean(jnp.stack([ALPHAS, -ALPHAS]))  # any leading axes
    np.testing.assert_allclose(stacked[1], sampler.mean(-ALPHAS), rtol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_draws_belong_to_names_not_to_places(case):
    """Compiled functions get sorted mappings, so plain functions must sort them too."""
    sampler = make(case)
    alphas = {"b": ALPHAS, "c": ALPHAS, "a": ALPHAS}
    key = jax.random.key(1)
    found = sampler.sample(key, alphas, 0.3)
    turned = sampler.sample(key, dict(reversed(alphas.items())), 0.3)
    compiled = jax.jit(sampler.sample)(key, alphas, 0.3)
    for name in alphas:
        np.testing.assert_array_equal(found[name], turned[name])
        np.testing.assert_allclose(found[name], compiled[name], rtol=1e-5, atol=1e-6)
    draws = np.stack([found[name] for name in alphas])
    # One key for all choices would give equal draws.
    assert (np.ptp(draws, axis=0).max() == 0) == (case.startswith("darts"))


@pytest.mark.parametrize("case", CASES)
def test_gradients_of_samples_are_finite_and_there_if_vectors_are_trained(case):
    sampler = make(case)
    alphas = {"width": ALPHAS, "activation": 0.5 * ALPHAS[:1, :2]}
    scale = {"width": jnp.arange(6.0).reshape(2, 3), "activation": jnp.ones((1, 2))}
    scale["activation"] = scale["activation"].at[0, 0].set(2.0)

    def total(alphas):
        p = sampler.sample(jax.random.key(2), alphas, 0.0)
        each = jax.tree.map(lambda s, q: (s * q).sum(), scale, p)
        return sum(jax.tree.leaves(each)) + sampler.penalty(alphas)

    gradient = jax.jit(jax.grad(total))(alphas)
    for name, values in gradient.items():
        assert np.isfinite(values).all()
        assert bool(np.any(values)) == sampler.is_trained, name


def test_the_temperature_of_gdas_falls_linearly():
    sampler = make_sampler("gdas", first_temperature=10.0, last_temperature=0.1)
    scale, key = jnp.asarray([[0.0, 1.0, 3.0]]), jax.random.key(4)

    def slope(progress):
        total = lambda a: (scale * sampler.sample(key, {"a": a}, progress)["a"]).sum()  # noqa: E731
        return jax.grad(total)(ALPHAS[:1])

    @jax.jit
    def wanted(temperature):
        own_key = jax.random.split(key, 1)[0]
        draw = lambda a: (scale * simplex.gumbel(own_key, a, temperature)).sum()  # noqa: E731
        return jax.grad(draw)(ALPHAS[:1])

    for progress, temperature in ((0.0, 10.0), (0.5, 5.05), (1.0, 0.1)):
        found = jax.jit(slope)(progress)
        np.testing.assert_allclose(found, wanted(temperature), rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("enas", {}, r"sampler must be one of \['darts', 'drnas', 'gdas', 'spos'\]"),
        ("spos", {"order": 2}, "sampler spos: .*unexpected keyword argument 'order'"),
        ("darts", {"projection": "max"}, "projection(?s:.*)'max'"),
        ("drnas", {"divergence_weight": -1.0}, "divergence_weight must be >= 0"),
        ("gdas", {"last_temperature": 0.0}, "temperatures must be > 0"),
        ("gdas", {"last_temperature": 11.0}, "temperatures must be > 0"),
    ],
)
def test_bad_samplers_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        make_sampler(name, **options)
