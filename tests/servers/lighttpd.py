"""lighttpd: it takes no request with content whose length is not said, and no POST without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.ports import free_port
from tests.servers import running

_CONFIGURATION = """
server.document-root = "{root}"
server.bind = "127.0.0.1"
server.port = {port}
server.modules = ("mod_cgi")
server.feature-flags = ("server.h2proto" => "enable", "server.h2c" => "enable")
server.errorlog = "{path}/log"
cgi.assign = ("/length" => "/bin/sh")
"""

_PROGRAM = r"""printf 'Content-Type: text/plain\r\n\r\n%s ' "$CONTENT_LENGTH"
wc -c
"""


@contextmanager
def lighttpd() -> Iterator[str]:
    """A lighttpd that runs until the block ends; its origin in cleartext.

    /length answers with the length that the request said, and the length that came.
    """
    with running.folder() as place:
        port = free_port()
        text = _CONFIGURATION.format(path=place.path, root=place.root, port=port)
        configuration = place.write("lighttpd.conf", text)
        (place.root / "length").write_text(_PROGRAM)
        with running.process(place, "lighttpd", ["-D", "-f", str(configuration)], [port]):
            yield f"http://127.0.0.1:{port}"
