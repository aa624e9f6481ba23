"""Short runs of search steps in a supernet."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.tangle.data.examples import Rows
from swajax.tangle.samplers import make_sampler
from swajax.tangle.spaces import make_space
from swajax.tangle.train import supernet
from swajax.tangle.train.optimizers import SupernetConfig

SMALL = {
    "num_inputs": 2,
    "widths": (1, 4),
    "depths": (1, 2),
    "activations": ("sigmoid", "linear"),
}
CONFIG = SupernetConfig(num_steps=60, batch_size=32, alpha_learning_rate=0.1)


def make_rows(seed, num=64):
    """Rows of a linear function that ignores the second input."""
    x = np.random.default_rng(seed).normal(size=(num, 2)).astype(np.float32)
    return Rows(x, 2 * x[:, :1] - 0.5)


ROWS = make_rows(0), make_rows(1)


@functools.cache
def make_search(name, config=CONFIG, num=CONFIG.num_steps):
    """Return the initial state and the compiled steps."""
    space, sampler = make_space("mlp", **SMALL), make_sampler(name)
    make = functools.partial(
        supernet.make_state, space=space, sampler=sampler, config=config
    )
    steps = functools.partial(
        supernet.search_steps,
        num=num,
        space=space,
        sampler=sampler,
        loss_fn=supernet.make_loss_fn(space, "squared"),
        config=config,
    )
    return space, make, jax.jit(steps)


@pytest.mark.parametrize("name", ["darts", "drnas", "gdas"])
def test_a_search_learns_weights_and_what_is_worth_choosing(name):
    """Single runs may fail by chance with any sampler."""
    _, make, steps = make_search(name)

    def search(key):
        start_key, key = jax.random.split(key)
        return steps(make(start_key), key, 0, *ROWS)

    state, losses = jax.vmap(search)(jax.random.split(jax.random.key(0), 16))
    first, last = losses.weights[:, :5].mean(), losses.weights[:, -10:].mean()
    assert last < 0.7 * first and (losses.architecture > 0).all()
    is_used, is_wide = (
        state.alphas[choice][:, 0].argmax(axis=-1) for choice in ("input", "width")
    )
    assert is_used.mean() > 0.7
    if name != "gdas":  # one neuron is sufficient, as single networks find
        assert is_wide.mean() > 0.7
    moved = [np.median(np.ptp(a, axis=-1), axis=0) for a in state.alphas.values()]
    assert np.concatenate(moved).min() > 1e-2


def test_looking_ahead_gives_other_vectors_that_are_finite():
    _, make, steps = make_search("darts")
    config = dataclasses.replace(CONFIG, order="second")
    _, _, ahead = make_search("darts", config)
    start = make(jax.random.key(0))
    first, second = (fn(start, jax.random.key(1), 0, *ROWS)[0] for fn in (steps, ahead))
    for a, b in zip(*map(jax.tree.leaves, (first.alphas, second.alphas)), strict=True):
        assert np.isfinite(b).all()
        assert (a != b).any()


def test_single_path_leaves_the_vectors_alone():
    _, make, steps = make_search("spos", num=1)
    start = make(jax.random.key(0))
    state, losses = steps(start, jax.random.key(1), 0, *ROWS)
    jax.tree.map(np.testing.assert_array_equal, start.alphas, state.alphas)
    np.testing.assert_array_equal(losses.architecture, 0)
    assert (start.params.first != state.params.first).any()


@pytest.mark.parametrize("seed", range(4))
def test_a_step_of_a_single_path_moves_its_own_weights_only(seed):
    space, make, steps = make_search("spos", num=1)
    start, key = make(jax.random.key(0)), jax.random.key(seed)
    start = start._replace(params=jax.tree.map(lambda w: w + 0.1, start.params))
    state, _ = steps(start, key, 0, *ROWS)
    step_key = jax.random.split(jax.random.fold_in(key, 0), 3)[2]
    weight_key = jax.random.split(step_key)[1]
    p = make_sampler("spos").sample(weight_key, start.alphas, 0.0)
    leaves = map(jax.tree.leaves, (start.params, state.params, space.masks(p)))
    for before, after, mask in zip(*leaves, strict=True):
        np.testing.assert_array_equal(before[mask == 0], after[mask == 0])
        # Weight decay would move all others.
        assert (before[mask > 0] != after[mask > 0]).all()


@pytest.mark.parametrize("order", ["first", "second"])
def test_the_penalty_of_a_sampler_pulls_the_vectors(order):
    """Adam's first step has the length of the learning rate along each axis."""
    space = make_space("mlp", **SMALL)
    goals = {"depth": 5.0, "width": -5.0, "activation": 5.0, "input": -5.0}

    def penalty(alphas):
        return 1e3 * sum(((a - goals[name]) ** 2).sum() for name, a in alphas.items())

    sampler = make_sampler("darts")._replace(penalty=penalty)
    config = dataclasses.replace(CONFIG, order=order)
    how = {"space": space, "sampler": sampler, "config": config}
    start = supernet.make_state(jax.random.key(0), **how)
    loss_fn = supernet.make_loss_fn(space, "squared")
    one = jax.jit(
        functools.partial(supernet.search_steps, num=1, loss_fn=loss_fn, **how)
    )
    state, _ = one(start, jax.random.key(1), 0, *ROWS)
    for name, before in start.alphas.items():
        moved = state.alphas[name] - before
        np.testing.assert_allclose(moved, np.sign(goals[name]) * 0.1, rtol=1e-2)


def test_a_divided_search_and_one_of_several_seeds_give_the_same_numbers():
    _, make, ten = make_search("gdas", num=10)
    _, _, five = make_search("gdas", num=5)
    start, key = make(jax.random.key(0)), jax.random.key(1)
    part, _ = five(start, key, 0, *ROWS)
    part, _ = five(part, key, 5, *ROWS)
    several = jax.jit(jax.vmap(ten, in_axes=(0, 0, None, None, None)))
    pair = jax.tree.map(lambda a: jnp.stack([a, a]), (start, key))
    both, _ = several(*pair, 0, *ROWS)
    for a, b in zip(*map(jax.tree.leaves, (part, both)), strict=True):
        np.testing.assert_allclose(a, b[1], rtol=1e-3, atol=1e-5)


def test_losses_that_are_not_finite_name_the_step():
    good = supernet.Losses(jnp.ones((2, 3)), jnp.ones((2, 3)))
    supernet.check_losses(good, 7)
    bad = good._replace(architecture=good.architecture.at[1, 2].set(jnp.nan))
    with pytest.raises(ValueError, match="step 9: the loss of architecture is not"):
        supernet.check_losses(bad, 7)
