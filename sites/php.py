"""PHP behind nginx, as docs/deploy.md configures it, in a folder of the test's own."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sites.wordpress import listening, running
from tests.peers import lack, peer

_ROOT = Path(__file__).parent.parent
STYLE = "/style.css"
_PAGE = f"""<link rel=stylesheet href={STYLE}>
<?php foreach (["HTTPS", "HTTP_HOST", "REMOTE_ADDR", "REQUEST_URI", "REQUEST_METHOD"] as $name)
  echo "$name: ", $_SERVER[$name] ?? "", "\\n";
echo "content: ", strlen(file_get_contents("php://input")), "\\n";
"""
_NGINX = """
{user}
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 256; }}
http {{
  include /etc/nginx/mime.types; access_log off; gzip on; client_max_body_size 64m;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  {documented}
}}
"""
_PHP = """
[global]
daemonize = no
error_log = {folder}/php.log
[site]
listen = {folder}/php.sock
{user}
pm = static
pm.max_children = 2
"""


@contextmanager
def php(folder: Path) -> Iterator[str]:
    """Start nginx and PHP with the documented configuration; the URL of nginx.

    Its page says how PHP was asked; it answers every path without a file of its own.
    """
    nginx, docs = peer("nginx"), (_ROOT / "docs" / "deploy.md").read_text()
    fpm = next(iter(sorted(Path("/usr/sbin").glob("php-fpm*"))), None)
    if fpm is None:
        lack("php-fpm is not installed")
    found = re.search(r"^```nginx\n(.*?)^```$", docs, re.M | re.S)
    assert found
    root = folder / "www"
    root.mkdir()
    (root / "index.php").write_text(_PAGE)
    (root / STYLE[1:]).write_text("a { color: green }")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    documented = found[1].replace("127.0.0.1:8080", f"127.0.0.1:{port}")
    documented = documented.replace("/var/www/site", str(root))
    documented = documented.replace("/run/php/php-fpm.sock", f"{folder}/php.sock")
    documented = documented.replace("include fastcgi_params", "include /etc/nginx/fastcgi_params")
    as_root = os.getuid() == 0
    (folder / "nginx.conf").write_text(
        _NGINX.format(folder=folder, documented=documented, user="user root;" * as_root)
    )
    (folder / "php.conf").write_text(
        _PHP.format(folder=folder, user="user = root\ngroup = root" * as_root)
    )
    commands = (
        ([str(fpm), "-F", "-y", str(folder / "php.conf"), *(["-R"] * as_root)], "php.sock"),
        ([nginx, "-c", str(folder / "nginx.conf"), "-e", str(folder / "nginx.log")], port),
    )
    with ExitStack() as stack:
        for command, where in commands:
            at = folder / where if isinstance(where, str) else where
            output = folder / f"{Path(command[0]).name}.out"
            stack.enter_context(running(command, output, listening(at)))
        yield f"http://127.0.0.1:{port}"
