"""Folds of the rows: which ones are held out together in a cross-validation."""

import numpy as np
from jaxtyping import Int, Shaped

NUM_FOLDS = 5


def divide_into_folds(
    codes: Shaped[np.ndarray, " N"],
    seed: int,
    *,
    num_folds: int = NUM_FOLDS,
    groups: Shaped[np.ndarray, " N"] | None = None,
) -> tuple[Int[np.ndarray, " N"], tuple[str, ...]]:
    """Return the fold of each row, and notes for the user.

    Rows are dealt out at random, class by class, so that the folds have equally many
    rows of each class. All rows of a group are in one fold. With fewer rows or groups
    than folds there are fewer folds.

    >>> folds, notes = divide_into_folds(np.array([0, 0, 1, 1]), 0, num_folds=2)
    >>> sorted(folds[:2].tolist()), sorted(folds[2:].tolist())
    ([0, 1], [0, 1])

    Args:
      codes: class of each row; all equal for a regression.
      seed: seed of the order, in [0, 2^32).
      num_folds: largest number of folds.
      groups: group of each row.

    Raises:
      ValueError: there are fewer than two rows or groups.
    """
    rng, unit = np.random.default_rng(seed), "row" if groups is None else "group"
    units = np.arange(len(codes)) if groups is None else groups
    num_units = len(np.unique(units))
    if num_units < 2:
        raise ValueError(
            f"{num_units} {unit} cannot be divided into folds: at least 2 are needed"
        )
    notes = ()
    if num_units < num_folds:
        num_folds = num_units
        notes += (f"{num_folds} folds, one for each {unit}",)
    if groups is None:
        folds = _deal(codes, num_folds, rng)
    else:
        folds = _deal_groups(codes, groups, num_folds, rng)
    return folds, notes + _note_rare(codes, num_folds)


def _deal(
    codes: Shaped[np.ndarray, " N"], num_folds: int, rng: np.random.Generator
) -> Int[np.ndarray, " N"]:
    """Deal rows out, one class after the other, each in random order."""
    order = rng.permutation(len(codes))
    order = order[np.argsort(codes[order], kind="stable")]
    folds = np.empty(len(codes), int)
    folds[order] = np.arange(len(codes)) % num_folds
    return rng.permutation(num_folds)[folds]


def _deal_groups(
    codes: Shaped[np.ndarray, " N"],
    groups: Shaped[np.ndarray, " N"],
    num_folds: int,
    rng: np.random.Generator,
) -> Int[np.ndarray, " N"]:
    """Give each group, the largest first, to the fold that it leaves most even."""
    _, group = np.unique(groups, return_inverse=True)
    _, code = np.unique(codes, return_inverse=True)
    counts = np.zeros((group.max() + 1, code.max() + 1))
    np.add.at(counts, (group, code), 1)
    shares = counts / counts.sum(axis=0)
    order = rng.permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    filled, fold_of = np.zeros((num_folds, counts.shape[1])), np.empty(len(counts), int)
    for place, own in enumerate(order):
        # The sum of squares is smallest where the folds are even.
        rise = (2 * filled * shares[own] + np.square(shares[own])).sum(axis=1)
        is_empty = ~filled.any(axis=1)
        if is_empty.sum() >= len(order) - place:
            rise = np.where(is_empty, rise, np.inf)
        fold_of[own] = np.argmin(rise)
        filled[fold_of[own]] += shares[own]
    return fold_of[group]


def _note_rare(codes: Shaped[np.ndarray, " N"], num_folds: int) -> tuple[str, ...]:
    """Say that some folds lack a class, because it has fewer rows than folds."""
    _, counts = np.unique(codes, return_counts=True)
    num_rare = int((counts < num_folds).sum()) if len(counts) > 1 else 0
    if not num_rare:
        return ()
    return (
        f"classes with fewer rows than the {num_folds} folds: {num_rare}; some folds "
        "hold out none of their rows",
    )
