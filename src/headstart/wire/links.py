"""The Link header, read and written (RFC 8288).

`Link` is what we write: typed, checked when made, and safe to put into a header whatever its
target was made of. `ParsedLink` is what somebody else wrote: neutral, and never refused. Pure.
Called by `deliver` and by the server for 103 and Link; by `learn`, the proxy and `h2c` for what an
application, an origin or a server sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from headstart.errors import HeadstartError

Rel: TypeAlias = Literal["preload", "modulepreload", "preconnect"]
As: TypeAlias = Literal["font", "image", "script", "style", "fetch", ""]
CrossOrigin: TypeAlias = Literal["anonymous", "use-credentials"]
FetchPriority: TypeAlias = Literal["high", "low", "auto", ""]

# RFC 3986, 2: what may stand in a URI as it is. `%` only where it begins an escape, so that what
# is escaped already stays and nothing is escaped twice.
_NOT_URI = re.compile(rb"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]")
# RFC 9110, 5.6.2 and 8.3.1. Without parameters: Chromium drops a link whose type has some.
_MEDIA_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HASH = r"sha(?:256|384|512)-[A-Za-z0-9+/_-]+={0,2}"
_INTEGRITY = re.compile(rf"{_HASH}(?: {_HASH})*")

# RFC 8288, B.2 and B.3, in pieces. Each is matched where the one before it ended, and all that can
# fail in them stands at their beginning, so that the time grows with the length alone.
_BETWEEN = re.compile(r"[ \t,]*")
_PARAM = re.compile(r"[ \t]*;[ \t]*([^ \t=;,]*)[ \t]*(=[ \t]*)?")
_BARE = re.compile(r"[^;,]*")
_QUOTED = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"?', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class LinkError(HeadstartError, ValueError):
    """A link that cannot be written as asked."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link to announce, with the parameters that Chromium takes and no others: it drops a link
    that has any parameter more.

    Attributes:
        target: A URI or a reference relative to the page. Kept as it is written: what RFC 3986
            does not allow is percent-encoded as UTF-8 (an octet that was smuggled in with
            `surrogateescape` as that octet).
        rel: What the target is to the page.
        as_: What it will be used as; always given for preload, "script" or "" for modulepreload,
            "" for preconnect.
        crossorigin: How it will be fetched; None without CORS. A font always is, so None becomes
            "anonymous" there (CSS Fonts 4, 4.8.2).
        type: Its media type without parameters, or "".
        fetchpriority: As in HTML, or "".
        integrity: Hashes as in HTML, or "".

    Raises:
        LinkError: One of them has another value.
    """

    target: str
    rel: Rel = "preload"
    as_: As = ""
    crossorigin: CrossOrigin | None = None
    type: str = ""
    fetchpriority: FetchPriority = ""
    integrity: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", escape_target(self.target))
        _check_choice("rel", self.rel, get_args(Rel))
        _check_choice("as", self.as_, get_args(As))
        if self.crossorigin is not None:
            _check_choice("crossorigin", self.crossorigin, get_args(CrossOrigin))
        _check_choice("fetchpriority", self.fetchpriority, get_args(FetchPriority))
        self._check_use()
        if self.type and not _MEDIA_TYPE.fullmatch(self.type):
            raise LinkError(f"type is a media type without parameters, not {self.type!r}")
        if self.integrity and not _INTEGRITY.fullmatch(self.integrity):
            raise LinkError(
                f"integrity is a list of sha256-, sha384- or sha512- hashes, not {self.integrity!r}"
            )
        if self.as_ == "font" and self.crossorigin is None:
            object.__setattr__(self, "crossorigin", "anonymous")

    def _check_use(self) -> None:
        """Whether `as_` goes with `rel`."""
        uses = get_args(As)
        match self.rel:
            case "preload" if not self.as_:
                names = ", ".join(use for use in uses if use)
                raise LinkError(
                    "a preload says what it is used as",
                    hint=f"Give as_ one of: {names}.",
                )
            case "modulepreload" if self.as_ not in ("", "script"):
                raise LinkError(f'a modulepreload is used as "script", not {self.as_!r}')
            case "preconnect" if self.as_:
                raise LinkError("a preconnect fetches nothing, so it has no as_")
            case _:
                pass

    def field_value(self) -> bytes:
        """The link as a value of the Link field: printable ASCII."""
        parts = [f"<{self.target}>", f"rel={self.rel}"]
        if self.as_:
            parts.append(f"as={self.as_}")
        if self.crossorigin == "anonymous":
            parts.append("crossorigin")
        elif self.crossorigin is not None:
            parts.append(f"crossorigin={self.crossorigin}")
        if self.type:
            parts.append(f'type="{self.type}"')
        if self.fetchpriority:
            parts.append(f"fetchpriority={self.fetchpriority}")
        if self.integrity:
            parts.append(f'integrity="{self.integrity}"')
        return "; ".join(parts).encode("ascii")


@dataclass(frozen=True, slots=True)
class ParsedLink:
    """A link as somebody wrote it.

    Attributes:
        target: What stood between `<` and `>`, without white space around it; not resolved.
        params: Names in lower case, and values, "" where there was none; in order, repeated ones
            too.
    """

    target: str
    params: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str | None:
        """The first value of a parameter, None where it has none; only the first `rel` counts
        (RFC 8288, 3.3)."""
        return next((value for key, value in self.params if key == name), None)

    @property
    def rels(self) -> tuple[str, ...]:
        """The relation types of the first `rel`, in lower case."""
        return tuple((self.get("rel") or "").lower().split())

    @property
    def as_(self) -> str:
        """The value of `as` in lower case, or ""."""
        return (self.get("as") or "").lower()


def escape_target(target: str) -> str:
    """A link's target with all percent-encoded that may not stand in a URI; twice is as once.

    Raises:
        LinkError: It is empty, or holds half of a surrogate pair.
    """
    try:
        octets = target.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise LinkError(f"the target is no valid text: {target!r}") from error
    if not octets:
        raise LinkError("a link needs a target")
    return _NOT_URI.sub(lambda found: b"%%%02X" % found[0][0], octets).decode("ascii")


def encode(links: Iterable[Link]) -> bytes:
    """All links as one value of the Link field, b"" for none."""
    return b", ".join(link.field_value() for link in links)


def parse(value: bytes | str) -> list[ParsedLink]:
    """Read a value of the Link field by RFC 8288, appendix B.

    What is no link is skipped up to the next comma. Never raises; takes time in proportion to the
    length of the value, whatever it holds.
    """
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    links: list[ParsedLink] = []
    at = _after(_BETWEEN, text, 0)
    while at < len(text):
        if text[at] == "<":
            end = text.find(">", at)
            if end < 0:
                break
            params, stop = _parse_params(text, end + 1)
            links.append(ParsedLink(text[at + 1 : end].strip(" \t"), params))
            at = stop
        comma = text.find(",", at)
        at = len(text) if comma < 0 else _after(_BETWEEN, text, comma)
    return links


def _parse_params(text: str, at: int) -> tuple[tuple[tuple[str, str], ...], int]:
    """Read `; name=value` as often as it comes; give what was read, and where it ended."""
    params: list[tuple[str, str]] = []
    while (found := _PARAM.match(text, at)) is not None:
        name, value, at = found[1].lower(), "", found.end()
        if found[2] is not None:
            value, at = _parse_value(text, at)
        if name:
            params.append((name, value))
    return tuple(params), at


def _parse_value(text: str, at: int) -> tuple[str, int]:
    quoted = _QUOTED.match(text, at)
    if quoted is not None:
        return _ESCAPE.sub(r"\1", quoted[1]), quoted.end()
    end = _after(_BARE, text, at)
    return text[at:end].rstrip(" \t"), end


def _after(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Where `pattern`, which also matches nothing, ends when it begins at `at`."""
    found = pattern.match(text, at)
    return at if found is None else found.end()


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        names = ", ".join(choice for choice in choices if choice)
        raise LinkError(f"{name} cannot be {value!r}", hint=f"Use one of: {names}.")
