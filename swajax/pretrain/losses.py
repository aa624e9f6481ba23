"""Pretraining loss: errors of decoded networks and geometry of embeddings."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from swajax.pretrain.config import PretrainingConfig
from swajax.pretrain.geometry import distance_correlation

Metrics = dict[str, Float[Array, "*T"]]

VARIANCE_FLOOR = 1e-6  # networks with smaller variance are compared by absolute errors
LOG_FLOOR = 0.002  # relative errors far below this hardly change the loss


def combine(
    errors: Float[Array, "L B"],
    variance: Float[Array, " B"],
    z: Float[Array, "B Z"],
    y: Float[Array, "B N O"],
    *,
    config: PretrainingConfig,
) -> tuple[Float[Array, ""], Metrics]:
    """Return the loss of a batch and its parts.

    Args:
      errors: mean squared error of each decoder.
      variance: variance of the outputs of each network.
      z: embeddings.
      y: outputs of the networks at N points.
      config: `loss`, `error` and the weights of the terms.
    """
    scores = score(errors, variance, error=config.error)
    best, mean = scores.min(axis=0).mean(), scores.mean()
    loss = mean if config.loss == "mean" else best + config.mean_weight * mean
    metrics = {"loss": loss, "min_loss": best, "min_mse": errors.min(axis=0).mean()}
    if config.geometry_weight:
        geometry = 1 - distance_correlation(z, y)
        metrics |= {"loss": loss + config.geometry_weight * geometry}
        metrics |= {"geometry": geometry}
    return metrics["loss"], metrics


def score(
    errors: Float[Array, "L B"], variance: Float[Array, " B"], *, error: str
) -> Float[Array, "L B"]:
    """Return mean squared errors on the scale of `PretrainingConfig.error`."""
    if error == "raw":
        return errors
    ratio = errors / (variance + VARIANCE_FLOOR)[None]
    return jnp.log(LOG_FLOOR + ratio) if error == "log" else ratio
