"""Domain values to plain JSON values and back, by their annotations. For the journal and the JSON lines.

Standard library only, so that a rollback need not import a serialiser. Unknown fields of a newer version are ignored;
missing fields take their default. A member of a union of dataclasses is named by ``kind``.
"""

from __future__ import annotations

import re
import types
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from bluegreen.domain.errors import UsageError
from bluegreen.domain.values import fields, is_dataclass

Plain = None | bool | int | float | str | list["Plain"] | dict[str, "Plain"]
T = TypeVar("T")


def kind(cls: type) -> str:
    """``PhaseBegan`` is ``phase_began``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", cls.__name__).lower()


def to_plain(value: object) -> Plain:
    """Lower a domain value to what JSON knows. Raises TypeError for a value that is none."""
    if isinstance(value, Enum):
        return cast("Plain", value.value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if is_dataclass(value) and not isinstance(value, type):
        return _fields_to_plain(value)
    if isinstance(value, tuple | list):
        return [to_plain(item) for item in value]
    if isinstance(value, frozenset):
        return sorted((to_plain(item) for item in value), key=str)
    raise TypeError(f"{type(value).__name__} has no plain form")


def _fields_to_plain(value: object) -> dict[str, Plain]:
    plain: dict[str, Plain] = {"kind": kind(type(value))}
    plain.update((field.name, to_plain(getattr(value, field.name))) for field in fields(cast("Any", value)))
    return plain


def from_plain(wanted: type[T], plain: object) -> T:
    """Raise a plain value to ``wanted``. Raises ValueError that says what does not fit."""
    return cast("T", _raise(wanted, plain))


def _raise(wanted: Any, plain: object) -> object:  # noqa: ANN401 - annotations are of any shape
    wanted = _unwrap(wanted)
    origin = get_origin(wanted)
    if origin in {Union, types.UnionType}:
        return _raise_union(get_args(wanted), plain)
    if origin in {tuple, frozenset}:
        return _raise_items(origin, get_args(wanted), plain)
    if is_dataclass(wanted):
        return _raise_dataclass(cast("type", wanted), plain)
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return wanted(plain)
    return _raise_scalar(wanted, plain)


def _unwrap(wanted: Any) -> Any:  # noqa: ANN401
    """A NewType is what it is made of."""
    return getattr(wanted, "__supertype__", wanted)


def _raise_scalar(wanted: type, plain: object) -> object:
    if wanted is float and type(plain) is int:
        return float(plain)
    if type(plain) is wanted:  # not isinstance: True is an int to Python, and no count to anybody
        return plain
    raise ValueError(f"{plain!r} is not {wanted.__name__}")


def _raise_union(options: tuple[type, ...], plain: object) -> object:
    if plain is None and type(None) in options:
        return None
    members = [option for option in options if option is not type(None)]
    name = plain.get("kind") if isinstance(plain, dict) else None
    for member in members:
        if name == kind(member) or (name is None and len(members) == 1):
            return _raise(member, plain)
    raise ValueError(f"{plain if name is None else name!r} is none of {', '.join(map(kind, members))}")


def _raise_items(origin: type, wanted: tuple[Any, ...], plain: object) -> object:
    if not isinstance(plain, list):
        raise ValueError(f"{plain!r} is not a list")  # noqa: TRY004 - a value from outside, not a caller's type error
    if (len(wanted) == 2 and wanted[1] is Ellipsis) or origin is frozenset:
        return origin(_raise(wanted[0], item) for item in plain)
    return tuple(_raise(each, item) for each, item in zip(wanted, plain, strict=True))


def _raise_dataclass(wanted: type, plain: object) -> object:
    if not isinstance(plain, dict):
        raise ValueError(f"{plain!r} is not a {kind(wanted)}")  # noqa: TRY004 - as above
    hints = _hints(wanted)
    given = {name: _raise(hint, plain[name]) for name, hint in hints.items() if name in plain}
    try:
        return wanted(**given)
    except (TypeError, UsageError) as error:  # a field is missing, or the value refuses itself
        raise ValueError(f"{kind(wanted)}: {error}") from error


@cache
def _hints(wanted: type) -> dict[str, Any]:
    hints = get_type_hints(wanted)
    return {field.name: hints[field.name] for field in fields(cast("Any", wanted)) if field.init}
