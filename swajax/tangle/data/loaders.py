"""Built-in data sets of the search spaces."""

from collections.abc import Callable

from swajax.tangle.data import chars, digits
from swajax.tangle.data.examples import Split

LOADERS: dict[str, Callable[[int], Split]] = {
    "digits-macro": digits.load_digits,
    "digits-vit": digits.load_digits,
    "digits-cell": digits.load_digits,
    "chars-gpt": lambda seed: chars.load_chars(),
}
"""Loaders by name of a space, called with the seed of the split; text ignores it."""


def load_split(space: str, seed: int) -> Split:
    """Load the rows of a space; targets are classes.

    Raises:
      ValueError: the space has no built-in data.
    """
    if space not in LOADERS:
        raise ValueError(f"space must be one of {list(LOADERS)}, got {space!r}")
    return LOADERS[space](seed)


def read_provenance(space: str) -> dict[str, str]:
    """Return facts about data that differ between machines, to store with results."""
    if space != "chars-gpt":
        return {}
    return {"text": "pydoc_data.topics", "sha256": chars.hash_text(chars.read_text())}
