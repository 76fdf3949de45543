"""`headstart replay`: real commands on small logs, and on a trace where it is at hand."""

from __future__ import annotations

import gc
import gzip
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from headstart.learn.records import PageRecord
from headstart.store import offline
from tests.cli.command import (
    PATIENCE,
    assert_one_line,
    headstart_says,
    on_a_terminal,
    said_in_process,
)
from tests.learn.logs.test_balancers import APPLICATION
from tests.server.live import environment, serving, until
from tests.server.raw import RawClient

SITE = "https://www.shop.example"
ASSETS = ("/style.css", "/app.js", "/logo.svg")
NAMES = [
    "Headstart",
    "the map alone",
    "Jetty's filter, 2 s",
    "Jetty's filter, 4 s",
    "Jetty's filter, 2 s, query in key",
    "Jetty's filter, 4 s, query in key",
    "everything ever seen",
]
NAVIGATION = [(b"sec-fetch-dest", b"document"), (b"sec-fetch-mode", b"navigate")]

Request = tuple[int, str, str, str]
"""Second, client, target, Referer."""


def visits(*clients: int, begin: int = 0) -> list[Request]:
    """Each client loads the page and its assets, a minute after the one before."""
    found = []
    for turn, client in enumerate(clients):
        second, address = begin + 60 * turn, f"192.0.2.{client}"
        found.append((second, address, "/", "-"))
        found += [(second + 1, address, asset, SITE + "/") for asset in ASSETS]
    return found


def combined(requests: list[Request]) -> str:
    return "".join(
        f"{address} - - [02/Mar/2026:{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02} "
        f'+0000] "GET {target} HTTP/1.1" 200 1000 "{referer}" "Mozilla/5.0"\n'
        for second, address, target, referer in requests
    )


def json_lines(requests: list[Request]) -> str:
    return "".join(
        json.dumps(
            {
                "time": second,
                "remote_addr": address,
                "method": "GET",
                "host": "www.shop.example",
                "uri": target,
                "status": 200,
                "bytes_sent": 1000,
                "referer": referer,
            }
        )
        + "\n"
        for second, address, target, referer in requests
    )


def har(requests: list[Request]) -> str:
    return json.dumps({"log": {"entries": [_entry(*request) for request in requests]}})


def _entry(second: int, address: str, target: str, referer: str) -> dict[str, Any]:
    mime = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
    headers = [{"name": "Referer", "value": referer}] if referer != "-" else []
    return {
        "startedDateTime": f"2026-03-02T00:{second // 60:02}:{second % 60:02}Z",
        "pageref": address,
        "request": {"method": "GET", "url": SITE + target, "headers": headers},
        "response": {
            "status": 200,
            "bodySize": 1000,
            "content": {"mimeType": mime.get(target.rpartition(".")[2], "text/html")},
            "headers": [],
        },
    }


def trace(requests: list[Request]) -> str:
    head = "t client method host path status size mime referer ua cachehdr\n"
    lines = "".join(
        f"{second} {address} GET www.shop.example {target} 200 1000 - {referer} browser -\n"
        for second, address, target, referer in requests
    )
    return (head + lines).replace(" ", "\t")


def written(path: Path, text: str) -> str:
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return str(path)


def said(*arguments: str) -> str:
    status, out, err = headstart_says("replay", *arguments)
    assert (status, err) == (0, "")
    return out


def scores(*arguments: str) -> dict[str, dict[str, Any]]:
    return {score["name"]: score for score in json.loads(said(*arguments, "--json"))["scores"]}


