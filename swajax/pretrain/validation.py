"""Validation of an autoencoder on unseen networks."""

from typing import Any

from swajax.autoencoder import AutoencoderConfig
from swajax.pretrain.presets import PRESETS
from swajax.types import Key

NUM_NETWORKS = 1600  # arXiv:2410.08339 averages the MPE over this number of networks
NUM_GEOMETRY = 1000  # networks whose distances are compared


def validate(
    params: Any,
    key: Key,
    *,
    config: AutoencoderConfig,
    num_networks: int = NUM_NETWORKS,
    num_geometry: int = NUM_GEOMETRY,
) -> dict[str, float]:
    """Return the metrics of an autoencoder on fresh random networks.

    `explained_variance` is the median over the networks of 1 - MSE/variance of the best
    decoder. `spearman` is the rank correlation of embedding distances with functional
    distances (root mean squared difference in outputs) over all pairs. `recall_at_1`
    is the share of networks whose embedding is the nearest to that of their copy with
    permuted neurons. Other metrics depend on the preset.

    Args:
      params: parameters of the autoencoder.
      key: consumed; the same key gives the same networks.
      config: configuration of the autoencoder.
      num_networks: number of networks of the errors, a multiple of the number of depths
        (rounded down).
      num_geometry: number of networks of `spearman` and `recall_at_1`, also a multiple.
    """
    return PRESETS[config.preset].validate(
        params,
        key,
        config=config,
        num_networks=num_networks,
        num_geometry=num_geometry,
    )
