"""Certificates that are renewed while the server runs.

New handshakes get the new certificate; connections that are open go on as they are. Made by
`workers.Server`, which asks about once a second.
"""

from __future__ import annotations

import logging
import os
import ssl
from typing import TypeAlias

logger = logging.getLogger("headstart.tls")

_Stamp: TypeAlias = tuple[tuple[int, int], ...]


class Renewal:
    """Loads the certificate and its key again when their files change.

    Args:
        context: Of the running server.
        certfile: PEM file with the certificate, and perhaps the key.
        keyfile: PEM file with the key; None if it is in `certfile`.
        password: Of the key.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        certfile: str | os.PathLike[str],
        keyfile: str | os.PathLike[str] | None,
        password: str | None,
    ) -> None:
        self._context = context
        self._certfile = certfile
        self._keyfile = keyfile
        self._password = password or ""
        self._loaded = self._stamp()

    def look(self, *, always: bool = False) -> None:
        """Load the files if they have changed.

        Files that do not belong together yet, or cannot be read, are a line of the log. The old
        certificate stays, and they are looked at again when they change.

        Args:
            always: Load them though they look the same.
        """
        stamp = self._stamp()
        if stamp == self._loaded and not always:
            return
        self._loaded = stamp
        try:
            # A mistake must not leave the running context with half of it.
            self._load(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
            self._load(self._context)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            logger.warning("%s is not loaded: %s", os.fspath(self._certfile), error)
        else:
            logger.info("%s is loaded again", os.fspath(self._certfile))

    def _load(self, context: ssl.SSLContext) -> None:
        # Without a password, an encrypted key would make OpenSSL ask on the terminal.
        context.load_cert_chain(self._certfile, self._keyfile, lambda: self._password)

    def _stamp(self) -> _Stamp:
        stamps = []
        for path in (self._certfile, self._keyfile):
            if path is not None:
                try:
                    found = os.stat(path)
                except OSError:  # it is just being replaced
                    stamps.append((0, 0))
                else:
                    stamps.append((found.st_ino, found.st_mtime_ns))
        return tuple(stamps)
