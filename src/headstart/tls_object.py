"""The parts of TLS over OpenSSL's memory buffers that a client's and a server's transport share.

Called by `client.tls_transport` and `server.tls`; changes the `ssl.SSLObject` only.
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Any


def is_closed_by_both(tls: ssl.SSLObject) -> bool:
    """Put close_notify into the output, and return true if there is none to wait for.

    The peer's is here, or TLS has failed and none will come.
    """
    try:
        tls.unwrap()
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLError:
        return True
    return True


def extra_info(tls: ssl.SSLObject, raw: asyncio.BaseTransport, name: str, default: Any) -> Any:
    """Return the values of TLS and of TCP that `asyncio.BaseTransport.get_extra_info` names."""
    match name:
        case "ssl_object":
            return tls
        case "sslcontext":
            return tls.context
        case "peercert":
            return tls.getpeercert()
        case "cipher":
            return tls.cipher()
        case "compression":
            return tls.compression()
        case _:
            return raw.get_extra_info(name, default)
