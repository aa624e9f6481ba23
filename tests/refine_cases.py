"""Networks and problems for the tests of `swajax.refine`."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np

from swajax.data.problem import Problem
from swajax.network import apply, count_weights, simplify
from swajax.refine.levenberg_marquardt import polish
from swajax.refine.quadratic import Fit, active_indices, evaluate, expand_loss
from swajax.types import DEFAULT_ACTIVATIONS as ACTIVATIONS
from swajax.types import Network, NetworkSpec

STATIC = {"static_argnames": ("fit", "capacity")}

# Networks of all activations with two outputs, and rows of unequal weight.
MIXED = NetworkSpec(
    num_inputs=2, num_outputs=2, max_width=3, max_depth=3, activations=ACTIVATIONS
)
MIXED_FIT = Fit(activations=ACTIVATIONS)
NUM_MIXED, MIXED_CAPACITY = 17, 40

# Networks with one output, and rows of equal weight.
KINDS = ("tanh", "linear")
SMALL = NetworkSpec(num_inputs=2, max_width=4, max_depth=2, activations=KINDS)
SMALL_FIT = Fit(activations=KINDS, weight_decay=0.0)
NUM_SMALL, SMALL_CAPACITY = 30, 32

fit_small = functools.partial(
    jax.jit(polish, **STATIC), fit=SMALL_FIT, capacity=SMALL_CAPACITY, num_steps=60
)
score_small = jax.jit(lambda *args: evaluate(*args, fit=SMALL_FIT)[0])
tidy = jax.jit(functools.partial(simplify, activations=KINDS))
find_active = jax.jit(active_indices, static_argnames="capacity")
expand = jax.jit(expand_loss, static_argnames="fit")


def make_mixed_problem(spec=MIXED, seed=0):
    """Smooth targets, for rows of unequal weight."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (spec.num_inputs, NUM_MIXED)).T
    mixed = rng.normal(size=(spec.num_outputs, spec.num_inputs))
    weight = rng.uniform(0.2, 1, NUM_MIXED)
    y = np.sin(2 * x @ mixed.T)
    return Problem(*map(jnp.asarray, (x, y, weight / weight.sum())))


def make_small_problem(x=None, y=None):
    """A smooth target that small networks can only approximate."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (2, NUM_SMALL)).T if x is None else x
    y = np.sin(3 * x[:, :1] + x[:, 1:]) + 0.3 * x[:, 1:] if y is None else y
    weight = jnp.full(NUM_SMALL, 1 / NUM_SMALL)
    return Problem(jnp.asarray(x), jnp.asarray(y), weight)


def make_networks(draw_network):
    """Draw small networks of both depths without dead parts; not all are polished."""
    found, problem = [], make_small_problem()
    for seed, depth in itertools.product(range(10), (1, 2)):
        network = tidy(draw_network(seed, spec=SMALL, depth=depth, density=0.8))
        if 4 <= count_weights(network) <= SMALL_CAPACITY:
            found.append(fit_small(network, problem, num_steps=seed)[0])
    assert len(found) > 8 and {int(n.depth) for n in found} == {1, 2}
    return found


def one_layer(neurons, readout_bias=0.0):
    """Build a network of tanh neurons (weight of x0, weight of x1, bias, readout)."""
    columns = np.zeros((4, 4))
    columns[:, : len(neurons)] = np.transpose(neurons)
    is_present = np.arange(4) < len(neurons)
    double = functools.partial(jnp.asarray, dtype=float)
    return Network(
        first=double(columns[:2]),
        hidden=jnp.zeros((1, 4, 4)),
        readout=double(columns[3][:, None]),
        bias=double([columns[2], np.zeros(4)]),
        readout_bias=double([readout_bias]),
        mask=double([is_present, np.zeros(4)]),
        activation=jnp.zeros((2, 4, 2)).at[..., 0].set(1.0),
        depth=jnp.asarray(1, jnp.int32),
    )


def outputs(network, problem):
    """Outputs [N, O] of the reference pass."""
    kinds = KINDS if network.activation.shape[-1] == len(KINDS) else ACTIVATIONS
    return apply(network, problem.x, activations=kinds)


def is_possible(network):
    """Mask over `pack(network)` of weights between present nodes."""
    depth = int(network.depth)
    is_present = np.asarray(network.mask) > 0
    hidden = is_present[:-1, :, None] & is_present[1:, None, :]
    hidden[depth - 1 :] = False
    parts = (
        np.broadcast_to(is_present[0], network.first.shape),
        hidden,
        np.broadcast_to(is_present[depth - 1][:, None], network.readout.shape),
        is_present,
        np.ones(1, bool),
    )
    return np.concatenate([part.ravel() for part in parts])


def to_single(tree):
    """Cast all floating-point leaves to float32."""

    def cast(leaf):
        is_float = jnp.issubdtype(leaf.dtype, jnp.floating)
        return leaf.astype(jnp.float32) if is_float else leaf

    return jax.tree.map(cast, tree)


def stack(*trees):
    """Stack records along a new first axis."""
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *trees)