# What is printed.


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("combined", combined(visits(1, 2, 3))),
        ("json-lines", json_lines(visits(1, 2, 3))),
        ("har", har(visits(1, 2, 3))),
        ("trace", trace(visits(1, 2, 3))),
    ],
)
@pytest.mark.parametrize("suffix", [".log", ".log.gz"])
def test_each_format_is_read_and_judged(tmp_path: Path, name: str, text: str, suffix: str) -> None:
    found = json.loads(said(written(tmp_path / f"a{suffix}", text), "--json"))

    [file] = found["files"]
    assert (file["format"], file["lines"], file["unread"]) == (name, 12, 0)
    assert [score["name"] for score in found["scores"]] == NAMES
    ours = found["scores"][0]
    assert (ours["views"], ours["rendering_views"], ours["subrequests"]) == (3, 3, 9)
    assert (ours["sent"], ours["used"], ours["recall"]) == (6, 6, pytest.approx(2 / 3))
    assert (ours["precision"], ours["rendering_precision"], ours["wasted_bytes"]) == (1, 1, 0)


def test_table_has_a_line_for_each_way_and_what_the_words_mean(tmp_path: Path) -> None:
    log = written(tmp_path / "access.log", combined(visits(1, 2, 3)) + "nonsense\n")

    lines = said(log).splitlines()

    assert lines[0] == f"{log}: 13 lines, 1 could not be read"
    assert lines[1] == "3 page views, 3 of them with sub-requests; 9 sub-requests to foresee"
    assert lines[3].split() == ["recall", "precision", "rendering", "sent", "wasted", "of", "bytes"]
    assert [line[: len(name)] for line, name in zip(lines[4:11], NAMES, strict=True)] == NAMES
    assert lines[4].split()[1:] == ["66.7%", "100.0%", "100.0%", "6", "0", "B", "0.0%"]
    assert len({len(line) for line in lines[3:11]}) == 1
    assert "Requests saved: 6 of 9 were sent ahead or hinted" in lines
    assert any(line.startswith("recall:") for line in lines)


@pytest.mark.parametrize("options", [(), ("--json",)])
def test_archive_that_is_cut_off_is_said_to_be(tmp_path: Path, options: tuple[str, ...]) -> None:
    log = Path(written(tmp_path / "access.log.gz", combined(visits(*range(1, 40)))))
    log.write_bytes(log.read_bytes()[:-40])

    status, out, err = headstart_says("replay", str(log), *options)

    assert status == 0
    assert err == (
        f"Warning: {log} is cut off or damaged, and is used up to there: Compressed file ended "
        "before the end-of-stream marker was reached.\n"
    )
    if options:
        [file] = json.loads(out)["files"]
        assert file["damage"].startswith("Compressed file ended")
        assert file["lines"] > file["unread"] == 1


def test_share_of_nothing_is_no_number(tmp_path: Path) -> None:
    log = written(tmp_path / "access.log", combined([(0, "192.0.2.1", "/", "-")]))

    ours = said(log).splitlines()[4]

    assert ours.split()[1:] == ["-", "-", "-", "0", "0", "B", "-"]
    assert scores(log)["Headstart"]["recall"] is None


def test_files_are_merged_by_time(tmp_path: Path) -> None:
    new = written(tmp_path / "access.log", combined(visits(3, 4, begin=600)))
    old = written(tmp_path / "access.log.1.gz", combined(visits(1, 2)))

    found = scores(new, old)

    assert found == scores(
        written(tmp_path / "all", combined(visits(1, 2) + visits(3, 4, begin=600)))
    )
    assert found["Headstart"]["views"] == 4


def test_garbage_is_collected_as_before_when_a_replay_has_ended(tmp_path: Path) -> None:
    before = gc.get_threshold()

    assert "recall" in said_in_process(
        "replay", str(written(tmp_path / "access.log", combined(visits(1, 2))))
    )

    assert gc.get_threshold() == before


def test_options_of_learning_are_taken(tmp_path: Path) -> None:
    log = written(tmp_path / "access.log", combined(visits(1, 2, 3)))

    assert scores(log, "--learn-max-assets", "1")["Headstart"]["sent"] == 2


