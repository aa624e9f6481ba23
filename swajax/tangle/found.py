"""Networks found by the command, with inherited, finetuned and retrained weights.

found-START.safetensors   weights of the network of one start, and what they belong to
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

from swajax.io import checkpoints, configs
from swajax.tangle.choices import Architecture, to_architecture, to_options
from swajax.tangle.spaces import SPACES
from swajax.tangle.spaces.base import SearchSpace

FORMS = ("inherited", "finetuned", "retrained")


class FoundNetwork(NamedTuple):
    """The network found by one start of a run."""

    space: SearchSpace
    architecture: Architecture
    weights: dict[str, Any]
    """sliced weights by name: inherited, finetuned and retrained"""
    scores: dict[str, dict[str, float | None]]
    """test loss and accuracy (None in regression) by name of the weights"""

    @property
    def options(self) -> dict[str, Any]:
        """Chosen options by name of the choice."""
        return to_options(self.architecture, self.space.choices)

    def apply(self, x: ArrayLike, form: str = "retrained") -> Float[Array, "N O"]:
        """Compute the outputs for inputs, prepared as the rows of the space.

        Args:
          x: inputs, as in `swajax.tangle.data.loaders.load_split`.
          form: inherited, finetuned or retrained.

        Raises:
          ValueError: there are no weights of this name.
        """
        if form not in self.weights:
            raise ValueError(f"form must be one of {FORMS}, got {form!r}")
        weights, x = self.weights[form], jnp.asarray(x)
        return self.space.apply_standalone(weights, self.architecture, x)


def save_network(
    folder: Path,
    start: int,
    weights: Mapping[str, Any],
    scores: Mapping[str, Mapping[str, Any]],
    *,
    architecture: Architecture,
    space: SearchSpace,
) -> None:
    """Write the weights of the network of one start into the folder of a run.

    Args:
      folder: folder of the run.
      start: index of the search.
      weights: sliced weights by name.
      scores: test loss and accuracy by name.
      architecture: architecture of the network.
      space: space of the run.
    """
    header = {
        "space": space.name,
        "config": configs.to_dict(space.config),
        "genes": [index for c in space.choices for index in architecture[c.name]],
        "scores": {
            name: {key: _to_number(value) for key, value in score.items()}
            for name, score in scores.items()
        },
    }
    checkpoints.save(
        folder / f"found-{start}.safetensors", dict(weights), header=header
    )


def load_networks(folder: Path | str) -> list[FoundNetwork]:
    """Load the networks found by a run of `python -m swajax.tangle`, one per start.

    Raises:
      FileNotFoundError: there is no such folder, or no network in it.
      ValueError: a file is damaged or of another version; the message names it.
    """
    paths = {
        int(match[1]): path
        for path in Path(folder).glob("found-*.safetensors")
        if (match := re.fullmatch(r"found-(\d+)", path.stem))
    }
    if not paths:
        raise FileNotFoundError(
            f"{folder}: no networks of python -m swajax.tangle "
            "(found-0.safetensors is missing)"
        )
    return [_load_network(paths[start]) for start in sorted(paths)]


def format_scores(rows: Sequence[Mapping[str, Any]]) -> str:
    """Format the test losses of networks as a table."""
    lines = ["network    start  weights  inherited  finetuned  retrained (test loss)"]
    for row in rows:
        losses = [row[n]["loss"] for n in ("inherited", "finetuned", "retrained")]
        shown = "".join(f"{loss:11.4f}" for loss in np.array(losses, float))
        lines.append(f"{row['name']:9}{row['start']:7d}{row['num_weights']:9d}{shown}")
    return "\n".join(lines)


def _load_network(path: Path) -> FoundNetwork:
    arrays, header = checkpoints.load(path)
    try:
        config_class, make = SPACES[header["space"]]
        space = make(configs.from_dict(config_class, header["config"]))
        architecture = to_architecture(header["genes"], space.choices)
        taken = jax.eval_shape(
            lambda key: space.take(space.init(key), architecture), jax.random.key(0)
        )
        scores = {form: dict(header["scores"][form]) for form in FORMS}
    except (KeyError, IndexError, TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"{path}: not written by this version of swajax ({error})"
        ) from error
    weights = checkpoints.from_arrays(
        arrays, dict.fromkeys(FORMS, taken), source=str(path)
    )
    weights = {form: weights[form] for form in FORMS}  # trees sort their names
    return FoundNetwork(space, architecture, weights, scores)


def _to_number(value: Any) -> float | None:
    number = float(value)
    return number if number == number else None
