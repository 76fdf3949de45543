"""Field blocks that the engine would refuse and that others accept.

The engine takes no value with a blank at an end (RFC 9113, 8.2.1) and no `upgrade` (8.2.2), which
Apache offers and proxies in front of it pass on, and it ends the connection for a string of more
than 64 KiB. Servers on the internet send all of them, and other clients take them. So
`BlockRewriter` stands between the socket and the engine. It takes off the blanks, puts a short
value in the place of a long one, and another name in the place of `upgrade` and of a long name.
Once the engine has decoded the fields, `restored` puts the long value back and drops what was
`upgrade`. A long name stays `TOO_LONG`, since nobody needs one: `wire.client` refuses its section.

The entries of the engine's dynamic table are then smaller than the server's (RFC 7541, 4.1), so the
engine removes an entry later than the server, if at all. That does no harm: entries are counted
from the newest one, and a server does not refer to one that it has removed.

Clients send blanks as well: Android's browsers had them at the end of User-Agent, and Node, Go and
curl send what they are told. `RequestRewriter` takes those off, and leaves all else to the engine.

Reads bytes, changes only its own state; used by `wire.client` and `wire.server`.
"""

from __future__ import annotations

from collections.abc import Container
from struct import Struct
from typing import ClassVar, Final

from hpack import Decoder, HPACKError

from headstart.wire.frame_checks import CONTINUATION, HEADERS, PUSH_PROMISE

# RFC 9113, 4.1: length (24 bits, here as 16 and 8), type, flags, stream.
_HEADER: Final = Struct(">HBBBL")
_HEADER_SIZE: Final = 9
_BLOCKS: Final = frozenset({HEADERS, PUSH_PROMISE, CONTINUATION})
_END_STREAM: Final = 0x01
_END_HEADERS: Final = 0x04
_PADDED: Final = 0x08
_WITH_PRIORITY: Final = 0x20
# RFC 9113, 6.5.2: what we let the server send, by default.
_LARGEST_FRAME: Final = 16_384
# Blocks of nothing but references to HPACK's tables, in one byte each.
_REFERENCES: Final = bytes(range(0x81, 0xFF))

_BLANKS: Final = b" \t"
# What the engine takes of one string, and the least that Huffman's code makes of more: five bits
# are one character.
_LONGEST: Final = 65_536
_LONGEST_CODED: Final = _LONGEST * 5 // 8
# No text of any encoding begins with it.
_PLACEHOLDER: Final = b"\x81\xfe\xff"
# `upgrade` as a string, as it is and in Huffman's code, and a name that no field has.
_UPGRADES: Final = frozenset({b"\x07upgrade", b"\x85\xb6\xb9\xac\x1c\x85"})
_DROPPED: Final = b"~~"
TOO_LONG: Final = b"~~~"
# Huffman's codes (RFC 7541, B) of the blanks: 6 and 24 bits.
_SPACE: Final = 0b010100
_TAB: Final = 0xFFFFEA
# The last 16 bits of a string that may end with one of them, and up to seven bits of padding.
_BLANK_AT_END: Final = frozenset(
    [
        high << 6 + padding | _SPACE << padding | (1 << padding) - 1
        for padding in range(8)
        for high in range(1 << 10 - padding)
    ]
    + [(_TAB << padding | (1 << padding) - 1) & 0xFFFF for padding in range(8)]
)


# Values of one request that are decoded because they may have blanks at their ends, and the largest
# of them: to decode one takes up to 20 µs for each 100 bytes.
_MOST_BLANKS: Final = 8
_LONGEST_WITH_BLANKS: Final = 1024