def test_terminal_has_a_bar_that_comes_to_its_end(tmp_path: Path) -> None:
    log = written(tmp_path / "access.log", json_lines(visits(*range(250))))

    status, shown = on_a_terminal("replay", log, columns=100)
    _, plain = on_a_terminal("replay", log, NO_COLOR="1")

    assert status == 0
    assert "Replaying" in shown
    assert "100%" in shown
    assert "\x1b[1mHeadstart" in shown
    assert "\x1b[1m" not in plain


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input_is_read(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "headstart.cli", "replay", name],
        input=combined(visits(1, 2, 3)),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=environment(),
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{name}: 12 lines, 0 could not be read\n3 page views")


def test_pipe_of_the_shell_is_read(tmp_path: Path) -> None:
    log = written(tmp_path / "a.log.gz", combined(visits(1, 2, 3)))

    done = subprocess.run(
        [
            "bash",
            "-c",
            f'"$1" -m headstart.cli replay <(zcat "$2") {log}',
            "-",
            sys.executable,
            log,
        ],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=environment(),
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "12 lines, 0 could not be read\n" + log in done.stdout


# What goes wrong.


def test_standard_input_twice_is_one_line() -> None:
    assert_one_line(headstart_says("replay", "-", "-"), "standard input can be read once")


def test_common_log_is_said_to_teach_nothing(tmp_path: Path) -> None:
    lines = combined(visits(1, 2)).splitlines()
    log = written(tmp_path / "a.log", "".join(f"{' '.join(line.split()[:10])}\n" for line in lines))

    assert_one_line(headstart_says("replay", log), f"{log} have no Referer", "combined format")


@pytest.mark.parametrize(
    ("text", "options", "hint"),
    [
        (APPLICATION, [], "behind them"),
        (
            "#Fields: date time cs-uri-stem sc-status\n2026-03-02 12:00 /a 200\n",
            [],
            "cs(Referer)",
        ),
        ('{"time": 1, "uri": "/", "status": 200}\n', [], "add the request's Referer"),
        ("1 / 200\n", ["--format", "$msec $request_uri $status"], "$http_referer"),
    ],
    ids=["alb", "iis", "json", "given"],
)
def test_log_without_referers_is_told_how_to_have_them(
    tmp_path: Path, text: str, options: list[str], hint: str
) -> None:
    log = written(tmp_path / "a.log", text)

    assert_one_line(headstart_says("replay", *options, log), f"{log} have no Referer", hint)


@pytest.mark.parametrize("write", [combined, json_lines], ids=["combined", "json"])
@pytest.mark.parametrize("options", [[], ["--json"], ["--save", "learned.sqlite3"]], ids=str)
def test_log_whose_referers_are_all_empty_is_told_that_it_lacks_them(
    tmp_path: Path,
    write: Callable[[list[Request]], str],
    options: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    requests = [(second, client, target, "-") for second, client, target, _ in visits(1, 2, 3)]
    log = written(tmp_path / "a.log", write(requests))

    one = headstart_says("replay", log, *options)
    two = headstart_says("replay", log, log, *options)

    for (status, told, warned), which in ((one, log), (two, "the logs")):
        assert status == 0
        assert f"the lines of {which} have no Referer, which learning needs" in warned
        assert warned.count("\n") == 1
        assert "Serve with them" not in told
        assert ("Nothing saved" in told) is ("--save" in options)


def test_log_without_referers_beside_another_is_taken(tmp_path: Path) -> None:
    bare = [(second, client, target, "-") for second, client, target, _ in visits(1, 2)]
    without = written(tmp_path / "a.log", combined(bare))
    log = written(tmp_path / "b.log", combined(visits(3, 4, begin=600)))

    assert "4 page views" in said(without, log)


def test_log_of_pages_alone_saves_nothing_and_says_so(tmp_path: Path) -> None:
    store = tmp_path / "learned.sqlite3"
    log = written(tmp_path / "a.log", combined([(0, "192.0.2.1", "/", "-")]))

    shown = said(log, "--save", str(store))

    assert f"Nothing saved to {store}: no client requested assets after a page." in shown
    assert "Serve with" not in shown
    assert "no origin" not in shown


def test_lines_of_any_format_are_read_as_the_server_says_that_it_writes_them(
    tmp_path: Path,
) -> None:
    form = "log_format own '$remote_addr|$time_local|$request|$status|$http_referer';"
    parts = re.compile(r'(\S+) - - \[(.*?)\] "(.*?)" (\d+) \d+ "(.*?)" .*')
    lines = parts.sub(r"\1|\2|\3|\4|\5", combined(visits(1, 4)))
    log = written(tmp_path / "own.log", lines)

    status, shown, err = headstart_says("replay", "--format", form, log)

    assert status == 0, err
    assert f"{log}: 8 lines, 0 could not be read" in shown


def test_format_that_is_not_the_logs_is_told(tmp_path: Path) -> None:
    log = written(tmp_path / "a.log", combined(visits(1, 2)))

    other = headstart_says("replay", "--format", "$msec|$request|$status|x", log)
    none = headstart_says("replay", "--format", "combined", log)

    assert_one_line(other, "nothing in", "Give --format as the server wrote this file.")
    assert_one_line(
        none,
        "'combined' has no variable such as $remote_addr or %h",
        "Leave it out for combined, JSON lines, W3C, HAProxy, HAR and traces, which are recognised",
    )


@pytest.mark.parametrize("start", ["", "{", "192.0.2.1 - - ["])
def test_one_long_line_costs_no_memory(tmp_path: Path, start: str) -> None:
    log = written(tmp_path / "a.log", start + "a" * 20_000_000)
    limited = 'ulimit -v 1000000 && exec "$0" -m headstart.cli replay "$1"'

    done = subprocess.run(
        ["sh", "-c", limited, sys.executable, log],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        env=environment(),
    )

    assert_one_line((done.returncode, done.stdout, done.stderr), f"nothing in {log}")


def test_missing_file_is_one_line() -> None:
    assert_one_line(headstart_says("replay", "nowhere.log"), "nowhere.log does not exist")


def test_empty_name_of_a_log_is_not_the_current_folder() -> None:
    assert_one_line(headstart_says("replay", ""), "'' does not exist")


def test_folder_is_one_line(tmp_path: Path) -> None:
    status, out, err = headstart_says("replay", str(tmp_path))

    assert (status, out) == (1, "")
    assert str(tmp_path) in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("name", ["empty.log", "empty.log.gz"])
def test_empty_log_is_one_line(tmp_path: Path, name: str) -> None:
    log = written(tmp_path / name, "")

    assert_one_line(headstart_says("replay", log), f"{log} is empty")


@pytest.mark.parametrize(
    "text",
    ["PK\x03\x04\x00\x00", "a,b,c\n1,2,3\n", "<html>\n</html>\n", '{"a": 1}\n', '{"log": {}}\n'],
)
def test_unknown_format_is_one_line_and_saves_nothing(tmp_path: Path, text: str) -> None:
    log, store = written(tmp_path / "what", text), tmp_path / "learned.sqlite3"
    good = written(tmp_path / "access.log", combined(visits(1)))

    said = headstart_says("replay", good, log, "--save", str(store))

    assert_one_line(said, f"nothing in {log}", "JSON lines, HAR", "HAProxy")
    line = text.splitlines()[0]
    assert (f"begins with {line}." in said[2]) is (line.isprintable() and '"log"' not in line)
    assert not store.exists()


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (
            '192.0.2.1 - - [02/Mar/2026:12:00:00 +0000] "GET /a.css HTTP/1.1" 200 2750 "" "" 51990 '
            '123 "web" "app" "one" 0 0 0 1 1 ---- 1 1 1 1 0 0 0 "" ""',
            "HAProxy's clf format",
        ),
        (
            "<134>Mar  2 12:00:00 lb haproxy[7]: 192.0.2.1:33317 [02/Mar/2026:12:00:00.655] web "
            'app/one 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 "GET /a.css HTTP/1.1"',
            "HAProxy's httplog format",
        ),
        (
            '[2026-03-02T12:00:00.310Z] "GET /a.css HTTP/2" 200 - 0 226 100 99 "-" "curl/8.0" '
            '"cc21d9b0" "shop.example" "192.0.2.9:80"',
            "Envoy's default format",
        ),
        ('INFO:     192.0.2.1:52164 - "GET /a.css HTTP/1.1" 200 OK', "uvicorn's format"),
        (
            "web-1  | INFO:     Started server process [1]\n"
            'web-1  | INFO:     192.0.2.1:52164 - "GET /a.css HTTP/1.1" 200 OK',
            "uvicorn's format",
        ),
        (
            "1772452800.450    680 192.0.2.1 TCP_MISS/200 32186 GET http://shop.example/a.css - "
            "HIER_DIRECT/192.0.2.9 text/css",
            "Squid's native format",
        ),
    ],
)
def test_format_without_a_referer_is_named(tmp_path: Path, line: str, name: str) -> None:
    log = written(tmp_path / "a.log", f"{line}\n" * 3)

    said = headstart_says("replay", log)

    assert_one_line(said, f"the lines of {log} are in {name}, which has no Referer")


