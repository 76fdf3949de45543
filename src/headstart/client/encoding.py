"""Encode a caller's `params=`, `data=` and `json=`, as httpx does.

Pure functions, called by `client.prepared`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias
from urllib.parse import unquote_plus, urlencode

Primitive: TypeAlias = str | int | float | bool | None
Pairs: TypeAlias = (
    Mapping[str, Primitive | list[Primitive] | tuple[Primitive, ...]]
    | Iterable[tuple[str, Primitive]]
)
"""Names and values of a query or a form; a list as a value repeats its name."""


def add_params(target: str, params: Pairs | str) -> str:
    """Return the target with parameters behind its query; they replace those of the same name.

    Args:
        params: Pairs to be encoded, or a query that is encoded already.
    """
    path, _, query = target.partition("?")
    added = params.removeprefix("?") if isinstance(params, str) else form(params)
    names = {_name(part) for part in added.split("&")}
    kept = [part for part in query.split("&") if part and _name(part) not in names]
    query = "&".join([*kept, added] if added else kept)
    return f"{path}?{query}" if query else path


def form(data: Pairs) -> str:
    """Return pairs as `application/x-www-form-urlencoded`."""
    pairs = data.items() if isinstance(data, Mapping) else data
    return urlencode([(name, _text(one)) for name, value in pairs for one in _each(value)])


def as_json(value: Any) -> bytes:
    """Return a value as JSON (RFC 8259), in UTF-8.

    Raises:
        TypeError, ValueError: JSON cannot express it: an object of your own, NaN.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.encode("utf-8")


def _each(value: object) -> Iterable[object]:
    return value if isinstance(value, list | tuple) else (value,)


def _text(value: object) -> str:
    # As httpx and JavaScript write them.
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def _name(part: str) -> str:
    return unquote_plus(part.partition("=")[0])