class BlockRewriter:
    """Rewrite the header blocks of one server on their way to the engine.

    Args:
        most: Fields of one block that are examined. A block with more stays unchanged: the engine
            refuses it, and examining 147 KB of short fields takes 0.2 s.

    Attributes:
        has_long_names: A section had a name of more than 64 KiB, whose field is `TOO_LONG` now.
        held: The beginning of a block that is not all there.
    """

    __slots__ = (
        "_ahead",
        "_fine",
        "_is_off",
        "_long",
        "_most",
        "_needed",
        "_renamed",
        "has_long_names",
        "held",
    )

    _kept: ClassVar[Container[int]] = ()
    """Entries of HPACK's table whose fields keep their values."""

    def __init__(self, most: int = 1024) -> None:
        self._most = most
        self._ahead = 0
        """Bytes until the next frame header."""
        self._fine = b""
        """The last block with literals that could stay."""
        self.held = bytearray()
        self._needed = 0
        """So many bytes must be held before it is worth another look."""
        self._is_off = False
        """The server does not speak HTTP/2 as it should: the engine says so."""
        self._long: dict[bytes, bytes] = {}
        """Placeholders -> long values."""
        self._renamed = False
        """The engine's table may have the name that stands for `upgrade`."""
        self.has_long_names = False

    def rewrite(self, data: bytes | memoryview) -> bytes | memoryview:
        """Return the bytes for the engine in place of the next bytes."""
        if self._is_off or self._ahead >= len(data):
            self._ahead -= len(data)
            return data
        if self.held:
            self.held += data
            if len(self.held) < self._needed:
                return b""
            data, self.held = bytes(self.held), bytearray()
        return self._walked(data)

    def _walked(self, data: bytes | memoryview) -> bytes | memoryview:
        pieces: list[bytes | memoryview] = []
        done, at, size = 0, self._ahead, len(data)
        while at + _HEADER_SIZE <= size:
            high, low, kind, flags, stream = _HEADER.unpack_from(data, at)
            length = high << 8 | low
            end = at + _HEADER_SIZE + length
            if kind not in _BLOCKS:
                at = end
                continue
            is_plain = (kind, flags & ~_END_STREAM) == (HEADERS, _END_HEADERS)
            if is_plain and end <= size and length <= _LARGEST_FRAME:
                block = bytes(data[at + _HEADER_SIZE : end])
                # Nothing but references is like the section before, as most are; others are bytes
                # that could stay the last time.
                frames = None
                if block != self._fine and block.translate(None, _REFERENCES):
                    frames = self._changed(kind, flags, stream, b"", block)
                    self._fine = block if frames is None else b""
            else:
                end = self._end_of_block(data, at)
                if end > size or self._is_off:
                    break
                frames = self._rewritten(bytes(data[at:end]))
            if frames is not None:
                pieces += data[done:at], frames
                done = end
            at = end
        if at < size and not self._is_off:
            self.held += data[at:]
            self._needed = max(self._end_of_block(data, at), at + _HEADER_SIZE) - at
            self._ahead, size = 0, at
        else:
            self._ahead = at - size
        return b"".join([*pieces, data[done:size]]) if done or size < len(data) else data

    def _end_of_block(self, data: bytes | memoryview, at: int) -> int:
        """Return where the block that begins here ends, or a place behind the end of the data.

        That is at most the end of the frame that is not all there.
        """
        size, first = len(data), -1
        while at + _HEADER_SIZE <= size:
            high, low, kind, flags, stream = _HEADER.unpack_from(data, at)
            length = high << 8 | low
            goes_on = kind == CONTINUATION and stream == first
            if length > _LARGEST_FRAME or not (goes_on or (first < 0 and kind != CONTINUATION)):
                self._is_off = True
                return at
            at += _HEADER_SIZE + length
            if flags & _END_HEADERS:
                return at
            first = stream
        return max(at, size) + 1

    def _rewritten(self, frames: bytes) -> bytes | None:
        """Return the frames of one block with other values, None where they can stay."""
        high, low, kind, flags, stream = _HEADER.unpack_from(frames)
        begin, end = _HEADER_SIZE, _HEADER_SIZE + (high << 8 | low)
        if flags & _PADDED:
            end -= frames[begin] if end > begin else 0
            begin += 1
        kept = 4 if kind == PUSH_PROMISE else 5 if flags & _WITH_PRIORITY else 0
        prefix, block = frames[begin : begin + kept], frames[begin + kept : end]
        at = _HEADER_SIZE + (high << 8 | low)
        while at < len(frames):
            high, low, _, _, _ = _HEADER.unpack_from(frames, at)
            at += _HEADER_SIZE
            block += frames[at : at + (high << 8 | low)]
            at += high << 8 | low
        return self._changed(kind, flags & ~_PADDED, stream, prefix, block)

    def _changed(
        self, kind: int, flags: int, stream: int, prefix: bytes, block: bytes
    ) -> bytes | None:
        """Return the frames of a block with other values, None where it can stay."""
        try:
            changed = self._mended(block)
        except (IndexError, HPACKError):
            return None  # malformed, which the engine says
        return None if changed is None else _framed(kind, flags, stream, prefix + changed)

    def _mended(self, block: bytes) -> bytes | None:
        """Return the block with other values; None where it can stay (RFC 7541, 6)."""
        parts: list[bytes] = []
        at, done, size, left = 0, 0, len(block), self._most
        while at < size:
            left -= 1
            if left < 0:
                return None
            first = block[at]
            if first >= 0x80:  # a reference
                # Numbers in one byte are read here: a call for each takes twice as long.
                at = at + 1 if first != 0xFF else _number(block, at, 0x7F)[1]
                continue
            if first & 0xE0 == 0x20:  # the size of the table
                _, at = _number(block, at, 0x1F)
                continue
            mask = 0x3F if first & 0x40 else 0x0F
            index, at = first & mask, at + 1
            if index == mask:
                index, at = _number(block, at - 1, mask)
            if not index:
                begin = at
                length, at = _number(block, at, 0x7F)
                at += length
                name = self._another_name(block[begin:at], length)
                if name is not None:
                    parts += block[done:begin], _literal(name)
                    done = at
            begin = at
            length, at = block[at] & 0x7F, at + 1
            if length == 0x7F:
                length, at = _number(block, begin, 0x7F)
            end = at + length
            if length and index not in self._kept and _may_need_another(block, begin, at, end):
                value = self._another(block[begin:end])
                if value is not None:
                    parts += block[done:begin], _literal(value)
                    done = end
            at = end
        return b"".join([*parts, block[done:]]) if parts else None

    def _another_name(self, string: bytes, length: int) -> bytes | None:
        """Return the name to put in the place of a string, None where it can stay.

        Args:
            string: With its length in front of it.
            length: Bytes of it as it is coded.
        """
        if string in _UPGRADES:
            self._renamed = True
            return _DROPPED
        if length > _LONGEST_CODED and len(_decoded(string)) > _LONGEST:
            self.has_long_names = True
            return TOO_LONG
        return None

    def _another(self, string: bytes) -> bytes | None:
        """Return the value to put in the place of a string, None where it can stay."""
        value = _decoded(string)
        other = value.strip(_BLANKS)
        if len(other) > _LONGEST:
            placeholder = _PLACEHOLDER + b"%d" % len(self._long)
            self._long[placeholder] = other
            return placeholder
        return None if other == value else other

    def restored(self, fields: tuple[tuple[bytes, bytes], ...]) -> tuple[tuple[bytes, bytes], ...]:
        """Return the fields of a section without `upgrade`, with the long values that were sent."""
        if not (self._long or self._renamed):
            return fields
        return tuple(
            [(name, self._long.get(value, value)) for name, value in fields if name != _DROPPED]
        )

    def forget_long(self) -> None:
        """Forget the long values: their fields were restored."""
        self._long.clear()