def test_log_of_haproxy_that_captures_the_referer_is_learned_from(tmp_path: Path) -> None:
    line = (
        "Mar  2 12:00:00 lb haproxy[7]: 192.0.2.{client}:3331 [02/Mar/2026:12:00:0{second}.1] "
        "web app/one 1/0/3/6/9 200 2750 - - ---- 1/1/1/1/0 0/0 {{{referer}|Mozilla/5.0}} "
        '"GET {url} HTTP/1.1"\n'
    )
    asked = [("", "/"), ("https://shop.example/", "/a.css")]
    log = written(
        tmp_path / "haproxy.log",
        "".join(
            line.format(second=second, client=client, referer=referer, url=url)
            for client in range(1, 6)
            for second, (referer, url) in enumerate(asked)
        ),
    )
    store = tmp_path / "learned.sqlite3"

    text = said(log, "--save", str(store))

    assert "10 lines, 0 could not be read" in text
    assert f"1 page of https://shop.example saved to {store}" in text


def test_line_of_another_program_does_not_name_the_format_of_a_log(tmp_path: Path) -> None:
    first = 'INFO:     192.0.2.1:52164 - "GET /a.css HTTP/1.1" 200 OK\n'
    log = written(tmp_path / "a.log", first + combined([(0, "192.0.2.1", "/", "-")]))

    assert "1 could not be read" in said(log)


