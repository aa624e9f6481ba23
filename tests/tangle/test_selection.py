"""Random search and evolution over architectures."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.tangle import selection
from swajax.tangle.choices import Choice, from_genes, num_options

CHOICES = (
    Choice("width", (1, 2, 3, 4), "size", num_rows=5),
    Choice("activation", ("tanh", "sigmoid", "linear"), "operation", num_rows=5),
)
COSTS = {
    c.name: np.random.default_rng(c.num_rows + len(c.options)).normal(
        size=(c.num_rows, len(c.options))
    )
    for c in CHOICES
}
BEST = sum(cost.min(axis=1).sum() for cost in COSTS.values())


def cost_of(probabilities):
    """A different cost for each option."""
    return sum((COSTS[name] * p).sum() for name, p in probabilities.items())


def costs_of(genes):
    return jax.vmap(lambda row: cost_of(from_genes(row, CHOICES)))(genes)


def check_selection(found, num):
    np.testing.assert_allclose(found.losses, costs_of(found.genes), rtol=1e-4)
    assert found.genes.shape == (num, len(num_options(CHOICES)))
    assert (np.diff(found.losses) >= 0).all()
    assert len(np.unique(found.genes, axis=0)) == num


def test_random_search_gives_the_best_that_it_drew():
    search = functools.partial(selection.random_search, loss_fn=cost_of, num=57)
    search = functools.partial(search, choices=CHOICES, num_kept=3)
    key = jax.random.key(0)
    found = jax.jit(lambda key: search(key))(key)
    check_selection(found, 3)
    drawn = selection.draw_genes(key, CHOICES, num=57)
    np.testing.assert_allclose(found.losses, np.sort(costs_of(drawn))[:3], rtol=1e-4)
    assert (drawn.max(axis=0) == np.asarray(num_options(CHOICES)) - 1).all()


def test_evolution_finds_what_random_search_does_not():
    config = selection.EvolutionConfig(num_rounds=15)
    search = jax.jit(
        functools.partial(
            selection.evolve, loss_fn=cost_of, choices=CHOICES, config=config
        )
    )
    num = config.num_children * (config.num_rounds + 1)
    other = jax.jit(
        functools.partial(
            selection.random_search, loss_fn=cost_of, choices=CHOICES, num=num
        )
    )
    for seed in range(3):
        found = search(jax.random.key(seed))
        check_selection(found, config.num_kept)
        assert found.losses[0] == pytest.approx(BEST, abs=0.2)
        assert found.losses[0] < other(jax.random.key(seed)).losses[0] - 0.5


def test_known_children_are_redrawn():
    """With few mutations and one parent, every child would equal the parent."""
    parents = selection.draw_genes(jax.random.key(0), CHOICES, num=1)
    config = selection.EvolutionConfig(mutation_rate=1e-6)
    breed = jax.jit(functools.partial(selection._breed, choices=CHOICES, config=config))
    children = np.asarray(breed(jax.random.key(1), parents))
    assert children.shape == (50, 10)
    assert len(np.unique(children, axis=0)) == 50
    assert (children != np.asarray(parents)).any(axis=1).all()
    # Drawn like the first networks: from all options, not near the parent.
    assert (children.max(axis=0) == np.asarray(num_options(CHOICES)) - 1).all()


def test_networks_that_differ_in_absent_layers_are_one():
    choices = (
        Choice("depth", (1, 3), "depth"),
        Choice("width", (1, 2), "size", num_rows=3, is_layered=True),
        Choice("input", (0, 1), "size", num_rows=2),
    )

    def cost(p):
        """A cost that depends only on the depth, the first layer and one input."""
        return p["depth"][0, 1] + p["width"][0, 1] + p["input"][0, 1]

    config = selection.EvolutionConfig(num_rounds=3, num_kept=4)
    search = functools.partial(
        selection.evolve, loss_fn=cost, choices=choices, config=config
    )
    found = jax.jit(lambda key: search(key))(jax.random.key(0))
    # Two networks cost nothing, for any genes of absent layers.
    np.testing.assert_array_equal(found.losses, [0, 0, 1, 1])
    of_best = np.asarray(found.genes)[:2]
    assert (of_best[:, :2] == 0).all() and set(of_best[:, 5]) == {0, 1}


def test_mutations_change_genes_at_their_rate():
    parents = selection.draw_genes(jax.random.key(0), CHOICES, num=1)
    config = selection.EvolutionConfig(
        num_mutated=400, num_crossed=0, mutation_rate=0.5, num_kept=1
    )
    breed = jax.jit(functools.partial(selection._breed, choices=CHOICES, config=config))
    children = breed(jax.random.key(1), parents)
    # With 4 and 3 options, some draws repeat the same option.
    wanted = 0.5 * np.array([3 / 4] * 5 + [2 / 3] * 5)
    found = np.mean(np.asarray(children) != np.asarray(parents), axis=0)
    np.testing.assert_allclose(found, wanted, atol=0.1)


def test_losses_that_are_not_finite_are_never_chosen():
    config = selection.EvolutionConfig(num_rounds=2)

    @jax.jit
    def search(key, bad):
        def spoiled(p):
            is_bad = p["width"][0, 0] + p["width"][0, 1] > 0
            return jnp.where(is_bad, bad, cost_of(p))

        return selection.evolve(key, spoiled, CHOICES, config=config)

    for bad in (np.nan, -np.inf):
        found = search(jax.random.key(0), bad)
        assert np.isfinite(found.losses).all()
        assert (found.genes[:, 0] >= 2).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_rounds": 0}, "num_rounds must be >= 1"),
        ({"num_mutated": 0, "num_crossed": 0}, "not both 0"),
        ({"num_kept": 51}, "num_kept must be <= 50"),
        ({"mutation_rate": 0.0}, r"mutation_rate must be in \(0, 1\]"),
    ],
)
def test_bad_evolutions_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        selection.EvolutionConfig(**options)
