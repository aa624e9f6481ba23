"""`apply` against an independent forward pass, its gradients and its invariances."""

import functools
import inspect

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from network_cases import MIX, hand_network, make_network, make_points, numpy_forward

from swajax import network as network_lib
from swajax.network import apply
from swajax.network.batched import apply_batch
from swajax.types import ACTIVATIONS, Network, NetworkSpec


@pytest.fixture
def x():
    return make_points()


# Each activation at a depth of 2, and all together at each depth.
FORWARD_CASES = [
    *((2, (name,)) for name in ACTIVATIONS),
    *((depth, ACTIVATIONS) for depth in (1, 2, 3)),
]


@pytest.mark.parametrize(("depth", "activations"), FORWARD_CASES, ids=str)
def test_apply_equals_the_numpy_forward_pass(key, x, maybe_jit, depth, activations):
    spec = NetworkSpec(num_outputs=2, max_width=4, max_depth=3, activations=activations)
    network = make_network(key, depth=depth, spec=spec)
    wanted = numpy_forward(network, x, activations)
    evaluate = maybe_jit(apply, static_argnames=("activations", "depth"))
    for static_depth in (None, depth):
        out = evaluate(network, x, activations=activations, depth=static_depth)
        np.testing.assert_allclose(out, wanted, rtol=1e-5, atol=1e-5)


def test_apply_by_hand():
    network = hand_network(
        first=[[1.0, 2.0], [0.0, -1.0]],
        hidden=[[[0.5, 0.0], [3.0, 0.0]]],
        readout=[2.0, 9.0],
        bias=[[0.0, 1.0], [-1.0, 0.0]],
        mask=[[1, 1], [1, 0]],
        depth=2,
        readout_bias=0.25,
    )
    out = apply(network, jnp.asarray([[1.0, 4.0]]), activations=("leaky_relu",))
    # Layer 1: 1 and leaky(2 - 4 + 1) = -0.1; layer 2: leaky(0.5 - 0.3 - 1) = -0.08.
    np.testing.assert_allclose(out, [[2 * -0.08 + 0.25]], rtol=1e-6)


def test_vmap_equals_a_loop_over_networks_of_mixed_depth(key, x):
    networks = [make_network(jax.random.fold_in(key, d), depth=d) for d in (1, 2, 3)]
    evaluate = functools.partial(apply, activations=("tanh",))
    batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *networks)
    looped = jnp.stack([evaluate(network, x) for network in networks])
    out = jax.vmap(evaluate, in_axes=(0, None))(batch, x)
    np.testing.assert_allclose(out, looped, rtol=1e-5, atol=1e-6)


def test_gradients_equal_finite_differences(key, x):
    with jax.enable_x64(True):
        spec = NetworkSpec(max_width=3, max_depth=3, activations=MIX)
        network = make_network(key, depth=2, spec=spec, dtype=jnp.float64)
        depth, points = network.depth, x[:4].astype(jnp.float64)

        def out(leaves, points):
            return apply(Network(*leaves, depth), points, activations=MIX)

        check_grads(jax.jit(out), (network[:-1], points), order=1, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_absent_parts_change_nothing_and_have_no_gradient(key, x, depth):
    network = make_network(key, depth=depth)
    clean = network_lib.mask_weights(network)
    evaluate = functools.partial(apply, activations=("sigmoid",))
    np.testing.assert_array_equal(evaluate(clean, x), evaluate(network, x))

    gradient = jax.grad(lambda n: (evaluate(n, x) ** 2).sum(), allow_int=True)(network)
    ones = jax.tree.map(jnp.ones_like, network)._replace(
        mask=network.mask, depth=network.depth
    )
    is_there = network_lib.mask_weights(ones)
    for name in ("first", "hidden", "readout", "bias"):
        there = np.asarray(getattr(is_there, name)) != 0
        values = np.asarray(getattr(gradient, name))
        assert (values[~there] == 0).all(), name
        assert (values[there] != 0).all(), name
    for name in ("mask", "activation"):
        assert not getattr(gradient, name)[depth:].any(), name


def test_padding_changes_nothing(key, x):
    network = make_network(key, depth=2)
    pad = lambda leaf, *widths: jnp.pad(leaf, widths, constant_values=3.0)  # noqa: E731
    larger = Network(
        first=pad(network.first, (0, 0), (0, 2)),
        hidden=pad(network.hidden, (0, 1), (0, 2), (0, 2)),
        readout=pad(network.readout, (0, 2), (0, 0)),
        bias=pad(network.bias, (0, 1), (0, 2)),
        readout_bias=network.readout_bias,
        mask=jnp.pad(network.mask, ((0, 1), (0, 2))),
        activation=pad(network.activation, (0, 1), (0, 2), (0, 0)),
        depth=network.depth,
    )
    outs = [apply(n, x, activations=("tanh",)) for n in (network, larger)]
    np.testing.assert_allclose(outs[1], outs[0], rtol=1e-6, atol=1e-6)
    for count in (network_lib.count_weights, network_lib.count_neurons):
        assert count(larger) == count(network)


WRONG_ARGUMENTS = {
    "columns": ({"x": jnp.zeros((5, 4))}, r"x must have the shape \[N, 3\].*\(5, 4\)"),
    "name": ({"activations": ("swish",)}, r"activations must be among .*'swish'"),
    "one string": ({"activations": "tanh"}, r"activations must be among .*'tanh'"),
    "number": ({"activations": ("tanh", "sin")}, "mixes 1 activations, got 2 names"),
    "depth 0": ({"depth": 0}, r"depth must be in 1\.\.3, got 0"),
    "depth 4": ({"depth": 4}, r"depth must be in 1\.\.3, got 4"),
}


@pytest.mark.parametrize("case", WRONG_ARGUMENTS)
def test_wrong_arguments_are_named(key, case):
    changes, message = WRONG_ARGUMENTS[case]
    arguments = {"x": jnp.zeros((5, 3)), "activations": ("tanh",)} | changes
    network = make_network(key, depth=1)
    # The hook of the tests would check the annotations first.
    apply_unchecked, batch_unchecked = map(inspect.unwrap, (apply, apply_batch))
    with pytest.raises(ValueError, match=message):
        apply_unchecked(network, **arguments)
    batch = jax.tree.map(lambda leaf: leaf[None], network)
    for form in ("fast", "plain"):
        with pytest.raises(ValueError, match=message):
            batch_unchecked(batch, form=form, **arguments)


def test_points_need_two_axes(key):
    unchecked = inspect.unwrap(apply)
    with pytest.raises(ValueError, match=r"one row per point, got \(3,\)"):
        unchecked(make_network(key, depth=1), jnp.zeros(3), activations=("tanh",))