def test_json_lines_whose_names_are_not_known_are_told_which_are_needed(tmp_path: Path) -> None:
    log = written(tmp_path / "app.log", '{"time": "2025-10-10T11:55:36Z", "code": 200}\n' * 3)

    said = headstart_says("replay", log)

    assert_one_line(said, f"nothing in {log}", "a time, a status and a URL", "request_uri")


def test_no_file_is_a_wrong_call() -> None:
    status, _, err = headstart_says("replay")

    assert status == 2
    assert "Missing argument 'FILE...'" in err


def _sleeps(pid: int) -> bool:
    time.sleep(0.05)
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "S"


def test_ctrl_c_is_quiet(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = [sys.executable, "-m", "headstart.cli", "replay", str(pipe)]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        writer = -1

        def opened() -> bool:
            nonlocal writer
            try:
                writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            except OSError:  # nobody reads yet
                return False
            return True

        until(opened, "the reader")
        # A signal that comes between the opening and the reading is seen after the reading only.
        until(lambda: _sleeps(process.pid) and _sleeps(process.pid), "the reading")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE)
        os.close(writer)

    assert (process.returncode, out, err) == (130, b"", b"")


# Saving.


def test_assets_with_a_query_that_a_log_cannot_vouch_for_are_counted(tmp_path: Path) -> None:
    store = tmp_path / "learned.sqlite3"
    log = combined(visits(1, 2)).replace("/style.css", "/style.css?v=3")
    log = log.replace("/app.js", "/app.js?v=4")
    told = "".join(
        f'{line} "max-age=600"\n' if "?v=" in line else f'{line} "-"\n' for line in log.splitlines()
    )

    bare = said(written(tmp_path / "access.log", log), "--save", str(store))
    [directive] = re.findall("^    (log_format .*;)$", bare, re.MULTILINE)
    [command] = re.findall("^    headstart (replay --format .*) --save", bare, re.MULTILINE)
    log_with_fields = written(tmp_path / "told.log", told)
    with_fields = [
        said_in_process(*order, log_with_fields, "--save", str(tmp_path / f"told{number}"))
        for number, order in enumerate((shlex.split(command), ["replay", "--format", directive]))
    ]

    assert "\nNot saved: 2 assets with a query, because the log does not show that all" in bare
    assert "Not saved" not in "".join(with_fields)
    assert "Not saved" not in said(str(tmp_path / "access.log"))


