"""The data that search spaces bring with them, rather than a table of the user."""

from collections.abc import Callable

from swajax.tangle.data import chars, digits
from swajax.tangle.data.examples import Split

LOADERS: dict[str, Callable[[int], Split]] = {
    "digits-macro": digits.load_digits,
    "digits-vit": digits.load_digits,
    "digits-cell": digits.load_digits,
    "chars-gpt": lambda seed: chars.load_chars(),
}
"""From the name of a space and a seed; text is cut at the same places by any seed."""


def load_split(space: str, seed: int) -> Split:
    """The rows of a space; targets are classes.

    Raises:
      ValueError: the space has no data of its own.
    """
    if space not in LOADERS:
        raise ValueError(f"space must be one of {list(LOADERS)}, got {space!r}")
    return LOADERS[space](seed)


def describe(space: str) -> dict[str, str]:
    """What a result must say of the data, which are not the same everywhere."""
    if space != "chars-gpt":
        return {}
    return {"text": "pydoc_data.topics", "sha256": chars.hash_text(chars.read_text())}
