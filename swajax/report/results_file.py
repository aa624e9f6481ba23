"""Reading and checks of the results.json of a run."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

PARTS = {"train": "training", "valid": "validation", "test": "test"}
CROSS = "cross-validation"
MEASURES = {
    "rmse": "RMSE",
    "r2": "R\N{SUPERSCRIPT TWO}",
    "log_loss": "log loss",
    "accuracy": "accuracy",
}
FIDELITY = "fidelity"  # the measure of the agreement with a teacher
FIELDS = {
    "source": str,
    "target": str,
    "classes": list,
    "class_counts": list,
    "num_rows": dict,
    "notes": list,
    "seconds": (int, float),
    "versions": dict,
    "config": dict,
    "measures": list,
    "front": list,
}
ROW_FIELDS = {"num_weights": int, "num_neurons": int, "depth": int, "is_picked": bool}


def read_results(run: Path) -> dict[str, Any]:
    """Return the content of results.json.

    Args:
      run: folder of a finished search.

    Raises:
      FileNotFoundError: the file is missing.
      ValueError: the file is damaged or has another version; the message names it.
    """
    path = run / "results.json"
    try:
        results = json.loads(path.read_bytes())
        _check_fields(results, FIELDS, "the file")
        _check_values(results)
    except (ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path}: damaged or of another version ({error})") from error
    return results


def find_parts(results: Mapping[str, Any]) -> list[str]:
    """Return the parts of the table that networks were not fitted to."""
    first = results["measures"][0]
    return [p for p in ("valid", "test") if f"{first}_{p}" in results["front"][0]]


def has_fidelity(results: Mapping[str, Any]) -> bool:
    """Return whether the networks imitate a teacher."""
    return f"{FIDELITY}_valid" in results["front"][0]


def name_part(part: str, is_cross_validated: bool) -> str:
    """Return the name of a part; validation is by folds after a cross-validation."""
    return CROSS if part == "valid" and is_cross_validated else PARTS[part]


def _check_values(results: Mapping[str, Any]) -> None:
    texts = [*results["classes"], *results["notes"], *results["versions"].values()]
    _require(all(isinstance(t, str) for t in texts), "a name is not text")
    counts = [*results["num_rows"].values(), *results["class_counts"]]
    _require(all(map(_is_count, counts)), "a count is not an integer")
    _require(set(results["num_rows"]) <= set(PARTS), "num_rows has unknown parts")
    is_paired = len(results["class_counts"]) == len(results["classes"])
    _require(is_paired, "class_counts does not fit classes")
    measures = results["measures"]
    is_known = len(measures) == 2 and all(m in list(MEASURES) for m in measures)
    _require(is_known, "measures are unknown")
    _require(results["front"], "front is empty")
    for number, row in enumerate(results["front"], 1):
        _check_fields(row, ROW_FIELDS, f"row {number} of front")
        _require(f"{measures[0]}_valid" in row, "no validation error")
    sizes = [row["num_weights"] for row in results["front"]]
    _require(sizes == sorted(set(sizes)), "the sizes of front do not increase")
    _require(sum(r["is_picked"] for r in results["front"]) == 1, "no single pick")
    for part in find_parts(results):
        for row in results["front"]:
            first, second = (row.get(f"{m}_{part}", math.nan) for m in measures)
            is_read = _is_number(first) and _is_number_or_none(second)
            if has_fidelity(results):
                is_read &= _is_number_or_none(row.get(f"{FIDELITY}_{part}", math.nan))
            _require(is_read, f"an error of front is not a number ({part})")


def _check_fields(values: Any, fields: Mapping[str, Any], where: str) -> None:
    _require(isinstance(values, dict), f"{where} is not an object")
    for name, kind in fields.items():
        _require(name in values, f"{where} has no {name}")
        is_kind = isinstance(values[name], kind)
        is_flag = isinstance(values[name], bool) and kind is not bool
        _require(is_kind and not is_flag, f"{name} of {where} has the wrong type")


def _is_count(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_number_or_none(value: Any) -> bool:
    return value is None or _is_number(value)


def _require(is_true: Any, message: str) -> None:
    if not is_true:
        raise ValueError(message)
