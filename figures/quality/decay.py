"""What a weight decay is worth where classes have few rows.

    python -m figures.quality.decay

The default search with each decay on several splits of small tables. A JSON file a run
under OUT/DECAY/runs; what is there is kept.
"""

import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from figures.common import results
from figures.quality import methods, runs, scores, tasks
from figures.quality.scores import SIZES, Run
from figures.quality.settings import Settings
from figures.quality.tables import format_rows
from swajax.data.messages import did_you_mean
from swajax.io import commands, files

ABOUT = (
    "Test loss of the default search as a share of a constant's, by weight decay: "
    "means of the runs and the worst of them, and the mean hypervolume."
)


@dataclasses.dataclass(frozen=True)
class DecayCommand:
    """Compare weight decays of the default search on tables of classes."""

    out: Path = Path("figures/out/quality/decay")
    """folder; runs that are there are kept"""
    decays: tuple[str, ...] = ("1e-4", "1e-3", "1e-2")
    """half of this times the squared weights is added to the loss"""
    tables: tuple[str, ...] = ("iris", "wine", "breast_cancer")
    """tables of classes"""
    seeds: int = 4
    """splits of each"""
    settings: Settings = dataclasses.field(default_factory=Settings)
    """budgets and limits"""

    def __post_init__(self) -> None:
        """Reject unknown tables, and numbers that cannot be."""
        known = tasks.list_names()["tables"]
        for name in self.tables:
            if name not in known:
                raise ValueError(f"no table {name!r}{did_you_mean(name, known)}")
        if self.seeds < 1:
            raise ValueError(f"seeds must be >= 1, got {self.seeds}")
        for decay in self.decays:
            if not np.isfinite(float(decay)) or float(decay) < 0:
                raise ValueError(f"decays must be numbers >= 0, got {decay}")


def main(config: DecayCommand) -> None:
    """Every run that is not there yet, then the table."""
    commands.use_compilation_cache()
    found = {}
    for decay in config.decays:
        folder = config.out / decay
        settings = _with_decay(config.settings, float(decay))
        for name in config.tables:
            for seed in range(config.seeds):
                path = results.make_path(folder, name, seed, "default")
                if not results.is_there(
                    path, methods.describe("default", name, settings)
                ):
                    results.save(path, runs.run(name, seed, "default", settings))
                    sys.stdout.write(f"{path}\n")
                    sys.stdout.flush()
        found[decay] = results.load(folder)
    table = format_table(found)
    files.write_bytes(config.out / "decay.md", f"{ABOUT}\n\n{table}\n".encode())
    sys.stdout.write(f"{table}\n")


def format_table(found: dict[str, Sequence[Run]]) -> str:
    """Means of the test losses over those of constants, and the worst of the largest.

    Arithmetic means: what few rows make of a network is seen where it is very wrong.
    """
    rows = []
    for decay, own in found.items():
        each = [measured for run in own if (measured := scores.measure(run))]
        if not each:  # all have failed
            continue
        errors = np.array([[m.errors[size] for size in SIZES] for m in each])
        means = [f"{mean:.3f}" for mean in errors.mean(axis=0)]
        area = np.mean([measured.hypervolume for measured in each])
        worst = f"{errors[:, -1].max():.2f}"
        rows.append([decay, f"{len(each)}", *means, worst, f"{area:.2f}"])
    header = ["weight decay", "runs", *(f"at {size}" for size in SIZES)]
    return format_rows([*header, f"worst at {SIZES[-1]}", "hypervolume"], rows)


def _with_decay(settings: Settings, decay: float) -> Settings:
    pipeline = dataclasses.replace(settings.pipeline, weight_decay=decay)
    return dataclasses.replace(settings, pipeline=pipeline)


if __name__ == "__main__":
    name = "python -m figures.quality.decay"
    sys.exit(commands.run_command(main, DecayCommand, name=name))
