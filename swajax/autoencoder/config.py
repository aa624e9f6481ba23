"""Configuration of an autoencoder."""

import dataclasses
import functools
from typing import Literal

from swajax.autoencoder.base import Autoencoder, Preset
from swajax.autoencoder.presets import PRESETS
from swajax.io import configs
from swajax.types import DEFAULT_ACTIVATIONS, Activation, NetworkSpec


@dataclasses.dataclass(frozen=True)
class AutoencoderConfig:
    """Architecture of an autoencoder; fields that are None get the preset's default.

    Raises:
      ValueError: unknown preset, or a field that the preset does not support.

    Example:
      >>> config = AutoencoderConfig(preset="compact", activation="tanh")
      >>> config.num_inputs, config.max_width, config.max_depth
      (3, 7, 4)
    """

    preset: Literal[*PRESETS] = "compact"
    """architecture: compact (small and fast), paper (as in arXiv:2410.08339), or
    tabular (networks for any table)"""
    activation: Activation | Literal["mixed"] | None = None
    """activation of all hidden neurons of the embedded networks, or mixed: each neuron
    has one of several activations [compact, paper: sigmoid; tabular: mixed]"""
    num_inputs: int | None = None
    """number of inputs of the embedded networks; for tabular, the maximum in training
    [3; tabular 8]"""
    num_outputs: int | None = None
    """number of outputs; for tabular, the maximum in training [1; tabular 3]"""
    max_width: int | None = None
    """maximum number of neurons per hidden layer [7; tabular 8]"""
    max_depth: int | None = None
    """maximum number of hidden layers; each depth has its own decoder
    [4; tabular 3]"""
    num_probes: int = 64
    """number of points at which the encoder of compact evaluates the network"""

    def __post_init__(self) -> None:
        """Fill in the defaults of the preset; reject unknown choices and bad sizes."""
        configs.convert_fields(self)
        for name, value in PRESETS[self.preset].defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
        configs.check_choices(self)
        if (self.activation == "mixed") != self.is_any_table:
            raise ValueError(
                f"the preset {self.preset} does not support the activation "
                f"{self.activation}"
            )
        if self.num_probes < 1:
            raise ValueError(f"num_probes must be >= 1, got {self.num_probes}")
        if self.num_outputs != 1 and not self.is_any_table:
            raise ValueError(f"num_outputs must be 1, got {self.num_outputs}")
        # The inputs are rows of the first layer's matrix.
        if self.max_width < self.num_inputs and not self.is_any_table:
            raise ValueError(
                f"max_width must be >= num_inputs = {self.num_inputs}, "
                f"got {self.max_width}"
            )
        _ = self.spec

    @property
    def spec(self) -> NetworkSpec:
        """Limits of the embedded networks."""
        is_mixed = self.activation == "mixed"
        return NetworkSpec(
            num_inputs=self.num_inputs,
            num_outputs=self.num_outputs,
            max_width=self.max_width,
            max_depth=self.max_depth,
            activations=DEFAULT_ACTIVATIONS if is_mixed else (self.activation,),
        )

    @property
    def embedding_size(self) -> int:
        """Size Z of an embedding, without the tokens of a preset for any table."""
        return 128

    @property
    def is_any_table(self) -> bool:
        """Whether networks may have any number of inputs and outputs."""
        return _preset(self).is_any_table

    @property
    def is_encoder_shared(self) -> bool:
        """Whether one encoder serves all depths."""
        return _preset(self).is_encoder_shared

    @property
    def max_inputs(self) -> int:
        """Largest number of inputs of a table."""
        return _preset(self).max_inputs or self.num_inputs


@functools.cache
def make_autoencoder(config: AutoencoderConfig) -> Autoencoder:
    """Return the functions of a configuration; equal arguments give the same object."""
    return _preset(config).make(config.spec, config.num_probes)


def _preset(config: AutoencoderConfig) -> Preset:
    return PRESETS[config.preset]
