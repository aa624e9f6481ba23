"""Run folders: config.json, metrics.jsonl and whatever else a run leaves behind.

Of several hosts only the first writes (`files.is_writer`); call these functions after
`jax.distributed.initialize`.
"""

import json
import math
import platform
import re
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from swajax.io import configs, files

PACKAGES = ("swajax", "jax", "jaxlib", "numpy", "pandas", "scikit-learn")


T = TypeVar("T")


def default_run_folder(name: str, root: Path | str = "runs") -> Path:
    """The folder `root/name-001`, or with the next number that is free."""
    pattern = re.compile(re.escape(name) + r"-(\d+)")
    root = Path(root)
    taken = [0]
    for folder in root.iterdir() if root.is_dir() else ():
        if match := pattern.fullmatch(folder.name):
            taken.append(int(match[1]))
    return root / f"{name}-{max(taken) + 1:03d}"


def make_run_folder(
    path: Path | str, config: Any, *, is_resumable: bool = True
) -> Path:
    """Create the folder of a new run and write the configuration into it.

    Args:
      path: the folder; those above it are made as well.
      config: a frozen dataclass.
      is_resumable: whether to advise `--resume` when the folder is in use.

    Raises:
      FileExistsError: there is a file of this name, or a folder that is not empty.
    """
    path = Path(path)
    if not files.is_writer():
        return path
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        advice = " or go on with that run by --resume" if is_resumable else ""
        raise FileExistsError(
            f"{path} exists and is not empty: choose another --out{advice}"
        )
    path.mkdir(parents=True, exist_ok=True)
    write_json(path / "config.json", configs.to_dict(config))
    return path


def read_config(folder: Path | str, config_class: type[T]) -> T:
    """The configuration with which a run was made.

    Raises:
      FileNotFoundError: the folder holds no run.
      ValueError: the file does not fit the class.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: no run to resume, {path} is missing")
    values = _parse_object(path.read_bytes(), str(path))
    try:
        return configs.from_dict(config_class, values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def write_json(path: Path | str, value: Any) -> None:
    """Replace a JSON file at once. Numbers that are not finite become null."""
    text = json.dumps(to_plain(value), indent=2, allow_nan=False)
    files.write_bytes(path, (text + "\n").encode())


def log_metrics(folder: Path | str, metrics: Mapping[str, Any]) -> None:
    """Append one line to metrics.jsonl; values are numbers or scalar arrays."""
    if not files.is_writer():
        return
    line = json.dumps(to_plain(metrics), allow_nan=False)
    with _metrics_path(folder).open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def read_metrics(folder: Path | str) -> list[dict[str, Any]]:
    """All lines of metrics.jsonl, but for a last one that a killed run left half.

    Raises:
      ValueError: a line is no JSON object; file and line are named.
    """
    path = _metrics_path(folder)
    if not path.exists():
        return []
    *lines, _ = path.read_bytes().split(b"\n")
    return [_parse_object(line, f"{path}:{n}") for n, line in enumerate(lines, start=1)]


def truncate_metrics(folder: Path | str, step: int) -> None:
    """Drop what was logged after a step, so that a resumed run logs it only once.

    Lines carry their step under "step"; those without are kept.
    """
    kept = [line for line in read_metrics(folder) if line.get("step", step) <= step]
    text = "".join(json.dumps(line) + "\n" for line in kept)
    files.write_bytes(_metrics_path(folder), text.encode())


def _metrics_path(folder: Path | str) -> Path:
    return Path(folder) / "metrics.jsonl"


def _parse_object(text: bytes, place: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place}: no JSON ({error})") from error
    if not isinstance(values, dict):
        raise ValueError(f"{place}: no JSON object")
    return values


def to_plain(value: Any) -> Any:
    """Mappings, sequences, arrays and scalars as strict JSON values."""
    if isinstance(value, Mapping):
        return {str(name): to_plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return to_plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def find_versions() -> dict[str, str]:
    """Versions of what a run is made with."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "run from its sources"
    return found
