"""docs/start.md, serve.md and log.md are run: each command word for word, each example of code."""

from __future__ import annotations

import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent, indent

from headstart.devca import trust_command
from tests.h2c.room import room, wait_until
from tests.ports import free_port
from tests.server.live import environment, serving

ROOT = Path(__file__).parents[1]
DOCS = "".join((ROOT / "docs" / f"{name}.md").read_text() for name in ("start", "serve", "log"))


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", DOCS, flags=re.MULTILINE | re.DOTALL)
    return [text for kind, text in fenced if kind == language]


@contextmanager
def demo(port: int) -> Iterator[None]:
    """What `make demo` runs, on another port."""
    command = [sys.executable, "-m", "headstart.cli", "demo", "--port", str(port)]
    with subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert "Serving the push echo" in server.stdout.readline()
            wait_until(lambda: _answers(port))
            yield
        finally:
            server.terminate()
            server.wait(90)


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def scenario() -> list[tuple[list[str], str]]:
    """The commands of the third terminal, with what the comment says that they print."""
    (text,) = (block for block in blocks("") if "h2c connect" in block)
    found = []
    for line in text.splitlines():
        command, _, comment = line.partition("  #")
        found.append((shlex.split(command)[1:], comment.strip()))
    return found


def test_scenario_prints_what_the_docs_say(tmp_path: Path) -> None:
    port = free_port()
    with demo(port), room(tmp_path) as terminal:
        dump = terminal.start("--dump")
        for arguments, said in scenario():
            real = [argument.replace("8443", str(port)) for argument in arguments]
            printed = terminal.ok(*real)
            if said.startswith("nothing"):
                assert printed == ""
            elif said:
                assert printed.strip() == said
        again = terminal.ok("get", "/data")
        terminal.ok("stop")
        frames = dump.communicate(timeout=90)[0].decode()

    assert again == "I received the following data: hello world"
    wanted = r"^(-> (?:HEADERS|DATA)\(\d+\)|<- PUSH_PROMISE\(\d+\))"
    titles = re.findall(wanted, frames, re.MULTILINE)
    # One POST with its data, the promise, and only the second get is a request.
    assert titles == ["-> HEADERS(1)", "-> DATA(1)", "<- PUSH_PROMISE(1)", "-> HEADERS(3)"]
    assert "<- DATA(2)" in frames


def test_push_example_pushes(tmp_path: Path) -> None:
    (example,) = (block for block in blocks("python") if "from headstart import push\n" in block)
    (tmp_path / "main.py").write_text(example)

    with serving("main:app", folder=tmp_path) as server, room(tmp_path) as terminal:
        terminal.ok("connect", f"http://localhost:{server.port}")
        page = terminal.ok("get", "/")
        pushed = terminal.ok("push-list")

    assert "stylesheet" in page
    assert pushed == "/style.css\n"


def run_in_an_application(folder: Path, snippet: str, imports: str) -> None:
    """Write main.py: an application whose every page runs the snippet first."""
    (folder / "main.py").write_text(
        dedent("""
            from starlette.requests import Request
            from starlette.responses import PlainTextResponse
            {imports}

            async def app(scope, receive, send):
                request = Request(scope, receive, send)
                if scope["type"] == "http" and scope["path"] == "/":
            {snippet}
                await PlainTextResponse("page")(scope, receive, send)
        """).format(imports=imports, snippet=indent(snippet, " " * 8))
    )


def test_push_builder_example_pushes(tmp_path: Path) -> None:
    (snippet,) = (block for block in blocks("python") if "PushBuilder(" in block)
    run_in_an_application(tmp_path, snippet, "from headstart import PushBuilder")

    with (
        serving("main:app", "--lifespan", "off", folder=tmp_path) as server,
        room(tmp_path) as terminal,
    ):
        terminal.ok("connect", f"http://localhost:{server.port}")
        terminal.ok("get", "/")
        pushed = terminal.ok("push-list")

    assert sorted(pushed.split()) == ["/logo.svg", "/style.css?v=3"]


def test_hint_example_hints(tmp_path: Path) -> None:
    (snippet,) = (block for block in blocks("python") if "Link(" in block)
    imports, _, call = snippet.partition("\n")
    run_in_an_application(tmp_path, call.strip(), imports)

    with (
        serving("main:app", "--lifespan", "off", folder=tmp_path) as server,
        room(tmp_path) as terminal,
    ):
        terminal.ok("connect", f"http://localhost:{server.port}")
        shown = terminal.ok("get", "--include", "/")

    assert "link: </style.css>; rel=preload; as=style" in shown
    assert "link: </font.woff2>; rel=preload; as=font; crossorigin" in shown


def headstart(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "headstart.cli", *arguments],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        timeout=90,
        check=True,
    )
    return done.stdout


def test_what_was_learned_is_shown_as_the_docs_show_it(tmp_path: Path) -> None:
    log = Path("docs") / "examples" / "access.log"
    (tmp_path / log).parent.mkdir(parents=True)
    (tmp_path / log).write_bytes((Path(__file__).parents[1] / log).read_bytes())
    examples = [block for block in blocks("") if block.startswith("$ headstart")]

    for example in examples:
        command, _, output = example.partition("\n")
        assert headstart(tmp_path, *shlex.split(command)[2:]) == output

    (orders,) = (block for block in blocks("") if block.startswith("headstart map"))
    for order in orders.splitlines():
        headstart(tmp_path, *shlex.split(order, comments=True)[1:])
    shown = headstart(tmp_path, "map", "--store", "learned.sqlite3")
    assert len(examples) == 2
    assert "you pinned it" in shown
    assert "you said never" in shown
    assert "/table " not in shown


def test_middleware_example_is_an_application(tmp_path: Path) -> None:
    (example,) = (block for block in blocks("python") if "HeadstartMiddleware" in block)
    (tmp_path / "main.py").write_text(example)

    with serving("main:app", "--no-learn", folder=tmp_path) as server, room(tmp_path) as terminal:
        shown = terminal.ok("get", "--include", f"http://localhost:{server.port}/")

    assert "404" in shown


def test_client_example_takes_the_push(tmp_path: Path) -> None:
    (example,) = (block for block in blocks("python") if "import AsyncClient" in block)
    port = free_port()
    script = tmp_path / "script.py"
    script.write_text(example.replace("8443", str(port)))

    with demo(port):
        done = subprocess.run(
            [sys.executable, script],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=90,
            check=True,
        )

    said = done.stdout.strip()
    assert f"prints `{said}`" in DOCS


def test_command_for_browsers_is_the_one_that_the_demo_prints() -> None:
    command = trust_command(Path("~/.local/share/headstart/dev-ca/ca.pem")).replace("'", "")

    assert f"```\n{command}\n```" in DOCS


def test_no_document_installs_headstart_from_an_index_that_has_none() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    named = re.compile(r"pip install '?headstart")

    assert [page.name for page in pages if named.search(page.read_text())] == []
