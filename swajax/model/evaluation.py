"""TODO swajax/model/evaluation.py."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from swajax.data.problem import Problem
from swajax.data.splits import Dataset, Scaling
from swajax.model.front import Front
from swajax.network import apply, count_neurons
from swajax.types import Network


class FrontTable(NamedTuple):
    """A row a network, smallest first."""

    rows: list[
        dict[str, Any]
    ]  # num_weights, num_neurons, depth, <measure>_<part>, pick
    measures: tuple[str, str]  # names of the two measures, the one to minimise first
    pick: int


_count_neurons = jax.jit(jax.vmap(count_neurons))


def tabulate(
    front: Front, dataset: Dataset, scaling: Scaling, *, activations: tuple[str, ...]
) -> FrontTable:
    """Sizes and errors of all networks: the one look at the test part.

    Measures are the root mean squared error in the units of the target and R2, or the
    log loss in nats and the share of rows whose class is right. Weights of rows count.
    """
    parts = {"train": dataset.train, "valid": dataset.valid, "test": dataset.test}
    measured = {
        name: _measure(front.network, part, scaling, activations)
        for name, part in parts.items()
        if part is not None
    }
    measures = ("log_loss", "accuracy") if scaling.classes else ("rmse", "r2")
    neurons = np.asarray(_count_neurons(front.network))
    rows = [
        {
            "num_weights": int(front.num_weights[index]),
            "num_neurons": int(neurons[index]),
            "depth": int(front.network.depth[index]) if neurons[index] else 0,
            "valid_loss": float(front.valid_loss[index]),
            "valid_gap_error": float(front.gap_error[index]),
            **{
                f"{measure}_{part}": float(values[which][index])
                for part, values in measured.items()
                for which, measure in enumerate(measures)
            },
            "is_picked": index == front.pick,
        }
        for index in range(len(front.num_weights))
    ]
    return FrontTable(rows, measures, front.pick)


def _errors(row: dict[str, Any], measures: tuple[str, str], part: str) -> str:
    first, second = (row[f"{measure}_{part}"] for measure in measures)
    return f"{first:.4g} ({second:.3f})"


def _measure(
    networks: Network, part: Problem, scaling: Scaling, activations: tuple[str, ...]
) -> tuple[Float[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Both measures of each network on one part."""
    outputs = predict(networks, part.x, activations=activations)
    average = functools.partial(np.average, axis=1, weights=part.weight)
    if not scaling.classes:
        squares = average(np.square(outputs - part.y[None])[..., 0])
        variance = np.average(
            np.square(part.y - np.average(part.y, axis=0, weights=part.weight))[:, 0],
            weights=part.weight,
        )
        r2 = 1 - squares / variance if variance > 0 else np.full(len(squares), np.nan)
        return np.sqrt(squares) * scaling.target_scale, r2
    if outputs.shape[-1] == 1:  # log-odds of the second class
        outputs = np.concatenate([np.zeros_like(outputs), outputs], axis=-1)
        truth = np.concatenate([1 - part.y, part.y], axis=-1)[None]
    else:
        truth = part.y[None]
    log_total = np.logaddexp.reduce(outputs, axis=-1)
    right = outputs.argmax(axis=-1) == truth.argmax(axis=-1)
    return average(log_total - (outputs * truth).sum(axis=-1)), average(right)


def predict(
    networks: Network, x: Float[np.ndarray, "N I"], *, activations: tuple[str, ...]
) -> Float[np.ndarray, "K N O"]:
    """Outputs of K networks, as float64."""
    out = _apply(networks, jnp.asarray(x), activations=activations)
    return np.asarray(out, np.float64)


@functools.partial(jax.jit, static_argnames="activations")
def _apply(
    networks: Network, x: Float[jax.Array, "N I"], *, activations: tuple[str, ...]
) -> Float[jax.Array, "K N O"]:
    one = functools.partial(apply, x=x, activations=activations)
    return jax.vmap(one)(networks)
