"""Options of the command `python -m swajax.pretrain`."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from swajax.io import commands, configs, hosts
from swajax.pretrain.config import PretrainingConfig
from swajax.pretrain.validation import NUM_NETWORKS


@dataclasses.dataclass(frozen=True)
class PretrainCommand:
    """Pretrain an autoencoder on random networks, on all available devices.

    With `ends` or `flow` as the first argument: make the training data of the space
    flow, or train it.
    """

    # No default here, so that missing fields get the default of the preset.
    training: Annotated[
        PretrainingConfig, tyro.conf.arg(name=""), tyro.conf.OmitArgPrefixes
    ]
    """settings of the pretraining"""
    chunk_steps: int = 250
    """number of steps between saved states; a killed run loses at most these"""
    validation_chunks: int = 8
    """number of chunks between validations"""
    validation_networks: int = NUM_NETWORKS
    """number of unseen networks per validation; distances use at most 1,000 of them"""
    seed: int = 0
    """seed of the initial parameters and of all random networks"""
    time_budget: float | None = None
    """seconds after which the run saves its state and ends; it can be resumed"""
    out: Path | None = None
    """new folder of the run [runs/pretrain-PRESET-ACTIVATION-NUMBER]"""
    resume: Path | None = None
    """folder of a run to resume with its stored options; other options are ignored"""
    start_from: Path | None = None
    """checkpoint file with the initial parameters of a new run"""
    coordinator: str | None = None
    """to train on several hosts: host:port of the first process"""
    num_processes: int | None = None
    """number of processes, with --coordinator"""
    process_id: int | None = None
    """index of this process, from 0, with --coordinator"""

    def __post_init__(self) -> None:
        """Reject numbers out of range and incomplete options for several hosts."""
        counts = "chunk_steps", "validation_chunks", "validation_networks"
        configs.check_fields(self, *counts, minimum=1)
        commands.check_seed_and_budget(self.seed, self.time_budget)
        hosts.check_options(self.coordinator, self.num_processes, self.process_id)