class RequestRewriter(BlockRewriter):
    """Take off the blanks around the values of one client's requests, but for pseudo-headers."""

    __slots__ = ("_left",)

    _kept = range(1, 8)  # RFC 7541, A: from `:authority` to `:scheme`

    def __init__(self, most: int) -> None:
        super().__init__(most)
        self._left = 0
        """Values that may still be decoded."""

    def begin(self, ahead: int) -> None:
        """Begin a segment; others may have been left out before it.

        Args:
            ahead: Bytes of it that belong to the frame before.
        """
        if not self.held:
            self._ahead = ahead

    def _mended(self, block: bytes) -> bytes | None:
        self._left = _MOST_BLANKS
        return super()._mended(block)

    def _another_name(self, string: bytes, length: int) -> bytes | None:
        return None

    def _another(self, string: bytes) -> bytes | None:
        self._left -= 1
        if self._left < 0 or len(string) > _LONGEST_WITH_BLANKS:
            return None
        value = _decoded(string)
        other = value.strip(_BLANKS)
        return None if other == value else other


def _may_need_another(block: bytes, begin: int, at: int, end: int) -> bool:
    """Return whether a value may begin or end with a blank, or be too long.

    Nearly all other values are found to be fine without decoding them.

    Args:
        begin: Where its length is.
        at: Where it begins itself.
        end: Where it ends.
    """
    last = block[end - 1]
    if block[begin] < 0x80:
        return block[at] in _BLANKS or last in _BLANKS or end - at > _LONGEST
    return (
        block[at] >> 2 == _SPACE
        or (block[end - 2] << 8 | last) in _BLANK_AT_END
        or (block[at] == 0xFF and block[at + 1 : at + 3] == b"\xff\xea")
        or end - at > _LONGEST_CODED
    )


def _number(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """Return a number and where it ends (RFC 7541, 5.1)."""
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    shift = 0
    while shift < 32:
        octet = block[at]
        value += (octet & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if octet < 0x80:
            return value, at
    raise IndexError("a number without an end")


def _decoded(string: bytes) -> bytes:
    """Return the text of a string with its length in front of it."""
    decoder = Decoder(max_header_list_size=1 << 24)
    ((_, value),) = decoder.decode(b"\x00\x01x" + string, raw=True)
    assert isinstance(value, bytes)
    return value


def _literal(value: bytes) -> bytes:
    """Return a string that is not in Huffman's code (RFC 7541, 5.2)."""
    left = len(value) - 0x7F
    if left < 0:
        return bytes([len(value)]) + value
    length = [0x7F]
    while left >= 0x80:
        length.append(left & 0x7F | 0x80)
        left >>= 7
    return bytes([*length, left]) + value


def _framed(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    """Return a block as one frame, and CONTINUATION frames if it is too large for one."""
    frames: list[bytes] = []
    for at in range(0, len(payload), _LARGEST_FRAME):
        part = payload[at : at + _LARGEST_FRAME]
        ends = _END_HEADERS if at + _LARGEST_FRAME >= len(payload) else 0
        what = (kind, flags & ~_END_HEADERS | ends) if not at else (CONTINUATION, ends)
        frames += _HEADER.pack(len(part) >> 8, len(part) & 0xFF, *what, stream), part
    return b"".join(frames)