def test_what_was_learned_starts_a_server_warm(tmp_path: Path) -> None:
    store = tmp_path / "learned.sqlite3"
    log = written(
        tmp_path / "access.log",
        combined(visits(1, 2))
        .replace('"GET / ', '"GET /site/ ')
        .replace(SITE + "/", SITE + "/site/")
        .replace("/style.css", "/site/style.css")
        .replace("/app.js", "/site/timing.js"),
    )

    text = said(log, "--save", str(store), "--origin", "http://localhost")

    assert "1 page of http://localhost saved to" in text
    assert f"headstart serve main:app --store {store}" in text
    with (
        serving("headstart.demo.app:app", "--store", str(store)) as server,
        RawClient(server.port) as client,
    ):
        assert client.get(b"/site/", NAVIGATION).status == 200
        pushed = {dict(headers)[b":path"] for headers in client.promises.values()}
    assert {b"/site/style.css", b"/site/timing.js"} <= pushed


@pytest.mark.parametrize(
    ("origin", "saved"),
    [
        ([], SITE),
        (["--origin", "https://shop.example"], "https://shop.example"),
        (["--origin", "HTTP://LOCALHOST:8000/"], "http://localhost:8000"),
        (["--origin", "https://straße.test"], "https://xn--strae-oqa.test"),
    ],
)
def test_origin_is_the_referers_or_the_one_that_is_given(
    tmp_path: Path, origin: list[str], saved: str
) -> None:
    store = tmp_path / "learned.sqlite3"
    log = written(tmp_path / "access.log", combined(visits(1, 2)))

    said(log, "--save", str(store), *origin)

    records = offline.saved(store, warn=print)
    assert {record.origin for record in records if isinstance(record, PageRecord)} == {saved}


@pytest.mark.parametrize("form", [combined, json_lines, har, trace])
def test_each_site_is_saved_with_the_origin_that_its_referers_name(
    tmp_path: Path, form: Callable[[list[Request]], str]
) -> None:
    store = tmp_path / "learned.sqlite3"
    log = written(tmp_path / "log", form(visits(1, 2)))
    other = json_lines(visits(3, 4)).replace("www.shop.example", "www.other.example")
    others = written(tmp_path / "others.json", other.replace("https://", "http://"))

    text = said(log, others, "--save", str(store))

    assert f"\n2 pages of http://www.other.example, {SITE} saved" in text
    assert "Referers name" not in text


