"""Run folders: config.json, metrics.jsonl and the other files of a run.

Of several hosts only the first writes (`files.is_writer`); call these functions after
`jax.distributed.initialize`.
"""

import json
import math
import platform
import re
import warnings
import zlib
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from swajax.io import configs, files

CONFIG_FILE, METRICS_FILE = "config.json", "metrics.jsonl"
CHECKSUM = "checksum"  # name in config.json, beside the fields
PACKAGES = ("swajax", "jax", "jaxlib", "numpy", "pandas", "scikit-learn")

T = TypeVar("T")


def default_run_folder(name: str, root: Path | str = "runs") -> Path:
    """Return the folder `root/name-001`, or that of the number after the last one."""
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
    """Create the folder of a new run and write its configuration.

    Args:
      path: the folder; missing parent folders are created.
      config: frozen dataclass of the options.
      is_resumable: whether the command has `--resume`. Without it, a folder in which a
        run has left no results is used again.

    Returns:
      The folder.

    Raises:
      FileExistsError: the path is a file, or a folder that is not empty.
    """
    path = Path(path)
    if not files.is_writer():
        return path
    if not is_resumable and _has_no_results(path):
        (path / METRICS_FILE).unlink(missing_ok=True)
    elif path.exists() and (not path.is_dir() or any(path.iterdir())):
        advice = " or continue that run with --resume" if is_resumable else ""
        raise FileExistsError(
            f"{path} exists and is not empty: choose another --out{advice}"
        )
    path.mkdir(parents=True, exist_ok=True)
    values = configs.to_dict(config)
    write_json(path / CONFIG_FILE, values | {CHECKSUM: _checksum(values)})
    return path


def read_config(folder: Path | str, config_class: type[T]) -> T:
    """Read the configuration of a run.

    Files of older versions have no checksum; they are read with a warning.

    Args:
      folder: folder of the run.
      config_class: frozen dataclass with which the run was made.

    Raises:
      FileNotFoundError: the folder holds no run.
      ValueError: the file is damaged or edited, or does not fit the class.
    """
    path = Path(folder) / CONFIG_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: no run to resume, {path} is missing")
    values = _parse_object(path.read_bytes(), str(path))
    checksum = values.pop(CHECKSUM, None)
    try:
        config = configs.from_dict(config_class, values)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if checksum is None:
        warnings.warn(
            f"{path} has no checksum: damage to it cannot be detected", stacklevel=2
        )
    elif checksum != _checksum(values):
        raise ValueError(f"{path}: damaged or edited, the checksum does not match")
    return config


def write_json(path: Path | str, value: Any) -> None:
    """Replace a JSON file atomically. Numbers that are not finite become null."""
    text = json.dumps(to_plain(value), indent=2, allow_nan=False)
    files.write_bytes(path, (text + "\n").encode())


def log_metrics(folder: Path | str, metrics: Mapping[str, Any]) -> None:
    """Append one line to metrics.jsonl; values are numbers or scalar arrays."""
    if not files.is_writer():
        return
    line = json.dumps(to_plain(metrics), allow_nan=False)
    path = _metrics_path(folder)
    with files.naming_full_disk(path), path.open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def read_metrics(folder: Path | str) -> list[dict[str, Any]]:
    """Read all lines of metrics.jsonl, except an incomplete last one of a killed run.

    Raises:
      ValueError: a line is no JSON object; names file and line.
    """
    path = _metrics_path(folder)
    if not path.exists():
        return []
    *lines, _ = path.read_bytes().split(b"\n")
    return [_parse_object(line, f"{path}:{n}") for n, line in enumerate(lines, start=1)]


def truncate_metrics(folder: Path | str, step: int) -> None:
    """Remove the lines logged after a step, so that a resumed run repeats none.

    Lines without a "step" are kept.
    """
    kept = [line for line in read_metrics(folder) if line.get("step", step) <= step]
    text = "".join(json.dumps(line) + "\n" for line in kept)
    files.write_bytes(_metrics_path(folder), text.encode())


def find_versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide a result."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "run from its sources"
    return found


def _has_no_results(path: Path) -> bool:
    """Return whether a folder holds only what an unfinished run of a command leaves."""
    if not path.is_dir():
        return False
    names = {file.name for file in path.iterdir()}
    return CONFIG_FILE in names and names <= {CONFIG_FILE, METRICS_FILE}


def _checksum(values: Mapping[str, Any]) -> int:
    """Return the CRC-32 of the values of a configuration, in any layout of the file."""
    return zlib.crc32(json.dumps(to_plain(values), sort_keys=True).encode())


def _metrics_path(folder: Path | str) -> Path:
    return Path(folder) / METRICS_FILE


def _parse_object(text: bytes, place: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{place}: no JSON ({error})") from error
    if not isinstance(values, dict):
        raise ValueError(f"{place}: no JSON object")
    return values


def to_plain(value: Any) -> Any:
    """Return mappings, sequences, arrays and scalars as strict JSON values."""
    if isinstance(value, Mapping):
        return {str(name): to_plain(item) for name, item in value.items()}
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return to_plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value
