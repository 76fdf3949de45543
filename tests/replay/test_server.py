"""Tests of headstart.replay against the server: the same visitors in a log and in the server."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from headstart.learn import LearnOptions
from headstart.learn.logs import LogFile
from headstart.replay import Score
from headstart.replay.replay import Replay
from tests.middleware.served import HINT, STRANGER, Served
from tests.visits import Found, Site, answer_head

IMAGES = [f"/a{number}.png" for number in range(15)]
VISITORS = 40
START = 1_791_000_000.0


def played(path: Path) -> Score:
    return Replay(rivals=False).run(LogFile(path))[0]


def text_line(at: float, host: str, client: str, target: str, referer: str) -> str:
    """Return a line as Apache's vhost_combined has it."""
    date = time.strftime("%d/%b/%Y:%H:%M:%S +0000", time.gmtime(at))
    return f'{host}:443 {client} - - [{date}] "GET {target} HTTP/1.1" 200 900 "{referer}" "Chrome"'


def json_line(at: float, host: str, client: str, target: str, referer: str) -> str:
    """Return a line as nginx writes it with a format in JSON."""
    return json.dumps(
        {
            "time": at,
            "remote_addr": client,
            "request_method": "GET",
            "request_uri": target,
            "status": 200,
            "body_bytes_sent": 900,
            "http_referer": "" if referer == "-" else referer,
            "http_user_agent": "Chrome",
            "host": host,
        }
    )


@pytest.mark.parametrize("line", [text_line, json_line])
def test_two_virtual_hosts_in_one_log_are_two_sites(
    tmp_path: Path, line: Callable[[float, str, str, str, str], str]
) -> None:
    lines = []
    for number in range(24):
        host = ("shop.example", "blog.example")[number % 2]
        client, at = f"203.0.113.{number}", START + 30 * number
        lines.append(line(at, host, client, "/", "-"))
        lines.append(line(at + 1, host, client, f"/{host[:4]}.css", f"https://{host}/"))
    log = tmp_path / "access.log"
    log.write_text("\n".join(lines) + "\n")

    score = played(log)

    # All but the first view of each, and a control view at each.
    assert (score.views, score.real, score.foreseen, score.sent) == (24, 24, 20, 20)


async def test_replay_foresees_as_much_as_the_server_does(tmp_path: Path) -> None:
    app = Site(*IMAGES)
    for image in IMAGES:
        app.found[image] = Found(answer_head("image/png"))
    served = Served(app, learn=LearnOptions(measure=False))
    served.clock.now = START
    lines, hinted = [], 0
    for number in range(VISITORS):
        client = (f"203.0.113.{number}", 1000)
        wire = await served.get("/", STRANGER, HINT, client=client)
        hinted += sum(map(len, wire.hinted))
        lines.append(text_line(served.clock.now, "example.test", client[0], "/", "-"))
        for image in IMAGES:
            fields = [(b"referer", b"https://example.test/"), (b"sec-fetch-dest", b"image")]
            await served.get(image, [*fields, (b"user-agent", b"test")], HINT, client=client)
            lines.append(
                text_line(
                    served.clock.now, "example.test", client[0], image, "https://example.test/"
                )
            )
        await served.later()
    log = tmp_path / "access.log"
    log.write_text("\n".join(lines) + "\n")

    score = await asyncio.to_thread(played, log)

    assert score.real == VISITORS * len(IMAGES)
    assert score.sent == score.foreseen == hinted
    assert score.recall > 0.85
