"""The link to an asset, from the learner's observations and the page's own HTML.

Pure. Called by `decide`. A link with fewer attributes than the element that uses the asset makes a
browser fetch it twice, or not at all: another CORS mode, another integrity, a script for a module.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from functools import lru_cache
from typing import Literal, Protocol, cast

from headstart.wire.links import As, Link, LinkError


class Asset(Protocol):
    """An asset that a page may need."""

    @property
    def target(self) -> str:
        """Path and query, on the page's origin."""

    @property
    def kind(self) -> str:
        """Return its use in the words of `as`: style, font, script, image, fetch; or ""."""

    @property
    def media_type(self) -> str:
        """Its media type without parameters, or ""."""

    @property
    def cors(self) -> bool:
        """Return true if the page fetches it in CORS mode, so that its link needs `crossorigin`."""

    @property
    def module(self) -> bool:
        """Return true if it is a JavaScript module that another one imports."""

    @property
    def size(self) -> int:
        """Bytes of its body, 0 where not known."""

    @property
    def lifetime(self) -> float | None:
        """Seconds that it stays fresh; None where nothing says how long."""

    @property
    def verified(self) -> bool:
        """Return true if its cache headers were seen; an access log shows none."""


class Named(Hashable, Protocol):
    """How the page's own HTML names an asset; each attribute as in HTML, or ""."""

    @property
    def module(self) -> bool:
        """Return true if it is a JavaScript module."""

    @property
    def crossorigin(self) -> Literal["", "anonymous", "use-credentials"]:
        """How it is fetched; "" without CORS."""

    @property
    def integrity(self) -> str:
        """Hashes."""

    @property
    def fetchpriority(self) -> Literal["", "high", "low"]:
        """How urgent it is among its kind."""

    @property
    def media(self) -> str:
        """A media query that has to match."""

    @property
    def imagesrcset(self) -> str:
        """Image candidates, of which the browser takes one."""

    @property
    def imagesizes(self) -> str:
        """The sizes to choose a candidate by."""

    @property
    def late(self) -> bool:
        """Return true if the page is drawn without waiting for it."""


def link_value(
    asset: Asset, named: Named | None = None, *, early: bool = False, nonce: str = ""
) -> bytes:
    """Return an asset as a value of the Link field, b"" where it cannot be one.

    Args:
        asset: The asset.
        named: As the page's own HTML names it, or None if it does not.
        early: For a 103, of which Chromium takes fewer parameters.
        nonce: Of the page's Content-Security-Policy, for the page's own response.
    """
    if named is None and not nonce:
        return _plain_value(
            asset.target, asset.kind, asset.media_type, asset.cors, asset.module, early
        )
    if named is None:
        link = _plain_link(asset.target, asset.kind, asset.media_type, asset.cors, asset.module)
    else:
        link = _named_link(asset.target, asset.kind, asset.media_type, named)
    if link is None:
        return b""
    if nonce and not early:
        return replace(link, nonce=nonce).field_value()
    return _value(link, early)


def preconnect_value(url: str, *, cors: bool) -> bytes:
    """Return a preconnect as a value of the Link field, b"" where it cannot be one.

    Args:
        url: Scheme and authority of another origin.
        cors: For requests without credentials, for which browsers have connections of their own.
    """
    try:
        return Link(url, "preconnect", crossorigin="anonymous" if cors else None).field_value()
    except LinkError:
        return b""


def needs_response(named: Named | None) -> bool:
    """Return whether the link says more than a 103 can."""
    return named is not None and bool(named.media or named.imagesrcset)


# To hash a `Link` takes longer than all else here, so most values are found without.
@lru_cache(maxsize=2048)
def _plain_value(
    target: str, kind: str, media_type: str, cors: bool, module: bool, early: bool
) -> bytes:
    link = _plain_link(target, kind, media_type, cors, module)
    return b"" if link is None else _value(link, early)


@lru_cache(maxsize=2048)
def _value(link: Link, early: bool) -> bytes:
    written = link.early() if early else link
    return b"" if written is None else written.field_value()


@lru_cache(maxsize=2048)
def _plain_link(target: str, kind: str, media_type: str, cors: bool, module: bool) -> Link | None:
    try:
        if module:
            return Link(target, "modulepreload")
        as_ = cast(As, str(kind))
        return Link(target, "preload", as_, "anonymous" if cors else None, media_type)
    except LinkError:
        return None


@lru_cache(maxsize=2048)
def _named_link(target: str, kind: str, media_type: str, named: Named) -> Link | None:
    """Return the link of an asset that the page names, or None if its attributes are unusable."""
    try:
        if named.module:
            # A module is fetched in CORS mode whatever its element says (HTML, 8.1.4.2).
            credentials = named.crossorigin == "use-credentials"
            return Link(
                target,
                "modulepreload",
                crossorigin="use-credentials" if credentials else None,
                fetchpriority=named.fetchpriority,
                integrity=named.integrity,
            )
        return Link(
            target,
            "preload",
            cast(As, str(kind)),
            named.crossorigin or None,
            # The candidates of an image may have other types.
            "" if named.imagesrcset else media_type,
            named.fetchpriority,
            named.integrity,
            media=named.media,
            imagesrcset=named.imagesrcset,
            imagesizes=named.imagesizes,
        )
    except LinkError:
        return None
