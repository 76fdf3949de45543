"""The Link header, read and written (RFC 8288).

`Link` is for writing: typed, checked when made, and safe in a header for any target. `ParsedLink`
is for reading a link that somebody else wrote: neutral, and never refused. Pure. Called by
`deliver` and by the server for 103 and Link; by `learn`, the proxy and `h2c` for links of an
application, an origin or a server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias, get_args

from headstart.errors import HeadstartError

Rel: TypeAlias = Literal["preload", "modulepreload", "preconnect"]
As: TypeAlias = Literal["font", "image", "script", "style", "fetch", ""]
CrossOrigin: TypeAlias = Literal["anonymous", "use-credentials"]
FetchPriority: TypeAlias = Literal["high", "low", "auto", ""]

# The use of a file by its extension; a file without any of these says nothing about its use.
_USES: Final[dict[str, As]] = {
    "css": "style",
    **dict.fromkeys(("js", "mjs"), "script"),
    **dict.fromkeys(("woff2", "woff", "ttf", "otf"), "font"),
    **dict.fromkeys(("avif", "webp", "png", "jpg", "jpeg", "gif", "svg"), "image"),
}

# RFC 3986, 2: what may stand in a URI as it is. `%` only where it begins an escape, so that what
# is escaped already stays and nothing is escaped twice.
_NOT_URI = re.compile(rb"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]")
# RFC 9110, 5.6.2 and 8.3.1. Without parameters: Chromium drops a link whose type has some.
_MEDIA_TYPE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HASH = r"sha(?:256|384|512)-[A-Za-z0-9+/_-]+={0,2}"
_INTEGRITY = re.compile(rf"{_HASH}(?: {_HASH})*")
# CSP 3, 2.3.1: base64-value.
_NONCE = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
# Media queries and source sizes are made of these (Media Queries 4, 3; HTML, 4.8.4.2.2). No quote
# and no backslash are among them, so the value needs no escape inside of a quoted string.
_CSS_VALUE = re.compile(r"[A-Za-z0-9 ()<>=:,./%*+_-]+")
# HTML, 4.8.4.2.1: a candidate is a URL, which ends at white space, and a width or a density.
# Possessive, so that a list which is none takes time in proportion to its length.
_CANDIDATE = re.compile(
    r"[ ,]*+([^ ,]++(?:,++[^ ,]++)*+)(?: +([0-9]+w|[0-9]+(?:\.[0-9]+)?x))? *(,|$)"
)

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
    """A link to announce, with the parameters that browsers take from a Link header.

    Chromium takes fewer of them from a 103 than from the final response, and drops a link from a
    103 that has another one (`services/network/public/cpp/link_header_parser.cc`). `early` returns
    the link as a 103 can hold it.

    Attributes:
        target: A URI or a reference relative to the page. Kept as it is written. Characters that
            RFC 3986 forbids are percent-encoded as UTF-8 (a byte that came in through
            `surrogateescape` as that byte).
        rel: The target's relation to the page.
        as_: Its use; required for preload, "script" or "" for modulepreload, "" for preconnect.
        crossorigin: How it will be fetched; None without CORS. A font always is, so None becomes
            "anonymous" there (CSS Fonts 4, 4.8.2).
        type: Its media type without parameters, or "".
        fetchpriority: As in HTML, or "".
        integrity: Hashes as in HTML, or "".
        nonce: The nonce of the page's Content-Security-Policy, or "".
        media: A media query that must match for the target to be fetched, or "".
        imagesrcset: Image candidates as in `srcset`, or "". Each URL is kept as `target` is. A
            browser that takes candidates chooses among them alone, so `target` is for the others.
        imagesizes: Source sizes as in `sizes`, or "".

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
    nonce: str = ""
    media: str = ""
    imagesrcset: str = ""
    imagesizes: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", escape_target(self.target))
        _check_choice("rel", self.rel, get_args(Rel))
        _check_choice("as", self.as_, get_args(As))
        if self.crossorigin is not None:
            _check_choice("crossorigin", self.crossorigin, get_args(CrossOrigin))
        _check_choice("fetchpriority", self.fetchpriority, get_args(FetchPriority))
        self._check_use()
        if self.type and not _MEDIA_TYPE.fullmatch(self.type):
            raise LinkError(
                f"type is a media type without parameters, not {self.type!r}",
                hint="Give one such as text/css, or leave type out.",
            )
        if self.integrity and not _INTEGRITY.fullmatch(self.integrity):
            raise LinkError(
                "integrity is a list of sha256-, sha384- or sha512- hashes, "
                f"not {self.integrity!r}",
                hint="Give it as in the page's own element, or leave integrity out.",
            )
        if self.nonce and not _NONCE.fullmatch(self.nonce):
            raise LinkError(
                f"nonce is a base64 value, not {self.nonce!r}",
                hint="Give the value of the page's Content-Security-Policy, or leave nonce out.",
            )
        if self.media and not _CSS_VALUE.fullmatch(self.media):
            raise LinkError(
                f"media is a media query, not {self.media!r}",
                hint="Give one such as (min-width: 600px), or leave media out.",
            )
        self._check_candidates()
        if self.as_ == "font" and self.crossorigin is None:
            object.__setattr__(self, "crossorigin", "anonymous")

    def _check_use(self) -> None:
        """Check that `as_` fits `rel`."""
        uses = get_args(As)
        match self.rel:
            case "preload" if not self.as_:
                names = ", ".join(use for use in uses if use)
                raise LinkError(
                    "a preload says what it is used as",
                    hint=f"Give as_ one of: {names}.",
                )
            case "modulepreload" if self.as_ not in ("", "script"):
                raise LinkError(
                    f'a modulepreload is used as "script", not {self.as_!r}',
                    hint='Leave as_ out, or use rel="preload".',
                )
            case "preconnect" if self.as_:
                raise LinkError(
                    "a preconnect fetches nothing, so it has no as_", hint="Leave as_ out."
                )
            case _:
                pass

    def _check_candidates(self) -> None:
        """Raise LinkError unless `imagesrcset` and `imagesizes` go with an image."""
        if not self.imagesrcset:
            if self.imagesizes:
                raise LinkError(
                    "imagesizes needs an imagesrcset to choose from",
                    hint="Give imagesrcset too, or leave imagesizes out.",
                )
            return
        if (self.rel, self.as_) != ("preload", "image"):
            raise LinkError(
                "an imagesrcset is for the preload of an image",
                hint='Give as_="image", or leave imagesrcset out.',
            )
        if self.imagesizes and not _CSS_VALUE.fullmatch(self.imagesizes):
            raise LinkError(
                f"imagesizes is a list of source sizes, not {self.imagesizes!r}",
                hint="Give one such as (max-width: 600px) 100vw, 50vw.",
            )
        object.__setattr__(self, "imagesrcset", _escape_candidates(self.imagesrcset))

    @classmethod
    def guess(cls, target: str) -> Link:
        """Return a link whose `rel` and `as_` follow from the extension in the target's path.

        A `.mjs` becomes a modulepreload; other files become a preload.

        Raises:
            LinkError: The extension does not tell the use.
        """
        path = target.partition("#")[0].partition("?")[0]
        _, dot, extension = path.rpartition("/")[2].lower().rpartition(".")
        if dot and extension == "mjs":
            return cls(target, "modulepreload")
        as_ = _USES.get(extension) if dot else None
        if as_ is None:
            raise LinkError(
                f"the name of {target!r} does not tell its use",
                hint='Give a Link, such as Link("/data", as_="fetch").',
            )
        return cls(target, as_=as_)

    def early(self) -> Link | None:
        """Return the link as Chromium takes it from a 103, or None if a 103 cannot hold it.

        A 103 fills the browser's cache, and the page's own element is checked against its integrity
        and nonce when it takes the response from there. So the link goes without them. It keeps a
        media query and image candidates, since these decide which URL is fetched.
        """
        if self.media or self.imagesrcset:
            return None
        return replace(self, integrity="", nonce="") if self.integrity or self.nonce else self

    def field_value(self) -> bytes:
        """Return the link as a value of the Link header: printable ASCII."""
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
        if self.nonce:
            parts.append(f'nonce="{self.nonce}"')
        if self.media:
            parts.append(f'media="{self.media}"')
        if self.imagesrcset:
            parts.append(f'imagesrcset="{self.imagesrcset}"')
        if self.imagesizes:
            parts.append(f'imagesizes="{self.imagesizes}"')
        return "; ".join(parts).encode("ascii")


