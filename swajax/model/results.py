"""Networks and rows in the folder of a search."""

from pathlib import Path
from typing import Any

import numpy as np

from swajax.data.problem import Problem, take_rows
from swajax.data.splits import Dataset
from swajax.io import checkpoints
from swajax.model import fitted
from swajax.model.fitted import Model
from swajax.types import Network

NETWORKS_FILE, ROWS_FILE = "networks.safetensors", "rows.safetensors"
MAX_ROWS = 10_000


def load(path: Path | str, size: int | None = None) -> Model:
    """Load a network found by a search, for prediction or export.

    Args:
      path: folder of a run of `python -m swajax.search`, or file of one model.
      size: load the network with this many weights or, if there is none, the best
        smaller one; by default the picked one.

    Raises:
      FileNotFoundError: there is no such path, or no finished run in the folder.
      ValueError: the file is damaged or of another version, or all networks are larger.
    """
    return _read_model(_find_file(path), size)


def load_front(path: Path | str) -> list[Model]:
    """Load all networks of a run, smallest first, or the network of a file.

    The arguments and errors are those of `load`.
    """
    file = _find_file(path)
    arrays, header = checkpoints.load(file)
    if np.ndim(arrays.get("depth", 0)) == 0:
        return [fitted.from_file(arrays, header, source=str(file))]
    return [
        _take(arrays, header, place, file)
        for place in range(_check_front(arrays, header, file))
    ]


def _find_file(path: Path | str) -> Path:
    """Return the file of networks in a folder, or the path itself."""
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such folder or file")
    if not path.is_dir():
        return path
    file = path / NETWORKS_FILE
    if not file.is_file():
        raise FileNotFoundError(f"{path}: {_describe_run(path)}")
    return file


def _describe_run(path: Path) -> str:
    """Explain why a folder has no networks of tables."""
    if any(path.glob("found-*.safetensors")) and (path / "results.json").is_file():
        return "the space has no tables; swajax.tangle.found.load_networks reads them"
    kind = "an unfinished run" if (path / "config.json").is_file() else "no run"
    return f"{kind} of a search, {NETWORKS_FILE} is missing"


def write_rows(folder: Path | str, dataset: Dataset) -> None:
    """Write the validation and test rows, encoded as the networks read them.

    Where a cross-validation selected, the training rows stand for validation rows.

    Exports and reports use them instead of the table, which may no longer exist. Only
    the first `MAX_ROWS` rows of each part are written; they are a random sample, since
    the split shuffles.
    """
    valid = dataset.train if dataset.valid is None else dataset.valid
    parts = {"valid": valid, "test": dataset.test}
    kept = {
        name: take_rows(part, slice(MAX_ROWS))
        for name, part in parts.items()
        if part is not None
    }
    checkpoints.save(Path(folder) / ROWS_FILE, kept, header={"parts": list(kept)})


def read_rows(folder: Path | str) -> dict[str, Problem]:
    """Read the rows written by `write_rows`: `valid` and, if stored, `test`.

    Raises:
      FileNotFoundError: the run has no file of rows.
      ValueError: the file is damaged or of another version.
    """
    path = Path(folder) / ROWS_FILE
    arrays, header = checkpoints.load(path)
    try:
        parts = {
            name: Problem(*(arrays[f"{name}/{field}"] for field in Problem._fields))
            for name in header["parts"]
        }
        return {"valid": parts["valid"], **parts}
    except (KeyError, TypeError) as error:
        raise ValueError(f"{path}: not written by this version of swajax") from error


def _read_model(path: Path, size: int | None) -> Model:
    """Read one network from a file of one model or of a whole front."""
    arrays, header = checkpoints.load(path)
    if np.ndim(arrays.get("depth", 0)) == 0:
        model = fitted.from_file(arrays, header, source=str(path))
        _check_size([model.num_weights], size, path)
        return model
    num, pick = _check_front(arrays, header, path), header["pick"]
    if size is not None:
        sizes = fitted.count_weights(Network(**arrays)).tolist()
        _check_size(sizes, size, path)
        pick = _choose(sizes, size, header.get("is_dominated"))
    if not 0 <= pick < num:
        raise ValueError(f"{path}: no network {pick} among {num}")
    return _take(arrays, header, pick, path)


def _check_front(
    arrays: dict[str, np.ndarray], header: dict[str, Any], path: Path
) -> int:
    """Return the number of networks of a front."""
    depth, pick = arrays["depth"], header.get("pick")
    is_whole = set(arrays) == set(Network._fields) and type(pick) is int
    shapes = {leaf.shape[:1] for leaf in arrays.values()}
    if not is_whole or shapes != {depth.shape} or not len(depth):
        raise ValueError(f"{path}: not a front of networks of this version of swajax")
    return len(depth)


def _take(
    arrays: dict[str, np.ndarray], header: dict[str, Any], place: int, path: Path
) -> Model:
    one = {name: leaf[place] for name, leaf in arrays.items()}
    return fitted.from_file(one, header, source=str(path))


def _choose(sizes: list[int], size: int, is_dominated: Any) -> int:
    """Return the index of the network of a size, or of the best smaller one."""
    fitting = [place for place, num in enumerate(sizes) if num <= size]
    if isinstance(is_dominated, list) and len(is_dominated) == len(sizes):
        fitting = [
            place
            for place in fitting
            if not is_dominated[place] or sizes[place] == size
        ] or fitting
    return fitting[-1]


def _check_size(sizes: list[int], size: int | None, path: Path) -> None:
    if size is not None and min(sizes) > size:
        raise ValueError(
            f"{path}: no network has at most {size} weights; the front has networks of "
            f"{', '.join(map(str, sizes))}"
        )
