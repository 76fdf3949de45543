"""The TLS keys of this process's connections, in a file that Wireshark reads: `--keylog`.

The file is the one that SSLKEYLOGFILE names for browsers and curl, too (NSS key log format), and
`ssl` writes it by itself where contexts are made as `client.tls` does. Changes the environment of
this process; called by `daemon` and `wiretap`.
"""

from __future__ import annotations

import os

from headstart.h2c import exits
from headstart.h2c.streams import Failed

_VARIABLE = "SSLKEYLOGFILE"
# Whoever reads it reads all that was said.
_PRIVATE = 0o600


def use(path: str) -> None:
    """Write the keys of all connections made from now on to this file, which may hold others.

    Args:
        path: "" for the one that SSLKEYLOGFILE names, if any.

    Raises:
        Failed: The file cannot be written.
    """
    path = path or os.environ.get(_VARIABLE, "")
    if not path:
        return
    path = os.path.abspath(path)
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, _PRIVATE))
    except OSError as error:
        raise Failed(exits.CANNOT_KEEP_KEYS.format(path, error.strerror)) from error
    os.environ[_VARIABLE] = path


def in_use() -> str | None:
    """Return the file that keys are written to, or None."""
    return os.environ.get(_VARIABLE) or None
