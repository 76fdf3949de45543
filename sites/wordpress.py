"""WordPress as Debian packages it: MariaDB, PHP-FPM and nginx, in a folder of the test's own.

Nothing of the system's configuration or services is used or changed: three programs run in the
foreground with their own files, on Unix sockets and one free port, and end with the block.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.peers import lack, peer

_SOURCES = Path("/usr/share/wordpress")
_START_SECONDS = 60.0
ADMIN, PASSWORD = "editor", "a long enough password"

_CONFIG = """<?php
define('DB_NAME', 'site'); define('DB_USER', 'root'); define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:{socket}'); define('DB_CHARSET', 'utf8mb4');
define('AUTH_KEY', 'a'); define('SECURE_AUTH_KEY', 'b'); define('LOGGED_IN_KEY', 'c');
define('NONCE_KEY', 'd'); define('AUTH_SALT', 'e'); define('SECURE_AUTH_SALT', 'f');
define('LOGGED_IN_SALT', 'g'); define('NONCE_SALT', 'h');
if (($_SERVER['HTTP_X_FORWARDED_PROTO'] ?? '') === 'https') $_SERVER['HTTPS'] = 'on';
$site = ($_SERVER['HTTP_X_FORWARDED_PROTO'] ?? 'http') . '://' . $_SERVER['HTTP_HOST'];
define('WP_HOME', $site); define('WP_SITEURL', $site);
define('WP_HTTP_BLOCK_EXTERNAL', true); define('DISABLE_WP_CRON', true);
$table_prefix = 'wp_';
if (!defined('ABSPATH')) define('ABSPATH', __DIR__ . '/');
require_once ABSPATH . 'wp-settings.php';
"""

_INSTALL = """
define('WP_INSTALLING', true);
$_SERVER['HTTP_HOST'] = 'localhost';
require '{root}/wp-load.php';
require ABSPATH . 'wp-admin/includes/upgrade.php';
wp_install('A site', '{admin}', 'editor@example.com', true, '', '{password}');
switch_theme('{theme}');
update_option('permalink_structure', '/%postname%/');
flush_rewrite_rules();
"""

_NGINX = """
{user}
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 256; }}
http {{
  include /etc/nginx/mime.types; access_log off; gzip on; gzip_proxied any; gzip_types *;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5; client_max_body_size 64m;
  server {{
    listen 127.0.0.1:{port}; root {root}; index index.php;
    location / {{ try_files $uri $uri/ /index.php?$args; }}
    location ~ \\.php$ {{
      include /etc/nginx/fastcgi_params;
      fastcgi_param HTTP_HOST $http_host;  # with the port, which Debian's file leaves out
      fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
      fastcgi_pass unix:{folder}/php.sock;
    }}
  }}
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
pm.max_children = 4
"""


@contextmanager
def wordpress(folder: Path) -> Iterator[str]:
    """Start WordPress, installed and with one post; the URL of its nginx."""
    if not _SOURCES.exists():
        lack("wordpress is not installed")
    programs = {"mariadbd": peer("mariadbd"), "nginx": peer("nginx"), "php": peer("php")}
    fpm = next(iter(sorted(Path("/usr/sbin").glob("php-fpm*"))), None)
    if fpm is None:
        lack("php-fpm is not installed")
    root = folder / "wordpress"
    as_root = os.getuid() == 0  # nginx and PHP would give up the right to read the folder
    shutil.copytree(_SOURCES, root)  # follows the package's links
    database = folder / "db.sock"
    (root / "wp-config.php").write_text(_CONFIG.replace("{socket}", str(database)))
    with ExitStack() as stack:
        stack.enter_context(_mariadb(programs["mariadbd"], folder, database))
        theme = max(path.name for path in (root / "wp-content" / "themes").glob("twentytwenty*"))
        install = _INSTALL.format(root=root, admin=ADMIN, password=PASSWORD, theme=theme)
        subprocess.run([programs["php"], "-r", install], check=True, stdout=subprocess.DEVNULL)
        (folder / "php.conf").write_text(
            _PHP.format(folder=folder, user="user = root\ngroup = root" if as_root else "")
        )
        allowed = ["-R"] if as_root else []
        command = [str(fpm), "-F", "-y", str(folder / "php.conf"), *allowed]
        stack.enter_context(running(command, folder / "php.out", listening(folder / "php.sock")))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        conf = folder / "nginx.conf"
        conf.write_text(
            _NGINX.format(folder=folder, root=root, port=port, user="user root;" if as_root else "")
        )
        command = [programs["nginx"], "-c", str(conf), "-e", str(folder / "nginx.log")]
        stack.enter_context(running(command, folder / "nginx.out", listening(port)))
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _mariadb(program: str, folder: Path, database: Path) -> Iterator[None]:
    """Start MariaDB with an empty database named `site`, on a Unix socket only."""
    data = folder / "db"
    as_root = ["--user=root"] if os.getuid() == 0 else []
    made = [
        *(peer("mariadb-install-db"), "--no-defaults", f"--datadir={data}", *as_root),
        *("--auth-root-authentication-method=normal", "--skip-test-db"),
    ]
    subprocess.run(made, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    bootstrap = folder / "first.sql"
    bootstrap.write_text("CREATE DATABASE IF NOT EXISTS site;\n")
    command = [
        *(program, "--no-defaults", f"--datadir={data}", f"--socket={database}", *as_root),
        *("--skip-networking", f"--init-file={bootstrap}", f"--pid-file={folder}/db.pid"),
    ]
    with running(command, folder / "db.out", listening(database)):
        yield


@contextmanager
def running(command: list[str], output: Path, listening: Callable[[], bool]) -> Iterator[None]:
    """Run a program in the foreground; the block begins when it listens and ends it."""
    with output.open("w") as written:
        process = subprocess.Popen(command, stdout=written, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + _START_SECONDS
        while not listening():
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{command[0]} does not start:\n{output.read_text()}")
            time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait()


def listening(where: Path | int) -> Callable[[], bool]:
    """Return a function that says whether somebody listens on a Unix socket, or on a port."""
    unix = isinstance(where, Path)
    address = str(where) if unix else ("127.0.0.1", where)

    def listens() -> bool:
        with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as probe:
            return probe.connect_ex(address) == 0

    return listens
