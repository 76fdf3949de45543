"""Apache as a forward proxy that makes tunnels (CONNECT), to ports that it is told."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path

from tests.ports import free_port
from tests.servers import running

_MODULES = Path("/usr/lib/apache2/modules")
_LOADED = (
    "mpm_event",
    "authn_core",
    "authn_file",
    "authz_core",
    "authz_user",
    "auth_basic",
    "proxy",
    "proxy_connect",
)
_CONFIGURATION = """
{loaded}
ServerRoot {path}
ServerName localhost
PidFile {path}/pid
Mutex file:{path}
DefaultRuntimeDir {path}
ErrorLog {path}/log
LogFormat "%r %>s" line
CustomLog {path}/asked line
StartServers 1
ServerLimit 1
ThreadsPerChild 25
MaxRequestWorkers 25
Listen 127.0.0.1:{port}
ProxyRequests On
AllowCONNECT {allowed}
<Proxy "*">
    {access}
</Proxy>
"""
_PASSWORD = """
    AuthType Basic
    AuthName proxy
    AuthUserFile {path}/users
    Require user reader
"""


@dataclass(frozen=True, slots=True)
class ForwardProxy:
    """A proxy that runs.

    Attributes:
        port: Where it listens.
        asked: The file with a line for each request.
    """

    port: int
    asked: Path


@contextmanager
def forward_proxy(allowed: int, password: str = "") -> Iterator[ForwardProxy]:
    """Run the proxy until the block ends.

    Args:
        allowed: The port that it makes tunnels to.
        password: Of the user `reader`, if it asks for one.
    """
    with running.folder() as place:
        port = free_port()
        digest = b64encode(sha1(password.encode(), usedforsecurity=False).digest()).decode()
        place.write("users", f"reader:{{SHA}}{digest}\n")
        place.write("asked", "")
        access = _PASSWORD.format(path=place.path) if password else "Require all granted"
        text = _CONFIGURATION.format(
            loaded="\n".join(f"LoadModule {m}_module {_MODULES}/mod_{m}.so" for m in _LOADED),
            path=place.path,
            port=port,
            allowed=allowed,
            access=access,
        )
        configuration = place.write("apache.conf", text)
        arguments = ["-X", "-d", str(place.path), "-f", str(configuration)]
        with running.process(place, "apache2", arguments, [port]):
            yield ForwardProxy(port, place.path / "asked")
