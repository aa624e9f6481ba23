"""Properties of every search space, at small sizes; each case is compiled once."""

import functools
import itertools

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

NUM = 3  # number of compared networks per space


@functools.cache
def compile_case(name, masking="input"):
    """Space, weights, inputs, and a function that returns outputs and gradients."""
    space, params, x = make_case(name, masking)

    def loss_fn(params, p):
        out = space.apply(params, p, x)
        return jnp.square(out - 1).sum(), out

    @jax.jit
    def evaluate(params, p):
        (_, out), slopes = jax.value_and_grad(loss_fn, (0, 1), has_aux=True)(params, p)
        return out, *slopes

    return space, params, x, evaluate


def choose_networks(space):
    genes = np.random.default_rng(1).permutation(all_genes(space))[:NUM]
    return [to_architecture(row, space.choices) for row in genes]


@functools.cache
def evaluate_standalone(name):
    """Outputs of the sliced networks, which do not depend on the form."""
    space, params, x = make_case(name)

    @jax.jit
    def apply(params):
        return [
            space.apply_standalone(space.take(params, a), a, x)
            for a in choose_networks(space)
        ]

    return apply(params)


@functools.cache
def find_all_masks(name):
    """Genes of all networks, a mixture, and stacked masks, that of the mixture last."""
    space, *_ = make_case(name)
    genes = all_genes(space)
    hard = jax.vmap(lambda row: from_genes(row, space.choices))(jnp.asarray(genes))
    p = draw_probabilities(space)
    stacked = jax.tree.map(lambda a, b: jnp.concatenate([a, b[None]]), hard, p)
    return genes, p, jax.device_get(jax.jit(jax.vmap(space.masks))(stacked))


def test_every_space_has_a_small_case():
    assert {name.split(",")[0] for name in SMALL} == set(SPACES)


@pytest.mark.parametrize(("name", "masking"), CASES)
def test_one_hot_probabilities_are_the_sliced_network(name, masking):
    space, params, _, evaluate = compile_case(name, masking)
    networks = choose_networks(space)
    found = [evaluate(params, one_hot(a, space.choices))[0] for a in networks]
    for out, wanted in zip(found, evaluate_standalone(name), strict=True):
        np.testing.assert_allclose(out, wanted, **TOLERANCE)
    assert np.ptp(found, axis=0).min() > 1e-4


@pytest.mark.parametrize(("name", "masking"), CASES)
def test_every_architecture_vector_has_a_gradient(name, masking):
    space, params, _, evaluate = compile_case(name, masking)
    sampler = make_sampler("darts")
    alphas = sampler.init(jax.random.key(0), space.choices)
    p, pull = jax.vjp(lambda a: sampler.sample(jax.random.key(0), a, 0.0), alphas)
    (slopes,) = pull(evaluate(params, p)[2])
    for gradient in jax.tree.leaves(slopes):
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).min() > 1e-6


@pytest.mark.parametrize(("name", "masking"), CASES)
def test_values_that_are_no_probabilities_are_refused_outside_jit(name, masking):
    space = make_small(name, masking)
    p = one_hot(extreme(space.choices, is_largest=True), space.choices)
    first, x = space.choices[0].name, jnp.zeros(())  # never read
    with pytest.raises(ValueError, match=f"choice '{first}': not finite"):
        space.apply(None, p | {first: p[first].at[0, 0].set(jnp.nan)}, x)
    with pytest.raises(ValueError, match=f"choice '{first}': .* sum to 1"):
        space.apply(None, p | {first: 2 * p[first]}, x)
    with pytest.raises(ValueError, match="choices must be"):
        space.apply(None, {}, x)


@pytest.mark.parametrize("name", SMALL)
def test_masks_have_the_shapes_of_the_weights_that_are_drawn(name):
    space, *_ = make_case(name)
    *_, found = find_all_masks(name)
    drawn = jax.eval_shape(space.init, jax.random.key(0))
    assert jax.tree.structure(found) == jax.tree.structure(drawn)
    for mask, leaf in zip(*map(jax.tree.leaves, (found, drawn)), strict=True):
        assert mask.shape[1:] == leaf.shape


