"""Files of a finished run: networks, rows, results, pictures and the page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from swajax.data.encoding import encoder_to_dict
from swajax.data.splits import Dataset, Scaling, count_rows
from swajax.data.tables import Table
from swajax.io import checkpoints, configs, runlog
from swajax.model.evaluation import FrontTable
from swajax.model.front import Front
from swajax.model.results import NETWORKS_FILE, write_rows
from swajax.report import fronts, page, pictures


def write(
    folder: Path,
    config: Any,
    front: Front,
    outcome: FrontTable,
    *,
    table: Table,
    dataset: Dataset,
    scaling: Scaling,
    activations: tuple[str, ...],
    about: Mapping[str, Any],
) -> None:
    """Write everything that `swajax.load`, the exports and the page read.

    Args:
      folder: folder of the run.
      config: frozen dataclass of the options.
      front: networks that were found.
      outcome: their sizes and errors.
      table: the table.
      dataset: its parts.
      scaling: its scaling.
      activations: names of the activations of the networks.
      about: further facts for results.json, such as notes and seconds.
    """
    write_rows(folder, dataset)
    header = {
        "source": table.source,
        "target": table.target_name,
        "task": table.task,
        "classes": scaling.classes,
        "encoder": encoder_to_dict(scaling.encoder),
        "target_scale": scaling.target_scale,
        "target_offset": scaling.target_offset,
        "activations": activations,
        "pick": front.pick,
        "is_dominated": (~front.is_best).tolist(),
    }
    checkpoints.save(folder / NETWORKS_FILE, front.network, header=header)
    title = f"{table.source}: error against size"
    fronts.draw(folder / "front.png", outcome, target=table.target_name, title=title)
    results = header | {
        "class_counts": _count_classes(table, dataset),
        "num_rows": count_rows(dataset),
        "is_cross_validated": outcome.is_cross_validated,
        "measures": outcome.measures,
        "front": outcome.rows,
        **about,
    }
    write_results(folder, config, results)
    pictures.write(folder)
    page.write(folder)


def write_results(folder: Path, config: Any, results: Mapping[str, Any]) -> None:
    """Write results.json, with the options and versions of the run."""
    setting = {
        "versions": runlog.find_versions(),
        "config": configs.to_dict(config),
    }
    runlog.write_json(folder / "results.json", {**results, **setting})


def _count_classes(table: Table, dataset: Dataset) -> list[int]:
    """Return the number of training rows of each class, none in regression."""
    if not table.classes:
        return []
    y = dataset.train.y
    every = y if y.shape[1] > 1 else np.concatenate([1 - y, y], axis=1)
    return every.sum(axis=0).astype(int).tolist()
