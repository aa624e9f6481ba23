"""Checks of command options."""

from collections.abc import Iterable, Sequence
from typing import Any

from swajax.data.messages import did_you_mean


def check_names(kind: str, names: Iterable[str], known: Sequence[str]) -> None:
    """Check that all names are known.

    Args:
      kind: of the names, for the message.
      names: to check.
      known: allowed names.

    Raises:
      ValueError: names the first unknown one, a similar one, and the allowed ones.
    """
    for name in names:
        if name not in known:
            raise ValueError(
                f"no {kind} {name!r}{did_you_mean(name, known)}; there are: "
                f"{', '.join(known)}"
            )


def check_at_least(least: int | float, config: Any, *fields: str) -> None:
    """Check lower limits of numbers.

    Args:
      least: limit.
      config: dataclass.
      *fields: names of its numbers.

    Raises:
      ValueError: names the field and its value.
    """
    for field in fields:
        value = getattr(config, field)
        if not value >= least:
            raise ValueError(f"{field} must be >= {least:g}, got {value}")


def check_above_zero(config: Any, *fields: str) -> None:
    """Check that numbers are above zero; None is allowed.

    Args:
      config: dataclass.
      *fields: names of its numbers.

    Raises:
      ValueError: names the field and its value.
    """
    for field in fields:
        value = getattr(config, field)
        if value is not None and not value > 0:
            raise ValueError(f"{field} must be > 0, got {value}")
