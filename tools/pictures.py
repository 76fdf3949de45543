#!/usr/bin/env python3
"""Draws the pictures of the README from a real session: `make pictures`.

    tools/pictures.py [FOLDER]      docs/pictures is the default

Runs `headstart demo` and `h2c start --dump` in a pseudo-terminal, with a folder of their own for
everything they keep, types the README's scenario, and turns what the terminal shows into
dump.svg. Needs rich, and only this script does. waterfall-first.svg and waterfall.svg are what
`h2c load --waterfall` draws of the demo's small site: for the first visitor, and for one who comes
once the server has learned. Times differ from run to run.
"""

from __future__ import annotations

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme
from rich.text import Text

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent
H2C = str(BIN / "h2c")
COLUMNS = 64
PATIENCE = 90.0
SHOWN = "HEADERS,PUSH_PROMISE,DATA"

# rich's own, without its fonts from elsewhere: a picture that is looked at loads nothing.
TEMPLATE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<style>
.{unique_id}-matrix {{
    font-family: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
    font-size: {char_height}px;
    line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-family: system-ui, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
THEME = TerminalTheme(
    (24, 26, 31),
    (214, 217, 224),
    [
        (36, 40, 48),
        (240, 113, 120),
        (152, 195, 121),
        (229, 192, 123),
        (97, 175, 239),
        (198, 120, 221),
        (86, 182, 194),
        (214, 217, 224),
    ],
    [
        (110, 116, 128),
        (255, 135, 140),
        (170, 215, 140),
        (240, 205, 140),
        (125, 195, 255),
        (215, 145, 235),
        (110, 205, 215),
        (255, 255, 255),
    ],
)


def main() -> None:
    """Draw all of them."""
    target = Path(sys.argv[1]) if sys.argv[1:] else ROOT / "docs" / "pictures"
    with tempfile.TemporaryDirectory(prefix="h2c-") as folder:
        environment = {
            **{name: value for name, value in os.environ.items() if name != "NO_COLOR"},
            "XDG_RUNTIME_DIR": folder,
            "HEADSTART_DATA": folder,
        }
        shown = dump(environment)
        pictures = waterfalls(Path(folder), environment)
    (target / "dump.svg").write_text(drawn(f"h2c start --dump --include {SHOWN}", shown))
    print(f"dump.svg: {shown.count(chr(10))} lines")
    for name, picture in zip(("waterfall-first.svg", "waterfall.svg"), pictures, strict=True):
        (target / name).write_text(picture)
        print(f"{name}: {picture.count(chr(10))} lines")


def dump(environment: dict[str, str]) -> str:
    """What the terminal of `h2c start --dump` shows of the README's scenario."""
    port = free_port()
    terminal, end = pty.openpty()
    command = [H2C, "start", "--dump", "--include", SHOWN]
    with (
        demo(port, environment),
        subprocess.Popen(command, env=environment, stdout=end, stderr=subprocess.PIPE) as shows,
    ):
        assert shows.stderr is not None
        shows.stderr.readline()
        for words in (
            ["connect", f"localhost:{port}"],
            ["post", "--data", "hello world", "/data"],
            ["get", "/data"],
        ):
            subprocess.run([H2C, *words], env=environment, check=True, capture_output=True)
        shows.send_signal(signal.SIGINT)
        os.close(end)
        found = b"".join(pieces(terminal))
    return found.decode().replace("\r\n", "\n").replace(f"localhost:{port}", "localhost:8443")


def waterfalls(folder: Path, environment: dict[str, str]) -> list[str]:
    """The small site as its first visitor gets it, and as it comes once it is learned."""
    port = free_port()
    with demo(port, environment):
        first, _ = load(folder, environment, port)
        end = time.monotonic() + PATIENCE
        while True:
            learned, ways = load(folder, environment, port)
            if "push" in ways:
                break
            assert time.monotonic() < end, "the server does not learn"
            time.sleep(0.5)
    return [picture.replace(f":{port}", ":8443") for picture in (first, learned)]


def load(folder: Path, environment: dict[str, str], port: int) -> tuple[str, set[str]]:
    """A picture of the site, loaded on a new connection, and how its resources came."""
    path = folder / "waterfall.svg"
    words = ["load", "--json", "--waterfall", str(path), f"https://localhost:{port}/site/"]
    done = subprocess.run([H2C, *words], env=environment, check=True, capture_output=True)
    subprocess.run([H2C, "stop"], env=environment, check=True)
    resources = json.loads(done.stdout)["resources"]
    ways = [resource["by"] for resource in resources]
    # All that the page needs, or the picture would tell half of it.
    return path.read_text(), set(ways) if ways.count("request") == 1 else {"request"}


@contextmanager
def demo(port: int, environment: dict[str, str]) -> Iterator[None]:
    """`headstart demo` until the block ends."""
    command = [str(BIN / "headstart"), "demo", "--port", str(port)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as server:
        end = time.monotonic() + PATIENCE
        while socket.socket().connect_ex(("127.0.0.1", port)):
            assert time.monotonic() < end, "the demo does not listen"
            time.sleep(0.05)
        try:
            yield
        finally:
            server.terminate()


def free_port() -> int:
    """A port on 127.0.0.1 that nobody uses."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def pieces(terminal: int) -> Iterator[bytes]:
    """All that a pseudo-terminal shows until its program has ended."""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # what Linux says at the end
            return
        if not piece:
            return
        yield piece


def drawn(title: str, shown: str) -> str:
    """A terminal with this text, as SVG."""
    with open(os.devnull, "w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True)
        console.print(Text.from_ansi(shown.rstrip("\n")), soft_wrap=False)
    # The same name for the same picture: rich would make one of the text, and its times.
    svg = console.export_svg(title=title, theme=THEME, code_format=TEMPLATE, unique_id="dump")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


if __name__ == "__main__":
    main()
