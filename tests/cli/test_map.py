"""`headstart map`: shown, corrected and moved, while a server runs and while none does."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pytest

from headstart.deliver.rows import all_rows
from headstart.export import FORMATS
from headstart.learn import Cause, Finding, Judgement, Kind, Level, Row, SeenAsset, Tally
from headstart.learn.records import PageRecord
from headstart.store import offline
from tests.cli.command import assert_one_line, headstart_process_says, headstart_says, on_a_terminal
from tests.learn.site import ASSETS, ORIGIN, STYLE, Site
from tests.server.live import environment, serving, until
from tests.server.raw import RawClient
from tests.visits import NO_PUSH

BOLD, DIM = "\x1b[1m", "\x1b[2m"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A file that knows / and /about."""
    site = Site()
    for page in ("/", "/about"):
        for _ in range(3):
            site.visit(page, ASSETS)
    site.visit("/", ["/once.css"])
    path = tmp_path / "learned.sqlite3"
    offline.tell(list(site.learner.export()), path, warn=print)
    return path


def said(*arguments: str | Path, **variables: str) -> str:
    status, out, err = headstart_says("map", *map(str, arguments), **variables)
    assert status == 0, err
    assert err == ""
    return out


def known(store: Path) -> dict[tuple[str, str], Row]:
    rows = all_rows(offline.known(store, warn=print))
    return {(row.page.removeprefix(ORIGIN), row.asset): row for row in rows}


# Shown.


def test_why_says_in_words_what_a_page_is_sent_and_what_keeps_its_site_back(store: Path) -> None:
    found = Finding(ORIGIN, Cause.NO_STORE, "/static/*", time.time())
    offline.tell([found], store, warn=print)

    before = said("--store", store, "--why", "/about").splitlines()
    behind = said("--store", store, "/about", "--why").splitlines()
    everything = said("--store", store, "--why").splitlines()

    assert before == behind
    assert before[0] == f"{ORIGIN}/about"
    assert f"  {STYLE}: sent by push, 103 or Link: this page's clients ask for it" in before
    told = f"  {ORIGIN}: Assets under /static/* are not learned: their responses say Cache-Control"
    assert before[-1] == everything[-1] == f"{told}: no-store."


def test_table_has_each_page_with_its_assets(store: Path) -> None:
    lines = said("--store", store).splitlines()

    assert lines[0] == ORIGIN
    assert lines[1].split() == ["page", "asset", "probability", "views", "decision", "why"]
    first = next(line for line in lines if line.startswith("/about"))
    assert first.endswith("send      this page's clients ask for it")
    assert first.split()[3] == "3"
    assert len({line.index("send ") for line in lines if " send " in line}) == 1
    assert any("/once.css" in line and " no " in line for line in lines)
    assert any(line.startswith("/*") for line in lines)
    assert lines[-1].endswith(f"sent; kept in {store}")
    assert "\x1b" not in "".join(lines)


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_terminal_has_colour_and_its_width_is_kept_to(store: Path, columns: int) -> None:
    command = ["map", "--store", str(store)]
    status, shown = on_a_terminal(*command, columns=columns)
    _, plain = on_a_terminal(*command, columns=columns, NO_COLOR="1")

    assert status == 0
    assert BOLD in shown
    assert DIM in shown
    assert "\x1b" not in plain
    table = plain.partition("\n\n")[0].splitlines()
    assert len(table) > 8
    assert max(map(len, table)) <= columns


@pytest.mark.parametrize(
    ("columns", "asset", "lines"),
    [(80, "/style.css", 1), (80, "/assets/" + "a" * 40 + ".css", 2), (40, "/style.css", 2)],
)
def test_narrow_terminal_cuts_neither_the_asset_nor_why(
    tmp_path: Path, columns: int, asset: str, lines: int
) -> None:
    site = Site()
    for _ in range(3):
        site.visit("/about/the/people", [asset])
    store = tmp_path / "learned.sqlite3"
    offline.tell(list(site.learner.export()), store, warn=print)

    _, shown = on_a_terminal("map", "--store", str(store), columns=columns, NO_COLOR="1")

    table = shown.partition("\n\n")[0].splitlines()
    assert table[1].split() == ["likely", "views", "send?", "asset"]
    page = table.index("/about/the/people")
    found = " ".join(table[page + 1 : page + 1 + lines]).split(maxsplit=4)
    assert found[2:4] == ["send", asset]
    assert found[4] == "this page's clients ask for it"


