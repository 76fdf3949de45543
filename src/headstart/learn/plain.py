"""Plain values, as JSON has them, checked against the types of a dataclass.

Other programs may write to a store, and a record with a number where a string belongs would fail
later, within a request. So a record is made of values of the types that its dataclass declares, or
not at all. Fields that it does not declare are left out: a newer version of this program may have
written them. Pure. Called by `records`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, Literal, NewType, TypeAlias, Union, get_args, get_origin, get_type_hints

Reader: TypeAlias = Callable[[Any], Any]
"""Returns the value; raises ValueError or TypeError for one of another type."""


class UnknownValueError(ValueError):
    """A name is not one of those that this version knows; a newer version may."""


class FieldError(ValueError):
    """A dataclass cannot be made, and the message names the field at fault."""


Bits = NewType("Bits", int)
"""A set of small numbers, each as one bit."""

# Counts and times are never negative, and far below this.
_MOST = 1e12
# The greatest number in a set, above that of any asset of a page.
_MOST_BITS = 4096


def reader_of(hint: Any) -> Reader:
    """Return the reader of a type, one of those that records are made of."""
    if hint in _PLAIN:
        return _PLAIN[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        (inner,) = (each for each in arguments if each is not NoneType)
        return _optional(reader_of(inner))
    if origin is tuple:
        return _sequence(reader_of(arguments[0]))
    if origin is Literal:
        return _choice(frozenset(arguments))
    if issubclass(hint, StrEnum):
        return _choice_of(hint)
    return _object(hint)


def undeclared(kind: Any, value: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield each field that the dataclass, or one within it, does not declare.

    Args:
        kind: The dataclass.
        value: A value that its reader takes.

    Yields:
        The name of the field, and the names that are declared there.
    """
    hints = get_type_hints(kind)
    declared = tuple(each.name for each in dataclasses.fields(kind))
    for name, inner in value.items():
        if name not in declared:
            yield name, declared
        elif inner is not None:
            for within in filter(dataclasses.is_dataclass, _parts(hints[name])):
                for each in inner if isinstance(inner, list | tuple) else (inner,):
                    yield from undeclared(within, each)


def _parts(hint: Any) -> Iterator[Any]:
    """Yield the types that a hint is made of."""
    yield hint
    for inner in get_args(hint):
        yield from _parts(inner)


def _object(kind: Any) -> Reader:
    hints = get_type_hints(kind)
    readers = {each.name: reader_of(hints[each.name]) for each in dataclasses.fields(kind)}
    required = {
        each.name
        for each in dataclasses.fields(kind)
        if each.default is each.default_factory is dataclasses.MISSING
    }

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise TypeError("not an object")
        found = {}
        name = ""
        try:
            for name, inner in value.items():
                # A newer version may write more fields; what is left out has a default here.
                if reader := readers.get(name):
                    found[name] = reader(inner)
        except (FieldError, UnknownValueError):
            raise
        except (TypeError, ValueError) as error:
            raise FieldError(f"the value of {name!r} is {error}") from error
        if missing := required - found.keys():
            unknown = [name for name in value if name not in readers]
            instead = f", and {unknown[0]!r} is not known" if unknown else ""
            raise FieldError(f"the field {min(missing)!r} is missing{instead}")
        return kind(**found)

    return read


def _optional(inner: Reader) -> Reader:
    return lambda value: None if value is None else inner(value)


def _sequence(inner: Reader) -> Reader:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list | tuple):
            raise TypeError("not a list")
        return tuple(map(inner, value))

    return read


def _choice(values: frozenset[Any]) -> Reader:
    def read(value: Any) -> Any:
        if value not in values:
            raise UnknownValueError("not one of the values that are allowed")
        return value

    return read


def _choice_of(kind: type[StrEnum]) -> Reader:
    members = {member.value: member for member in kind}

    def read(value: Any) -> StrEnum:
        if _str(value) not in members:
            raise UnknownValueError("not one of the values that are allowed")
        return members[value]

    return read


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("neither true nor false")
    return value


def _int(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) >= 1 << 63:
        raise TypeError("not an integer of 64 bits")
    return value


def _bits(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError("not an integer")
    if value < 0 or value.bit_length() > _MOST_BITS:
        raise ValueError("not a set of small numbers")
    return value


def _float(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError("not a number")
    # Not a number, too, is not between the two.
    if not 0.0 <= value <= _MOST:
        raise ValueError("not a count or a time")
    return float(value)


_PLAIN: dict[Any, Reader] = {str: _str, bool: _bool, int: _int, float: _float, Bits: _bits}
