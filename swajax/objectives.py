"""Per-example losses and their Gauss-Newton factors.

Regression minimises the squared error, classification the cross-entropy of one logit
(two classes) or of one logit per class. Arrays have the points on the last axis.
"""

from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Objective = Literal["squared", "logistic", "softmax"]
OBJECTIVES: tuple[str, ...] = get_args(Objective)

# Lower bound of the curvature, so that residuals, divided by its root, stay finite.
MIN_PROBABILITY = 1e-6

# With more classes than this the Hessian is sketched, because the cost of the exact one
# is proportional to the number of classes.
MAX_EXACT = 4
NUM_SKETCHED = 3  # random combinations of the columns of the factor
SKETCH_PERIOD = 64  # points after which the random signs repeat
GRADIENT_SHARE = 0.1  # factor of the column for the gradient


class LocalForm(NamedTuple):
    """Quadratic form of a loss near given outputs.

    For a change c of the outputs of a point, the loss is about loss + r.d + |d|^2 / 2
    with d = factor^T c.
    """

    loss: Float[Array, " N"]
    residual: Float[Array, "M N"]  # r; factor r is the gradient w.r.t. the outputs
    factor: Float[Array, "O M N"]  # factor factor^T is the Hessian


def losses(
    out: Float[Array, "O N"], y: Float[Array, "O N"], *, objective: Objective
) -> Float[Array, " N"]:
    """Compute the loss of each point.

    Args:
      out: outputs of a network; logits in a classification.
      y: targets: numbers ("squared"), 0 or 1 ("logistic"), or one-hot over the outputs
        ("softmax").
      objective: name of the loss.

    Returns:
      The squared error, averaged over the outputs; or the cross-entropy in nats.

    Example:
      >>> out, y = jnp.array([[3.0, 1.0]]), jnp.ones((1, 2))
      >>> losses(out, y, objective="squared").tolist()
      [4.0, 0.0]
    """
    if objective == "squared":
        return jnp.square(out - y).mean(axis=0)
    if objective == "logistic":
        return (jax.nn.softplus(out) - y * out).sum(axis=0)
    return jax.nn.logsumexp(out, axis=0) - (out * y).sum(axis=0)


def losses_on_host(
    out: Float[np.ndarray, "*K N O"], y: Float[np.ndarray, "N O"], objective: Objective
) -> Float[np.ndarray, "*K N"]:
    """Compute `losses` with NumPy, in float64, for few outputs of many shapes.

    Example:
      >>> losses_on_host(np.array([[[3.0], [1.0]]]), np.ones((2, 1)), "squared")
      array([[4., 0.]])
    """
    out, y = np.asarray(out, np.float64), np.asarray(y, np.float64)
    if objective == "squared":
        return np.square(out - y).mean(axis=-1)
    if objective == "logistic":
        return (np.logaddexp(out, 0) - y * out).sum(axis=-1)
    return np.logaddexp.reduce(out, axis=-1) - (out * y).sum(axis=-1)


def local_form(
    out: Float[Array, "O N"], y: Float[Array, "O N"], *, objective: Objective
) -> LocalForm:
    """Expand `losses` to second order in the outputs (Schraudolph, 2002).

    With more than `MAX_EXACT` classes the factor has 4 columns, not one per class:
    3 random combinations of them, which are correct on average over the points, and one
    column for the gradient, which stays exact and adds little to the curvature.

    Args:
      out: outputs of a network.
      y: targets, as in `losses`.
      objective: name of the loss.
    """
    loss = losses(out, y, objective=objective)
    eye = jnp.eye(out.shape[0], dtype=out.dtype)[..., None]
    if objective == "squared":
        scale = (2 / out.shape[0]) ** 0.5
        factor = jnp.broadcast_to(scale * eye, (*eye.shape[:2], out.shape[1]))
        return LocalForm(loss, scale * (out - y), factor)
    if objective == "logistic":
        p = jax.nn.sigmoid(out)
        root = jnp.sqrt(jnp.maximum(p * (1 - p), MIN_PROBABILITY))
        return LocalForm(loss, (p - y) / root, root[:, None] * eye)
    p = jax.nn.softmax(out, axis=0)
    root = jnp.sqrt(jnp.maximum(p, MIN_PROBABILITY))
    if out.shape[0] > MAX_EXACT:
        return LocalForm(loss, *_sketch(p, root, y))
    factor = root[:, None] * eye - p[:, None] * root[None]
    return LocalForm(loss, (p - y) / root, factor)


def num_directions(num_outputs: int, objective: Objective) -> int:
    """Return M, the number of columns of `LocalForm.factor`."""
    is_sketched = objective == "softmax" and num_outputs > MAX_EXACT
    return NUM_SKETCHED + 1 if is_sketched else num_outputs


def _sketch(
    p: Float[Array, "O N"], root: Float[Array, "O N"], y: Float[Array, "O N"]
) -> tuple[Float[Array, "M N"], Float[Array, "O M N"]]:
    """Sketch the factor with random signs, which are the same in each call."""
    num_outputs, num_points = p.shape
    shape = (num_outputs, NUM_SKETCHED, SKETCH_PERIOD)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], shape) / NUM_SKETCHED**0.5
    repeats = -(-num_points // SKETCH_PERIOD)
    signs = jnp.tile(jnp.asarray(signs, p.dtype), repeats)[..., :num_points]
    mixed = root[:, None] * signs
    mixed = mixed - p[:, None] * mixed.sum(axis=0)[None]
    factor = jnp.concatenate([mixed, GRADIENT_SHARE * (p - y)[:, None]], axis=1)
    residual = jnp.zeros((NUM_SKETCHED + 1, num_points), p.dtype)
    return residual.at[-1].set(1 / GRADIENT_SHARE), factor