def test_one_page_is_shown_by_path_by_url_and_with_the_options_behind(store: Path) -> None:
    given = ["--store", str(store)]

    shown = said(*given, "/about")

    assert "/about" in shown
    assert "/once.css" not in shown
    assert said("/about", *given) == said(*given, ORIGIN + "/about") == shown


def test_json_has_a_row_for_each_pair(store: Path) -> None:
    rows = json.loads(said("--store", store, "--json"))

    assert len(rows) == len(known(store))
    [row] = [one for one in rows if (one["page"], one["asset"]) == (ORIGIN + "/about", STYLE)]
    assert row == {
        "page": ORIGIN + "/about",
        "asset": STYLE,
        "probability": known(store)["/about", STYLE].probability,
        "views": 3.0,
        "sent": True,
        "why": "page",
        "gain": None,
    }
    assert json.loads(said("/about", "--json", "--store", store)) == [
        one for one in rows if one["page"] == ORIGIN + "/about"
    ]


def test_options_of_the_server_decide_what_is_shown_as_sent(store: Path) -> None:
    by_option = said("--store", store, "--learn-likely", "0.999")
    by_environment = said("--store", store, HEADSTART_SERVE_LEARN_LIKELY="0.999")

    assert " send " not in by_option
    assert by_option == by_environment


def test_store_of_the_environment_is_the_one_that_the_server_uses(store: Path) -> None:
    assert said(HEADSTART_SERVE_STORE=str(store)) == said("--store", store)


def test_without_a_file_it_says_what_to_do(tmp_path: Path) -> None:
    nowhere = str(tmp_path / "none.sqlite3")

    assert_one_line(
        headstart_says("map", "--store", nowhere), nowhere, "nothing", "headstart serve"
    )


def test_file_in_which_nothing_is_says_so_and_where_it_is(store: Path) -> None:
    for page in ("/", "/about"):
        said("forget", page, "--store", store)
    empty = store.with_name("empty.sqlite3")
    offline.tell([], empty, warn=print)

    status, out, err = headstart_says("map", "--store", str(empty))
    shown = headstart_says("map", "--store", str(empty), "--json")

    assert (status, out) == (0, "")
    assert "Nothing has been learned yet" in err
    assert "`headstart proxy`" in err
    assert str(empty) in err
    assert shown == (0, "[]\n", "")


def test_page_that_is_not_known_says_so(tmp_path: Path) -> None:
    empty = tmp_path / "empty.sqlite3"
    offline.tell([], empty, warn=print)

    status, out, err = headstart_says("map", "/new", "--store", str(empty))

    assert (status, out) == (0, "")
    assert "Nothing is known of /new" in err


def test_page_of_a_stranger_s_making_moves_no_cursor(store: Path) -> None:
    asset = SeenAsset(STYLE, Kind.STYLE)
    tally = Tally(asset, 3.0, 3.0, True, 7, 0, 0.0, 0.0)
    page = "/\x1b[2J\x07"
    record = PageRecord(Level.PAGE, ORIGIN, page, 3.0, 3.0, 0.0, 0.0, (7, 8), 1.0, (tally,))
    offline.tell([record], store, warn=print)

    _, shown = on_a_terminal("map", "--store", str(store), NO_COLOR="1")

    assert r"/\x1b[2J\x07" in shown
    assert "\x1b" not in shown


def test_reader_that_leaves_is_no_error(store: Path) -> None:
    command = [sys.executable, "-m", "headstart.cli", "map", "--store", str(store)]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        process.wait(90)
        assert process.stderr.read() == b""


# Wrong calls.


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["forgte", "/"], "Did you mean forget?"),
        (["xyz", "/"], "neither a page"),
        (["example.org/about"], "neither a page"),
        (["/about", "/more"], "unexpected extra argument"),
        (["forget", "about"], "is not a page"),
        (["pin", "about", "/a.css"], "is not a page"),
        (["pin", "/about"], "Missing argument 'ASSET'"),
        (["--learn-likely", "0"], "--learn-likely"),
        (["--learn-likely", "2"], "--learn-likely"),
    ],
)
def test_wrong_call_is_exit_status_2(arguments: list[str], word: str) -> None:
    status, out, err = headstart_says("map", *arguments)

    assert (status, out) == (2, "")
    assert word in err
    assert "Usage: headstart map" in err


