"""One request and its response, as the observer has seen them pass.

Filled by `observer`, read by `access` and `tracing`.
"""

from __future__ import annotations

import os
import re
import time
from random import getrandbits
from typing import Final

from headstart.deliver.asgi import Message, Scope, header, headstart_extension

# An id that a proxy in front gave; anything else could be a part of another field.
_GIVEN_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=@-]{1,128}")


class Exchange:
    """One request and its response.

    Attributes:
        scope: Of the request.
        status: Of the response; 0 before it began.
        size: Bytes of its content.
        began: When the application was called, by `time.perf_counter`.
        error: Raised by the application.
    """

    __slots__ = ("began", "error", "scope", "size", "status")

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.status = 0
        self.size = 0
        self.began = time.perf_counter()
        self.error: BaseException | None = None

    def take(self, message: Message) -> None:
        """Take a message of the application."""
        kind = message["type"]
        if kind == "http.response.body":
            self.size += len(message.get("body", b""))
        elif kind == "http.response.start":
            self.status = message["status"]
        elif kind == "http.response.pathsend":
            self.size += os.stat(message["path"]).st_size

    @property
    def seconds(self) -> float:
        """Return the time since the application was called."""
        return time.perf_counter() - self.began

    @property
    def pushed(self) -> bool:
        """Return true if the request was promised in a push."""
        ours = headstart_extension(self.scope)
        return ours is not None and bool(ours.get("pushed"))

    @property
    def client(self) -> str:
        """Return the client's address, or an empty string."""
        client = self.scope.get("client")
        if client is None:
            return ""
        host, port = client
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @property
    def target(self) -> str:
        """Return path and query as they came."""
        path: bytes = self.scope.get("raw_path") or self.scope["path"].encode()
        query: bytes = self.scope["query_string"]
        return (path + (b"?" + query if query else b"")).decode("latin-1")

    def header(self, name: bytes) -> bytes | None:
        """Return the first value of a request header."""
        return header(self.scope, name)


def make_id(scope: Scope) -> str:
    """Return the id that a proxy in front gave (X-Request-ID), or a new one."""
    for name, given in scope["headers"]:
        if name == b"x-request-id" and _GIVEN_ID.fullmatch(given):
            return str(given, "ascii")
    return f"{getrandbits(64):016x}"
