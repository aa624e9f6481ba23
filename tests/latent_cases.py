"""A small linear decoder and a search in its space, shared by tests of a descent."""

import functools

import jax
import jax.numpy as jnp

from swajax import network
from swajax.latent_search import DescentConfig, Space
from swajax.network.gates import binarize
from swajax.types import Network, NetworkSpec

SPEC = NetworkSpec(num_inputs=3, max_width=4, max_depth=2)
SIZE = 6
CONFIG = DescentConfig(
    num_steps=6,
    num_starts=3,
    num_screened=1,
    sparsity_weights=(1e-3, 1e-2),
    chunk_steps=3,
)


def decode(params, z, depth):
    """Decode linearly, biases included."""
    own = params[depth - 1]
    zeros = jax.tree.map(jnp.zeros_like, template(z.dtype))
    filled = network.unpack(z @ own["weights"], zeros)
    mask = binarize(jax.nn.sigmoid(z @ own["mask"] + 1.0)).reshape(2, 4)
    activation = network.uniform_activation(SPEC, z.dtype)
    depth = jnp.asarray(depth, jnp.int32)
    # Absent neurons and unused layers keep weights, which must not be counted.
    return filled._replace(mask=mask, activation=activation, depth=depth)


def template(dtype=jnp.float32):
    return Network(
        first=jnp.zeros((3, 4), dtype),
        hidden=jnp.zeros((1, 4, 4), dtype),
        readout=jnp.zeros((4, 1), dtype),
        bias=jnp.zeros((2, 4), dtype),
        readout_bias=jnp.zeros(1, dtype),
        mask=jnp.ones((2, 4), dtype),
        activation=jnp.ones((2, 4, 1), dtype),
        depth=jnp.asarray(2, jnp.int32),
    )


SPACE = Space(decode, SPEC)
STATIC = {"space": SPACE, "config": CONFIG}


def leaves_of(*trees):
    return zip(*map(jax.tree.leaves, trees), strict=True)


@functools.cache
def jitted(fn, **static):
    return jax.jit(functools.partial(fn, **(STATIC | static)))
