"""TODO swajax/search/config.py."""

import dataclasses
import math
from typing import Literal, get_args

from swajax.latent_search import DescentConfig
from swajax.refine import buckets
from swajax.tangle.train.optimizers import SupernetConfig
from swajax.types import Activation, NetworkSpec

Source = Literal["random", "direct", "latent", "tangle"]


@dataclasses.dataclass(frozen=True)
class SupernetSourceConfig:
    """How supernets are trained and networks drawn."""

    num_supernets: int = 8
    """trained side by side"""
    num_drawn: int = 12
    """networks out of each: its likeliest, and draws"""
    search: SupernetConfig = dataclasses.field(default_factory=SupernetConfig)
    """of each supernet, with draws from a Dirichlet distribution"""

    def __post_init__(self) -> None:
        """Reject numbers below one."""
        for name in ("num_supernets", "num_drawn"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")


@dataclasses.dataclass(frozen=True)
class ExploreConfig:
    """How starts are found."""

    by: tuple[Source, ...] | None = None
    """random networks; gradient descent on weights; on points of a learned space; or
    weight-entangled supernets [random and tangle, in one race]"""
    share: float = 0.2
    """of a time budget, for all descents together"""
    preset: str = "tabular"
    """latent: pretrained autoencoder, or a path to a checkpoint file"""
    activation: Activation | None = None
    """latent: activation of its networks, if there are several autoencoders"""
    search: DescentConfig = dataclasses.field(
        default_factory=lambda: DescentConfig(
            num_steps=500, num_starts=8, chunk_steps=25
        )
    )
    """direct and latent: the gradient descent"""
    supernet: SupernetSourceConfig = dataclasses.field(
        default_factory=SupernetSourceConfig
    )
    """tangle: supernets, and networks drawn from them"""

    def __post_init__(self) -> None:
        """Reject no or repeated sources, and shares that are none."""
        by = ("random",) if self.by is None else self.by
        if not by or len(set(by)) < len(by) or not set(by) <= set(get_args(Source)):
            raise ValueError(
                f"by must be one or more of {', '.join(get_args(Source))}, each once, "
                f"got {self.by}"
            )
        if not 0 < self.share < 1:
            raise ValueError(f"share must be in (0, 1), got {self.share}")


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """How a front of networks is searched."""

    max_weights: int = 64
    """size of the largest network"""
    max_error: float | None = None
    """pick the smallest network with at most this validation loss: mean squared error
    over the variance of the target, or log loss in nats"""
    num_starts: int = 768
    """random networks that are polished first, besides as many small ones; fewer where
    others join them"""
    num_rounds: int = 3
    """times down and up the sizes"""
    num_kept: int = 32
    """networks kept of each size"""
    max_varied: int = 20
    """size of the largest networks of which variants are tried; 0: of none"""
    max_width: int = 8
    """neurons a hidden layer at most"""
    max_depth: int = 3
    """hidden layers at most"""
    activations: tuple[Activation, ...] = ("sigmoid", "tanh", "leaky_relu", "linear")
    """activations that a neuron can have"""
    weight_decay: float | None = None
    """half of this times the squared weights is added to the loss [1e-9 for numbers,
    about 1 / points for classes]"""

    def __post_init__(self) -> None:
        """Reject sizes that cannot be."""
        for name in ("num_starts", "num_kept"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be >= 1, got {getattr(self, name)}")
        for name in ("num_rounds", "max_varied", "max_error", "weight_decay"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise ValueError(f"{name} must be a number >= 0, got {value}")
        if not 3 <= self.max_weights <= buckets.BUCKETS[-1] - 1:
            raise ValueError(
                f"max_weights must be in 3..{buckets.BUCKETS[-1] - 1}, "
                f"got {self.max_weights}"
            )
        self.make_spec(num_inputs=1, num_outputs=1)

    def make_spec(self, num_inputs: int, num_outputs: int) -> NetworkSpec:
        """Limits of the networks for a table."""
        return NetworkSpec(
            num_inputs=num_inputs,
            num_outputs=num_outputs,
            max_width=self.max_width,
            max_depth=self.max_depth,
            activations=self.activations,
        )
