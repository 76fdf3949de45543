"""nginx: one with all that clients ask for, and one with any configuration.

The first has TLS, cleartext by prior knowledge, uploads by WebDAV, and an end after some requests.

Debian 12's 1.22 pushes; 1.25.1 and later do not know how to, as in Debian 13.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.peers import lack, peer
from tests.ports import free_port
from tests.servers import running
from tests.servers.running import Folder, Server
from tests.servers.site import PAGE, SCRIPT, STYLE

STREAMS = 8
"""MAX_CONCURRENT_STREAMS."""

# Around the http section: in the foreground, and nothing written but below a folder.
_FRAME = """
daemon off;
worker_processes 1;
pid {path}/pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
access_log off;
client_body_temp_path {path}/body;
proxy_temp_path {path}/proxy;
fastcgi_temp_path {path}/fastcgi;
uwsgi_temp_path {path}/uwsgi;
scgi_temp_path {path}/scgi;
{http}
}}
"""
_HTTP = """
types {{ text/html html; text/css css; text/javascript js; text/plain txt; }}
default_type application/octet-stream;
http2_max_concurrent_streams {streams};
client_max_body_size 2g;
keepalive_requests {keepalive_requests};
ssl_certificate {certfile};
ssl_certificate_key {keyfile};
ssl_protocols TLSv1.2 TLSv1.3;
server {{
    listen 127.0.0.1:{clear} http2;
    listen 127.0.0.1:{tls} ssl http2;
    root {root};
    location = {page} {{
        http2_push {style};
        http2_push {script};
    }}
    location /stored/ {{ dav_methods PUT DELETE; create_full_put_path on; }}
    location /refused/ {{ client_max_body_size 1; dav_methods PUT; }}
}}
server {{
    listen 127.0.0.1:{http1};
    listen 127.0.0.1:{http1_tls} ssl;
    root {root};
}}
"""


_LAST_THAT_PUSHES = (1, 25, 0)


def require_push() -> None:
    """Skip the calling test, or fail it in CI, where the nginx at hand no longer pushes."""
    said = subprocess.run([peer("nginx"), "-v"], capture_output=True, text=True, check=True).stderr
    version = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", said)
    assert version, said
    if tuple(map(int, version.groups())) > _LAST_THAT_PUSHES:
        lack(f"nginx that pushes is not installed: {version[0]} does not")


def arguments_for(place: Folder, http: str) -> list[str]:
    """Write the configuration with such an http section. Return nginx's arguments."""
    path = place.write("nginx.conf", _FRAME.format(path=place.path, http=http))
    return ["-p", str(place.path), "-e", "stderr", "-c", str(path)]


@contextmanager
def nginx_with(place: Folder, http: str, ports: Sequence[int]) -> Iterator[None]:
    """Run an nginx with such an http section, which listens on these ports."""
    with running.process(place, "nginx", arguments_for(place, http), ports):
        yield


@contextmanager
def nginx(keepalive_requests: int = 1000) -> Iterator[Server]:
    """An nginx that runs until the block ends.

    Files can be put below /stored/; below /refused/ more than one octet is too large.

    Args:
        keepalive_requests: After so many a connection takes no more.
    """
    with running.folder() as place:
        clear, tls, http1, http1_tls = (free_port() for _ in range(4))
        http = _HTTP.format(
            root=place.root,
            certfile=place.certfile,
            keyfile=place.keyfile,
            clear=clear,
            tls=tls,
            http1=http1,
            http1_tls=http1_tls,
            page=PAGE,
            style=STYLE,
            script=SCRIPT,
            streams=STREAMS,
            keepalive_requests=keepalive_requests,
        )
        with nginx_with(place, http, [clear, tls, http1, http1_tls]):
            yield place.server(clear, tls, http1, http1_tls)
