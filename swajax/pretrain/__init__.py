"""Pretraining of an autoencoder on fresh random networks.

Each step samples new networks and new points. The loss compares outputs of the network
and of its decoded forms, not weights (arXiv:2410.08339, pretraining objective). The
command is `python -m swajax.pretrain`; `python -m swajax.pretrain.ship` puts a trained
autoencoder into the package.
"""

from swajax.pretrain.batches_by_depth import (
    batch_loss,
    decoder_errors,
    encode_groups,
    sample_groups,
)
from swajax.pretrain.config import PretrainingConfig, make_optimizer
from swajax.pretrain.losses import Metrics
from swajax.pretrain.state import PretrainingState, chunk, init, step

__all__ = [
    "Metrics",
    "PretrainingConfig",
    "PretrainingState",
    "batch_loss",
    "chunk",
    "decoder_errors",
    "encode_groups",
    "init",
    "make_optimizer",
    "sample_groups",
    "step",
]
