"""Configurations: frozen dataclasses to JSON values and back, and range checks."""

import dataclasses
import numbers
import types
import typing
from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def to_dict(config: Any) -> dict[str, Any]:
    """Return the fields of a configuration as JSON values; tuples become lists."""
    return {
        field.name: _to_plain(getattr(config, field.name))
        for field in dataclasses.fields(config)
    }


def from_dict(config_class: type[T], values: Mapping[str, Any]) -> T:
    """Rebuild a configuration from the values of `to_dict`.

    Args:
      config_class: frozen dataclass, possibly with dataclasses as fields.
      values: values by field name; fields without a value get their default.

    Raises:
      ValueError: a field is unknown, has no value and no default, or has a value of a
        wrong type; or the class itself refuses a value.
    """
    hints = typing.get_type_hints(config_class)
    fields = {}
    for name, value in values.items():
        place = f"{config_class.__name__}.{name}"
        if name not in hints:
            raise ValueError(f"{place} is unknown, there are only {', '.join(hints)}")
        fields[name] = _from_plain(hints[name], value, place)
    try:
        return config_class(**fields)
    except TypeError as error:
        raise ValueError(f"{config_class.__name__}: {error}") from error


def convert_fields(config: Any) -> None:
    """Convert the fields of a new configuration by `convert_values`, in place.

    Raises:
      ValueError: a value is of another type or no choice; names the field.
    """
    for name, value in convert_values(type(config), vars(config)).items():
        object.__setattr__(config, name, value)


