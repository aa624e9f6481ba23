"""What a network is fitted by: losses a point, and their Gauss-Newton form.

Regression minimises the squared error, classification the cross-entropy of one logit
(two classes) or of one logit a class. Arrays have the points on the last axis.
"""

from typing import Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Objective = Literal["squared", "logistic", "softmax"]
OBJECTIVES: tuple[str, ...] = get_args(Objective)

# Curvature of points that are classified surely, kept so that they are not infinitely
# far from their targets in units of it.
MIN_PROBABILITY = 1e-6


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
    """The generalised Gauss-Newton form of `losses` (Schraudolph, 2002)."""
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
    factor = root[:, None] * eye - p[:, None] * root[None]
    return LocalForm(loss, (p - y) / root, factor)
