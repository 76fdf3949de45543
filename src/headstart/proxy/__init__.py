"""A reverse proxy as an ASGI application: it asks an upstream server and passes the response on.

    app.py        `Proxy`: chooses the upstream, and answers if it fails
    attempt.py    one attempt to ask an upstream, and its span
    forwarding.py one request on its way to an upstream, and its response back
    own.py        responses that the proxy makes itself
    balance.py    the choice of the upstream: least outstanding requests, a rest after a failure
    pool.py       the connections to one upstream, bounded
    http1.py      one HTTP/1.1 connection to an upstream, parsed by httptools
    responses.py  the responses' header sections, and responses that come in one piece
    http2.py      one request to an upstream over HTTP/2
    http2_pool.py the HTTP/2 connection to one upstream
    dialing.py    how it is made
    heads.py      the header section that an upstream gets
    fields.py     the headers that pass, and X-Forwarded-For
    upstream.py   the address of an upstream: TCP, TLS or a Unix socket
    reach.py      a warning at the start for each upstream that cannot be reached
    websocket.py  WebSockets, message by message
    tunnel.py     one to an upstream over HTTP/2
    tunnel_pool.py the connections for those
    failures.py   the ways an upstream can fail, each with its reason and status

Called by `headstart proxy`, which puts `HeadstartMiddleware` around it, or mounted by an
application:

    Mount("/shop", headstart.Proxy("http://127.0.0.1:8080"))

Imports run from `app` down to `failures`.
"""

from headstart.proxy.app import Proxy
from headstart.proxy.failures import UpstreamError

__all__ = ["Proxy", "UpstreamError"]
