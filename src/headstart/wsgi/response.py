"""One call of a WSGI application in a thread, whose response becomes ASGI messages.

Made by `adapter.WsgiCall`, which runs `Response.run` in a thread; writes into an `Outbox`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any, TypeAlias

from headstart.wsgi.outbox import Message, Outbox

Headers: TypeAlias = list[tuple[str, str]]
ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType]
Application: TypeAlias = Callable[[dict[str, Any], Any], Iterable[bytes]]
"""A WSGI application."""


class Response:
    """The response of one call.

    Args:
        environ: The request.
        outbox: Takes the messages.
    """

    def __init__(self, environ: dict[str, Any], outbox: Outbox) -> None:
        self._environ = environ
        self._outbox = outbox
        self._head: Message | None = None
        self._begun = False
        """The head is on its way and cannot be changed."""
        self._is_head = self._bare = environ["REQUEST_METHOD"] == "HEAD"
        """`_bare`: the response has no content, whatever the application says."""

    def run(self, application: Application) -> None:
        """Call the application and write its response.

        Raises:
            ClientLeft: The client disconnected. The application's iterable is closed.
            BaseException: An error of the application.
        """
        iterable = application(self._environ, self.start_response)
        try:
            if isinstance(iterable, (list, tuple)) and len(iterable) == 1:
                self._write_whole(iterable[0])
            else:
                self._write_parts(iterable)
        finally:
            close = getattr(iterable, "close", None)
            if close is not None:
                close()

    def start_response(
        self, status: str, headers: Headers, exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """Take status and headers, as PEP 3333 has it; return `write`.

        Raises:
            RuntimeError: It was called before, and no error is the reason.
            BaseException: That of `exc_info`, when the head is already on its way.
        """
        if exc_info is not None:
            try:
                if self._begun:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # a traceback that refers to itself would keep the request alive
        elif self._head is not None:
            raise RuntimeError("start_response was called twice. Pass exc_info to replace headers.")
        code = int(status.split(" ", 1)[0])
        self._head = {
            "type": "http.response.start",
            "status": code,
            "headers": [(n.encode("latin-1"), v.encode("latin-1")) for n, v in headers],
        }
        self._bare = self._is_head or code in (204, 304)
        return self._write

    def _write_whole(self, content: bytes) -> None:
        """Write content that is known to be all."""
        _check(content)
        if self._begun:  # by write()
            self._outbox.put(_body(content, more=False))
            return
        head = self._taken_head()
        if not (self._bare or any(n.lower() == b"content-length" for n, _ in head["headers"])):
            head["headers"].append((b"content-length", b"%d" % len(content)))
        self._outbox.put(head, _body(b"" if self._bare else content, more=False))

    def _write_parts(self, iterable: Iterable[bytes]) -> None:
        for part in iterable:
            _check(part)
            # Headers wait for the first byte, since the application may still replace them.
            if part:
                self._write(part)
                if self._bare:
                    break
        if self._begun:
            self._outbox.put(_body(b"", more=False))
        else:
            self._write_whole(b"")

    def _write(self, data: bytes) -> None:
        """Write a part of the content: PEP 3333's `write`."""
        _check(data)
        part = _body(b"" if self._bare else data, more=True)
        if self._begun:
            self._outbox.put(part)
        else:
            self._outbox.put(self._taken_head(), part)

    def _taken_head(self) -> Message:
        if self._head is None:
            raise RuntimeError("The WSGI application did not call start_response.")
        self._begun = True
        return self._head


def _body(content: bytes, more: bool) -> Message:
    return {"type": "http.response.body", "body": content, "more_body": more}


def _check(content: object) -> None:
    if not isinstance(content, bytes):
        raise TypeError(f"A WSGI response is made of bytes, not of {type(content).__name__}.")
