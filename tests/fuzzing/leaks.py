"""What must be empty once a connection is over."""

from __future__ import annotations

from collections import deque
from collections.abc import Container


def leftovers(thing: object, but: Container[str] = ()) -> dict[str, object]:
    """The attributes of `thing` that are collections and hold something.

    Args:
        but: Names of those that may.
    """
    names = {name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())}
    names |= set(getattr(thing, "__dict__", ()))
    held = {name: getattr(thing, name, None) for name in names if name not in but}
    collections = (dict, set, list, deque)
    return {name: value for name, value in held.items() if isinstance(value, collections) and value}