def test_help_names_the_commands() -> None:
    text = said("--help")

    assert "Usage: headstart map [OPTIONS] [PAGE | COMMAND ...]" in text
    for name in ("forget", "pin", "never", "export", "import"):
        assert f"  {name} " in text


# Corrected.


def test_page_is_forgotten(store: Path) -> None:
    assert said("forget", "/about", "--store", store) == "/about is forgotten.\n"

    assert "/about" not in {page for page, _ in known(store)}
    again = headstart_says("map", "forget", "/about", "--store", str(store))
    assert_one_line(again, "/about is not in", "`headstart map`")


def test_nothing_can_be_forgotten_where_nothing_is(tmp_path: Path) -> None:
    nowhere = tmp_path / "none.sqlite3"

    assert_one_line(headstart_says("map", "forget", "/", "--store", str(nowhere)), str(nowhere))
    assert not nowhere.exists()


def test_asset_is_pinned_before_any_server_ran(tmp_path: Path) -> None:
    new = tmp_path / "new.sqlite3"

    everywhere = said("--store", new, "pin", "/", "/own.css")
    here = said("pin", ORIGIN + "/about", ORIGIN + "/own.js", "--store", new)

    assert everywhere == "/own.css is always sent with / of every origin.\n"
    assert here == f"/own.js is always sent with {ORIGIN}/about.\n"

    rows = known(new)
    assert rows["/", "/own.css"].why is Judgement.PINNED
    assert rows["/about", "/own.js"].sent
    assert "you pinned it" in said("--store", new)


def test_pin_for_every_origin_makes_no_page_that_a_site_has_already(store: Path) -> None:
    def pages() -> str:
        return said("--store", store).rpartition("\n\n")[2].partition(" with ")[0]

    before = pages()
    said("--store", store, "pin", "/about", "/own.css")
    known_to_a_site = pages()
    said("--store", store, "pin", "/nowhere-else", "/own.css")

    assert known_to_a_site == before
    assert int(pages().split()[0]) == int(before.split()[0]) + 1


@pytest.mark.parametrize("page", ["/about", "/about?from=mail", ORIGIN + "/about"])
def test_pin_of_a_known_page_and_asset_says_no_more(store: Path, page: str) -> None:
    assert said("pin", page, STYLE, "--store", store).count("\n") == 1


@pytest.mark.parametrize(
    ("page", "asset", "note"),
    [
        ("/nix", STYLE, "/nix is not a known page so far; "),
        ("/about", "/typo.css", "No known page has /typo.css so far; "),
        (
            "https://other.example/about",
            STYLE,
            "https://other.example/about is not a known page so far, and no known page has "
            f"{STYLE} so far; ",
        ),
    ],
)
def test_pin_of_an_unknown_page_or_asset_is_kept_and_says_so(
    store: Path, page: str, asset: str, note: str
) -> None:
    told, said_so = said("pin", page, asset, "--store", store).splitlines()

    assert f"{asset} is always sent with {page}" in told
    assert said_so == f"{note}`headstart map` shows the pages and assets that are known."
    assert known(store)[page, asset].why is Judgement.PINNED


@pytest.mark.parametrize("asset", [STYLE, ORIGIN + STYLE])
def test_bar_of_a_known_asset_says_no_more(store: Path, asset: str) -> None:
    for _ in range(2):
        assert said("never", asset, "--store", store) == f"{asset} is never sent.\n"


@pytest.mark.parametrize("asset", ["/typo.css", "https://other.example" + STYLE])
def test_bar_of_an_asset_that_no_page_has_is_kept_and_says_so(store: Path, asset: str) -> None:
    said("pin", "/about", "/typo.css", "--store", store)
    for _ in range(2):
        printed = said("never", asset, "--store", store)

        assert printed.startswith(f"{asset} is never sent.\nNo known page has it so far; ")


def test_asset_is_barred(store: Path) -> None:
    said("never", STYLE, "--store", store)

    assert known(store)["/about", STYLE].why is Judgement.BARRED
    assert "you said never" in said("/about", "--store", store)


