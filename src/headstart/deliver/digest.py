"""Cache digests: the Golomb-coded set in which a client lists the responses that it has.

The format is that of draft-ietf-httpbis-cache-digest-02 (expired; later drafts use another set): a
SHA-256 of each URL, cut to as many bits as the set's size and certainty need, the sorted values
written as differences. As a request header it is `Cache-Digest: AfdA; complete` (appendix A there).
Pure: takes bytes, returns sets. Read by `seen` for the header and for our own cookie; written by
clients and tests.

A digest comes from a stranger, so it is bounded: a header longer than `MAX_FIELD`, or of more than
`MAX_DIGESTS`, is ignored, and so is a digest of more than `MAX_KEYS` values. Reading a header takes
time in proportion to its length, and never raises.
"""

from __future__ import annotations

import math
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from string import punctuation
from urllib.parse import quote

MAX_FIELD = 4 * 1024
"""Octets of a `Cache-Digest` field that are looked at; a thousand assets take a third of them."""
MAX_KEYS = 2048
"""Values that one field may hold, all its digests together."""
MAX_DIGESTS = 16
"""Digests that one field may hold; a client has use for two, with and without validators."""
KEY_BITS = 64
"""Bits that are kept of a SHA-256. A digest uses 62 of them at most: 5 bits say log2 of N and of P
each."""
DEFAULT_P_BITS = 7
"""log2 of P: of the assets that a client lacks, one in 128 is taken for one that it has."""

_MAX_LOG = 31
_HEAD = 10  # bits that hold log2 of N and of P
_BASE64URL = re.compile(rb"[A-Za-z0-9_-]*={0,2}")
_ASCII = punctuation + " "


class Flag(StrEnum):
    """The flags of a digest (section 2; appendix A), in any case."""

    RESET = "reset"
    """Digests before this one are void."""
    COMPLETE = "complete"
    """What is in no digest is not in the cache."""
    VALIDATORS = "validators"
    """The ETag was hashed along with the URL, where there was one."""
    STALE = "stale"
    """It lists what the cache would have to ask for again."""


@dataclass(frozen=True, slots=True)
class Digest:
    """One decoded set.

    Attributes:
        bits: log2(N * P): how many leading bits of a hash its values are.
        values: Those bits of each URL that the client has.
    """

    bits: int
    values: frozenset[int]

    def has(self, key: int) -> bool:
        """Return true if a URL with this `key` is in the set, and about once in P for any other
        URL.
        """
        return key >> (KEY_BITS - self.bits) in self.values


@dataclass(frozen=True, slots=True)
class Digests:
    """The content of one request's `Cache-Digest`.

    Attributes:
        plain: Digests of fresh responses by URL.
        validated: Digests of fresh responses by URL and ETag.
        complete: Nothing else is in the cache.
    """

    plain: tuple[Digest, ...] = ()
    validated: tuple[Digest, ...] = ()
    complete: bool = False

    def has(self, url: str, etag: str = "") -> bool:
        """Return true if the client has a fresh response.

        Args:
            url: Absolute.
            etag: With quotes and `W/`; "" where it has none, or where it is not known: then a
                digest with validators says nothing of it.
        """
        if self.plain:
            plain_key = url_key(url)
            if any(digest.has(plain_key) for digest in self.plain):
                return True
        if self.validated:
            full_key = url_key(url, etag)
            return any(digest.has(full_key) for digest in self.validated)
        return False

    def __bool__(self) -> bool:
        return bool(self.plain or self.validated or self.complete)


NO_DIGESTS = Digests()


