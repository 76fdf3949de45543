"""Connect to an upstream that speaks HTTP/2. Called by `http2_pool` and `tunnel_pool`."""

from __future__ import annotations

from pathlib import Path

from headstart.client import ClientError, ClientTimeoutError, NotHttp2Error
from headstart.client.connect import connect
from headstart.client.connection import Http2ClientConnection
from headstart.client.origin import Origin
from headstart.config import ClientLimits, ProxyOptions
from headstart.proxy.failures import UpstreamError
from headstart.proxy.upstream import Upstream
from headstart.reasons import Gateway


async def dial(upstream: Upstream, options: ProxyOptions) -> Http2ClientConnection:
    """Return a new connection.

    Raises:
        NotHttp2Error: The upstream speaks something else.
        UpstreamError: It cannot be connected to.
    """
    try:
        return await connect(
            Origin("https" if upstream.tls else "http", upstream.host, upstream.port),
            cafile=Path(options.upstream_cacert) if options.upstream_cacert else None,
            insecure=not options.upstream_verify,
            push=False,
            timeout=options.upstream_connect_timeout,
            limits=ClientLimits(
                max_header_size=options.max_upstream_header_size,
                max_informational=options.max_upstream_informational,
            ),
        )
    except NotHttp2Error:
        raise
    except ClientTimeoutError as error:
        raise UpstreamError(Gateway.CONNECT_TIMEOUT, str(error)) from error
    except ClientError as error:
        raise UpstreamError(Gateway.CONNECT_FAILED, str(error)) from error
