"""One exchange, as the learner sees it: a request, and the head of its response.

Plain values, made by the middleware from an ASGI scope and by `logs` from a line of a log. Reads
and changes nothing; `views`, `safety` and `learner` read them. Named tuples, not frozen
dataclasses: one of each is made for every request, in a third of the time.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple


class Request(NamedTuple):
    """One request, as far as learning needs it.

    Attributes:
        origin: Scheme and authority as a Referer would show them, e.g. `https://example.org`.
        target: Path and query, undecoded, e.g. `/app.css?v=3`.
        address: The client's address without its port; one address is one voter.
        method: The method, upper case.
        user_agent: The whole field, or "".
        referer: The whole field (or of the header that the operator names), or "".
        connection: Stands for the connection and is never used for another one later, or None
            where the connection says nothing (HTTP/1.1 clients open six).
        destination: Sec-Fetch-Dest, or "" where the client sends none.
        mode: Sec-Fetch-Mode, or "".
        accepts_html: Accept names text/html. Looked at only where `destination` is "".
        conditional: An If-* field is there: the client has the page.
        authorized: An Authorization field is there.
        prefetched: Sec-Purpose says that the page is fetched before anybody wants to see it.
        phone: Sec-CH-UA-Mobile says that the client is a phone.
        cookies: A Cookie field is there.
    """

    origin: str
    target: str
    address: str
    method: str = "GET"
    user_agent: str = ""
    referer: str = ""
    connection: Hashable | None = None
    destination: str = ""
    mode: str = ""
    accepts_html: bool = False
    conditional: bool = False
    authorized: bool = False
    prefetched: bool = False
    phone: bool = False
    cookies: bool = False

    @property
    def credentials(self) -> bool:
        """Return true if the response may be for this client alone."""
        return self.cookies or self.authorized


class Answer(NamedTuple):
    """The head of an answer, as far as learning needs it.

    Attributes:
        status: The status code.
        content_type: The whole field, or "" where it is unknown.
        cache_control: The whole field, "" where there is none, None where it is unknown, as in an
            access log.
        vary: The whole field, or "".
        sets_cookie: A Set-Cookie field is there.
        size: Bytes of content, 0 where unknown.
        validated: An ETag or a Last-Modified field is there, None where it is unknown, as in an
            access log.
        heuristic_lifetime: Seconds that a browser keeps it where nothing says a lifetime, by the
            age of the file (RFC 9111, 4.2.2); None where nothing says so.
        expires_in: Seconds until its `Expires`, 0 if that is over or not a date (RFC 9111, 5.3);
            None without one.
        location: The whole field, "" where there is none, None where it is unknown, as in an
            access log.
    """

    status: int
    content_type: str = ""
    cache_control: str | None = ""
    vary: str = ""
    sets_cookie: bool = False
    size: int = 0
    validated: bool | None = False
    heuristic_lifetime: int | None = None
    expires_in: int | None = None
    location: str | None = None


class Exchange(NamedTuple):
    """A request with its response, as a log records them, at one moment."""

    request: Request
    answer: Answer
