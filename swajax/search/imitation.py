"""Tiny networks that imitate any model: `compress`."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, Literal

import jax
import numpy as np
import pandas as pd

from swajax.data.encoding import encode, fit_encoder
from swajax.data.features import read_features
from swajax.data.made_rows import make_rows
from swajax.data.messages import listed
from swajax.data.problem import Problem, choose_objective, take_rows
from swajax.data.splits import Scaling, fit_target, to_outputs
from swajax.data.targets import TaskKind
from swajax.io.configs import check_range
from swajax.model import evaluation
from swajax.model.answers import Answers, encode_labels, find_classes, read_answers
from swajax.model.fitted import Model
from swajax.model.front import Front, pick_smallest
from swajax.search.config import SearchConfig
from swajax.search.progress import Callback
from swajax.search.run import find_front
from swajax.types import Network

MIN_ROWS = 10
NUM_MADE = 2000
MADE_WEIGHT = 1.0  # of all made-up rows, relative to the rows given
VALID_SHARE = 0.2
NEAR_LOSS = 0.01  # above the smallest: a picked network may have it
TARGET = "prediction"


def compress(
    predict_fn: Callable[[Any], Any],
    x: Any,
    y: Any = None,
    *,
    task: Literal["auto"] | TaskKind = "auto",
    num_made: int = NUM_MADE,
    config: SearchConfig | None = None,
    time_budget: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    seed: int = 0,
    devices: Sequence[jax.Device] | None = None,
    callback: Callback | None = None,
) -> Front:
    """Find the front of tiny networks that imitate a model, the teacher.

    The teacher predicts the rows given and made-up rows between them
    (`swajax.data.made_rows`). A fifth of all of them chooses the networks.

    Args:
      predict_fn: the teacher: `predict` of a regression, `predict_proba` or `predict`
        of a classification, or any function of rows like `x`; see
        `swajax.model.answers.read_answers` for what it may return.
      x: rows, an array [N, I] or a data frame; text columns become inputs.
      y: labels of the rows, to compare the networks with; they fit nothing.
      task: whether the teacher predicts numbers or classes; `auto` tells by its answer.
      num_made: number of made-up rows.
      config: limits and effort, by default `SearchConfig()`.
      time_budget: seconds of the search.
      clock: returns seconds.
      seed: seed of the made-up rows and of the search.
      devices: devices that share the work; all by default.
      callback: called after each block of work.

    Returns:
      The front, with `fidelity`, `accuracy` if there are labels, and `models`. Without
      `max_error` the pick is that of `pick_near`.

    Raises:
      ValueError: rows, labels or predictions do not fit together, or a prediction is
        not finite; or as in `swajax.find_front`.

    Example:
      >>> import numpy as np, swajax
      >>> x = np.random.default_rng(0).uniform(-1, 1, (50, 2))
      >>> small = swajax.SearchConfig(
      ...     max_weights=4, max_depth=1, max_width=2, activations=("tanh",),
      ...     num_starts=8, num_rounds=0, max_perturbed=0, sources=("random",),
      ... )
      >>> front = swajax.compress(
      ...     lambda x: 5 * np.tanh(3 * x[:, 0]), x, num_made=50, config=small
      ... )
      >>> int(front.num_weights[front.pick]), float(front.fidelity[front.pick].round(3))
      (2, 0.99)
      >>> front.models[front.pick].target
      'prediction'
    """
    check_range("num_made", num_made, minimum=0)
    config = config or SearchConfig()
    x = x if isinstance(x, pd.DataFrame) else np.asarray(x)
    frame = _to_frame(x)
    raw = np.asarray(predict_fn(x))
    is_classes = bool(read_answers(raw, len(frame), task=task).classes)
    labels = None if y is None else _read_labels(y, len(frame), is_classes=is_classes)
    classes = () if labels is None or not is_classes else find_classes(labels)
    encoder, _ = fit_encoder(read_features(frame, list(frame), is_chosen=False)[0])
    if num_made:
        made = make_rows(frame, encode(encoder, frame), num_made, seed=seed)
        raw = np.concatenate([raw, np.asarray(predict_fn(_like(x, made)))])
        frame = pd.concat([frame, made], ignore_index=True)
    answers = read_answers(raw, len(frame), task=task, classes=classes)
    scaling = Scaling(encoder, *_fit_target(answers), answers.classes)
    targets = answers.to_targets(scaling)
    rows = Problem(encode(encoder, frame), targets, np.ones(len(frame)))
    given, made = (
        take_rows(rows, part) for part in (slice(len(x)), slice(len(x), None))
    )
    front = find_front(
        jax.random.key(seed),
        *add_made_rows(_divide(given, seed), made),
        objective=choose_objective(answers.classes),
        config=config,
        time_budget=time_budget,
        clock=clock,
        devices=devices,
        callback=callback,
    )
    if config.max_error is None:
        front = pick_near(front)
    shared = {"scaling": scaling, "activations": config.activations}
    front = front._replace(
        fidelity=evaluation.score(front.network, given, **shared),
        models=_make_models(front.network, **shared),
    )
    if labels is None:
        return front
    codes = encode_labels(labels, classes) if classes else labels
    given = given._replace(y=to_outputs(codes, scaling, "y"))
    return front._replace(accuracy=evaluation.score(front.network, given, **shared))


def pick_near(front: Front) -> Front:
    """Pick the smallest network with a loss of at most `NEAR_LOSS` above the smallest.

    Without noise, larger networks are better for sure, however little.
    """
    limit = float(front.valid_loss.min()) + NEAR_LOSS
    pick = pick_smallest(front.valid_loss, front.valid_loss_diff_se, limit)
    return front._replace(pick=pick)


def add_made_rows(parts: Sequence[Problem], made: Problem) -> tuple[Problem, Problem]:
    """Append made-up rows to training and validation rows, in the same shares.

    The made-up rows of a part weigh `MADE_WEIGHT` times as much as its rows together.

    Args:
      parts: training and validation rows.
      made: made-up rows, in random order.
    """
    num_rows = [len(part.x) for part in parts]
    cut = round(len(made.x) * num_rows[0] / sum(num_rows))
    joined = []
    for part, own in zip(parts, (slice(cut), slice(cut, None)), strict=True):
        more = take_rows(made, own)
        if len(more.x):
            total = MADE_WEIGHT * np.sum(part.weight)
            more = more._replace(weight=more.weight * total / np.sum(more.weight))
        joined.append(Problem(*map(np.concatenate, zip(part, more, strict=True))))
    return joined[0], joined[1]


def _to_frame(x: pd.DataFrame | np.ndarray) -> pd.DataFrame:
    """Return rows as a data frame whose columns have text as names.

    Raises:
      ValueError: there are few rows, other than two axes, or two columns of one name.
    """
    if x.ndim != 2:
        raise ValueError(f"x must be [N, I], got the shape {x.shape}")
    if len(x) < MIN_ROWS:
        raise ValueError(f"{len(x)} rows, at least {MIN_ROWS} are needed")
    if not isinstance(x, pd.DataFrame):
        x = pd.DataFrame(x, columns=[f"x{i}" for i in range(1, x.shape[1] + 1)])
    names = list(map(str, x.columns))
    if len(set(names)) < len(names):
        raise ValueError(f"a column name appears more than once: {listed(names)}")
    return x.set_axis(names, axis=1).reset_index(drop=True)


def _like(x: pd.DataFrame | np.ndarray, frame: pd.DataFrame) -> Any:
    """Return rows in the form of `x`: a data frame, or an array of the same floats."""
    if isinstance(x, pd.DataFrame):
        return frame.set_axis(x.columns, axis=1)
    return frame.to_numpy(x.dtype if x.dtype.kind == "f" else None)


def _read_labels(y: Any, num_rows: int, *, is_classes: bool) -> np.ndarray:
    labels = np.asarray(y)
    if labels.shape not in ((num_rows,), (num_rows, 1)):
        raise ValueError(f"y must have {num_rows} labels, got the shape {labels.shape}")
    labels = labels.reshape(-1)
    if pd.isna(labels).any():
        raise ValueError(f"y has no label in row {int(np.argmax(pd.isna(labels))) + 1}")
    if is_classes:
        return labels
    if labels.dtype.kind not in "fiub":
        raise ValueError(f"y must be numbers, as the predictions are, got {labels[0]}")
    return labels.astype(np.float64)


def _fit_target(answers: Answers) -> tuple[float, float]:
    """Return scale and offset of the numbers that the teacher predicts."""
    if answers.classes:
        return 1.0, 0.0
    scale, offset = fit_target(answers.values[:, 0])
    if not 0 < scale < np.inf:
        raise ValueError(f"the teacher predicts {offset:g} for all rows")
    return scale, offset


def _divide(rows: Problem, seed: int) -> list[Problem]:
    order = np.random.default_rng(seed).permutation(len(rows.x))
    num_valid = math.ceil(VALID_SHARE * len(order))
    return [take_rows(rows, order[num_valid:]), take_rows(rows, order[:num_valid])]


def _make_models(
    networks: Network, scaling: Scaling, activations: tuple[str, ...]
) -> tuple[Model, ...]:
    return tuple(
        Model(Network(*(leaf[k] for leaf in networks)), activations, scaling, TARGET)
        for k in range(len(networks.depth))
    )