@pytest.mark.parametrize(
    ("order", "word"),
    [
        (["pin", "/", "/data.json"], "not a stylesheet"),
        (["pin", "/", "no-slash.css"], "cannot be sent ahead"),
        (["pin", "/", "https://cdn.example/a.css"], "not on the origin"),
        (["never", "//cdn.example/a.css"], "cannot be sent ahead"),
    ],
)
def test_what_cannot_be_sent_is_one_line(tmp_path: Path, order: list[str], word: str) -> None:
    new = tmp_path / "new.sqlite3"

    assert_one_line(headstart_says("map", *order, "--store", str(new)), word)
    assert not new.exists()


def test_file_of_another_program_is_one_line(tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite3"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (x)")
    connection.close()

    assert_one_line(headstart_says("map", "--store", str(other)), str(other), "not written by")


@pytest.mark.parametrize("order", [[], ["/"], ["pin", "/", "/a.css"], ["export"]])
def test_file_of_the_users_own_is_left_as_it_is(tmp_path: Path, order: list[str]) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("A letter.")

    for _ in range(2):
        done = headstart_says("map", "--store", str(notes), *order)
        assert_one_line(done, f"{notes} is not a file of headstart", "Name another file")

    assert notes.read_text() == "A letter."
    assert list(tmp_path.iterdir()) == [notes]


# Moved.


def test_what_is_exported_can_be_imported(store: Path, tmp_path: Path) -> None:
    said("pin", "/", "/own.css", "--store", store)
    copy, file = tmp_path / "copy.sqlite3", tmp_path / "map.jsonl"

    status, shown, told = headstart_says("map", "export", str(file), "--store", str(store))
    records = [json.loads(line) for line in file.read_text().splitlines()]
    assert (status, shown) == (0, "")
    assert told == f"{len(records)} records written to {file}.\n"
    assert said("import", file, "--store", copy) == f"{len(records)} records added to {copy}\n"

    assert {record["record"] for record in records} == {"page", "rule"}
    assert said("export", "--store", copy) == file.read_text() == said("export", "--store", store)
    assert known(copy) == known(store)


def test_record_of_a_newer_version_is_not_imported_and_said_to_be_one(
    store: Path, tmp_path: Path
) -> None:
    file = tmp_path / "map.jsonl"
    file.write_text('{"record":"moved","to":"/a"}\n')

    said = headstart_says("map", "--store", str(store), "import", str(file))

    assert_one_line(said, "is a record of a newer version (moved): ")
    assert "Use the version that wrote it" in said[2]


def test_unknown_field_of_a_record_is_left_out_and_named(store: Path, tmp_path: Path) -> None:
    file = tmp_path / "map.jsonl"
    icon = '{"record":"icon","origin":"https://a.example","target":"/i.png"'
    page = (
        '{"record":"page","level":"page","origin":"https://a.example","path":"/","views":1,'
        '"fresh":1,"sent":0,"useful":0,"voters":[1],"last":1,"personel":true,"assets":[{'
        '"asset":{"target":"/a.css","kind":"style","modul":true},"views":1,"asked":1,"confirmed":true,'
        '"first":1,"run":1,"sent":0,"useful":0}]}'
    )
    file.write_text(f'{icon},"moved":1}}\n{icon},"moved":2}}\n{page}\n')

    status, out, err = headstart_says("map", "--store", str(store), "import", str(file))

    assert (status, out) == (0, f"3 records added to {store}\n")
    left_out = "is not known, so it is left out"
    assert err.splitlines() == [
        f"Warning: the field 'moved' in line 1 of {file} {left_out}.",
        f"Warning: the field 'personel' (did you mean 'personal'?) in line 3 of {file} {left_out}.",
        f"Warning: the field 'modul' (did you mean 'module'?) in line 3 of {file} {left_out}.",
    ]


@pytest.mark.parametrize(("command", "error"), [("export", "write"), ("import", "read")])
def test_empty_name_of_a_file_is_shown_in_quotes(store: Path, command: str, error: str) -> None:
    said = headstart_says("map", "--store", str(store), command, "")

    assert_one_line(said, f"cannot {error} '': ")


