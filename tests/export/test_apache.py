"""Apache, started with what was exported for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from hypothesis import given

from headstart.export import LeftOut, Plan, Reason, configuration
from tests.export.asking import (
    assert_each_page_gets_its_links,
    exported,
    hinted,
    links_of,
    page,
    place_with,
    pushed,
)
from tests.export.checks import BATCHES, assert_passes, few, random_pages
from tests.ports import free_port
from tests.servers import running
from tests.servers.running import Folder

_MODULES = Path("/usr/lib/apache2/modules")
_LOADED = ("mpm_event", "authz_core", "mime", "headers", "http2", "dir", "rewrite")
_CONFIGURATION = """
{loaded}
ServerRoot {path}
ServerName localhost
PidFile {path}/pid
Mutex file:{path}
DefaultRuntimeDir {path}
ErrorLog {path}/log
StartServers 1
ServerLimit 1
ThreadsPerChild 25
MaxRequestWorkers 25
DocumentRoot {root}
TypesConfig /dev/null
EnableSendfile off
DirectoryIndex page.html
AllowEncodedSlashes On
Listen 127.0.0.1:{port}
<Directory {root}>
    Require all granted
    RewriteEngine on
    RewriteCond %{{REQUEST_FILENAME}} !-f
    RewriteCond %{{REQUEST_FILENAME}} !-d
    RewriteRule . /page.html [L]
</Directory>
<VirtualHost 127.0.0.1:{port}>
    Protocols h2c http/1.1
    H2Direct on
    Include {path}/headstart.conf
</VirtualHost>
"""


@contextmanager
def apache(text: str) -> Iterator[int]:
    """An Apache that makes everything of one file, as WordPress does."""
    with place_with("headstart.conf", text) as place:
        port = free_port()
        path = place.write("apache.conf", _filled(place, port))
        arguments = ["-X", "-d", str(place.path), "-f", str(path)]
        with running.process(place, "apache2", arguments, [port]):
            yield port


def _filled(place: Folder, port: int) -> str:
    loaded = "\n".join(f"LoadModule {name}_module {_MODULES}/mod_{name}.so" for name in _LOADED)
    return _CONFIGURATION.format(path=place.path, root=place.root, port=port, loaded=loaded)


def test_each_page_gets_its_links_however_its_path_is_written() -> None:
    made = exported("apache")

    with apache(made.text) as port:
        assert_each_page_gets_its_links(made, port)


def test_page_gets_a_103_and_pushes_and_others_neither() -> None:
    pages = (page("/", 1), page("/caf%C3%A9", 2))
    made = configuration(Plan("", pages), "apache")

    with apache(made.text) as port:
        for number, one in enumerate(pages, 1):
            url = f"http://127.0.0.1:{port}{one.path}"
            early, final = hinted(url)
            assert (early, final) == (f"103 {one.early}", f"200 {one.value}")
            assert pushed(url) == {f"/{number}/a$b%20'c.css", f"/{number}.js"}
        for path in ("/other", "/caf"):
            assert hinted(f"http://127.0.0.1:{port}{path}") == ["200 "]
            assert pushed(f"http://127.0.0.1:{port}{path}") == set()
        assert links_of(port, "/other")[1] == ""


def test_two_spellings_of_one_path_get_one_103() -> None:
    pages = (page("/a%2Db", 1), page("/a-b", 2))
    made = configuration(Plan("", pages), "apache")

    assert made.text.count("<LocationMatch") == 1


@few
@given(BATCHES)
def test_random_paths_pass_apaches_own_check(paths: list[str]) -> None:
    made = random_pages("apache", paths)

    with place_with("headstart.conf", made.text) as place:
        path = place.write("apache.conf", _filled(place, free_port()))
        assert_passes("apache2", "-t", "-d", str(place.path), "-f", str(path))


def test_link_that_the_file_would_expand_is_left_out() -> None:
    one = page("/", 1)
    expanded = replace(one, links=(replace(one.links[0], value="</a.css${HOME}>"),))

    made = configuration(Plan("", (expanded, page("/b", 2))), "apache")

    assert [kept.path for kept in made.pages] == ["/b"]
    assert made.left_out == (LeftOut("/", "", Reason.SYNTAX),)
