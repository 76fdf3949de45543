"""The Content-Security-Policy of a page: which preloads it lets a Link field ask for.

A preload is checked like the element that uses it (CSP 3, 6.7.2). A stylesheet or a script that is
allowed by its nonce alone is a violation, and a report, if the Link does not carry the nonce.
Pure. Read by the middleware from the head of each page's response.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

_FIELDS = frozenset({b"content-security-policy", b"content-security-policy-report-only"})
# Of each kind, the directives that rule it; the first that is there counts (CSP 3, 6.8.3).
_DIRECTIVES = {
    "style": ("style-src-elem", "style-src", "default-src"),
    "script": ("script-src-elem", "script-src", "default-src"),
    "font": ("font-src", "default-src"),
    "image": ("img-src", "default-src"),
    "fetch": ("connect-src", "default-src"),
}
_WITH_NONCE = frozenset({"style", "script"})
_NONCE = re.compile(r"'nonce-([A-Za-z0-9+/_-]+={0,2})'", re.IGNORECASE)
_HOST = re.compile(
    r"(?:([a-z][a-z0-9+.-]*)://)?(\*|(?:\*\.)?[a-z0-9_.-]+|\[[0-9a-f:]+\])(?::([0-9]+|\*))?(/?)"
)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Policy(NamedTuple):
    """The effect of a page's policies on preloads from its own origin.

    Attributes:
        nonce: The page's nonce, or "".
        with_nonce: Kinds that need it.
        barred: Kinds that no Link field can ask for.
    """

    nonce: str = ""
    with_nonce: frozenset[str] = frozenset()
    barred: frozenset[str] = frozenset()


NO_POLICY = Policy()


def read_policy(headers: Iterable[tuple[bytes, bytes]], origin: str) -> Policy:
    """Read the policies of a response, those that are only reported too.

    Args:
        headers: Of the response, names in any case.
        origin: Scheme and authority of the page.
    """
    values = [bytes(value) for name, value in headers if name.lower() in _FIELDS]
    if not values:
        return NO_POLICY
    text = b",".join(values).decode("latin-1")
    nonces = set(_NONCE.findall(text))
    # Without the nonce, which changes with each response, most policies are the same text.
    policy = _judged(_NONCE.sub("'nonce-'", text), origin)
    if policy.with_nonce and len(nonces) != 1:
        return Policy(barred=policy.barred | policy.with_nonce)
    return policy._replace(nonce=nonces.pop()) if policy.with_nonce else policy


@lru_cache(maxsize=256)
def _judged(text: str, origin: str) -> Policy:
    with_nonce: set[str] = set()
    barred: set[str] = set()
    for policy in text.split(","):
        directives = _directives(policy)
        for kind, names in _DIRECTIVES.items():
            sources = next((directives[name] for name in names if name in directives), None)
            if sources is None or _allows(sources, kind, origin):
                continue
            if kind in _WITH_NONCE and "'nonce-'" in sources:
                with_nonce.add(kind)
            else:
                barred.add(kind)
    return Policy("", frozenset(with_nonce - barred), frozenset(barred))


def _directives(policy: str) -> dict[str, frozenset[str]]:
    """Return a policy's directives with their sources, the first of a name (CSP 3, 2.2.1)."""
    found: dict[str, frozenset[str]] = {}
    for directive in policy.split(";"):
        name, *sources = directive.lower().split() or [""]
        if name:
            found.setdefault(name, frozenset(sources))
    return found


def _allows(sources: frozenset[str], kind: str, origin: str) -> bool:
    """Return whether any asset of the page's own origin may be loaded without a nonce."""
    if kind == "script" and "'strict-dynamic'" in sources:
        return False  # nothing but nonces and hashes counts (CSP 3, 8.2)
    return "'self'" in sources or any(_is_own(source, origin) for source in sources)


def _is_own(source: str, origin: str) -> bool:
    """Return whether a source is the page's origin, or its scheme, whole (CSP 3, 6.7.2.8).

    One with a path is taken for another, since it says nothing of the rest.
    """
    try:
        own = urlsplit(origin.lower())
        port = own.port or _DEFAULT_PORTS.get(own.scheme)
    except ValueError:
        return False
    schemes = {own.scheme, "http"}  # what is allowed over http is allowed over https
    if source.endswith(":"):
        return source[:-1] in schemes
    found = _HOST.fullmatch(source)
    if found is None:
        return False
    scheme, host, its_port, _ = found.groups()
    if scheme and scheme not in schemes:
        return False
    named = host == "*" or host == own.netloc.rpartition("@")[2].removesuffix(f":{own.port}")
    if not named and not (host.startswith("*.") and (own.hostname or "").endswith(host[1:])):
        return False
    if host == "*" and not its_port:
        return True
    if its_port:
        return its_port in ("*", str(port))
    return port == _DEFAULT_PORTS.get(own.scheme)
