"""The environ of a request (PEP 3333; CGI: RFC 3875), made of its ASGI scope. Used by `adapter`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, BinaryIO, Final
from urllib.parse import unquote_to_bytes
from wsgiref.util import FileWrapper

_FILE_BLOCK: Final = 64 * 1024
# RFC 3875, 4.1.18: these have names of their own.
_UNPREFIXED: Final = {b"content-type": "CONTENT_TYPE", b"content-length": "CONTENT_LENGTH"}


class FileBlocks(FileWrapper):
    """`wsgi.file_wrapper`, which reads blocks that are worth their way between two threads."""

    def __init__(self, filelike: Any, blksize: int = _FILE_BLOCK) -> None:
        super().__init__(filelike, max(blksize, _FILE_BLOCK))


def make_environ(
    scope: Mapping[str, Any], body: BinaryIO, multiprocess: bool, length: int = 0
) -> dict[str, Any]:
    """Return the environ of a request.

    Args:
        scope: Of type http.
        body: The `wsgi.input`; it ends where the request ends.
        multiprocess: Other processes may call the application at the same time.
        length: Of the body where the request does not say it but it is known; 0 if it is not.
    """
    root: str = scope.get("root_path", "")
    query: bytes = scope.get("query_string", b"")
    raw: bytes | None = scope.get("raw_path")
    # The raw path keeps bytes that are not UTF-8, which `path` has lost.
    path = scope["path"].encode() if raw is None else unquote_to_bytes(raw)
    whole = raw if raw is not None else path
    version: str = scope["http_version"]
    host, port = scope.get("server") or ("localhost", 80)
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": _native(root.encode()),
        "PATH_INFO": _native(path.removeprefix(root.encode())),
        "QUERY_STRING": _native(query),
        "REQUEST_URI": _native(whole + b"?" + query if query else whole),
        "RAW_URI": _native(whole + b"?" + query if query else whole),
        "SERVER_NAME": host,
        "SERVER_PORT": str(port or 0),
        # RFC 3875, 4.1.16: a major and a minor number.
        "SERVER_PROTOCOL": f"HTTP/{version}" if "." in version else f"HTTP/{version}.0",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": multiprocess,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileBlocks,
        "asgi.scope": scope,
    }
    if scope.get("client"):
        environ["REMOTE_ADDR"], remote_port = scope["client"]
        environ["REMOTE_PORT"] = str(remote_port)
    else:
        # A client of a Unix socket. RFC 3875, 4.1.8: it must be there, and applications rely on it.
        environ["REMOTE_ADDR"] = ""
    for name, value in scope["headers"]:
        _add_header(environ, name, value)
    if length:
        environ["CONTENT_LENGTH"] = str(length)
        # Its frame is gone. RFC 9112, 6.3: with it, a length would not count.
        environ.pop("HTTP_TRANSFER_ENCODING", None)
    return environ


def _add_header(environ: dict[str, Any], name: bytes, value: bytes) -> None:
    key = _UNPREFIXED.get(name)
    if key is None:
        # The environ cannot tell x_forwarded_for from x-forwarded-for, which a proxy has checked.
        if b"_" in name:
            return
        key = "HTTP_" + _native(name).upper().replace("-", "_")
    text = _native(value)
    if key in environ:
        # RFC 9110, 5.3; RFC 9113, 8.2.3.
        text = environ[key] + ("; " if name == b"cookie" else ",") + text
    environ[key] = text


def _native(value: bytes) -> str:
    """Return bytes as PEP 3333 wants them: each a character."""
    return value.decode("latin-1")
