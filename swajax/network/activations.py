"""TODO swajax/network/activations.py."""

import jax
import jax.numpy as jnp

# The derivative of each activation, given its output.
SLOPE_FNS = {
    "sigmoid": lambda y: y * (1 - y),
    "tanh": lambda y: 1 - y * y,
    "leaky_relu": lambda y: jnp.where(
        y >= 0, jnp.ones_like(y), jnp.full_like(y, LEAKY_SLOPE)
    ),
    "linear": jnp.ones_like,
}

LEAKY_SLOPE = 0.1  # arXiv:2410.08339, the networks that are embedded

ACTIVATION_FNS = {
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "leaky_relu": lambda x: jax.nn.leaky_relu(x, LEAKY_SLOPE),
    "linear": lambda x: x,
}

# Each kind is a tanh(b x) + c + (d x where x >= 0 else e x): any mix of kinds costs one
# tanh a neuron. Columns a to e.
KINDS = {
    "sigmoid": (0.5, 0.5, 0.5, 0.0, 0.0),
    "tanh": (1.0, 1.0, 0.0, 0.0, 0.0),
    "leaky_relu": (0.0, 0.0, 0.0, 1.0, LEAKY_SLOPE),
    "linear": (0.0, 0.0, 0.0, 1.0, 1.0),
}
