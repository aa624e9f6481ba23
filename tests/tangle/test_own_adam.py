"""What is each search space's own: sizes, forms of the paper, and refusals."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tangle_cases import (
    NUM,
    SMALL,
    TOLERANCE,
    all_genes,
    draw_probabilities,
    make_case,
    make_small,
)

from swajax import network
from swajax.tangle.choices import count_architectures, extreme, one_hot, to_architecture
from swajax.tangle.layers import operations
from swajax.tangle.spaces import cells, make_space, mlp
from swajax.tangle.spaces.base import count_weights


@pytest.mark.parametrize(("masking", "power"), [("input", 1), ("both", 2)])
def test_the_survival_of_a_neuron_enters_once_by_readers(masking, power):
    config = mlp.MlpConfig(
        num_inputs=2, widths=(2, 3), depths=(1, 2), activations=("linear", "tanh")
    )
    space = mlp.make_mlp(dataclasses.replace(config, masking=masking))
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
    space, params, x = make_case("mlp", "input")
    for row in np.random.default_rng(2).permutation(all_genes(space))[:4]:
        architecture = to_architecture(row, space.choices)
        hard = one_hot(architecture, space.choices)
        taken = mlp.to_network(params, hard, config=config)
        apply = maybe_jit(network.apply, static_argnames="activations")
        found = apply(taken, x, activations=config.activations)
        wanted = space.apply(params, hard, x)
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


@pytest.mark.parametrize("stride", [1, 2])
def test_ranks_are_in_the_order_of_the_weights(stride):
    def count(name):
        how = {"num_channels": 8, "stride": stride}
        edge = cells.draw_edge(jax.random.key(0), (name,), **how)
        return sum(leaf.size for leaf in jax.tree.leaves(edge))

    names = sorted(operations.OPERATIONS, key=lambda n: operations.OPERATIONS[n].rank)
    sizes = [count(name) for name in names]
    assert sizes == sorted(sizes) and sizes[-1] == 9 * 8 * 8


def test_a_language_model_refuses_more_than_its_context():
    space, params, _ = make_case("chars-gpt", "input")
    long = jnp.zeros((1, 5), jnp.uint8)
    with pytest.raises(ValueError, match=r"must have <= 4 tokens.* got 5"):
        space.apply(params, draw_probabilities(space), long)
    network = extreme(space.choices, is_largest=True)
    with pytest.raises(ValueError, match="must have <= 4 tokens"):
        space.apply_standalone(space.take(params, network), network, long)


def test_a_language_model_sees_what_came_before_and_nothing_else():
    space, params, x = make_case("chars-gpt", "input")
    apply = jax.jit(functools.partial(space.apply, params, draw_probabilities(space)))
    change = apply(x.at[:, 1].set((x[:, 1] + 1) % 5)) - apply(x)
    change = np.abs(change).reshape(NUM, 3, 5).max(axis=2)
    np.testing.assert_array_equal(change[:, 0], 0)
    assert change[:, 1:].min() > 1e-4
    unrolled = make_small("chars-gpt", "input", is_unrolled=True)
    found = jax.jit(unrolled.apply)(params, draw_probabilities(space), x)
    np.testing.assert_allclose(found, apply(x), **TOLERANCE)


def test_digits_cell_has_4096_networks_at_the_stated_sizes():
    space = make_space("digits-cell")
    assert count_architectures(space.choices) == 4096
    large = extreme(space.choices, is_largest=True)
    edges = 3 * 2 * (5 * 5 * 16 + 16 * 16)
    entries = 8 * 16 + 2 * 32 * 16
    wanted = 3 * 3 * 8 + entries + 3 * edges + 32 * 10 + 10
    assert count_weights(space, large) == wanted
    small = extreme(space.choices, is_largest=False)
    saved = 9 * (2 * 25 * 16 - 9 * 16 + 16 * 16)
    assert count_weights(space, small) == wanted - saved


@pytest.mark.parametrize(("masking", "has_signal"), [("input", True), ("both", False)])
def test_the_probability_of_a_kind_of_convolution_counts_behind_its_norm(
    masking, has_signal
):
    operations = ("dil3", "dil5", "conv1", "conv3")
    space = make_small("digits-cell", masking, operations=operations)
    params, p = space.init(jax.random.key(0)), draw_probabilities(space)
    x = make_case("digits-cell", masking)[2]
    weight = jnp.asarray(np.random.default_rng(1).normal(size=(NUM, 3)), jnp.float32)

    def loss(share):
        """With so much of the first kind, and the rest of the second."""
        row = jnp.stack([share, share, 1 - share, 1 - share]) / 2
        rows = p | {"reduce": p["reduce"].at[0].set(row)}
        return (weight * space.apply(params, rows, x)).sum()

    slope = jax.jit(jax.grad(loss))(0.5)
    assert (np.abs(slope) > 0.05) == has_signal


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("size", "dilation"), [(1, 1), (3, 1), (5, 1), (3, 2)])
def test_convolutions_of_large_images_are_those_of_small_ones(
    size, dilation, stride, monkeypatch
):
    rng = np.random.default_rng(0)
    shapes = (2, 6, 6, 3), (size, size, 1, 3), (3, 4)
    x, depthwise, pointwise = (
        jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in shapes
    )
    how = {"stride": stride, "dilation": dilation}
    small = operations.convolve_separably(x, depthwise, pointwise, **how)
    monkeypatch.setattr(operations, "MAX_PATCHED", 0)
    large = operations.convolve_separably(x, depthwise, pointwise, **how)
    assert small.shape == (2, 6 // stride, 6 // stride, 4)
    np.testing.assert_allclose(small, large, **TOLERANCE)


def test_the_smallest_vision_transformer_has_the_weights_it_should():
    space = make_space("digits-vit")
    assert count_architectures(space.choices) == 3 * (9**2 + 9**3 + 9**4)
    small = extreme(space.choices, is_largest=False)
    attention = 3 * (16 * 16 + 16) + 16 * 16 + 16
    layer = 4 * 16 + attention + 2 * (16 * 16 + 16)
    outside = (4 + 1) * 16 + 16 + 17 * 16 + 2 * 16 + 16 * 10 + 10
    assert count_weights(space, small) == 2 * layer + outside


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("nasbench", {}, r"space must be one of \['mlp', 'digits-macro',"),
        ("mlp", {"width": (2, 3)}, "space mlp: .*unexpected keyword argument 'width'"),
        ("mlp", {"widths": (3,)}, "'width': needs two options or more"),
        ("mlp", {"widths": (3, 3)}, "'width': options must differ"),
        ("mlp", {"depths": ()}, "'depth': needs two options or more"),
        ("mlp", {"widths": (0, 3)}, "widths must be >= 1"),
        ("mlp", {"widths": (2, 2.5)}, r"width(?s:.*)\(2, 2\.5\)"),
        ("mlp", {"depths": (0, 1)}, "'depth': options of kind depth do not nest"),
        ("mlp", {"activations": ("relu", "tanh")}, r"got \['relu'\]"),
        ("mlp", {"masking": "out"}, "masking(?s:.*)'out'"),
        ("digits-macro", {"kernels": ((1, 3),)}, "for the same number of convolutions"),
        ("digits-macro", {"kernels": ((1,), (1, 3), (1, 2))}, "kernels must be odd"),
        (
            "digits-macro",
            {"kernels": ((3,), (), (1, 3))},
            "'kernel2': needs two options",
        ),
        ("digits-macro", {"channels": ((1, 2), (0, 1), (1, 2))}, "channels must be"),
        ("digits-cell", {"operations": ("sep3", "sep7")}, r"got \['sep7'\]"),
        ("digits-cell", {"operations": ("sep3",)}, "'normal': needs two options"),
        ("digits-cell", {"layout": "residual"}, "layout must be out of .*'residual'"),
        ("digits-cell", {"layout": "normal-up"}, "layout must be out of .*'normal-up'"),
        ("digits-cell", {"join": "last"}, "channels must not change"),
        (
            "digits-cell",
            {"join": "last", "num_inputs": 2, "layout": "normal-residual-normal"},
            "nothing fits the channels before a residual block",
        ),
        ("digits-cell", {"num_nodes": 0}, "num_nodes must be >= 1, got 0"),
        ("digits-vit", {"embed": ()}, "'embed': needs two options or more"),
        ("digits-vit", {"embed": (0, 2)}, "embed, heads and head_size must be >= 1"),
        (
            "digits-vit",
            {"ratios": (0, 2)},
            r"'ratio': ratios must be > 0, got \(0, 2\)",
        ),
        ("digits-vit", {"embed": (3, 4), "ratios": (1.5, 2)}, "do not nest"),
        ("chars-gpt", {"context": 0}, "num_tokens and context must be >= 1"),
        ("digits-vit", {"patch": 3}, "patch must tile 8 pixels a side, got 3"),
    ],
)
def test_bad_spaces_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message):
        make_space(name, **options)
