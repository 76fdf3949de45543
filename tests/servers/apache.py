"""Apache with mod_http2: pushes, 103 Early Hints, Upgrade, and uploads by WebDAV."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.ports import free_port
from tests.servers import running
from tests.servers.running import Server
from tests.servers.site import HINTED, PAGE, SCRIPT, STYLE

STREAMS = 8
"""MAX_CONCURRENT_STREAMS."""

_MODULES = Path("/usr/lib/apache2/modules")
_LOADED = [
    "mpm_event",
    "authz_core",
    "mime",
    "headers",
    "dav",
    "dav_fs",
    "alias",
    "ssl",
    "http2",
    "dir",
    "env",
    "setenvif",
]

_CONFIGURATION = """
{loaded}
ServerRoot {path}
ServerName localhost
PidFile {path}/pid
Mutex file:{path}
DefaultRuntimeDir {path}
ErrorLog {path}/log
LogLevel warn
StartServers 1
ServerLimit 1
ThreadsPerChild 25
MaxRequestWorkers 25
DocumentRoot {root}
TypesConfig /dev/null
AddType text/html .html
AddType text/css .css
AddType text/javascript .js
AddType text/plain .txt
EnableSendfile off
H2MaxSessionStreams {streams}
H2EarlyHints on
DavLockDB {path}/locks
Listen 127.0.0.1:{clear}
Listen 127.0.0.1:{tls}
Listen 127.0.0.1:{http1}
<VirtualHost 127.0.0.1:{clear}>
    Protocols h2c http/1.1
    H2Direct on
    H2Upgrade on
</VirtualHost>
<VirtualHost 127.0.0.1:{tls}>
    Protocols h2 http/1.1
    SSLEngine on
    SSLCertificateFile {certfile}
    SSLCertificateKeyFile {keyfile}
</VirtualHost>
<VirtualHost 127.0.0.1:{http1}>
    Protocols http/1.1
</VirtualHost>
<Directory {root}>
    Require all granted
</Directory>
<Location {page}>
    H2PushResource add {style}
    H2PushResource add {script}
</Location>
<Location {hinted}>
    H2EarlyHint Link "<{style}>; rel=preload; as=style"
    H2EarlyHint Link "<{script}>; rel=preload; as=script"
    H2Push off
</Location>
<Location /linked>
    Header add Link "<{style}>; rel=preload; as=style"
</Location>
Alias /linked {root}/small.txt
<Location /stored>
    Dav on
</Location>
"""


@contextmanager
def apache() -> Iterator[Server]:
    """An Apache that runs until the block ends.

    Files can be put below /stored/; /linked has a Link header.
    """
    with running.folder() as place:
        clear, tls, http1 = (free_port() for _ in range(3))
        (place.root / "stored").mkdir()
        configuration = place.write(
            "apache.conf",
            _CONFIGURATION.format(
                loaded="\n".join(map(_load, _LOADED)),
                path=place.path,
                root=place.root,
                certfile=place.certfile,
                keyfile=place.keyfile,
                clear=clear,
                tls=tls,
                http1=http1,
                page=PAGE,
                hinted=HINTED,
                style=STYLE,
                script=SCRIPT,
                streams=STREAMS,
            ),
        )
        arguments = ["-X", "-d", str(place.path), "-f", str(configuration)]
        with running.process(place, "apache2", arguments, [clear, tls, http1]):
            yield place.server(clear, tls, http1)


def _load(name: str) -> str:
    return f"LoadModule {name}_module {_MODULES}/mod_{name}.so"
