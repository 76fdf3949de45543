"""An asset as one exchange shows it, and the responses that remove it.

Pure; called by `learner` for each response to a request for an asset.
"""

from __future__ import annotations

from sys import intern

from headstart.learn.counts import SeenAsset
from headstart.learn.exchange import Answer, Request
from headstart.learn.safety import (
    Kind,
    Unlearnable,
    essence,
    kind_of,
    kind_of_path,
    kind_of_type,
    lifetime_of,
)


def seen_asset_of(request: Request, answer: Answer) -> SeenAsset:
    """Return an asset as it was seen; it has to be one that may be learned."""
    kind = kind_of(request, answer)
    assert kind is not None, "refused otherwise"
    # What is chosen by Accept has another type for the next client, who is to fetch it as well.
    chosen = "accept" in {name.strip().lower() for name in answer.vary.split(",")}
    return SeenAsset(
        target=request.target,
        kind=kind,
        media_type="" if chosen else intern(essence(answer.content_type)),
        cors=request.mode == "cors",
        size=answer.size,
        lifetime=lifetime_of(request, answer),
        verified=answer.cache_control is not None,
        module=_is_imported(request),
    )


def _is_imported(request: Request) -> bool:
    """Return whether a script that is a module imports this one.

    A classic script that another one adds to the page has the page as its Referer (HTML, 8.1.4.2).
    """
    return (
        request.mode == "cors"
        and request.destination == "script"
        and kind_of_path(request.referer) is Kind.SCRIPT
    )


def is_news(old: SeenAsset, new: SeenAsset) -> bool:
    """Return whether other workers need to know how an asset is seen now.

    Its size varies with the encodings that clients accept, and a lifetime may count down. So a
    lifetime counts as another one only about when it has halved or doubled.
    """
    return _facts(old) != _facts(new)


def _facts(seen: SeenAsset) -> tuple[object, ...]:
    lifetime = None if seen.lifetime is None else seen.lifetime.bit_length()
    return seen.kind, seen.media_type, seen.cors, seen.module, seen.verified, lifetime


def hash_of(request: Request, answer: Answer) -> int:
    """Return a hash of all that says whether an asset may be learned, and how it is sent."""
    _, content_type, cache_control, vary, sets_cookie, _, validated, aged, expires, _ = answer
    mode = request.mode
    return hash(
        (
            request.destination,
            mode,
            mode == "cors" and _is_imported(request),
            request.authorized,
            content_type,
            cache_control,
            vary,
            sets_cookie,
            validated,
            # Grows as the file ages, so it is looked at again each time it has doubled.
            aged.bit_length() if aged else 0,
            # Falls where it is a fixed date, so likewise.
            expires.bit_length() if expires else 0,
        )
    )


def unsays(why: Unlearnable, answer: Answer) -> bool:
    """Return whether a known asset that is now refused so is no longer any user's.

    It became one client's, or nothing static is there any more, as where a catch-all page answers.
    """
    if why in (Unlearnable.PRIVATE, Unlearnable.SETS_COOKIE, Unlearnable.VARIES):
        return True
    return bool(answer.content_type) and kind_of_type(essence(answer.content_type)) is None
