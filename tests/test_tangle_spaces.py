"""What must hold for every search space, on small ones; then what is each one's own."""

import dataclasses
import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from swajax import network
from swajax.tangle import gradients
from swajax.tangle.choices import (
    count_architectures,
    extreme,
    from_genes,
    num_options,
    one_hot,
    to_architecture,
)
from swajax.tangle.samplers import make_sampler
from swajax.tangle.space import count_weights
from swajax.tangle.spaces import SPACES, make_space, mlp

SMALL = {
    "mlp": {
        "num_inputs": 2,
        "num_outputs": 2,
        "widths": (2, 3),
        "depths": (1, 2, 3),
        "activations": ("sigmoid", "tanh"),
    },
    "digits-macro": {
        "channels": ((1, 2), (2, 3), (2, 4)),
        "kernels": ((1, 3), (1, 3, 5)),
        "num_classes": 3,
    },
}
NUM = 4
SHAPES = {"mlp": (NUM, 2), "digits-macro": (NUM, 4, 4, 1)}
CASES = list(itertools.product(SMALL, ("in", "both")))
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}


def make_case(name, sides):
    """Space, weights with biases, and inputs."""
    space = make_space(name, **SMALL[name], sides=sides)
    params = jax.eval_shape(space.init, jax.random.key(0))
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: jnp.asarray(0.5 * rng.normal(size=leaf.shape), leaf.dtype), params
    )
    return space, params, jnp.asarray(rng.normal(size=SHAPES[name]), jnp.float32)


def draw_probabilities(space, seed=0):
    rng = np.random.default_rng(seed)
    return {
        c.name: jnp.asarray(
            rng.dirichlet(np.ones(len(c.options)), c.num_rows), jnp.float32
        )
        for c in space.choices
    }


def all_genes(space):
    return np.array(list(itertools.product(*map(range, num_options(space.choices)))))


def test_there_is_a_small_case_of_every_space():
    assert set(SMALL) == set(SPACES)


@pytest.mark.parametrize(("name", "sides"), CASES)
def test_one_hot_probabilities_are_the_sliced_network(name, sides):
    space, params, x = make_case(name, sides)
    genes = np.random.default_rng(1).permutation(all_genes(space))[:8]
    p = jax.vmap(lambda row: from_genes(row, space.choices))(jnp.asarray(genes))
    found = jax.jit(jax.vmap(space.apply, in_axes=(None, 0, None)))(params, p, x)

    @jax.jit
    def alone(params):
        chosen = [to_architecture(row, space.choices) for row in genes]
        return [space.apply_alone(space.take(params, a), a, x) for a in chosen]

    for out, wanted in zip(found, alone(params), strict=True):
        np.testing.assert_allclose(out, wanted, **TOLERANCE)
    assert np.ptp(found, axis=0).min() > 1e-4


def take_ones(take_fn, params):
    """Ones where a weight is taken, zeros elsewhere."""
    taken, pull = jax.vjp(take_fn, params)
    return pull(jax.tree.map(jnp.ones_like, taken))[0]


@pytest.mark.parametrize("name", SMALL)
def test_one_hot_masks_are_what_the_slices_take(name):
    space, params, _ = make_case(name, "in")
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
    space, *_ = make_case(name, "in")
    p, genes = draw_probabilities(space), all_genes(space)
    rows = [row for c in space.choices for row in np.asarray(p[c.name])]
    share = np.prod([row[g] for row, g in zip(rows, genes.T, strict=True)], axis=0)
    assert share.sum() == pytest.approx(1, rel=1e-5)
    assert len(genes) == count_architectures(space.choices)

    @jax.jit
    def expect(genes):
        each = jax.vmap(lambda g: space.masks(from_genes(g, space.choices)))(genes)
        return jax.tree.map(lambda m: jnp.tensordot(share, m, axes=1), each)

    wanted = expect(jnp.asarray(genes))
    for found, mask in zip(
        jax.tree.leaves(space.masks(p)), jax.tree.leaves(wanted), strict=True
    ):
        np.testing.assert_allclose(found, mask, **TOLERANCE)


@pytest.mark.parametrize(("name", "sides"), CASES)
def test_every_architecture_vector_has_a_gradient(name, sides):
    space, params, x = make_case(name, sides)
    sampler = make_sampler("darts")
    alphas = sampler.init(jax.random.key(0), space.choices)

    def loss(alphas):
        out = space.apply(params, sampler.sample(jax.random.key(0), alphas, 0.0), x)
        return jnp.square(out - 1).sum()

    for gradient in jax.tree.leaves(jax.jit(jax.grad(loss))(alphas)):
        assert np.isfinite(gradient).all()
        assert np.abs(gradient).min() > 1e-6


@pytest.mark.parametrize(("name", "sides"), CASES)
def test_the_order_of_options_does_not_matter_in_a_space(name, sides):
    space, params, x = make_case(name, sides)
    turned = {
        key: turn(value) if isinstance(value, tuple) else value
        for key, value in SMALL[name].items()
    }
    other = make_space(name, **turned, sides=sides)
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


