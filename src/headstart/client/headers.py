"""Headers as a caller reads them: a mapping whose names ignore case.

Made by `client.response` and `client.response_stream` from the fields on the wire.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from headstart.wire.events import Fields


class Headers(Mapping[str, str]):
    """The headers of a message, read-only.

    Names ignore case. Values are text (Latin-1); several values of one name are joined with `, `
    (RFC 9110, 5.3), and `get_list` keeps them apart.

    Attributes:
        raw: Names in lower case and values as bytes, in the order in which they came.
    """

    __slots__ = ("raw",)

    def __init__(self, raw: Fields) -> None:
        self.raw = raw

    def __getitem__(self, name: str) -> str:
        values = self.get_list(name)
        if not values:
            raise KeyError(name)
        return ", ".join(values)

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(name.decode("latin-1") for name, _ in self.raw))

    def __len__(self) -> int:
        return len({name for name, _ in self.raw})

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and bool(self.get_list(name))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Mapping):
            return NotImplemented
        return dict(self) == {str(name).lower(): value for name, value in other.items()}

    def __hash__(self) -> int:
        return hash(tuple(self.raw))

    def __repr__(self) -> str:
        return f"Headers({self.multi_items()})"

    def get_list(self, name: str) -> list[str]:
        """Return all values of a header, in order; an empty list if it is missing."""
        wanted = name.lower().encode("latin-1", "replace")
        return [value.decode("latin-1") for other, value in self.raw if other == wanted]

    def multi_items(self) -> list[tuple[str, str]]:
        """Return pairs of name and value, in order, one for each time that a name occurs."""
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in self.raw]