def convert_values(config_class: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Convert values to the types of the fields of a configuration.

    Whole floats become integers, a single value or a list becomes a tuple.

    >>> @dataclasses.dataclass
    ... class Sizes:
    ...     number: int = 1
    ...     names: tuple[str, ...] = ()
    >>> convert_values(Sizes, {"number": 8.0, "names": "tanh"})
    {'number': 8, 'names': ('tanh',)}

    Raises:
      ValueError: a value is of another type; names the field.
    """
    hints = typing.get_type_hints(config_class)
    converted = {n: _convert(n, hints[n], value) for n, value in values.items()}
    for name, value in converted.items():
        if value is not None:
            _check_choice(name, hints[name], value)
    return converted


def check_choices(config: Any) -> None:
    """Check the fields with a `Literal` type against their choices.

    Raises:
      ValueError: a value, possibly None, is no choice; names the field and the choices.
    """
    for name, hint in typing.get_type_hints(type(config)).items():
        _check_choice(name, hint, getattr(config, name))


def check_range(
    name: str,
    value: Any,
    *,
    minimum: float | int | None = None,
    maximum: float | int | None = None,
    above: float | int | None = None,
    below: float | int | None = None,
    unit: str = "",
) -> None:
    """Check that a number is in a range.

    >>> check_range("share", 0.5, above=0, below=1)
    >>> check_range("num_steps", 0, minimum=1)
    Traceback (most recent call last):
        ...
    ValueError: num_steps must be >= 1, got 0

    Args:
      name: name of the number in the message.
      value: number to check; None, an absent option, passes. NaN never does.
      minimum: smallest value allowed.
      maximum: largest value allowed.
      above: bound that is itself not allowed, instead of `minimum`.
      below: bound that is itself not allowed, instead of `maximum`.
      unit: unit of the number, for the message.

    Raises:
      ValueError: the value is no number or out of the range; names it and the range.
    """
    if value is None:
        return
    if not isinstance(value, numbers.Real):
        raise ValueError(f"{name} must be a number, got {value!r}")
    is_inside = (
        (minimum is None or value >= minimum)
        and (maximum is None or value <= maximum)
        and (above is None or value > above)
        and (below is None or value < below)
        and value == value  # NaN is in no range, not even in an unlimited one
    )
    if not is_inside:
        allowed = _describe_range(minimum, maximum, above, below)
        unit = f" {unit}" if unit else ""
        raise ValueError(f"{name} must be {allowed}{unit}, got {value}")


def check_fields(config: Any, *names: str, **bounds: float | int) -> None:
    """Check several fields of a configuration by `check_range` with the same bounds.

    Raises:
      ValueError: the first field that is out of the range.
    """
    for name in names:
        check_range(name, getattr(config, name), **bounds)


def _describe_range(
    minimum: float | int | None,
    maximum: float | int | None,
    above: float | int | None,
    below: float | int | None,
) -> str:
    """Return a range as `>= 1`, `in 1..17`, `in (0, 1]` and the like."""
    low = above if minimum is None else minimum
    high = below if maximum is None else maximum
    if high is None:
        return f"> {low}" if minimum is None else f">= {low}"
    if low is None:
        return f"< {high}" if maximum is None else f"<= {high}"
    if isinstance(minimum, int) and isinstance(maximum, int):
        return f"in {low}..{high}"
    left, right = "(" if minimum is None else "[", ")" if maximum is None else "]"
    return f"in {left}{low}, {high}{right}"


def _convert(name: str, hint: Any, value: Any) -> Any:
    """Convert a value to a whole number, number or tuple if its type asks for one."""
    hints = typing.get_args(hint) if _is_union(hint) else (hint,)
    if value is None and types.NoneType in hints:
        return None
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if int in hints and float not in hints:
        if not is_number or value != value // 1:
            raise ValueError(f"{name} must be a whole number, got {value!r}")
        return int(value)
    if float in hints and not is_number:
        raise ValueError(f"{name} must be a number, got {value!r}")
    if set(hints) <= {str, types.NoneType} and not isinstance(value, str):
        raise ValueError(f"{name} must be a text, got {value!r}")
    for option in hints:
        if typing.get_origin(option) is tuple:
            return _convert_items(name, typing.get_args(option), value)
        if dataclasses.is_dataclass(option) and not isinstance(value, option):
            raise ValueError(f"{name} must be a {option.__name__}, got {value!r}")
    return value


def _convert_items(name: str, hints: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    """Convert a list, or a single value, to a tuple of converted values."""
    is_number = isinstance(value, numbers.Real) and _takes_numbers(hints[0])
    is_single = is_number or isinstance(value, str)
    if not is_single and not isinstance(value, Iterable):
        raise ValueError(f"{name} must be a list of plain values, got {value!r}")
    items = (value,) if is_single else tuple(value)
    if not all(isinstance(item, Hashable | list) for item in items):
        raise ValueError(f"{name} must be a list of plain values, got {value!r}")
    if Ellipsis in hints:
        hints = hints[:1] * len(items)
    if len(hints) != len(items):
        raise ValueError(f"{name} must have {len(hints)} items, got {value!r}")
    return tuple(_convert(name, *pair) for pair in zip(hints, items, strict=True))


def _takes_numbers(hint: Any) -> bool:
    return bool({int, float} & {hint, *typing.get_args(hint)})


def _check_choice(name: str, hint: Any, value: Any) -> None:
    options = typing.get_args(hint) if _is_union(hint) else (hint,)
    literals = [o for o in options if typing.get_origin(o) is typing.Literal]
    choices = tuple(c for o in literals for c in typing.get_args(o))
    if choices and value not in choices:
        raise ValueError(f"{name} must be one of {choices}, got {value!r}")


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _to_plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, tuple | list):
        return [_to_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _from_plain(hint: Any, value: Any, place: str) -> Any:
    """Convert a JSON value to the type of an annotation."""
    kind, choices = typing.get_origin(hint), typing.get_args(hint)
    if _is_union(hint):
        return _from_union(choices, value, place)
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return from_dict(hint, value)
    if kind is tuple and isinstance(value, list):
        return _from_list(choices, value, place)
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and type(value) is int:
        return float(value)
    if (
        hint is Any
        or type(value) is hint
        or (kind is typing.Literal and value in choices)
    ):
        return value
    wanted = f"one of {choices}" if kind is typing.Literal else hint.__name__
    raise ValueError(f"{place} must be {wanted}, got {value!r}")


def _from_list(
    choices: tuple[Any, ...], value: list[Any], place: str
) -> tuple[Any, ...]:
    hints = choices[:1] * len(value) if Ellipsis in choices else choices
    if len(hints) != len(value):
        raise ValueError(f"{place} must have {len(hints)} items, got {len(value)}")
    pairs = zip(hints, value, strict=True)
    return tuple(_from_plain(hint, item, place) for hint, item in pairs)


def _from_union(choices: tuple[Any, ...], value: Any, place: str) -> Any:
    refusals = []
    for choice in choices:
        try:
            return _from_plain(choice, value, place)
        except ValueError as error:
            refusals.append(error)
    raise refusals[0]
