"""Header blocks that say the same as the one before.

A block of nothing but references to HPACK's tables (RFC 7541, 6.1) changes no table, nor does a
path that is written out and not to be remembered (6.2.2, 6.2.3), as clients send theirs. So when
such a block comes again, the section that it stands for is known before it is decoded. Reads
blocks, in the order in which they come; keeps the last one. Owned by a
`wire.frame_checks.FrameChecker`.
"""

from __future__ import annotations

from typing import Final

# What refers to one field, in one octet; 0x80 refers to nothing, 0xFF goes on in the next one.
_REFERENCES: Final = bytes(range(0x81, 0xFF))
# Literals whose name is entry 4 or 5 of the static table, `:path`.
_PATHS: Final = frozenset({0x04, 0x05, 0x14, 0x15})
# Lengths in one octet; its highest bit says that the text is in Huffman's code.
_LONG: Final = 0x7F


class Repeats:
    """Compares the header blocks of one connection.

    Attributes:
        last: The last block, b"" where it has to be forgotten.
        since: The stream whose block all later ones were like, but for the path; -1 for none.
        fresh: There was another block since somebody last said that there was none.
    """

    __slots__ = ("_behind", "_front", "_path_at", "fresh", "last", "since")

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Forget the sections, since another one may have changed the tables."""
        self.last = self._front = self._behind = b""
        self._path_at = 0
        """Where the path's length stands; 0 where no path is written out."""
        self.since = -1
        self.fresh = True

    def look(self, view: bytes | memoryview, stream: int) -> None:
        """Take the block of a stream, which is not the `last` one."""
        block = bytes(view)
        at = self._path_at
        if at and block[:at] == self._front and _behind(block, at) == self._behind:
            self.last = block
        else:
            self._first(block, stream)

    def _first(self, block: bytes, stream: int) -> None:
        self.fresh = True
        literals = block.translate(None, _REFERENCES)
        at = block.index(literals[0]) + 1 if literals else 0
        front, behind = block[: max(0, at - 1)], _behind(block, at) if at else block
        if (at and literals[0] not in _PATHS) or behind is None or not _refers(front + behind):
            self.forget()
            return
        self._path_at, self._front, self._behind = at, block[:at], behind
        self.last, self.since = block, stream


def _behind(block: bytes, at: int) -> bytes | None:
    """Return the position after the text whose length is at `at`; None if it is not a short one."""
    if at >= len(block):
        return None
    length = block[at] & _LONG
    end = at + 1 + length
    return None if length == _LONG or end > len(block) else block[end:]


def _refers(block: bytes) -> bool:
    return not block.translate(None, _REFERENCES)
