"""What must hold for every search space, on small ones."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tangle_cases import (
    CASES,
    SMALL,
    TOLERANCE,
    all_genes,
    draw_probabilities,
    make_case,
    make_small,
)

from swajax.tangle.choices import (
    clear_absent,
    count_architectures,
    extreme,
    from_genes,
    one_hot,
    to_architecture,
)
from swajax.tangle.samplers import make_sampler
from swajax.tangle.spaces import SPACES
from swajax.tangle.spaces.base import count_weights
from swajax.tangle.train import gradients


def test_there_is_a_small_case_of_every_space():
    assert {name.split(",")[0] for name in SMALL} == set(SPACES)


@pytest.mark.parametrize(("name", "masking"), CASES)
def test_one_hot_probabilities_are_the_sliced_network(name, masking):
    space, params, x = make_case(name, masking)
    genes = np.random.default_rng(1).permutation(all_genes(space))[:5]
    p = jax.vmap(lambda row: from_genes(row, space.choices))(jnp.asarray(genes))
    found = jax.jit(jax.vmap(space.apply, in_axes=(None, 0, None)))(params, p, x)

    @jax.jit
    def alone(params):
        chosen = [to_architecture(row, space.choices) for row in genes]
        return [space.apply_standalone(space.take(params, a), a, x) for a in chosen]

    for out, wanted in zip(found, alone(params), strict=True):
        np.testing.assert_allclose(out, wanted, **TOLERANCE)
    assert np.ptp(found, axis=0).min() > 1e-4


@pytest.mark.parametrize(("name", "masking"), CASES)
def test_what_are_no_probabilities_is_refused_outside_jit(name, masking):
    space = make_small(name, masking)
    p = one_hot(extreme(space.choices, is_largest=True), space.choices)
    first, x = space.choices[0].name, jnp.zeros(())  # which is not looked at
    with pytest.raises(ValueError, match=f"choice '{first}': not finite"):
        space.apply(None, p | {first: p[first].at[0, 0].set(jnp.nan)}, x)
    with pytest.raises(ValueError, match=f"choice '{first}': .* sum to 1"):
        space.apply(None, p | {first: 2 * p[first]}, x)
    with pytest.raises(ValueError, match="choices must be"):
        space.apply(None, {}, x)


def take_ones(take_fn, params):
    """Ones where a weight is taken, zeros elsewhere."""
    taken, pull = jax.vjp(take_fn, params)
    return pull(jax.tree.map(jnp.ones_like, taken))[0]


@pytest.mark.parametrize("name", SMALL)
def test_one_hot_masks_are_what_the_slices_take(name):
    space, params, _ = make_case(name, "input")
    masks = jax.jit(space.masks)
    for row in np.random.default_rng(1).permutation(all_genes(space))[:3]:
        architecture = to_architecture(row, space.choices)
        found = masks(one_hot(architecture, space.choices))
        take = functools.partial(space.take, architecture=architecture)
        wanted = jax.jit(functools.partial(take_ones, take))(params)
        jax.tree.map(np.testing.assert_array_equal, found, wanted)
        num = sum(int(mask.sum()) for mask in jax.tree.leaves(found))
        assert num == count_weights(space, architecture)


@pytest.mark.parametrize("name", SMALL)
def test_masks_are_the_sum_over_all_networks_by_probability(name):
    space, *_ = make_case(name, "input")
    p, genes = draw_probabilities(space), all_genes(space)
    rows = [row for c in space.choices for row in np.asarray(p[c.name])]
    share = np.prod([row[g] for row, g in zip(rows, genes.T, strict=True)], axis=0)
    assert share.sum() == pytest.approx(1, rel=1e-5)

    @jax.jit
    def expect(genes):
        each = jax.vmap(lambda g: space.masks(from_genes(g, space.choices)))(genes)
        return jax.tree.map(lambda m: jnp.tensordot(share, m, axes=1), each)

    wanted = expect(jnp.asarray(genes))
    for found, mask in zip(
        jax.tree.leaves(jax.jit(space.masks)(p)), jax.tree.leaves(wanted), strict=True
    ):
        np.testing.assert_allclose(found, mask, **TOLERANCE)


@pytest.mark.parametrize("name", SMALL)
def test_networks_are_counted_once_whatever_absent_layers_would_be(name):
    space, params, x = make_case(name, "input")
    genes = jnp.asarray(all_genes(space))
    cleared = np.asarray(clear_absent(genes, space.choices))
    _, places = np.unique(cleared, axis=0, return_inverse=True)
    assert places.max() + 1 == count_architectures(space.choices)
    is_changed = (cleared != genes).any(axis=1)
    assert is_changed.any() == (name in ("mlp", "digits-vit", "chars-gpt"))
    for row in np.flatnonzero(is_changed)[:3]:
        sizes, outs = [], []
        for each in (genes[row], cleared[row]):
            architecture = to_architecture(np.asarray(each), space.choices)
            sizes.append(count_weights(space, architecture))
            outs.append(space.apply(params, one_hot(architecture, space.choices), x))
        assert sizes[0] == sizes[1]
        np.testing.assert_allclose(*outs, **TOLERANCE)


@pytest.mark.parametrize(("name", "masking"), CASES)
def test_every_architecture_vector_has_a_gradient(name, masking):
    space, params, x = make_case(name, masking)
    sampler = make_sampler("darts")
    alphas = sampler.init(jax.random.key(0), space.choices)

    def loss(alphas):
        out = space.apply(params, sampler.sample(jax.random.key(0), alphas, 0.0), x)
        return jnp.square(out - 1).sum()

    for gradient in jax.tree.leaves(jax.jit(jax.grad(loss))(alphas)):
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).min() > 1e-6


@pytest.mark.parametrize("name", SMALL)
def test_the_order_of_options_does_not_matter_in_a_space(name):
    space, params, x = make_case(name, "input")
    turned = {
        key: turn(value) if isinstance(value, tuple) else value
        for key, value in SMALL[name].items()
    }
    other = make_small(name, "input", **turned)
    p = draw_probabilities(space)
    flipped = {
        c.name: p[c.name] if c == d else p[c.name][:, ::-1]
        for c, d in zip(space.choices, other.choices, strict=True)
    }
    assert any(c != d for c, d in zip(space.choices, other.choices, strict=True))
    found = jax.jit(other.apply)(params, flipped, x)
    wanted = jax.jit(space.apply)(params, p, x)
    np.testing.assert_allclose(found, wanted, **TOLERANCE)


def turn(options):
    """The options of each choice in reverse."""
    if isinstance(options[0], tuple):
        return tuple(map(turn, options))
    return options[::-1]


OPTIMIZERS = {
    "momentum": optax.chain(
        optax.clip_by_global_norm(5.0),
        optax.add_decayed_weights(0.1),
        optax.sgd(0.1, momentum=0.9, nesterov=True),
    ),
    "adamw": optax.adamw(0.1, weight_decay=0.1),
}


def moments_outside(optimizer, state, is_used):
    """The numbers that an optimizer keeps of weights that are not used."""
    found = []
    optax.tree_utils.tree_map_params(
        optimizer, lambda leaf, used: found.append(leaf[~used]), state, is_used
    )
    return np.concatenate(found)


@pytest.mark.parametrize(
    ("name", "optimizer"), [("mlp", "momentum"), *((name, "adamw") for name in SMALL)]
)
def test_a_step_of_a_sampled_network_leaves_all_other_weights(name, optimizer):
    (space, params, x), optimizer = make_case(name, "input"), OPTIMIZERS[optimizer]
    small, large = (extreme(space.choices, is_largest=b) for b in (False, True))

    @jax.jit
    def step(params, state, p):
        slope = jax.grad(lambda w: jnp.square(space.apply(w, p, x) - 1).sum())(params)
        return gradients.masked_update(
            slope, state, params, space.masks(p), optimizer=optimizer
        )

    state = jax.jit(optimizer.init)(params)
    params, state = step(params, state, one_hot(large, space.choices))
    p = one_hot(small, space.choices)
    after, after_state = jax.device_get(step(params, state, p))
    params, state = jax.device_get((params, state))
    is_used = jax.tree.map(lambda mask: np.asarray(mask) > 0, jax.jit(space.masks)(p))
    for old, new, used in zip(
        *map(jax.tree.leaves, (params, after, is_used)), strict=True
    ):
        np.testing.assert_array_equal(old[~used], new[~used])
        # An input that the smallest network does not read leaves no weight to move.
        assert not used.any() or (old[used] != new[used]).any()
    moments = [moments_outside(optimizer, s, is_used) for s in (state, after_state)]
    assert np.abs(moments[0]).max() > 0
    np.testing.assert_array_equal(*moments)