def test_pages_that_are_saved_are_those_that_the_map_shows(tmp_path: Path) -> None:
    store = str(tmp_path / "learned.sqlite3")
    bare = [(300 + n, f"192.0.2.{n}", "/bare", "-") for n in (1, 2, 3)]
    log = written(tmp_path / "log", combined(visits(1, 2, 3) + bare))

    text = said(log, "--save", store)
    _, shown, _ = headstart_says("map", "--store", store)

    assert "\n1 page of" in text
    assert "\n1 page with" in shown


def test_origin_that_the_referers_contradict_is_told_with_the_option_for_theirs(
    tmp_path: Path,
) -> None:
    origin = ["--origin", "https://localhost:8075"]
    log = written(
        tmp_path / "a.log", combined(visits(1, 2, 3)).replace(SITE, "http://localhost:8071")
    )
    store = str(tmp_path / "learned.sqlite3")

    shown = said(log, "--save", store, *origin)
    after = said(log, "--save", store, "--origin", "http://localhost:8071")

    told = "name http://localhost:8071: --origin http://localhost:8071 saves it for that origin"
    shown_as_json = json.loads(said(log, "--json", "--save", store, *origin))

    assert told in shown
    assert shown_as_json["saved"]["referers_name"] == "http://localhost:8071"
    assert shown_as_json["saved"]["pages"] == 1
    assert "saved" not in json.loads(said(log, "--json"))
    assert "Referers name" not in after
    assert "of http://localhost:8071 saved" in after


@pytest.mark.parametrize(
    "change",
    [
        ('/style.css HTTP/1.1" 200 1000 "https://www.', '/style.css HTTP/1.1" 200 1 "http://'),
        (SITE, "http://$(reboot)"),
    ],
    ids=["several", "no host"],
)
def test_origin_is_not_taken_from_referers_that_have_none_in_common(
    tmp_path: Path, change: tuple[str, str]
) -> None:
    log = written(tmp_path / "a.log", combined(visits(1, 2, 3)).replace(*change))

    text = said(log, "--save", str(tmp_path / "learned.sqlite3"))
    given = said(log, "--save", str(tmp_path / "given"), "--origin", "https://a.example")

    assert "Referers name" not in text + given
    assert "of https://" in text
    assert SITE not in text


def test_of_many_origins_the_one_with_that_name_is_meant(tmp_path: Path) -> None:
    store = tmp_path / "learned.sqlite3"
    shop, other = json_lines(visits(1, 2)), json_lines(visits(3, 4, 5))
    log = written(tmp_path / "log", shop + other.replace("shop.example", "other.example"))

    text = said(log, "--save", str(store), "--origin", SITE)

    assert f"2 pages of https://other.example, {SITE} saved" in text


@pytest.mark.parametrize("origin", ["shop.example", "ftp://shop.example", "https://shop.example/a"])
def test_origin_that_is_none_is_one_line(tmp_path: Path, origin: str) -> None:
    store = tmp_path / "learned.sqlite3"
    log = written(tmp_path / "access.log", combined(visits(1)))

    done = headstart_says("replay", log, "--save", str(store), "--origin", origin)

    assert_one_line(done, f"{origin} is not an origin")
    assert not store.exists()


def test_origin_without_a_store_is_one_line(tmp_path: Path) -> None:
    log = written(tmp_path / "access.log", combined(visits(1)))

    assert_one_line(headstart_says("replay", log, "--origin", SITE), "--save")


def test_store_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    log = written(tmp_path / "access.log", combined(visits(1)))

    done = headstart_says("replay", log, "--save", f"{log}/learned.sqlite3")

    assert_one_line(done, "cannot be used")


def test_log_that_is_named_as_the_store_is_left_as_it_is(tmp_path: Path) -> None:
    log = written(tmp_path / "access.log", combined(visits(1)))
    older = written(tmp_path / "access.log.1", combined(visits(2)))

    done = headstart_says("replay", "--save", older, log)

    assert_one_line(done, f"{older} is not a file of headstart", "Name another file")
    assert Path(older).read_text() == combined(visits(2))
    assert len(list(tmp_path.iterdir())) == 2
