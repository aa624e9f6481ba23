"""Check numbers and measure rates on an accelerator: `launch/accelerator.sh`.

Without an accelerator, all parts run on the CPU with the block sizes of one.
"""

import dataclasses
import sys
import time
from pathlib import Path
from typing import Any
from unittest import mock

import jax
import numpy as np

from figures.common import results
from figures.speed import __main__ as speed
from figures.speed.tasks import GROUPS
from swajax import pretrain as pretraining
from swajax import prior
from swajax.autoencoder import AutoencoderConfig
from swajax.data.problem import Problem, pad
from swajax.data.splits import split_table
from swajax.data.tables import load_table
from swajax.io import commands, runlog
from swajax.pretrain import PretrainingConfig
from swajax.refine import batches, buckets
from swajax.refine.quadratic import Fit
from swajax.search.config import SearchConfig
from swajax.search.run import find_front
from swajax.types import DEFAULT_ACTIVATIONS, NetworkSpec

NUM_CHECKED, NUM_ROWS = 64, 400
# Relative differences of losses allowed between devices; a fit of a few steps amplifies
# rounding in float32, and some accelerators multiply in fewer digits.
LOSS_TOLERANCE, FIT_TOLERANCE = 1e-4, 0.05


@dataclasses.dataclass(frozen=True)
class AcceleratorCommand:
    """Compare an accelerator with the CPU and measure rates, a search and training."""

    out: Path | None = None
    """JSON file [figures/speed/accelerator.json; quick: a temporary file]"""
    seconds: float = 3.0
    """seconds per task of the speed study"""
    search_seconds: float = 60.0
    """time budget of the search"""
    training_seconds: float = 60.0
    """seconds of pretraining"""
    quick: bool = False
    """run every part briefly to test the study"""


def main(config: AcceleratorCommand) -> None:
    """Run all parts, then write the file."""
    folder = None if config.out is None else config.out.parent
    folder = results.choose_folder(folder, "speed", is_quick=config.quick)
    if config.quick:
        config = dataclasses.replace(
            config, seconds=0.01, search_seconds=2.0, training_seconds=0.1
        )
    devices = jax.local_devices()
    about = {"platform": devices[0].platform, "device": devices[0].device_kind}
    about |= {"num_devices": len(devices), "versions": runlog.find_versions()}
    with mock.patch.object(buckets, "is_accelerated", lambda _: True):
        parts = {
            "numbers": compare_numbers(),
            "search": run_search(config),
            "training": train(config),
        }
    groups = GROUPS[:2] if config.quick else GROUPS
    rows = [
        row
        for group in groups
        for row in speed.time_tasks(group(), seconds=config.seconds)
    ]
    peaks = [
        (device.memory_stats() or {}).get("peak_bytes_in_use") for device in devices
    ]
    out = config.out or folder / "accelerator.json"
    runlog.write_json(out, about | parts | {"rates": rows, "peak_bytes": peaks})
    sys.stdout.write(f"{parts}\n{out}\n")


def compare_numbers() -> dict[str, Any]:
    """Compare losses and fits of networks on the accelerator with those on the CPU.

    Raises:
      ValueError: a difference is above its tolerance.
    """
    spec = NetworkSpec(4, 1, 8, 3, DEFAULT_ACTIVATIONS)
    x = np.random.default_rng(0).uniform(-1, 1, (NUM_ROWS, 4))
    y = np.sin(3 * x).sum(axis=1, keepdims=True)
    problem = pad(Problem(x, y, np.ones(NUM_ROWS)))
    networks = jax.device_get(
        prior.sample_starts(
            jax.random.key(0), num=NUM_CHECKED, spec=spec, max_weights=31.0
        )
    )
    found = []
    for devices in (tuple(jax.devices("cpu")[:1]), None):
        shared = {"fit": Fit(activations=spec.activations), "devices": devices}
        _, _, loss = batches.simplify_and_score(networks, problem, **shared)
        sizes = batches.count(networks)
        _, fitted = batches.polish_batch(
            networks, sizes, problem, num_steps=10, **shared
        )
        found.append((loss, fitted))
    (loss, fitted), (own_loss, own_fitted) = found
    rows = {
        "loss_difference": float(np.max(np.abs(own_loss / loss - 1))),
        "median_fit_difference": float(np.median(np.abs(own_fitted / fitted - 1))),
    }
    limits = LOSS_TOLERANCE, FIT_TOLERANCE
    for (name, value), limit in zip(rows.items(), limits, strict=True):
        if not value <= limit:
            raise ValueError(f"{name} is {value:.3g}, above {limit}")
    return rows | {"tolerances": limits}


def run_search(config: AcceleratorCommand) -> dict[str, Any]:
    """Search the table `diabetes` with the default options within a time budget."""
    dataset, _, _ = split_table(load_table("diabetes"), seed=0)
    begin, steps = time.monotonic(), 0

    def callback(progress: Any) -> None:
        nonlocal steps
        steps = progress.network_steps

    front = find_front(
        jax.random.key(0),
        dataset.train,
        dataset.valid,
        config=SearchConfig(num_starts=16) if config.quick else None,
        time_budget=config.search_seconds,
        callback=callback,
    )
    return {
        "seconds": time.monotonic() - begin,
        "network_steps": steps,
        "sizes": front.num_weights.tolist(),
        "valid_loss": front.valid_loss.tolist(),
    }


def train(config: AcceleratorCommand) -> dict[str, Any]:
    """Pretrain `compact` on one device, without validation."""
    training = PretrainingConfig(autoencoder=AutoencoderConfig(preset="compact"))
    if config.quick:
        training = dataclasses.replace(training, batch_size=8)
    shared = {"config": training, "optimizer": pretraining.make_optimizer(training)}
    chunk = jax.jit(
        lambda state: pretraining.chunk(state, num_steps=10, **shared),
        donate_argnums=0,
    )
    state = pretraining.init(jax.random.key(0), **shared)
    state, _ = jax.block_until_ready(chunk(state))  # compiles
    begin, num_steps = time.monotonic(), 0
    while time.monotonic() - begin < config.training_seconds:
        state, metrics = jax.block_until_ready(chunk(state))
        num_steps += 10
    seconds = time.monotonic() - begin
    return {
        "seconds": seconds,
        "networks_per_second": num_steps * training.batch_size / seconds,
        "last_loss": float(metrics["loss"][-1]),
    }


if __name__ == "__main__":
    name = "python -m figures.speed.accelerator"
    sys.exit(commands.run_command(main, AcceleratorCommand, name=name))
