"""Networks for tests: random, by hand, and an independent forward pass in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import expit

from swajax.types import Network, NetworkSpec

NUMPY_FNS = {
    "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
    "tanh": np.tanh,
    "leaky_relu": lambda v: np.where(v > 0, v, 0.1 * v),
    "linear": lambda v: v,
    "sin": np.sin,
    "square": lambda v: v**2,
    "gelu": lambda v: v * expit(1.5957691216057308 * (v + 0.044715 * v**3)),
    "relu": lambda v: np.where(v > 0, v, 0.0),
}
MIX = ("sigmoid", "linear", "tanh")


def make_network(key, *, depth, spec=None, dtype=jnp.float32):
    """Draw all numbers, including unused ones; about 2/3 of the masks are 1."""
    spec = spec or NetworkSpec(num_outputs=2, max_width=4, max_depth=3)
    num_i, num_o, num_h = spec.num_inputs, spec.num_outputs, spec.max_width
    num_l, num_a = spec.max_depth, len(spec.activations)
    keys = iter(jax.random.split(key, 7))
    draw = lambda *shape: jax.random.normal(next(keys), shape, dtype)  # noqa: E731
    return Network(
        first=draw(num_i, num_h),
        hidden=draw(num_l - 1, num_h, num_h),
        readout=draw(num_h, num_o),
        bias=draw(num_l, num_h),
        readout_bias=draw(num_o),
        mask=(draw(num_l, num_h) > -0.5).astype(dtype).at[:, 0].set(1.0),
        activation=jax.nn.softmax(draw(num_l, num_h, num_a)),
        depth=jnp.asarray(depth, jnp.int32),
    )


def hand_network(*, first, hidden, readout, bias, mask, depth, readout_bias=0.0):
    """Build a network of one output and one activation from nested lists."""
    mask = jnp.asarray(mask, jnp.float32)
    return Network(
        first=jnp.asarray(first, jnp.float32),
        hidden=jnp.asarray(hidden, jnp.float32),
        readout=jnp.asarray(readout, jnp.float32)[:, None],
        bias=jnp.asarray(bias, jnp.float32),
        readout_bias=jnp.asarray([readout_bias], jnp.float32),
        mask=mask,
        activation=jnp.ones((*mask.shape, 1)),
        depth=jnp.asarray(depth, jnp.int32),
    )


def numpy_forward(network, x, activations):
    """Compute the outputs neuron by neuron, present ones only, in float64."""
    net = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), network)
    values = {i: np.asarray(x[:, i], np.float64) for i in range(x.shape[1])}
    for layer in range(int(net.depth)):
        weights = net.first if layer == 0 else net.hidden[layer - 1]
        following = {}
        for j in np.flatnonzero(net.mask[layer]):
            pre = net.bias[layer, j] + sum(weights[i, j] * v for i, v in values.items())
            following[j] = net.mask[layer, j] * sum(
                net.activation[layer, j, a] * NUMPY_FNS[name](pre)
                for a, name in enumerate(activations)
            )
        values = following
    columns = [
        net.readout_bias[o] + sum(net.readout[i, o] * v for i, v in values.items())
        for o in range(net.readout.shape[1])
    ]
    return np.stack(columns, axis=1)


def make_points(num=11):
    """Draw points of three inputs in [-1, 1]."""
    return jax.random.uniform(jax.random.key(7), (num, 3), minval=-1.0, maxval=1.0)
