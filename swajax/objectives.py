"""What a network is fitted by: losses a point, and their Gauss-Newton form.

Regression minimises the squared error, classification the cross-entropy of one logit
(two classes) or of one logit a class. Arrays have the points on the last axis.
"""

from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

Objective = Literal["squared", "logistic", "softmax"]
OBJECTIVES: tuple[str, ...] = get_args(Objective)

# Curvature of points that are classified surely, kept so that they are not infinitely
# far from their targets in units of it.
MIN_PROBABILITY = 1e-6


# Of more classes than this the Hessian is sketched: exact, it costs as much a class.
MAX_EXACT = 4
NUM_SKETCHED = 3
SKETCH_PERIOD = 64
GRADIENT_SHARE = 0.1


class LocalForm(NamedTuple):
    """A loss near given outputs: loss + r.d + |d|^2/2 for d = factor^T change."""

    loss: Float[Array, " N"]
    residual: Float[Array, "M N"]  # r; the gradient by the outputs is factor r
    factor: Float[Array, "O M N"]  # factor factor^T is the Hessian by the outputs


def losses(
    out: Float[Array, "O N"], y: Float[Array, "O N"], *, objective: Objective
) -> Float[Array, " N"]:
    """Loss of each point.

    Args:
      out: outputs of a network.
      y: targets: numbers; 0 or 1 (logistic); one-hot over the outputs (softmax).
      objective: mean squared error over the outputs, or cross-entropy in nats.
    """
    if objective == "squared":
        return jnp.square(out - y).mean(axis=0)
    if objective == "logistic":
        return (jax.nn.softplus(out) - y * out).sum(axis=0)
    return jax.nn.logsumexp(out, axis=0) - (out * y).sum(axis=0)


def local_form(
    out: Float[Array, "O N"], y: Float[Array, "O N"], *, objective: Objective
) -> LocalForm:
    """The generalised Gauss-Newton form of `losses` (Schraudolph, 2002).

    With more than `MAX_EXACT` classes the factor has 4 columns instead of one a class:
    random combinations of them, whose squares are right on average over the points,
    and the gradient, which stays exact, with a share so small that it hardly adds to
    the curvature.
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
    """M of the form: functions of the outputs that are differentiated."""
    is_sketched = objective == "softmax" and num_outputs > MAX_EXACT
    return NUM_SKETCHED + 1 if is_sketched else num_outputs


def _sketch(
    p: Float[Array, "O N"], root: Float[Array, "O N"], y: Float[Array, "O N"]
) -> tuple[Float[Array, "M N"], Float[Array, "O M N"]]:
    """Residual and factor from random signs, the same in each call."""
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
