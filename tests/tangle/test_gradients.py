"""Gradients of architecture vectors against finite differences, and selection."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from swajax.tangle import selection
from swajax.tangle.choices import Choice, from_genes, num_options, one_hot
from swajax.tangle.samplers import make_sampler
from swajax.tangle.spaces import make_space
from swajax.tangle.train import gradients
from swajax.tangle.train.optimizers import (
    SupernetConfig,
    make_alpha_optimizer,
    scale_by_per_weight_adam,
)

RATE, DECAY, MOMENTUM = 0.3, 0.1, 0.9
SPACE = {
    "num_inputs": 2,
    "widths": (1, 2),
    "depths": (1, 2),
    "activations": ("sigmoid", "tanh"),
}
STEP = 1e-5  # of finite differences


def make_problem(projection):
    """Loss, vectors to probabilities, and a point in doubles."""
    space, rng = make_space("mlp", **SPACE), np.random.default_rng(0)
    sampler = make_sampler("darts", projection=projection)

    def loss_fn(params, p, batch):
        x, y = batch
        return jnp.square(space.apply(params, p, x) - y).mean()

    def draw(tree, scale=1.0):
        return jax.tree.map(
            lambda a: jnp.asarray(scale * rng.normal(size=a.shape)), tree
        )

    alphas = draw(sampler.init(jax.random.key(0), space.choices), 0.2)
    params = draw(jax.eval_shape(space.init, jax.random.key(0)))
    batches = [(rng.normal(size=(6, 2)), rng.normal(size=(6, 1))) for _ in range(2)]
    sample_fn = functools.partial(sampler.sample, jax.random.key(0), progress=0.0)
    how = {"loss_fn": loss_fn, "sample_fn": sample_fn}
    return alphas, params, jax.tree.map(jnp.asarray, batches), how, draw


def differ(value_fn, tree, direction):
    """Slope of a function along a direction, by a central difference."""
    ends = [
        value_fn(jax.tree.map(lambda a, d, s=sign: a + s * STEP * d, tree, direction))
        for sign in (1, -1)
    ]
    return (ends[0] - ends[1]) / (2 * STEP)


def dot(first, second):
    products = jax.tree.map(lambda a, b: (a * b).sum(), first, second)
    return sum(jax.tree.leaves(products))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("projection", ["softmax", "sparsemax"])
def test_the_first_order_gradient_is_that_of_the_loss(projection):
    alphas, params, (batch, _), how, draw = make_problem(projection)
    first = jax.jit(functools.partial(gradients.first_order, **how))
    loss, gradient = first(alphas, params, batch)

    @jax.jit
    def value(alphas):
        return how["loss_fn"](params, how["sample_fn"](alphas), batch)

    assert loss == pytest.approx(float(value(alphas)), rel=1e-9)
    for _ in range(3):
        direction = draw(alphas)
        wanted = differ(value, alphas, direction)
        np.testing.assert_allclose(dot(gradient, direction), wanted, rtol=1e-5)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("projection", ["softmax", "sparsemax"])
def test_the_second_order_gradient_is_that_of_the_loss_after_a_step(projection):
    alphas, params, (batch, weight_batch), how, draw = make_problem(projection)
    optimizer = optax.chain(
        optax.add_decayed_weights(DECAY), optax.sgd(RATE, momentum=MOMENTUM)
    )
    # One step first, so that there is momentum.
    buffer = draw(params, 0.1)
    _, state = optimizer.update(buffer, optimizer.init(params), params)
    buffer = jax.tree.map(lambda b, w: b + DECAY * w, buffer, params)
    # What the network that is drawn does not have stays as it is.
    mask = jax.tree.map(lambda w: jnp.asarray(w > -0.5, w.dtype), params)
    second = functools.partial(
        gradients.second_order, mask_fn=lambda p: mask, optimizer=optimizer, **how
    )
    loss, gradient = jax.jit(second)(alphas, params, batch, weight_batch, state)

    @jax.jit
    def value(alphas):
        """By hand: w - rate (momentum buffer + gradient + decay w)."""
        p = how["sample_fn"](alphas)
        slope = jax.grad(how["loss_fn"])(params, p, weight_batch)
        moved = jax.tree.map(
            lambda w, b, g, m: w - m * RATE * (MOMENTUM * b + g + DECAY * w),
            params,
            buffer,
            slope,
            mask,
        )
        return how["loss_fn"](moved, p, batch)

    assert loss == pytest.approx(float(value(alphas)), rel=1e-9)
    for _ in range(3):
        direction = draw(alphas)
        wanted = differ(value, alphas, direction)
        np.testing.assert_allclose(dot(gradient, direction), wanted, rtol=1e-5)
    _, first = jax.jit(functools.partial(gradients.first_order, **how))(
        alphas, params, batch
    )
    assert abs(dot(first, direction) / dot(gradient, direction) - 1) > 1e-2


def test_adam_counts_the_steps_of_each_weight():
    own, plain = scale_by_per_weight_adam(), optax.scale_by_adam(eps_root=1e-12)
    rng = np.random.default_rng(0)
    slopes = jnp.asarray(rng.normal(size=(12, 3)), jnp.float32)
    params = {"w": jnp.ones(3)}
    state = own.init(params)
    for step, slope in enumerate(slopes):
        # The first always, the second every third step, the last not once.
        mask = {"w": jnp.asarray([1.0, step % 3 == 1, 0.0])}
        params, state = gradients.masked_update(
            {"w": slope}, state, params, mask, optimizer=own
        )
    for place, steps in enumerate([range(12), range(1, 12, 3), ()]):
        wanted = jnp.ones(1)
        plain_state = plain.init(wanted)
        for step in steps:
            move, plain_state = plain.update(slopes[step, [place]], plain_state)
            wanted = wanted + move
        np.testing.assert_allclose(params["w"][place], wanted[0], rtol=1e-5)
    np.testing.assert_array_equal(state.count["w"], [12, 4, 0])


def test_the_architecture_optimizer_decays_vectors_by_their_gradient():
    """As torch's Adam does: a decay on its own moves by the whole learning rate."""
    config = SupernetConfig(alpha_learning_rate=0.01)
    optimizer = make_alpha_optimizer(config)
    alphas = {"a": jnp.asarray([2.0, -3.0])}
    zero = jax.tree.map(jnp.zeros_like, alphas)
    updates, _ = optimizer.update(zero, optimizer.init(alphas), alphas)
    np.testing.assert_allclose(updates["a"], [-0.01, 0.01], rtol=1e-3)


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
    """Each option costs something of its own."""
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


