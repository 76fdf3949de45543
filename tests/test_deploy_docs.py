"""docs/deploy.md: its command lines in front of real servers, its systemd units, its Dockerfile."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.peers import peer
from tests.ports import free_port
from tests.server.live import PATIENCE, ServerProcess, certificate, environment, until
from tests.servers.apache import apache
from tests.servers.nginx import nginx
from tests.servers.site import PAGE, STYLE

ROOT = Path(__file__).parents[1]
DOCS = (ROOT / "docs" / "deploy.md").read_text()
_NAVIGATION = ("sec-fetch-dest: document", "sec-fetch-mode: navigate", "accept: text/html")
_UPSTREAM = re.compile(r"http://127\.0\.0\.1:\d+")


def documented(server: str, upstream: str, store: Path) -> list[str]:
    """The arguments of the command line for a server, with this machine's ports and files."""
    found = re.search(rf"^{server}[ ,].*?^```\n(headstart proxy .*?)\n```$", DOCS, re.M | re.S)
    assert found, server
    made = certificate()
    here = {"cert.pem": str(made.certfile), "key.pem": str(made.keyfile), "443": "0"}
    words = shlex.split(_UPSTREAM.sub(upstream, found[1]))[1:]
    return [here.get(word, word) for word in words] + [
        *("--store", str(store), "--learn-control-share", "0")
    ]


@contextmanager
def of_nginx() -> Iterator[str]:
    with nginx() as server:
        yield server.http1


@contextmanager
def of_apache() -> Iterator[str]:
    with apache() as server:
        yield server.http1


@contextmanager
def of_program(*command: str, port: int) -> Iterator[str]:
    """A server of ours for the same page, in a process of its own."""
    process = subprocess.Popen(command, env=environment(), stderr=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}"
    try:
        until(lambda: curl("-o", "/dev/null", "-w", "%{http_code}", url + STYLE) == "200")
        yield url
    finally:
        process.kill()
        process.wait()


@contextmanager
def of_node() -> Iterator[str]:
    port = free_port()
    text = (
        'require("node:http").createServer((request, response) => {'
        f'const page = request.url === "{PAGE}";'
        'response.writeHead(200, {"content-type": page ? "text/html" : "text/css",'
        ' "cache-control": "public, max-age=600"});'
        f"response.end(page ? '<link rel=stylesheet href={STYLE}>' : 'a{{}}');"
        f'}}).listen({port}, "127.0.0.1")'
    )
    with of_program(peer("node"), "-e", text, port=port) as url:
        yield url


@contextmanager
def of_uvicorn() -> Iterator[str]:
    port = free_port()
    app = ("tests.deployed_app:app", "--port", str(port), "--log-level", "error")
    with of_program(sys.executable, "-m", "uvicorn", *app, port=port) as url:
        yield url


@contextmanager
def of_gunicorn() -> Iterator[str]:
    port = free_port()
    app = ("tests.deployed_django", "--bind", f"127.0.0.1:{port}", "--log-level", "error")
    with of_program(sys.executable, "-m", "gunicorn", *app, port=port) as url:
        yield url


