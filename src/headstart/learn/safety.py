"""What may be learned at all, each refusal with its reason.

Pure: a request and the head of its answer in, a reason or a kind out. Called by `learner` for each
asset of a view, and by `model` for what is imported. The rules are those of RFC 9111 for a shared
cache, narrowed: what is sent ahead reaches clients who did not ask for it, so it must be what any
of them would have been given.
"""

from __future__ import annotations

import re
from enum import StrEnum

from headstart.learn.exchange import Answer, Request
from headstart.learn.urls import extension, path_of


class Kind(StrEnum):
    """What an asset is; the value is the one of `as` in a preload link."""

    STYLE = "style"
    SCRIPT = "script"
    FONT = "font"
    IMAGE = "image"


class Unlearnable(StrEnum):
    """Why an asset is not learned. The value is the word shown in logs and counters."""

    METHOD = "method"
    """Only GET is repeated on a client's behalf."""
    STATUS = "status"
    """Only what was answered 200 is known to be there."""
    BAD_URL = "bad-url"
    """No absolute path of printable ASCII, or one that a browser would read as something else."""
    LONG_URL = "long-url"
    """Longer than the operator allows."""
    DYNAMIC_TYPE = "dynamic-type"
    """No stylesheet, script, font or image."""
    QUERY = "query"
    """A query may change state; only `immutable` or a minute of freshness says that it does not."""
    AUTHORIZED = "authorized"
    """The request carried Authorization: the answer may be one user's (RFC 9111, 3.5)."""
    PRIVATE = "private"
    """Cache-Control says `private`, `no-store` or `no-cache` (RFC 9111, 5.2.2)."""
    SETS_COOKIE = "sets-cookie"
    """Set-Cookie: the answer is one user's."""
    VARIES = "varies"
    """`Vary` names Cookie, Authorization or `*`: another user gets something else."""


_EXTENSIONS = {
    **dict.fromkeys(("css",), Kind.STYLE),
    **dict.fromkeys(("js", "mjs"), Kind.SCRIPT),
    **dict.fromkeys(("woff", "woff2", "ttf", "otf", "eot"), Kind.FONT),
    **dict.fromkeys(("png", "jpg", "jpeg", "gif", "svg", "webp", "avif", "ico", "bmp"), Kind.IMAGE),
}
_TYPES = {
    "text/css": Kind.STYLE,
    "text/javascript": Kind.SCRIPT,
    "application/javascript": Kind.SCRIPT,
    "application/x-javascript": Kind.SCRIPT,
    "application/font-woff": Kind.FONT,
    "application/font-woff2": Kind.FONT,
    "application/x-font-ttf": Kind.FONT,
    "application/x-font-woff": Kind.FONT,
    "application/vnd.ms-fontobject": Kind.FONT,
}
_FAMILIES = {"font": Kind.FONT, "image": Kind.IMAGE}
_DESTINATIONS = {kind.value: kind for kind in Kind}

# The unreserved, reserved and percent characters of RFC 3986, less those that end or split a Link's
# target or a header's value, and less the backslash and the fragment, which are not in it at all.
_TARGET = re.compile(r"/(?!/)[A-Za-z0-9._~%!$&'()*+,;=:@/?\[\]-]*")
_PRIVATE = frozenset(("private", "no-store", "no-cache"))
_MINUTE = 60


def essence(content_type: str) -> str:
    """The media type without its parameters, in lower case."""
    return content_type.partition(";")[0].strip().lower()


def kind_of_type(media_type: str) -> Kind | None:
    """The kind that a media type (its essence) says, or None for what is not static."""
    return _TYPES.get(media_type) or _FAMILIES.get(media_type.partition("/")[0])


def kind_of(request: Request, answer: Answer) -> Kind | None:
    """The asset's kind, or None for what is not learned.

    What the answer says and what the client wanted must agree that it is static; a log says
    neither, so the file name speaks.
    """
    media_type = essence(answer.content_type)
    named = kind_of_type(media_type) if media_type else kind_of_path(request.target)
    if not request.destination:
        return named
    return named if _DESTINATIONS.get(request.destination) is named else None


def kind_of_path(target: str) -> Kind | None:
    """The kind that the file name's extension says, or None."""
    return _EXTENSIONS.get(extension(path_of(target)))


def directives(cache_control: str) -> dict[str, str]:
    """Cache-Control's directives with their arguments, the first of a name (RFC 9111, 4.2.1)."""
    found: dict[str, str] = {}
    for part in cache_control.split(","):
        name, _, value = part.partition("=")
        if name := name.strip().lower():
            found.setdefault(name, value.strip().strip('"'))
    return found


def lifetime(cache_control: str | None) -> int | None:
    """Seconds for which the answer is fresh, or None where it does not say (RFC 9111, 4.2.1)."""
    said = directives(cache_control or "")
    age = said.get("max-age", "")
    return int(age) if age.isdecimal() and age.isascii() and len(age) < 12 else None


def bad_target(target: str, max_url: int) -> Unlearnable | None:
    """Why this target may not be sent ahead whatever it answers, or None."""
    if len(target) > max_url:
        return Unlearnable.LONG_URL
    return None if _TARGET.fullmatch(target) else Unlearnable.BAD_URL


def refusal(request: Request, answer: Answer, max_url: int) -> Unlearnable | None:
    """Why this asset may not be learned, or None."""
    if request.method != "GET":
        return Unlearnable.METHOD
    if answer.status != 200:
        return Unlearnable.STATUS
    if kind_of(request, answer) is None:
        return Unlearnable.DYNAMIC_TYPE
    if bad := bad_target(request.target, max_url):
        return bad
    return _not_for_all(request, answer) or _changes_state(request, answer)


def _not_for_all(request: Request, answer: Answer) -> Unlearnable | None:
    if request.authorized:
        return Unlearnable.AUTHORIZED
    if answer.sets_cookie:
        return Unlearnable.SETS_COOKIE
    if answer.cache_control and not _PRIVATE.isdisjoint(directives(answer.cache_control)):
        return Unlearnable.PRIVATE
    named = {name.strip().lower() for name in answer.vary.split(",")}
    return None if named.isdisjoint(("cookie", "authorization", "*")) else Unlearnable.VARIES


def _changes_state(request: Request, answer: Answer) -> Unlearnable | None:
    if "?" not in request.target:
        return None
    said = directives(answer.cache_control or "")
    if "immutable" in said or (lifetime(answer.cache_control) or 0) >= _MINUTE:
        return None
    return Unlearnable.QUERY
