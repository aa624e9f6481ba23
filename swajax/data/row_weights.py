"""Weights of rows: those of the table times those of the classes."""

import numpy as np
from jaxtyping import Float, Float32, Int

from swajax.data.tables import Table


def weigh_classes(
    task: str, counts: Int[np.ndarray, " C"], class_weight: str | None
) -> Float[np.ndarray, " C"] | None:
    """Return the factors of the weights of each class; None for 1.

    Args:
      task: regression or classification.
      counts: number of training rows per class.
      class_weight: None, or balanced for the same total weight of all classes.

    Raises:
      ValueError: the class weight is unknown, or the target holds no classes.
    """
    if class_weight is None:
        return None
    if task != "classification" or class_weight != "balanced":
        raise ValueError(
            f"class_weight must be None, or balanced for classes, got {class_weight}"
        )
    return counts.sum() / (len(counts) * np.maximum(counts, 1))


def count_classes(table: Table, rows: Int[np.ndarray, " N"]) -> Int[np.ndarray, " C"]:
    """Return the number of rows per class; none for a regression."""
    if table.task == "regression":
        return np.zeros(0, int)
    return np.bincount(table.target[rows], minlength=len(table.classes))


def normalise(weights: Float[np.ndarray, " N"]) -> Float32[np.ndarray, " N"]:
    """Scale weights to mean 1."""
    return (weights / weights.mean()).astype(np.float32)
