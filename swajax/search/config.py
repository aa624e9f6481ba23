"""Settings of a search: limits of the networks, effort, and sources of starts."""

import dataclasses
import math

from swajax.io.configs import check_fields, convert_fields
from swajax.objectives import Objective
from swajax.refine import buckets
from swajax.search.sources import SOURCES, SourceName, choose_sources
from swajax.search.sources.descent import DescentSourceConfig
from swajax.search.sources.learned import LearnedSourceConfig
from swajax.search.sources.supernets import SupernetSourceConfig
from swajax.types import Activation, NetworkSpec


@dataclasses.dataclass(frozen=True)
class SearchConfig:
    """Limits of the networks and effort of a search."""

    max_weights: int = 64
    """number of weights and biases of the largest network"""
    max_error: float | None = None
    """pick the smallest network with at most this validation loss: mean squared error
    divided by the variance of the target, or cross-entropy in nats"""
    max_width: int = 8
    """maximum number of neurons per hidden layer"""
    max_depth: int = 3
    """maximum number of hidden layers"""
    activations: tuple[Activation, ...] = ("sigmoid", "tanh", "leaky_relu", "linear")
    """activations that a neuron can have"""
    weight_decay: float | None = None
    """half of this times the sum of the squared weights is added to the loss [chosen by
    cross-validation; without: 1e-9 for regression, about 1 / rows for classes]"""
    num_starts: int = 768
    """number of random networks to start from, and of small ones besides; divided among
    the sources"""
    num_rounds: int | None = None
    """number of times that all networks are pruned to one weight and grown again [3; 0
    in a cross-validation of fewer than 1,000 rows, where noise limits the networks]"""
    num_kept: int = 32
    """number of networks kept of each size"""
    max_perturbed: int = 20
    """largest size of networks that are also tried with random changes; 0: none"""
    sources: tuple[SourceName, ...] | None = None
    """methods that propose networks to start from: random networks (random), linear
    models (linear), gradient descent on weights (direct) or in a learned space
    (latent), weight-entangled supernets (tangle), samples of a learned space (learned)
    [random, linear and tangle]"""
    source_share: float = 0.2
    """share of a time budget for all sources together"""
    descent: DescentSourceConfig = dataclasses.field(
        default_factory=DescentSourceConfig
    )
    """options of the sources direct and latent"""
    supernet: SupernetSourceConfig = dataclasses.field(
        default_factory=SupernetSourceConfig
    )
    """options of the source tangle"""
    learned: LearnedSourceConfig = dataclasses.field(
        default_factory=LearnedSourceConfig
    )
    """options of the source learned"""

    def __post_init__(self) -> None:
        """Convert whole floats and single names; refuse what cannot be searched."""
        convert_fields(self)
        check_fields(self, "num_starts", "num_kept", minimum=1)
        check_fields(
            self,
            "num_rounds",
            "max_perturbed",
            "max_error",
            "weight_decay",
            minimum=0,
            below=math.inf,
        )
        check_fields(self, "max_weights", minimum=3, maximum=buckets.BUCKETS[-1] - 1)
        check_fields(self, "source_share", above=0, below=1)
        _check_names(self.sources)
        self.make_spec(num_inputs=1, num_outputs=1)

    def make_spec(self, num_inputs: int, num_outputs: int) -> NetworkSpec:
        """Return the limits of the networks for a table."""
        return NetworkSpec(
            num_inputs=num_inputs,
            num_outputs=num_outputs,
            max_width=self.max_width,
            max_depth=self.max_depth,
            activations=self.activations,
        )

    def check(self, num_inputs: int, objective: Objective) -> None:
        """Refuse a table, or limits, that a source named by the user cannot serve.

        Raises:
          ValueError: says why, and what to do.
        """
        limits = self.make_spec(num_inputs, num_outputs=1)
        for name in choose_sources(self.sources, limits):
            source = SOURCES[name]
            options = getattr(self, source.options_field or "", None)
            source.check(limits, objective, options)


def _check_names(names: tuple[str, ...] | None) -> None:
    if names is None:
        return
    if not names or len(set(names)) < len(names) or not set(names) <= set(SOURCES):
        raise ValueError(
            f"sources must be one or more of {', '.join(SOURCES)}, each once, "
            f"got {names}"
        )