@dataclass(frozen=True, slots=True)
class ParsedLink:
    """A link as somebody wrote it.

    Attributes:
        target: The text between `<` and `>`, without white space around it; not resolved.
        params: Names in lower case, and values, "" if there was none; in order, with repeated ones.
    """

    target: str
    params: tuple[tuple[str, str], ...] = ()

    def get(self, name: str) -> str | None:
        """Return the first value of a parameter, or None; only the first `rel` counts (RFC 8288,
        3.3).
        """
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
    """Percent-encode the characters of a target that a URI forbids; a second call changes nothing.

    Raises:
        LinkError: It is empty, or holds half of a surrogate pair.
    """
    try:
        octets = target.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError as error:
        raise LinkError(
            f"the target is not valid text: {target!r}", hint="Percent-encode its bytes."
        ) from error
    if not octets:
        raise LinkError("a link needs a target", hint="Give a path such as /style.css, or a URL.")
    return _NOT_URI.sub(lambda found: b"%%%02X" % found[0][0], octets).decode("ascii")


def _escape_candidates(imagesrcset: str) -> str:
    """Return image candidates with their URLs percent-encoded, or raise LinkError."""
    text = " ".join(imagesrcset.split())
    candidates: list[str] = []
    at = 0
    while at < len(text):
        found = _CANDIDATE.match(text, at)
        if found is None:
            raise LinkError(
                f"imagesrcset is a list of image candidates, not {imagesrcset!r}",
                hint="Give one such as /small.jpg 480w, /large.jpg 960w.",
            )
        url, descriptor, _ = found.groups("")
        candidates.append(" ".join(filter(None, (escape_target(url), descriptor))))
        at = found.end()
    return ", ".join(candidates)


def as_link(link: Link | str) -> Link:
    """Return a link itself, or the one that the name of a target tells (`Link.guess`).

    Raises:
        LinkError: It is a target whose name does not tell its use.
    """
    return Link.guess(link) if isinstance(link, str) else link


def encode(links: Iterable[Link]) -> bytes:
    """All links as one value of the Link field, b"" for none."""
    return b", ".join(link.field_value() for link in links)


def parse(value: bytes | str) -> list[ParsedLink]:
    """Read a value of the Link header by RFC 8288, appendix B.

    Text that is not a link is skipped up to the next comma. Never raises; takes time in proportion
    to the length of any value.
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
    """Read a list of `; name=value`; return it and its end."""
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
    """Return the end of a match of `pattern` at `at`; the pattern also matches nothing."""
    found = pattern.match(text, at)
    return at if found is None else found.end()


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        names = ", ".join(choice for choice in choices if choice)
        raise LinkError(f"{name} cannot be {value!r}", hint=f"Use one of: {names}.")
