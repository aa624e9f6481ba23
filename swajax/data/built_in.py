"""Built-in tables: data sets of scikit-learn, and the benchmark functions."""

from pathlib import Path

import pandas as pd

from swajax.data import functions

DATASETS = ("diabetes", "breast_cancer", "wine", "iris", "digits")
NAMES = (*DATASETS, *functions.FUNCTIONS)
IRIS_NAMES = ("sepal_length", "sepal_width", "petal_length", "petal_width")


def load_built_in(data: str) -> tuple[pd.DataFrame, str] | None:
    """Return the frame and default target of a built-in table, or None.

    The name is case-insensitive. A path with a folder (`./sphere`) is a file.
    """
    if Path(data).name != data:
        return None
    name = data.casefold().replace("-", "_")
    if name not in DATASETS:
        return _make_function_table(data)
    from sklearn import datasets  # slow to import, and most tables are files

    if name == "diabetes":
        frame = datasets.load_diabetes(as_frame=True, scaled=False).frame
        return frame, "target"
    if name == "breast_cancer":
        return _with_classes(datasets.load_breast_cancer(as_frame=True), "diagnosis")
    if name == "wine":
        return _with_classes(datasets.load_wine(as_frame=True), "cultivar")
    if name == "iris":
        iris = datasets.load_iris(as_frame=True)
        iris.data.columns = list(IRIS_NAMES)
        return _with_classes(iris, "species")
    frame = datasets.load_digits(as_frame=True).frame
    return frame.rename(columns={"target": "digit"}), "digit"


def _with_classes(bunch, target: str) -> tuple[pd.DataFrame, str]:
    names = bunch.target_names.astype(object)
    return bunch.data.assign(**{target: names[bunch.target]}), target


def _make_function_table(data: str) -> tuple[pd.DataFrame, str] | None:
    name = functions.canonical_name(data)
    if name is None:
        return None
    points, values = functions.sample_points(name, seed=0, num_points=5000)
    return pd.DataFrame({"x1": points[:, 0], "x2": points[:, 1], "y": values}), "y"