def url_key(url: str, etag: str = "") -> int:
    """Return the first 64 bits of the hash of a URL (section 2.1.2).

    Args:
        url: Absolute. Characters beyond ASCII are percent-encoded.
        etag: With quotes and `W/`, to hash it too.
    """
    if not url.isascii():
        url = quote(url, safe=_ASCII, errors="replace")
    text = (url + etag).encode("latin-1", "replace")
    return int.from_bytes(sha256(text).digest()[: KEY_BITS // 8], "big")


def encode(keys: Iterable[int], *, p_bits: int = DEFAULT_P_BITS) -> bytes:
    """Return the Digest-Value of a set of keys (section 2.1.1).

    Args:
        keys: From `url_key`.
        p_bits: log2 of P, 0 to 31.
    """
    distinct = set(keys)
    n_bits = min(round(math.log2(max(len(distinct), 1))), _MAX_LOG)
    shift = KEY_BITS - n_bits - p_bits
    return pack({key >> shift for key in distinct}, n_bits, p_bits)


def pack(values: Iterable[int], n_bits: int, p_bits: int) -> bytes:
    """Write values as a Digest-Value.

    Args:
        values: Of `n_bits + p_bits` bits each.
        n_bits: log2 of N, 0 to 31.
        p_bits: log2 of P, 0 to 31. The result is shortest where N is the number of values.
    """
    bits = [f"{n_bits:05b}{p_bits:05b}"]
    previous = -1
    for value in sorted(set(values)):
        quotient, remainder = divmod(value - previous - 1, 1 << p_bits)
        bits.append("0" * quotient + "1" + (f"{remainder:0{p_bits}b}" if p_bits else ""))
        previous = value
    text = "".join(bits)
    length = -(-len(text) // 8)
    return int(text.ljust(8 * length, "0"), 2).to_bytes(length, "big")


def decode(value: bytes, *, max_keys: int = MAX_KEYS) -> Digest | None:
    """Read a Digest-Value; return None if it is invalid, or holds more than `max_keys`.

    A value that is cut off in the middle is left out.
    """
    length = 8 * len(value)
    if length < _HEAD:
        return None
    # As text: `find` and `int` then go over the bits at the speed of C. The 1 keeps leading zeros.
    bits = bin(1 << length | int.from_bytes(value, "big"))[3:]
    n_bits, p_bits = int(bits[:5], 2), int(bits[5:_HEAD], 2)
    values: list[int] = []
    at, last = _HEAD, -1
    while (one := bits.find("1", at)) >= 0 and one + p_bits < length:
        start, at = at, one + 1 + p_bits
        last += 1 + ((one - start) << p_bits | int("0" + bits[one + 1 : at], 2))
        values.append(last)
        if len(values) > max_keys:
            return None
    if last >> (n_bits + p_bits) > 0:
        return None
    return Digest(n_bits + p_bits, frozenset(values))


def field_value(
    keys: Iterable[int], flags: Iterable[Flag] = (), *, p_bits: int = DEFAULT_P_BITS
) -> bytes:
    """Return a digest as a value of the `Cache-Digest` header (appendix A)."""
    return b"; ".join([to_base64url(encode(keys, p_bits=p_bits)), *(f.encode() for f in flags)])


def parse(field: bytes) -> Digests:
    """Read a `Cache-Digest` field, its lines joined by commas.

    A digest that cannot be read is left out. So is one that lists stale responses, since they will
    be asked for again, and one with a flag that is not known, since it may mean another thing.
    """
    if not field or len(field) > MAX_FIELD or field.count(b",") >= MAX_DIGESTS:
        return NO_DIGESTS
    plain: list[Digest] = []
    validated: list[Digest] = []
    complete, left = False, MAX_KEYS
    for entity in field.split(b","):
        text, *names = [part.strip(b" \t") for part in entity.split(b";")]
        flags = {name.decode("latin-1").lower() for name in names}
        if Flag.RESET in flags:
            plain, validated, complete = [], [], False
        if flags & {Flag.STALE} or flags - set(Flag):
            continue
        digest = _decode_text(text, left)
        if digest is None:
            continue
        left -= len(digest.values)
        (validated if Flag.VALIDATORS in flags else plain).append(digest)
        complete = complete or Flag.COMPLETE in flags
    return Digests(tuple(plain), tuple(validated), complete)


def _decode_text(text: bytes, max_keys: int) -> Digest | None:
    value = from_base64url(text)
    return None if value is None else decode(value, max_keys=max_keys)


def to_base64url(value: bytes) -> bytes:
    """Base64url without padding (RFC 4648, 5)."""
    return urlsafe_b64encode(value).rstrip(b"=")


def from_base64url(text: bytes) -> bytes | None:
    """Decode base64url with or without padding; return None if the text is invalid."""
    if not _BASE64URL.fullmatch(text):
        return None
    bare = text.rstrip(b"=")
    if len(bare) % 4 == 1:
        return None
    return urlsafe_b64decode(bare + b"=" * (-len(bare) % 4))