def test_import_reads_standard_input(store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.sqlite3"
    subprocess.run(
        [sys.executable, "-m", "headstart.cli", "map", "import", "-", "--store", str(copy)],
        input=said("export", "--store", store),
        text=True,
        timeout=90,
        check=True,
        stdout=subprocess.DEVNULL,
        env=environment(),
    )

    assert known(copy) == known(store)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "is empty"),
        ("{}\n", "line 1"),
        ("\n[1]\n", "line 2"),
        ('"page"\n', "line 1"),
        ("no JSON\n", "line 1"),
        ("[" * 100_000, "line 1"),
        (
            '{"record": "icon", "origin": "https://a.example", "tagret": "/i.png"}\n',
            "line 1 of {file} is not a record of the map: the field 'target' is missing, and "
            "'tagret' is not known. Give a file that `headstart map export` wrote.",
        ),
        (
            '{"record": "icon", "origin": 1, "target": "/i.png"}\n',
            "the value of 'origin' is not a string",
        ),
        ('{"record": "rule", "verdict": "pin", "page": "/", "asset": "/x.txt"}\n', "/x.txt"),
    ],
)
def test_file_that_is_no_map_is_one_line_and_changes_nothing(
    tmp_path: Path, text: str, word: str
) -> None:
    file, new = tmp_path / "map.jsonl", tmp_path / "new.sqlite3"
    file.write_text(text)

    said = headstart_says("map", "import", str(file), "--store", str(new))

    assert_one_line(said, word.replace("{file}", str(file)))
    assert not new.exists()


def test_configuration_of_another_server_is_written_and_its_size_is_told(
    store: Path, tmp_path: Path
) -> None:
    file = tmp_path / "headstart.conf"
    order = ["map", "export", "--format", "nginx", "--store", str(store)]

    status, shown, told = headstart_says(*order)
    _, _, told_of_file = headstart_says(*order, str(file))

    assert status == 0
    assert file.read_text() == shown
    assert f"</{STYLE[1:]}>; rel=preload; as=style" in shown
    assert told == "2 pages with 8 links.\n"
    assert told_of_file == f"2 pages with 8 links written to {file}.\n"


def test_configuration_says_how_much_is_left_out(tmp_path: Path) -> None:
    site = Site()
    for page in ("/", "/p/1", "/p/2"):
        for _ in range(3):
            site.visit(page, ASSETS)
    store = tmp_path / "learned.sqlite3"
    offline.tell(list(site.learner.export()), store, warn=print)

    _, _, told = headstart_says("map", "export", "--format", "haproxy", "--store", str(store))

    assert told == "3 pages with 12 links; the comments say why 2 entries are left out.\n"


def test_configuration_takes_the_options_of_learning(store: Path) -> None:
    order = ["map", "--store", str(store), "--learn-likely", "1", "export", "--format", "caddy"]

    said_so = headstart_says(*order)

    assert_one_line(said_so, "there is nothing to export", "`headstart map` shows what is known")


def test_nothing_to_export_is_said_with_a_reason(tmp_path: Path) -> None:
    site = Site()
    for _ in range(3):
        site.visit("/a b", ASSETS)
    store = tmp_path / "learned.sqlite3"
    offline.tell(list(site.learner.export()), store, warn=print)

    said_so = headstart_says("map", "export", "--format", "apache", "--store", str(store))

    assert_one_line(said_so, "there is nothing to export; /a b: servers refuse such a path")


def test_configuration_is_for_one_origin(store: Path) -> None:
    order = ["map", "export", "--format", "h2o", "--store", str(store)]

    right = headstart_says(*order, "--origin", ORIGIN + "/")
    wrong = headstart_says(*order, "--origin", "https://www.example.net")

    assert right == headstart_says(*order)
    assert_one_line(wrong, "nothing is known of https://www.example.net", f"Known are {ORIGIN}")


def test_export_is_written_to_standard_output_of_any_name(store: Path) -> None:
    given = ("map", "export", "--store", str(store))

    named = headstart_process_says(*given, "/dev/stdout")

    assert named == headstart_process_says(*given) == (0, said("export", "--store", store), "")


@pytest.mark.parametrize("order", [["import", "none.jsonl"], ["export", "none/map.jsonl"]])
def test_file_that_is_not_there_is_one_line(store: Path, tmp_path: Path, order: list[str]) -> None:
    path = tmp_path / order[1]

    assert_one_line(headstart_says("map", order[0], str(path), "--store", str(store)), path.name)