@pytest.mark.parametrize("optimizer", OPTIMIZERS.values(), ids=list(OPTIMIZERS))
@pytest.mark.parametrize("name", SMALL)
def test_a_step_of_a_sampled_network_leaves_all_other_weights(name, optimizer):
    space, params, x = make_case(name, "in")
    small, large = (extreme(space.choices, is_largest=b) for b in (False, True))

    @jax.jit
    def step(params, state, p):
        slope = jax.grad(lambda w: jnp.square(space.apply(w, p, x) - 1).sum())(params)
        return gradients.masked_update(
            slope, state, params, space.masks(p), optimizer=optimizer
        )

    params, state = step(params, optimizer.init(params), one_hot(large, space.choices))
    p = one_hot(small, space.choices)
    after, after_state = step(params, state, p)
    is_used = jax.tree.map(lambda mask: np.asarray(mask) > 0, space.masks(p))
    for old, new, used in zip(
        *map(jax.tree.leaves, (params, after, is_used)), strict=True
    ):
        np.testing.assert_array_equal(old[~used], new[~used])
        # An input that the smallest network does not read leaves no weight to move.
        assert not used.any() or (old[used] != new[used]).any()
    moments = [moments_outside(optimizer, s, is_used) for s in (state, after_state)]
    assert np.abs(moments[0]).max() > 0
    np.testing.assert_array_equal(*moments)


@pytest.mark.parametrize(("sides", "power"), [("in", 1), ("both", 2)])
def test_the_survival_of_a_neuron_enters_once_by_readers(sides, power):
    config = mlp.MlpConfig(
        num_inputs=2, widths=(2, 3), depths=(1, 2), activations=("linear", "tanh")
    )
    space = mlp.make_mlp(dataclasses.replace(config, sides=sides))
    params = space.init(jax.random.key(0))
    p = one_hot(extreme(space.choices, is_largest=True), space.choices)
    p["depth"] = jnp.asarray([[1.0, 0.0]])

    def path(share):
        """The way from the inputs through the last neuron of the first layer."""
        width = p["width"].at[0].set(jnp.stack([1 - share, share]))
        out = lambda w: space.apply(w, p | {"width": width}, jnp.ones((1, 2)))  # noqa: E731
        slope = jax.grad(lambda w: out(w).sum())(params)
        return slope.first[0, 2]

    path = jax.jit(path)
    np.testing.assert_allclose(path(0.4), 0.4**power * path(1.0), rtol=1e-5)


def test_a_perceptron_becomes_the_record_of_a_network(maybe_jit):
    config = mlp.MlpConfig(**SMALL["mlp"])
    space, params, x = make_case("mlp", "in")
    for row in np.random.default_rng(2).permutation(all_genes(space))[:4]:
        architecture = to_architecture(row, space.choices)
        taken = mlp.to_network(params, architecture, config=config)
        apply = maybe_jit(network.apply, static_argnames="activations")
        found = apply(taken, x, activations=config.activations)
        wanted = space.apply(params, one_hot(architecture, space.choices), x)
        np.testing.assert_allclose(found, wanted, **TOLERANCE)
        num = network.count_weights(taken)
        assert int(num) == count_weights(space, architecture)


def test_digits_macro_has_243_networks_at_the_stated_sizes():
    space = make_space("digits-macro")
    assert count_architectures(space.choices) == 243
    large = extreme(space.choices, is_largest=True)
    # 3*3*1*12 + 5*5*12*16 + 5*5*16*24 + 24*10, and the biases
    wanted = 108 + 4800 + 9600 + 240 + 12 + 16 + 24 + 10
    assert count_weights(space, large) == wanted
    small = extreme(space.choices, is_largest=False)
    assert count_weights(space, small) == 36 + 32 + 64 + 80 + 4 + 8 + 8 + 10


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nasbench", {}, r"space must be one of \['mlp', 'digits-macro'\]"),
        ("mlp", {"width": (2, 3)}, "space mlp: .*unexpected keyword argument 'width'"),
        ("mlp", {"widths": (3,)}, "'width': needs two options or more"),
        ("mlp", {"widths": (3, 3)}, "'width': options must differ"),
        ("mlp", {"depths": ()}, "'depth': needs two options or more"),
        ("mlp", {"widths": (0, 3)}, "widths must be >= 1"),
        ("mlp", {"widths": (2, 2.5)}, r"width(?s:.*)\(2, 2\.5\)"),
        ("mlp", {"depths": (0, 1)}, "'depth': options of kind depth do not nest"),
        ("mlp", {"activations": ("relu", "tanh")}, r"got \['relu'\]"),
        ("mlp", {"sides": "out"}, "sides(?s:.*)'out'"),
        ("digits-macro", {"kernels": ((1, 3),)}, "kernels for 2"),
        ("digits-macro", {"kernels": ((1, 2), (1, 3))}, "kernels must be odd"),
        ("digits-macro", {"kernels": ((3,), (1, 3))}, "'kernel2': needs two options"),
        ("digits-macro", {"channels": ((1, 2), (0, 1), (1, 2))}, "channels must be"),
        ("digits-macro", {"first_kernel": 2}, "kernels must be odd"),
    ],
)
def test_bad_spaces_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        make_space(name, **options)