@pytest.mark.parametrize("name", SMALL)
def test_one_hot_masks_are_what_the_slices_take(name):
    space, params, _ = make_case(name)
    genes, _, masks = find_all_masks(name)
    sizes = [leaf.size for leaf in jax.tree.leaves(params)]
    ends = [0, *itertools.accumulate(sizes)]
    numbers = [np.arange(*part) for part in itertools.pairwise(ends)]
    shapes = [leaf.shape for leaf in jax.tree.leaves(params)]
    numbers = [n.reshape(shape) for n, shape in zip(numbers, shapes, strict=True)]
    numbered = jax.tree.unflatten(jax.tree.structure(params), numbers)
    for row in np.random.default_rng(1).permutation(len(genes))[:20]:
        architecture = to_architecture(genes[row], space.choices)
        taken = jax.tree.leaves(space.take(numbered, architecture))
        wanted = np.sort(np.concatenate([leaf.ravel() for leaf in taken]))
        kept = np.concatenate([m[row].ravel() for m in jax.tree.leaves(masks)])
        assert set(np.unique(kept)) <= {0, 1}
        np.testing.assert_array_equal(np.flatnonzero(kept), wanted)
    assert count_weights(space, architecture) == len(wanted)


@pytest.mark.parametrize("name", SMALL)
def test_masks_are_the_mean_over_all_networks_by_probability(name):
    space, *_ = make_case(name)
    genes, p, masks = find_all_masks(name)
    rows = [row for c in space.choices for row in np.asarray(p[c.name])]
    share = np.prod([row[g] for row, g in zip(rows, genes.T, strict=True)], axis=0)
    assert share.sum() == pytest.approx(1, rel=1e-5)
    for mask in jax.tree.leaves(masks):
        wanted = np.tensordot(share, mask[:-1], axes=1)
        np.testing.assert_allclose(mask[-1], wanted, **TOLERANCE)


@pytest.mark.parametrize("name", SMALL)
def test_networks_that_differ_in_absent_layers_are_counted_once(name):
    space, params, _, evaluate = compile_case(name)
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
            outs.append(evaluate(params, one_hot(architecture, space.choices))[0])
        assert sizes[0] == sizes[1]
        np.testing.assert_allclose(*outs, **TOLERANCE)


@pytest.mark.parametrize("name", SMALL)
def test_the_order_of_options_does_not_matter(name):
    space, params, x, evaluate = compile_case(name)
    turned = {
        key: turn(value) if isinstance(value, tuple) else value
        for key, value in SMALL[name].items()
    }
    other = make_small(name, **turned)
    p = draw_probabilities(space)
    flipped = {
        c.name: p[c.name] if c == d else p[c.name][:, ::-1]
        for c, d in zip(space.choices, other.choices, strict=True)
    }
    assert any(c != d for c, d in zip(space.choices, other.choices, strict=True))
    found = jax.jit(other.apply)(params, flipped, x)
    np.testing.assert_allclose(found, evaluate(params, p)[0], **TOLERANCE)


def turn(options):
    """Reverse the options of each choice."""
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
    """Optimizer moments of unused weights."""
    found = []
    optax.tree_utils.tree_map_params(
        optimizer, lambda leaf, used: found.append(leaf[~used]), state, is_used
    )
    return np.concatenate(found)


@pytest.mark.parametrize(
    ("name", "optimizer"), [("mlp", "momentum"), *((name, "adamw") for name in SMALL)]
)
def test_a_step_of_a_sampled_network_leaves_all_other_weights(name, optimizer):
    space, params, _, evaluate = compile_case(name)
    optimizer = OPTIMIZERS[optimizer]
    small, large = (
        one_hot(extreme(space.choices, is_largest=b), space.choices)
        for b in (False, True)
    )

    @jax.jit
    def update(slope, state, params, p):
        masks = space.masks(p)
        moved = gradients.masked_update(
            slope, state, params, masks, optimizer=optimizer
        )
        return *moved, jax.tree.map(lambda mask: mask > 0, masks)

    state = jax.jit(optimizer.init)(params)
    params, state, _ = update(evaluate(params, large)[1], state, params, large)
    after, after_state, is_used = jax.device_get(
        update(evaluate(params, small)[1], state, params, small)
    )
    params, state = jax.device_get((params, state))
    for old, new, used in zip(
        *map(jax.tree.leaves, (params, after, is_used)), strict=True
    ):
        np.testing.assert_array_equal(old[~used], new[~used])
        # An input that the smallest network does not read leaves no weight to move.
        assert not used.any() or (old[used] != new[used]).any()
    moments = [moments_outside(optimizer, s, is_used) for s in (state, after_state)]
    assert np.abs(moments[0]).max() > 0
    np.testing.assert_array_equal(*moments)
