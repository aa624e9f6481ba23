"""Small neural networks, architecture and weights together, by gradient descent."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from swajax.model.results import load as load

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """`swajax.load` on first use: importing the package alone stays quick."""
    if name == "load":
        from swajax.model.results import load

        return load
    raise AttributeError(f"module 'swajax' has no attribute {name!r}")