@pytest.mark.parametrize("form", ["json", "nginx"])
def test_export_replaces_no_database(store: Path, form: str) -> None:
    before = store.read_bytes()

    told = headstart_says("map", "export", "--format", form, str(store), "--store", str(store))

    assert_one_line(told, f"{store} is a database", "--store STORE names the map to read")
    assert store.read_bytes() == before


@pytest.mark.parametrize("form", ["json", *FORMATS])
def test_export_replaces_an_empty_file_and_an_export(
    store: Path, tmp_path: Path, form: str
) -> None:
    file = tmp_path / "file"
    file.touch()
    order = ["map", "export", "--store", str(store), "--format"]

    first, again, other = (
        headstart_says(*order, each, str(file))[0] for each in (form, form, "json")
    )

    assert (first, again, other) == (0, 0, 0)
    assert file.read_text() == said("export", "--store", store)


@pytest.mark.parametrize("form", ["json", *FORMATS])
@pytest.mark.parametrize(
    "content",
    [
        b'192.0.2.1 - - [10/Oct/2025:13:55:36 +0200] "GET / HTTP/1.1" 200 5 "-" "-"\n',
        b"# a configuration of the user's own\nmap $uri $link {}\n",
        b'{"status":200,"request_uri":"/"}\n',
        b"\x1f\x8b\x08\x00",
        b"\n",
    ],
)
def test_export_replaces_no_file_of_the_users_own(
    store: Path, tmp_path: Path, form: str, content: bytes
) -> None:
    file = tmp_path / "access.log"
    file.write_bytes(content)

    told = headstart_says("map", "export", "--format", form, str(file), "--store", str(store))

    assert_one_line(told, f"{file} is not an export of headstart", "FILE is written, not read")
    assert file.read_bytes() == content


def test_old_export_stays_where_a_new_one_fails(tmp_path: Path) -> None:
    file = tmp_path / "map.jsonl"
    file.write_text(old := '{"record":"old"}')

    headstart_says("map", "export", str(file), "--store", str(tmp_path / "none.sqlite3"))

    assert file.read_text() == old


# With a server.

NAVIGATION = [(b"sec-fetch-dest", b"document"), (b"sec-fetch-mode", b"navigate")]


def promised(client: RawClient, agent: bytes = b"browser") -> set[bytes]:
    """Load the demo's page: what is pushed with it."""
    assert client.get(b"/site/", [*NAVIGATION, (b"user-agent", agent)]).status == 200
    return {dict(headers)[b":path"] for headers in client.promises.values()}


def visit(port: int, address: str) -> None:
    """Load the demo's page and two of its assets as a browser would."""
    # With pushes it would be sent what the page names.
    with RawClient(port, NO_PUSH, address=address) as client:
        assert promised(client) == set()
        for target, kind in ((b"/site/style.css", b"style"), (b"/site/timing.js", b"script")):
            referer = b"http://localhost/site/"
            fields = [(b"referer", referer), (b"sec-fetch-dest", kind)]
            assert client.get(target, fields).status == 200


def test_running_server_is_shown_and_obeys(tmp_path: Path) -> None:
    store = tmp_path / "learned.sqlite3"
    page = "http://localhost/site/"
    with serving("headstart.demo.app:app", "--store", str(store)) as server:
        addresses = count(2)

        def is_seen() -> bool:
            # On a busy machine an asset may come too late to count with its page.
            visit(server.port, f"127.0.1.{next(addresses)}")
            if not (store.exists() and known(store)):
                return False
            return "/site/timing.js" in said("--store", store)

        until(is_seen, "the view in the file", seldom=True)

        said("never", "/site/timing.js", "--store", store)
        said("pin", page, "/site/paper.svg", "--store", store)
        numbers = count(3)

        def obeys() -> bool:
            # Each is of a kind of its own: a kind that comes for pages alone is one of robots.
            number = next(numbers)
            with RawClient(server.port, address=f"127.0.0.{number}") as client:
                found = promised(client, b"browser %d" % number)
            # Once the server has read the page, all that it names is sent with it.
            ordered = {b"/site/style.css", b"/site/paper.svg"} <= found
            return ordered and b"/site/timing.js" not in found

        until(obeys, "what was ordered", seldom=True)
        # The views of these visits go on, and end as the server does.
        said("forget", page, "--store", store)
    assert page not in {row["page"] for row in json.loads(said("--json", "--store", store))}
