"""Settings and optimizer of a pretraining."""

import dataclasses
from typing import Literal

import optax

from swajax.autoencoder import AutoencoderConfig
from swajax.io import configs

MUON_ITERATIONS = 4  # Newton-Schulz iterations; a fifth costs more than it gains

# `paper` follows arXiv:2410.08339, pretraining, except for the number of networks.
PRESET_DEFAULTS = {
    "compact": {
        "error": "log",
        "mean_weight": 0.1,
        "geometry_weight": 0.5,
        "response_weight": 0.0,
        "batch_size": 1024,
        "optimizer": "muon",
        "learning_rate": 5e-3,
        "schedule": "cosine",
    },
    "tabular": {
        "error": "log",
        "mean_weight": 0.1,
        "geometry_weight": 0.2,
        "response_weight": 0.2,
        "batch_size": 512,
        "optimizer": "muon",
        "learning_rate": 5e-3,
        "schedule": "cosine",
    },
    "paper": {
        "error": "raw",
        "mean_weight": 0.0,
        "geometry_weight": 0.0,
        "response_weight": 0.0,
        "batch_size": 32,
        "optimizer": "adam",
        "learning_rate": 1e-4,
        "schedule": "halving",
    },
}


@dataclasses.dataclass(frozen=True)
class PretrainingConfig:
    """Settings of a pretraining; fields that are None get the preset's default.

    Raises:
      ValueError: an unknown choice or a number out of range.

    Example:
      >>> config = PretrainingConfig(AutoencoderConfig("paper"))
      >>> config.optimizer, config.batch_size
      ('adam', 32)
    """

    autoencoder: AutoencoderConfig
    """configuration of the autoencoder"""
    loss: Literal["min", "mean"] = "min"
    """training loss: error of the best decoder per network (min), or mean over decoders
    (mean)"""
    error: Literal["log", "normalised", "raw"] | None = None
    """error of a decoder: log(0.002 + MSE/variance) (log) [compact, tabular],
    MSE/variance (normalised), or MSE (raw) [paper]"""
    mean_weight: float | None = None
    """weight of the mean loss added to the min loss, so that every decoder receives
    gradients [compact, tabular 0.1; paper 0]"""
    geometry_weight: float | None = None
    """weight of 1 - correlation of embedding distances with functional distances
    [compact 0.5, tabular 0.2, paper 0]"""
    response_weight: float | None = None
    """weight of the error of the decoded function at the probe points, for tabular only
    [tabular 0.2, others 0]"""
    batch_size: int | None = None
    """number of networks per step; except for tabular, a multiple of the number of
    depths [compact 1024, tabular 512, paper 32]"""
    num_points: int = 128
    """number of random points in [-1, 1]^I at which networks are compared"""
    num_steps: int = 12_000
    """number of optimizer steps"""
    optimizer: Literal["muon", "adam"] | None = None
    """optimizer: orthogonalised momentum for matrices and Adam at a fifth of the rate
    for other parameters (muon) [compact, tabular], or Adam for all (adam) [paper]"""
    learning_rate: float | None = None
    """peak learning rate [compact, tabular 5e-3; paper 1e-4]"""
    schedule: Literal["cosine", "halving"] | None = None
    """schedule of the learning rate: cosine decay to 0 after a warm-up (cosine)
    [compact, tabular], or halving after each fifth of the steps (halving) [paper]"""
    warmup_steps: int = 200
    """number of warm-up steps of the cosine schedule"""
    clip_norm: float = 1.0
    """maximum global norm of the gradient; larger gradients are scaled down"""

    def __post_init__(self) -> None:
        """Fill in the defaults of the preset; reject bad choices and numbers."""
        configs.convert_fields(self)
        for name, value in PRESET_DEFAULTS[self.autoencoder.preset].items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        configs.check_choices(self)
        if self.batch_size < 1 or self.batch_size % self.num_groups:
            raise ValueError(
                f"batch_size must be a positive multiple of {self.num_groups}, one "
                f"group of networks per depth, got {self.batch_size}"
            )
        for name in ("num_points", "num_steps"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        if self.response_weight and not self.autoencoder.is_any_table:
            raise ValueError(
                f"response_weight must be 0 with the preset {self.autoencoder.preset}, "
                f"got {self.response_weight}"
            )
        for name in ("learning_rate", "clip_norm"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be > 0, got {getattr(self, name)}")
        weights = "mean_weight", "geometry_weight", "response_weight", "warmup_steps"
        for name in weights:
            if not getattr(self, name) >= 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")

    @property
    def num_groups(self) -> int:
        """Number of groups of equal size in a batch; each group has one depth."""
        return 1 if self.autoencoder.is_any_table else self.autoencoder.max_depth


def make_optimizer(config: PretrainingConfig) -> optax.GradientTransformation:
    """Return the optimizer of a configuration, with clipping of the global norm."""
    peak, num_steps = config.learning_rate, config.num_steps
    if config.schedule == "cosine":
        warmup = min(config.warmup_steps, num_steps // 2)
        schedule = optax.warmup_cosine_decay_schedule(0.0, peak, warmup, num_steps)
    else:
        fifth = max(1, num_steps // 5)
        schedule = optax.exponential_decay(peak, fifth, 0.5, staircase=True)
    clip = optax.clip_by_global_norm(config.clip_norm)
    if config.optimizer == "adam":
        return optax.chain(clip, optax.adam(schedule))
    # Decoders that are rarely the best have small gradients; an orthogonalised update
    # moves their matrices as far as those of the others.
    muon = optax.contrib.muon(
        schedule,
        ns_steps=MUON_ITERATIONS,
        adam_learning_rate=lambda count: schedule(count) / 5,
    )
    return optax.chain(clip, muon)