def test_children_that_are_known_are_drawn_anew():
    """Almost no mutations and one parent: every child would be that parent."""
    parents = selection.draw_genes(jax.random.key(0), CHOICES, num=1)
    config = selection.EvolutionConfig(mutation_rate=1e-6)
    breed = jax.jit(functools.partial(selection._breed, choices=CHOICES, config=config))
    children = np.asarray(breed(jax.random.key(1), parents))
    assert children.shape == (50, 10)
    assert len(np.unique(children, axis=0)) == 50
    assert (children != np.asarray(parents)).any(axis=1).all()
    # Drawn as the first ones are: from all options, not around the parent.
    assert (children.max(axis=0) == np.asarray(num_options(CHOICES)) - 1).all()


def test_networks_that_differ_in_absent_layers_are_one():
    choices = (
        Choice("depth", (1, 3), "depth"),
        Choice("width", (1, 2), "size", num_rows=3, is_layered=True),
        Choice("input", (0, 1), "size", num_rows=2),
    )

    def cost(p):
        """Nothing but the depth and the first layer matters, and one of the inputs."""
        return p["depth"][0, 1] + p["width"][0, 1] + p["input"][0, 1]

    config = selection.EvolutionConfig(num_rounds=3, num_kept=4)
    search = functools.partial(
        selection.evolve, loss_fn=cost, choices=choices, config=config
    )
    found = jax.jit(lambda key: search(key))(jax.random.key(0))
    # Two networks cost nothing, whatever stands for the layers that they have not.
    np.testing.assert_array_equal(found.losses, [0, 0, 1, 1])
    of_best = np.asarray(found.genes)[:2]
    assert (of_best[:, :2] == 0).all() and set(of_best[:, 5]) == {0, 1}


@pytest.mark.parametrize("index", [(4, 0, 0, 0, 0), (-1, 0, 0, 0, 0), (0, 0), (9,)])
def test_what_is_no_option_is_no_architecture(index):
    with pytest.raises(ValueError, match=r"'width': 5 indices in 0\.\.3 are needed"):
        one_hot({"width": index, "activation": (0,) * 5}, CHOICES)


def test_mutations_change_genes_at_their_rate():
    parents = selection.draw_genes(jax.random.key(0), CHOICES, num=1)
    config = selection.EvolutionConfig(
        num_mutated=400, num_crossed=0, mutation_rate=0.5, num_kept=1
    )
    children = selection._breed(jax.random.key(1), parents, CHOICES, config)
    # Of 4 and of 3 options the same one is drawn again now and then.
    wanted = 0.5 * np.array([3 / 4] * 5 + [2 / 3] * 5)
    found = np.mean(np.asarray(children) != np.asarray(parents), axis=0)
    np.testing.assert_allclose(found, wanted, atol=0.1)


@pytest.mark.parametrize("bad", [np.nan, -np.inf])
def test_losses_that_are_not_finite_are_never_chosen(bad):
    def spoiled(p):
        return jnp.where(p["width"][0, 0] + p["width"][0, 1] > 0, bad, cost_of(p))

    config = selection.EvolutionConfig(num_rounds=2)
    search = functools.partial(selection.evolve, choices=CHOICES, config=config)
    found = jax.jit(lambda key: search(key, spoiled))(jax.random.key(0))
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
