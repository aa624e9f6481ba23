"""Configurations, frozen dataclasses, to plain JSON values and back."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


def to_dict(config: Any) -> dict[str, Any]:
    """The fields of a configuration as what JSON can hold; tuples become lists."""
    return {
        field.name: _to_plain(getattr(config, field.name))
        for field in dataclasses.fields(config)
    }


def from_dict(config_class: type[T], values: Mapping[str, Any]) -> T:
    """The configuration that `to_dict` has turned into values; absent ones default.

    Raises:
      ValueError: a field is unknown, absent without a default, or of a wrong type, or
        the class itself refuses a value.
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


def check_choices(config: Any) -> None:
    """Reject values of `Literal` fields, None among them, that are no choice.

    Raises:
      ValueError: names the field, the choices and the value.
    """
    for name, hint in typing.get_type_hints(type(config)).items():
        options = (hint, *typing.get_args(hint))
        literals = [o for o in options if typing.get_origin(o) is typing.Literal]
        choices = tuple(c for o in literals for c in typing.get_args(o))
        if choices and getattr(config, name) not in choices:
            raise ValueError(
                f"{name} must be one of {choices}, got {getattr(config, name)!r}"
            )


def _to_plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_dict(value)
    if isinstance(value, tuple | list):
        return [_to_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _from_plain(hint: Any, value: Any, place: str) -> Any:
    """A value as its annotation wants it, which JSON cannot tell."""
    kind, choices = typing.get_origin(hint), typing.get_args(hint)
    if kind in (typing.Union, types.UnionType):
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
