"""The networks a search has found: their errors in the table's units, and a picture."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from swajax import files
from swajax.data.splits import Dataset, Scalers
from swajax.latent_search import SearchResult
from swajax.network import apply
from swajax.types import Network


class Candidate(NamedTuple):
    """One network of a search; errors in the units of the target."""

    depth: int
    sparsity_weight: float
    num_neurons: int
    num_weights: int
    num_weights_raw: int
    rmse_valid: float
    r2_valid: float
    rmse_test: float
    r2_test: float


class Outcome(NamedTuple):
    """All networks of a search on validation and test part, in the target's units."""

    rows: list[Candidate]
    true_valid: Float[np.ndarray, " N"]
    true_test: Float[np.ndarray, " M"]
    predicted_valid: Float[np.ndarray, "K N"]  # K candidates, in the order of `rows`
    predicted_test: Float[np.ndarray, "K M"]


def evaluate(
    result: SearchResult,
    dataset: Dataset,
    scalers: Scalers,
    *,
    activations: tuple[str, ...],
    sparsity_weights: Sequence[float],
) -> Outcome:
    """One row for each depth and sparsity weight: the one look at the test part."""
    true_valid, true_test, valid, test = (
        _to_units(part, scalers)
        for part in (
            dataset.y_valid[:, 0],
            dataset.y_test[:, 0],
            _outputs(result.network, dataset.x_valid, activations),
            _outputs(result.network, dataset.x_test, activations),
        )
    )
    rows = [
        Candidate(
            int(result.network.depth[index]),
            float(sparsity_weights[index[1]]),
            int(result.num_neurons[index]),
            int(result.num_weights[index]),
            int(result.num_weights_raw[index]),
            *_errors(valid[row], true_valid),
            *_errors(test[row], true_test),
        )
        for row, index in enumerate(np.ndindex(result.objective.shape))
    ]
    return Outcome(rows, true_valid, true_test, valid, test)


def pick(candidates: Sequence[Candidate]) -> int:
    """Index of the lowest validation error; the test part has no say."""
    errors = [row.rmse_valid for row in candidates]
    return int(np.argmin(np.where(np.isfinite(errors), errors, np.inf)))


def format_table(candidates: Sequence[Candidate], *, target: str) -> str:
    """The candidates as text, the picked one marked by a star."""
    lines = [
        f"RMSE in the units of {target!r} with R2 in brackets; weights in brackets: "
        "dead ones included; *: lowest validation error",
        _line(" ", "depth", "neurons", "weights", "sparsity weight", "valid", "test"),
    ]
    best = pick(candidates)
    for index, row in enumerate(candidates):
        lines.append(
            _line(
                "*" if index == best else " ",
                row.depth,
                row.num_neurons,
                f"{row.num_weights} ({row.num_weights_raw})",
                f"{row.sparsity_weight:.2g}",
                f"{row.rmse_valid:.4g} ({row.r2_valid:.3f})",
                f"{row.rmse_test:.4g} ({row.r2_test:.3f})",
            )
        )
    return "\n".join(lines)


def draw(path: Path, outcome: Outcome, *, target: str) -> None:
    """A PNG: predicted against true values of the pick, and error against size."""
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    row = pick(outcome.rows)
    left.plot(outcome.true_valid, outcome.predicted_valid[row], ".", label="validation")
    left.plot(outcome.true_test, outcome.predicted_test[row], ".", label="test")
    middle = outcome.true_valid.mean()
    left.axline((middle, middle), slope=1, color="0.6", lw=1, zorder=0)
    # The name of a column may hold any characters, dollar signs among them.
    left.set_xlabel(f"true {target}", parse_math=False)
    left.set_ylabel(f"predicted {target}", parse_math=False)
    left.set_title("The network with the lowest validation error")
    left.legend()
    _draw_sizes(right, outcome.rows, row)
    right.set_ylabel(f"validation RMSE of {target}", parse_math=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    files.write_bytes(path, buffer.getvalue())


def _line(mark: str, *cells: str | int) -> str:
    widths = (5, 7, 11, 15, 18, 18)
    padded = (f"{cell:>{w}}" for cell, w in zip(cells, widths, strict=True))
    return " ".join((mark, *padded))


def _draw_sizes(axes: Axes, candidates: Sequence[Candidate], best: int) -> None:
    for depth in sorted({row.depth for row in candidates}):
        rows = [row for row in candidates if row.depth == depth]
        sizes = [row.num_weights for row in rows]
        label = f"{depth} hidden layer{'s' if depth > 1 else ''}"
        axes.plot(sizes, [row.rmse_valid for row in rows], "o", label=label)
    chosen = candidates[best]
    axes.plot(chosen.num_weights, chosen.rmse_valid, "ko", ms=14, mfc="none")
    axes.set_xlabel("weights")
    axes.set_title("Error against size (circled: lowest error)")
    axes.legend()


def _outputs(
    networks: Network, x: Float[np.ndarray, "N I"], activations: tuple[str, ...]
) -> Float[np.ndarray, "K N"]:
    """Outputs of networks whose leaves lead with [D, S], in one list."""

    def one(network: Network) -> Float[Array, " N"]:
        return apply(network, jnp.asarray(x), activations=activations)[:, 0]

    out = np.asarray(jax.jit(jax.vmap(jax.vmap(one)))(networks))
    return out.reshape(-1, x.shape[0])


def _to_units(
    scaled: Float[np.ndarray, "*B N"], scalers: Scalers
) -> Float[np.ndarray, "*B N"]:
    flat = scaled.astype(np.float64).reshape(-1, 1)
    return scalers.target.inverse_transform(flat).reshape(scaled.shape)


def _errors(
    predicted: Float[np.ndarray, " N"], true: Float[np.ndarray, " N"]
) -> tuple[float, float]:
    """Root mean squared error, and R2: NaN where it is not defined."""
    mse = float(np.mean((predicted - true) ** 2))
    variance = float(np.var(true))
    return mse**0.5, 1 - mse / variance if variance > 0 else float("nan")