def curl(*arguments: str) -> str:
    command = [peer("curl"), "-sk", "-m", "90", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize(
    ("server", "started"),
    [
        ("nginx", of_nginx),
        ("Apache", of_apache),
        ("Node", of_node),
        ("uvicorn", of_uvicorn),
        ("gunicorn", of_gunicorn),
    ],
)
def test_documented_command_gives_a_later_visitor_the_pages_assets_ahead(
    server: str, started: object, tmp_path: Path
) -> None:
    assert callable(started)
    with started() as upstream:
        proxy = ServerProcess(*documented(server, upstream, tmp_path / "learned"))
        try:
            proxy.wait_until_started()
            # A server on 127.0.0.1 alone refuses this address, as it would those of other machines.
            socket.create_connection(("127.0.0.2", proxy.port)).close()
            url = f"https://localhost:{proxy.port}"
            fields = [part for field in _NAVIGATION for part in ("-H", field)]
            first = curl("--http2", "-i", *fields, url + PAGE)

            def is_hinted() -> bool:
                # As a browser that follows the hint, or reads the page.
                page = curl("--http2", "-i", *fields, url + PAGE)
                curl("--http2", "-o", "/dev/null", url + STYLE)
                return f"<{STYLE}>" in page

            until(is_hinted, "the hint", seldom=True)
        finally:
            proxy.end()

    assert " 200" in first.splitlines()[0]
    assert "link:" not in first.lower().partition("\r\n\r\n")[0]


def test_django_behind_gunicorn_knows_the_url_that_its_client_asked_for(tmp_path: Path) -> None:
    with of_gunicorn() as upstream:
        proxy = ServerProcess(*documented("gunicorn", upstream, tmp_path / "learned"))
        try:
            proxy.wait_until_started()
            url = f"https://localhost:{proxy.port}{PAGE}"
            page = curl("--http2", url)
        finally:
            proxy.end()

    assert url in page
    assert "SECURE_PROXY_SSL_HEADER = (" in DOCS


def units(folder: Path) -> list[str]:
    """Write the units of the docs into a folder; their files."""
    found = re.findall(r"^```ini\n# /etc/systemd/system/(\S+)\n(.*?)^```$", DOCS, re.M | re.S)
    for name, text in found:
        (folder / name).write_text(text.replace("/opt/headstart/bin/headstart", "/bin/true"))
    return [str(folder / name) for name, _ in found]


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    program = peer("systemd-analyze")
    files = units(tmp_path)

    verified = subprocess.run(
        [program, "verify", *files], capture_output=True, text=True, check=False, timeout=60
    )

    assert len(files) == 2
    about_ours = [line for line in verified.stderr.splitlines() if "headstart" in line]
    assert (verified.returncode, about_ours) == (0, []), verified.stderr


def test_systemd_finds_that_the_service_is_exposed_to_little(tmp_path: Path) -> None:
    program = peer("systemd-analyze")
    service = next(file for file in units(tmp_path) if file.endswith(".service"))

    # From 0 to 100; systemd calls what is below 20 "OK".
    said = subprocess.run(
        [program, "security", "--offline=yes", "--threshold=20", service],
        capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip

    assert said.returncode == 0, said.stdout[-300:]


def test_socket_that_systemd_opens_is_served(tmp_path: Path) -> None:
    found = re.search(r"^ExecStart=\S+ (proxy .*?)$", DOCS.replace("\\\n", " "), re.M)
    assert found
    made, port = certificate(), free_port()
    here = {
        "/etc/headstart/cert.pem": str(made.certfile),
        "/etc/headstart/key.pem": str(made.keyfile),
        "/var/lib/headstart/learned.sqlite3": str(tmp_path / "learned"),
    }
    with of_uvicorn() as upstream:
        words = [here.get(word, word) for word in _UPSTREAM.sub(upstream, found[1]).split()]
        process = subprocess.Popen(
            [
                *(peer("systemd-socket-activate"), "-l", f"127.0.0.1:{port}"),
                *(f"-E{name}={value}" for name, value in environment().items()),
                *(sys.executable, "-m", "headstart.cli", *words),
            ],
            stderr=subprocess.DEVNULL,
        )
        try:
            url = f"https://localhost:{port}{PAGE}"
            until(lambda: STYLE in curl("--http2", url), "the page")
            process.terminate()
            status = process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()

    assert status in (0, -15)


def test_options_of_the_service_are_the_proxys() -> None:
    text = DOCS.replace("\\\n", " ")
    shown = subprocess.run(
        [sys.executable, "-m", "headstart.cli", "proxy", "--help"],
        capture_output=True, text=True, check=True, env=environment(),
    ).stdout  # fmt: skip
    lines = re.findall(r"headstart proxy .*", text)
    named = {option for line in lines for option in re.findall(r"--[a-z-]+", line)}

    assert {"--fd", "--store", "--ssl-certfile"} <= named
    assert all(option in shown for option in named)


def dockerfile() -> str:
    found = re.search(r"^```dockerfile\n(.*?)^```$", DOCS, re.M | re.S)
    assert found
    return found[1]


def instruction(name: str) -> str:
    """The arguments of the only such instruction of the Dockerfile, on one line."""
    found = re.findall(rf"^{name} (.*)$", dockerfile().replace("\\\n", " "), re.M)
    assert len(found) == 1, found
    return str(found[0])


def test_hadolint_has_nothing_to_say_of_the_dockerfile(tmp_path: Path) -> None:
    program = Path(sys.executable).with_name("hadolint")
    written = tmp_path / "Dockerfile"
    written.write_text(dockerfile())

    said = subprocess.run(
        [program, "--failure-threshold", "style", written],
        capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip

    assert (said.stdout, said.returncode) == ("", 0), said.stderr


def test_container_runs_as_a_user_who_owns_the_folder_of_the_store() -> None:
    user, store = instruction("USER"), instruction("VOLUME")

    assert f"--uid {user} --create-home --home-dir {store} " in instruction("RUN")
    assert f'"--store", "{store}/' in instruction("ENTRYPOINT")


@pytest.mark.slow
def test_wheel_has_all_that_the_dockerfile_runs(tmp_path: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    wheel = [*pip, "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*wheel, "--wheel-dir", str(tmp_path / "dist"), str(ROOT)], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    (made,) = (tmp_path / "dist").glob("*.whl")
    python = tmp_path / "venv" / "bin" / "python"
    installed = [
        *pip,
        "--python",
        str(python),
        "install",
        "-q",
        "--no-deps",
        "--no-index",
        *("--constraint", str(ROOT / "requirements.txt")),
        str(made),
    ]
    subprocess.run(installed, check=True)
    # What the wheel needs is taken from here: an image gets it from the package index.
    needed = {"PYTHONPATH": sysconfig.get_path("purelib"), "PATH": f"{python.parent}:/usr/bin:/bin"}
    port = free_port()

    def here(name: str) -> list[str]:
        text = instruction(name).replace("8000", str(port))
        return [
            word.replace("/var/lib/headstart", str(tmp_path)).replace("http://site:8080", "")
            for word in json.loads(text[text.index("[") :])
        ]

    (tmp_path / "work").mkdir()
    settings: Any = {"env": {**environment(), **needed}, "cwd": tmp_path / "work"}
    with of_uvicorn() as upstream:
        serving = subprocess.Popen(
            [*here("ENTRYPOINT"), upstream], **settings, stderr=subprocess.DEVNULL
        )
        try:
            until(lambda: STYLE in curl(f"http://localhost:{port}{PAGE}"), "the page")
            healthy = subprocess.run(here("HEALTHCHECK"), check=False, **settings)
            where = subprocess.run(
                [python, "-c", "import headstart; print(headstart.__file__)"],
                capture_output=True, text=True, check=True, **settings,
            ).stdout  # fmt: skip
        finally:
            serving.terminate()
            ended = serving.wait(PATIENCE)
    ill = subprocess.run(here("HEALTHCHECK"), check=False, capture_output=True, **settings)

    assert where.startswith(str(tmp_path))
    assert healthy.returncode == 0
    assert ill.returncode != 0
    assert ended in (0, -15)
