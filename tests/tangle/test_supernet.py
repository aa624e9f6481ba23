"""Search in a supernet and networks on their own, in runs of a few steps."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from swajax.tangle.choices import one_hot
from swajax.tangle.data import digits
from swajax.tangle.data.examples import Rows
from swajax.tangle.samplers import make_sampler
from swajax.tangle.spaces import make_space
from swajax.tangle.train import standalone, supernet
from swajax.tangle.train.optimizers import SupernetConfig

SMALL = {
    "num_inputs": 2,
    "widths": (1, 4),
    "depths": (1, 2),
    "activations": ("sigmoid", "linear"),
}
CONFIG = SupernetConfig(num_steps=60, batch_size=32, alpha_learning_rate=0.1)


def make_rows(seed, num=64):
    """The second input does nothing, and a line fits."""
    x = np.random.default_rng(seed).normal(size=(num, 2)).astype(np.float32)
    return Rows(x, 2 * x[:, :1] - 0.5)


ROWS = make_rows(0), make_rows(1)


@functools.cache
def make_search(name, config=CONFIG, num=CONFIG.num_steps):
    """Start and compiled steps."""
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
    """One run in a few may be unlucky, whatever the sampler."""
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
    if name != "gdas":  # single networks find that one neuron does, too
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
    _, make, steps = make_search("spos", num=5)
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
        # By weight decay alone all others would move.
        assert (before[mask > 0] != after[mask > 0]).all()


@pytest.mark.parametrize("order", ["first", "second"])
@pytest.mark.parametrize("goal", [5.0, -5.0])
def test_the_penalty_of_a_sampler_pulls_the_vectors(order, goal):
    """Adam's first step has the length of the learning rate along each axis."""
    space = make_space("mlp", **SMALL)
    sampler = make_sampler("darts")._replace(
        penalty=lambda alphas: (
            1e3 * sum(((a - goal) ** 2).sum() for a in alphas.values())
        )
    )
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
        np.testing.assert_allclose(moved, np.sign(goal) * 0.1, rtol=1e-2)


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


def test_an_inherited_network_scores_as_the_supernet_and_gets_better_by_training():
    space = make_space("mlp", **SMALL)
    params = space.init(jax.random.key(0))
    architecture = {
        "depth": (0,),
        "width": (1, 0),
        "activation": (1, 0),
        "input": (1, 0),
    }
    rows, test = (Rows(*map(jnp.asarray, part)) for part in ROWS)
    p = one_hot(architecture, space.choices)
    start = space.take(params, architecture)
    before = standalone.score_outputs(
        space.apply_standalone(start, architecture, test.x), test, objective="squared"
    )
    loss_fn = supernet.make_loss_fn(space, "squared")
    assert before.loss == pytest.approx(float(loss_fn(params, p, test)), rel=1e-5)
    assert np.isnan(before.accuracy)
    train = functools.partial(
        standalone.train,
        space=space,
        architecture=architecture,
        objective="squared",
        config=dataclasses.replace(CONFIG, num_steps=100, learning_rate=0.05),
    )
    weights = jax.jit(train)(jax.random.key(1), start, rows)
    out = space.apply_standalone(weights, architecture, test.x)
    assert (
        standalone.score_outputs(out, test, objective="squared").loss
        < 0.05 * before.loss
    )


def test_scores_by_hand():
    out = jnp.asarray([[2.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    rows = Rows(np.zeros((3, 1), np.float32), np.float32([[1, 0], [0, 1], [0, 1]]))
    found = standalone.score_outputs(out, rows, objective="softmax")
    assert found.accuracy == pytest.approx(2 / 3)
    wanted = np.log(1 + np.exp([-2.0, -1.0, 3.0])).mean()
    assert found.loss == pytest.approx(wanted, rel=1e-5)
    binary = Rows(rows.x, np.float32([[1], [0], [0]]))
    logit = jnp.asarray([[2.0], [-1.0], [3.0]])
    assert standalone.score_outputs(logit, binary, objective="logistic").accuracy == (
        pytest.approx(2 / 3)
    )


def test_digits_are_split_by_class_without_overlap():
    split = digits.load_digits(0)
    assert [len(part.y) for part in split] == [300, 300, 1197]
    images = np.concatenate([part.x.reshape(-1, 64) for part in split])
    assert len(np.unique(images, axis=0)) == 1797
    for part in split:
        share = part.y.mean(axis=0)
        assert 0.09 < share.min() and share.max() < 0.11
    assert split.weights.x.std() == pytest.approx(1, rel=1e-4)
    other = digits.load_digits(1)
    assert (other.weights.x != split.weights.x).any()


def test_losses_that_are_not_finite_name_the_step():
    good = supernet.Losses(jnp.ones((2, 3)), jnp.ones((2, 3)))
    supernet.check_losses(good, 7)
    bad = good._replace(architecture=good.architecture.at[1, 2].set(jnp.nan))
    with pytest.raises(ValueError, match="step 9: the loss of architecture is not"):
        supernet.check_losses(bad, 7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_steps": 0}, "num_steps must be > 0, got 0"),
        ({"weight_decay": -1.0}, "weight_decay must be >= 0, got -1.0"),
        ({"order": "third"}, "order(?s:.*)'third'"),
    ],
)
def test_bad_searches_are_refused(options, message):
    with pytest.raises((ValueError, TypeError), match=message):
        SupernetConfig(**options)
