"""The checks of each request to the admin port, and the fields of each response.

    Host          an IP address, or a name that was allowed: a page of another site whose name
                  leads here (DNS rebinding) has a name of its own
    Sec-Fetch-*   no requests of other sites' pages but links that were followed
    Authorization the token, if there is one: Bearer, or Basic with any user, as browsers ask for
    Origin, csrf  a POST comes from a form of ours

Pure but for the secret of the forms; called by `app`.
"""

from __future__ import annotations

import base64
import hmac
import secrets
from collections.abc import Mapping
from email.utils import formatdate
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from headstart.admin.access import Access
from headstart.admin.routes import Response, text

_FIELDS: Final = (
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    # With no-referrer, browsers would send our own forms with `Origin: null`.
    ("referrer-policy", "same-origin"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cache-control", "no-store"),
)


class Guard:
    """Who may ask for what.

    Attributes:
        csrf: The token of our forms, another one in each run.
    """

    def __init__(self, access: Access) -> None:
        self._names = access.names
        self._token = access.token.encode()
        self.csrf = secrets.token_urlsafe(24)

    def refusal(self, method: str, headers: Mapping[str, str], *, public: bool) -> Response | None:
        """Return the response to a request that may not be served, or None.

        Args:
            method: Of the request.
            headers: By name in lower case.
            public: The path is served without the token.
        """
        host = headers.get("host", "")
        if not self._is_ours(host):
            return text("This host name is not allowed. Allow it with --admin-host.\n", 403)
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not (
            method == "GET" and headers.get("sec-fetch-mode") == "navigate"
        ):
            return text("Pages of other sites may not ask.\n", 403)
        if self._token and not public and not self._has_token(headers):
            challenge = ("www-authenticate", 'Basic realm="headstart", charset="UTF-8"')
            body = b"The token is missing or wrong. Send it as the password.\n"
            return Response(body=body, status=401, headers=(challenge,))
        # `null` is the origin of a sandboxed page, and not ours either.
        origin = headers.get("origin")
        if method == "POST" and origin is not None and origin.partition("://")[2] != host:
            return text("Forms of other sites are not accepted.\n", 403)
        return None

    def accepts(self, form: Mapping[str, str]) -> bool:
        """Return whether a form is ours."""
        return hmac.compare_digest(form.get("csrf", "").encode(), self.csrf.encode())

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._names or is_address(name)

    def _has_token(self, headers: Mapping[str, str]) -> bool:
        scheme, _, given = headers.get("authorization", "").partition(" ")
        sent = given.strip().encode("latin-1")
        if scheme.lower() == "basic":
            try:
                sent = base64.b64decode(sent, validate=True).partition(b":")[2]
            except ValueError:
                return False
        elif scheme.lower() != "bearer":
            return False
        return hmac.compare_digest(sent, self._token)


def fields_of(response: Response) -> list[tuple[bytes, bytes]]:
    """Return the header of a response."""
    own = [("content-type", response.content_type), *response.headers]
    named = {name for name, _ in own}
    added = [field for field in _FIELDS if field[0] not in named]
    fields = [("date", formatdate(usegmt=True)), *own, *added]
    if isinstance(response.body, bytes):
        fields.append(("content-length", str(len(response.body))))
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in fields]


def is_address(name: str) -> bool:
    """Return whether a host is an IP address."""
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
