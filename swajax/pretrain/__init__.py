"""Pretraining of an autoencoder on fresh random networks.

Each step samples new networks and new points. The loss compares outputs, not weights,
of the networks and of their decoded forms (arXiv:2410.08339, pretraining objective).
The command is `python -m swajax.pretrain`; `python -m swajax.pretrain.ship` adds a
trained autoencoder to the package.
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
