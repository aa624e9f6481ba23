"""Table of activations: function, slope and, where it exists, tanh form.

Evaluation (`forward`, `batched`), fitting (`swajax.refine.quadratic`) and prediction
(`swajax.model.fitted`) read this table; nothing else in the package depends on the
formula of an activation, except the tables of the formats in `swajax.export`.

GELU always means its tanh approximation (arXiv:1606.08415, section 2),
(x / 2) (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))), as in
`jax.nn.gelu(x, approximate=True)`: it needs no error function, which NumPy lacks.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

LEAKY_SLOPE = 0.1  # arXiv:2410.08339, embedded networks
GELU_SCALE, GELU_CUBIC = math.sqrt(2 / math.pi), 0.044715


class TanhForm(NamedTuple):
    """Coefficients of a tanh(b x) + c + (d x if x >= 0 else e x).

    Neurons of any of these activations together cost one tanh per neuron.
    """

    a: float
    b: float
    c: float
    d: float
    e: float


class ActivationRecord(NamedTuple):
    """All properties of an activation that the package uses.

    Any smooth function can be added: a record here, its name in
    `swajax.types.Activation`, and an entry in the table of each export format.
    """

    fn: Callable[[Array], Array]
    """the function, elementwise, in JAX"""
    numpy_fn: Callable[[np.ndarray], np.ndarray]
    """the function in NumPy, in the precision of its argument"""
    slope_fn: Callable[[Array | None, Array], Array]
    """the derivative of `fn`, from the pre-activation x and the output fn(x)"""
    needs_pre: bool = False
    """whether `slope_fn` reads x; if not, x may be None and need not be kept"""
    tanh_form: TanhForm | None = None
    """coefficients, if the function has this form"""


def _leaky_relu_slope(_: Array | None, out: Array) -> Array:
    is_right = out >= 0
    return jnp.where(is_right, jnp.ones_like(out), jnp.full_like(out, LEAKY_SLOPE))


def _numpy_sigmoid(x: np.ndarray) -> np.ndarray:
    from scipy.special import expit  # slow to import

    return expit(x)


def _numpy_gelu(x: np.ndarray) -> np.ndarray:
    return 0.5 * x * (1 + np.tanh(GELU_SCALE * (x + GELU_CUBIC * x * x * x)))


def _gelu_slope(x: Array, _: Array) -> Array:
    bent = jnp.tanh(GELU_SCALE * (x + GELU_CUBIC * x * x * x))
    inner = GELU_SCALE * (1 + 3 * GELU_CUBIC * x * x)
    return 0.5 * (1 + bent) + 0.5 * x * (1 - bent * bent) * inner


RECORDS: dict[str, ActivationRecord] = {
    "sigmoid": ActivationRecord(
        fn=jax.nn.sigmoid,
        numpy_fn=_numpy_sigmoid,
        slope_fn=lambda _, y: y * (1 - y),
        tanh_form=TanhForm(0.5, 0.5, 0.5, 0.0, 0.0),
    ),
    "tanh": ActivationRecord(
        fn=jnp.tanh,
        numpy_fn=np.tanh,
        slope_fn=lambda _, y: 1 - y * y,
        tanh_form=TanhForm(1.0, 1.0, 0.0, 0.0, 0.0),
    ),
    "leaky_relu": ActivationRecord(
        fn=lambda x: jax.nn.leaky_relu(x, LEAKY_SLOPE),
        numpy_fn=lambda x: np.where(x >= 0, x, LEAKY_SLOPE * x),
        slope_fn=_leaky_relu_slope,
        tanh_form=TanhForm(0.0, 0.0, 0.0, 1.0, LEAKY_SLOPE),
    ),
    "linear": ActivationRecord(
        fn=lambda x: x,
        numpy_fn=lambda x: x,
        slope_fn=lambda _, y: jnp.ones_like(y),
        tanh_form=TanhForm(0.0, 0.0, 0.0, 1.0, 1.0),
    ),
    "sin": ActivationRecord(
        fn=jnp.sin,
        numpy_fn=np.sin,
        slope_fn=lambda x, _: jnp.cos(x),
        needs_pre=True,
    ),
    "square": ActivationRecord(
        fn=jnp.square,
        numpy_fn=np.square,
        slope_fn=lambda x, _: 2 * x,
        needs_pre=True,
    ),
    "gelu": ActivationRecord(
        fn=lambda x: jax.nn.gelu(x, approximate=True),
        numpy_fn=_numpy_gelu,
        slope_fn=_gelu_slope,
        needs_pre=True,
    ),
    "relu": ActivationRecord(
        fn=jax.nn.relu,
        numpy_fn=lambda x: np.maximum(x, 0.0),
        slope_fn=lambda _, y: jnp.where(y > 0, jnp.ones_like(y), jnp.zeros_like(y)),
        tanh_form=TanhForm(0.0, 0.0, 0.0, 1.0, 0.0),
    ),
}


def mix_activations(
    pre: Float[Array, "N H"],
    weights: Float[Array, "H A"],
    activations: tuple[str, ...],
) -> Float[Array, "N H"]:
    """Sum the weighted activations of each neuron; one-hot weights select one.

    Args:
      pre: pre-activations.
      weights: weight of each activation, per neuron.
      activations: names of the A activations.
    """
    outs = (RECORDS[name].fn(pre) for name in activations)
    return sum(out * weights[None, :, index] for index, out in enumerate(outs))


def tanh_coefficients(activations: tuple[str, ...]) -> Float[np.ndarray, "A 5"]:
    """Return the tanh form of each activation as a row; zeros where there is none."""
    forms = (RECORDS[name].tanh_form for name in activations)
    return np.array([form or (0.0,) * 5 for form in forms])
