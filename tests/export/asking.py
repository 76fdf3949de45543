"""Pages whose paths strangers chose, and clients that ask real servers for them.

Each page has links of its own, so that one which gets another page's is noticed.
"""

from __future__ import annotations

import http.client
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from headstart.export import AssetLink, Configuration, LinkedPage, Plan, Reason, configuration
from tests.peers import peer
from tests.servers.running import Folder, folder

PATIENCE = 90.0
PLAIN = ("/", "/about", "/About", "/caf%C3%A9", "/p/" + "long-" * 100)
HOSTILE = (
    *('/a"b', "/a'b", "/a\\b", "/a\\", "/a`b", "/$x", "/${HOME}", "/{$HOME}", "/{path}", "/a{b}"),
    *(
        "/a%20b",
        "/a%22%27%5C",
        "/a%0Ab",
        "/a%00b",
        "/a%FF",
        "/a%2Fb",
        "/a%25",
        "/a%7Bb%7D",
        "/%24%7B",
    ),
    *(
        "/a;b",
        "/a<b>",
        "/a|b^c",
        "/a*",
        "/:a",
        "/~x",
        "/a+b",
        "/a=b&c",
        "/-m",
        "/a,b",
        "/a@b",
        "/a!b",
    ),
    *("/(a)", "/[a]", "/a.b", "/default", "/%u", "/a%%b", "/caf\u00e9", "/a b", "/a\nb", "/a\r\nb"),
    *(
        "//a",
        "/a//b",
        "/a/../b",
        "/a/./b",
        "/a/..",
        "/a/%2e%2e/b",
        "/a#b",
        "/a?b",
        "/a\x00",
        "/\udce9",
    ),
    *("/a\u2028b", "/a%E2%80%A8b", "/a%C2%85b", "/a%5Cx41"),
)
NEIGHBOURS = ("/abou", "/about/", "/about/us", "/about.html", "/x/about", "/style.css")


def page(path: str, number: int, **fields: str) -> LinkedPage:
    """A page with two links; a 103 may have the second, and less of the first."""
    first = f'</{number}/a$b%20\'c.css>; rel=preload; as=style; type="text/css"'
    second = f"</{number}.js>; rel=preload; as=script"
    return LinkedPage(
        path,
        (
            AssetLink("/a.css", first + '; media="(a:b) 5%"', fields.get("early", "")),
            AssetLink("/b.js", second, second),
        ),
        views=float(number),
    )


def exported(name: str) -> Configuration:
    """All of these pages in one format; they are as valid as `plan_of` makes sure."""
    from headstart.export.paths import is_plain

    paths = [path for path in (*PLAIN, *HOSTILE) if is_plain(path)]
    pages = (page(path, number) for number, path in enumerate(sorted(paths)))
    return configuration(Plan("https://example.org", tuple(pages)), name)


@contextmanager
def place_with(name: str, text: str) -> Iterator[Folder]:
    """A server's folder with the export in a file of it."""
    with folder() as place:
        place.write(name, text)
        yield place


def links_of(port: int, path: str) -> tuple[int, str]:
    """Ask over HTTP/1.1: the status, and the values of Link joined."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        connection.putrequest("GET", path, skip_accept_encoding=True)
        connection.endheaders()
        response = connection.getresponse()
        response.read()
        return response.status, ", ".join(response.headers.get_all("Link") or [])
    finally:
        connection.close()


def assert_each_page_gets_its_links(made: Configuration, port: int) -> None:
    """Each page that the server takes at all gets its own, its neighbours and others none."""
    reached = 0
    for one in made.pages:
        status, links = links_of(port, one.path)
        if status == 400:  # the server takes no request for it
            continue
        reached += 1
        assert (one.path, links) == (one.path, one.value)
        assert links_of(port, one.path + "?a=b")[1] == one.value
    assert reached >= len(PLAIN)
    without = (left.page for left in made.left_out if left.why is not Reason.SAME)
    for path in (*NEIGHBOURS, *without):
        assert (path, links_of(port, path)[1]) == (path, "")


def hinted(url: str, *fields: str) -> list[str]:
    """Ask over HTTP/2 as curl does: the values of Link in the 103, then in the response."""
    given = [part for field in fields for part in ("-H", field)]
    command = [peer("curl"), "-sSgi", "--http2-prior-knowledge", *given, url]
    said = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    sections = re.split(r"^HTTP/2 ", said.stdout, flags=re.MULTILINE)[1:]
    found = []
    for section in sections:
        values = re.findall(r"^link: (.*?)\r?$", section, re.MULTILINE | re.IGNORECASE)
        found.append(f"{section[:3]} {', '.join(values)}")
    return found


def pushed(url: str) -> set[str]:
    """Return the paths that a server promises to nghttp."""
    command = [peer("nghttp"), "-nv", url]
    said = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    text = re.sub(r"\x1b\[[0-9;]*m", "", said.stdout)
    promised = re.findall(r"recv \(stream_id=\d+\) :path: (\S+)", text)
    return set(promised)
