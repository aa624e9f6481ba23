"""Samplers: what their draws are distributed like, and what their gradients are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from scipy import stats

from swajax.tangle import simplex
from swajax.tangle.choices import (
    Choice,
    check_probabilities,
    discretise,
    extreme,
    from_genes,
    one_hot,
    to_architecture,
    to_options,
)
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
    """Compiled functions see mappings sorted, so plain ones must do the same."""
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
    # One key for all choices would make them alike.
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


def test_sparsemax_by_hand_and_as_a_projection(maybe_jit):
    found = maybe_jit(simplex.sparsemax)(jnp.asarray([[1.0, 0.8, 0.1], [3.0, 0, 0]]))
    np.testing.assert_allclose(found, [[0.6, 0.4, 0.0], [1.0, 0.0, 0.0]], atol=1e-6)
    inside = jnp.asarray([[0.2, 0.5, 0.3]])
    np.testing.assert_allclose(simplex.sparsemax(inside + 7), inside, atol=1e-6)


@pytest.mark.usefixtures("x64")
def test_deterministic_maps_have_their_true_gradients():
    alphas = jnp.asarray([[1.0, 0.8, 0.1, -2.0]], jnp.float64)
    check_grads(jax.jit(simplex.sparsemax), (alphas,), order=1, rtol=1e-6)
    check_grads(jax.jit(simplex.dirichlet_divergence), (alphas,), order=1, rtol=1e-5)


@pytest.mark.usefixtures("x64")
def test_dirichlet_draws_have_a_pathwise_gradient():
    """The gradient of the mean of draws is that of the distribution's mean."""
    alphas = jnp.asarray([[0.5, -0.4, 0.2]], jnp.float64)
    scale = jnp.asarray([[1.0, 2.0, 4.0]])

    def mean(alphas):
        beta = simplex.concentration(alphas)
        return (scale * beta).sum() / beta.sum()

    slope = jax.grad(lambda a, key: (scale * simplex.dirichlet(key, a)).sum())
    found = draw_many(lambda key: slope(alphas, key))
    error = found.std(axis=0) / len(found) ** 0.5
    assert (np.abs(found.mean(axis=0) - jax.grad(mean)(alphas)) < 4 * error).all()
    assert error.max() < 0.05


def test_dirichlet_draws_are_those_of_scipy():
    beta = np.asarray(simplex.concentration(ALPHAS[0]))
    np.testing.assert_allclose(beta, [1.5, np.exp(-1), 1.2], rtol=1e-6)
    draws = draw_many(lambda key: simplex.dirichlet(key, ALPHAS[:1]))[:, 0]
    marginal = stats.beta(beta[0], beta[1:].sum())
    assert stats.kstest(draws[:, 0], marginal.cdf).pvalue > 1e-3


def test_dirichlet_draws_of_several_choices_are_independent():
    alphas = {"a": ALPHAS[:1], "b": ALPHAS[:1]}
    draws = draw_many(lambda key: jnp.stack([*simplex.dirichlet(key, alphas).values()]))
    first, second = draws[:, 0, 0, 0], draws[:, 1, 0, 0]
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / len(first) ** 0.5


def test_dirichlet_divergence_by_hand():
    assert simplex.dirichlet_divergence(jnp.zeros((2, 3))) == pytest.approx(0, abs=1e-5)
    # Dirichlet(2, 1) has density 2 x on the unit interval.
    x = np.linspace(1e-6, 1, 200_001)
    wanted = np.trapezoid(2 * x * np.log(2 * x), x)
    found = simplex.dirichlet_divergence(jnp.asarray([[1.0, 0.0]]))
    assert found == pytest.approx(wanted, rel=1e-4)


def test_gumbel_draws_are_one_hot_with_the_softmax_as_probabilities():
    draws = draw_many(lambda key: simplex.gumbel(key, ALPHAS, 3.0))
    assert set(np.unique(draws)) == {0.0, 1.0}
    p = np.asarray(jax.nn.softmax(ALPHAS))
    error = np.sqrt(p * (1 - p) / len(draws))
    assert (np.abs(draws.mean(axis=0) - p) < 4 * error).all()


def test_gumbel_draws_have_the_gradient_of_the_softened_ones():
    key, scale = jax.random.key(3), jnp.arange(6.0).reshape(2, 3)

    def soft(alphas):
        noise = jax.random.gumbel(key, alphas.shape)
        return (scale * jax.nn.softmax((alphas + noise) / 2.0)).sum()

    found = jax.grad(lambda a: (scale * simplex.gumbel(key, a, 2.0)).sum())(ALPHAS)
    # log softmax and its argument differ by a constant of each row.
    np.testing.assert_allclose(found, jax.grad(soft)(ALPHAS), rtol=1e-4, atol=1e-5)


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


def test_single_path_draws_are_uniform_whatever_the_vectors():
    draws = draw_many(lambda key: simplex.uniform_one_hot(key, 100 * ALPHAS))
    assert set(np.unique(draws)) == {0.0, 1.0}
    error = np.sqrt(2 / 9 / len(draws))
    assert (np.abs(draws.mean(axis=0) - 1 / 3) < 4 * error).all()


def test_architectures_there_and_back():
    architecture = {"width": (2, 0, 1), "activation": (1,)}
    p = one_hot(architecture, CHOICES)
    assert discretise(p, CHOICES) == architecture
    assert to_architecture([2, 0, 1, 1], CHOICES) == architecture
    from_row = from_genes(jnp.asarray([2, 0, 1, 1]), CHOICES)
    jax.tree.map(np.testing.assert_array_equal, from_row, p)
    words = to_options(architecture, CHOICES)
    assert words == {"width": (8, 4, 2), "activation": ("sigmoid",)}
    largest = extreme(CHOICES, is_largest=True)
    assert to_options(largest, CHOICES)["width"] == (8, 8, 8)
    assert to_options(extreme(CHOICES, is_largest=False), CHOICES)["width"] == (2, 2, 2)


def spoil(name, values):
    p = one_hot({"width": (2, 0, 1), "activation": (1,)}, CHOICES)
    return p | {name: jnp.asarray(values)}


@pytest.mark.parametrize(
    ("check", "p", "message"),
    [
        (discretise, spoil("activation", [[0.0, np.nan]]), "'activation': not finite"),
        (discretise, spoil("activation", [[np.inf, 0.0]]), "'activation': not finite"),
        (discretise, spoil("activation", [[1.0]]), r"must be \(1, 2\), got \(1, 1\)"),
        (discretise, spoil("depth", [[1.0]]), r"choices must be \['activation'"),
        (check_probabilities, spoil("activation", [[0.5, 0.6]]), "sum to 1"),
        (check_probabilities, spoil("activation", [[1.5, -0.5]]), "be >= 0"),
    ],
)
def test_what_are_no_probabilities_is_refused(check, p, message):
    with pytest.raises(ValueError, match=message):
        check(p, CHOICES)


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a", (3,)), "needs two options or more"),
        (("a", (3, 3)), "options must differ"),
        (("a", (1, 2), "kernel"), "do not nest: all must be odd, or all even"),
        (("a", (1, 3), "kernel", 0), "num_rows must be >= 1"),
        (("a", (0, 1), "depth"), "options of kind depth do not nest"),
        (("a", (-1, 1)), "options of kind size do not nest"),
        (("a", ("x", "y")), "options of kind size do not nest"),
    ],
)
def test_bad_choices_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Choice(*arguments)
