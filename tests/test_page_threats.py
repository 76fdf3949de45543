"""The threats of a server that reads pages, each carried out over real connections.

As in `test_threats`, every client has an address of its own. Pages hold what users wrote into them.
"""

from __future__ import annotations

import gzip

import pytest

from tests.server.apps import Headers
from tests.test_threats import ATTACKER, STYLE, VICTIM, gets, shop
from tests.visits import HTML, Found, answer_head

COOKIE: Headers = [(b"cookie", b"session=alice")]
DELETE = "/delete?id=1"
PICTURE = "/upload/cat.png"


def test_url_that_a_user_wrote_into_a_page_is_sent_to_nobody_before_it_was_seen_to_be_static() -> (
    None
):
    with shop(PICTURE) as (app, site):
        app.found["/forum/"] = Found(
            HTML,
            content=f"<img src='{DELETE}'><img src=/logout><img src='{PICTURE}'>".encode(),
        )
        app.found[PICTURE] = Found(answer_head("image/png"))
        for _ in range(3):
            site.visit("/forum/", address=ATTACKER)
            site.later()

        sent = gets(site, "/forum/")
        site.later()

        # The picture's name is a static file's; to ask for it changes nothing.
        assert [url for url in sent if url != PICTURE] == []
        assert DELETE not in app.asked
        assert "/logout" not in app.asked


def test_what_one_user_s_page_names_reaches_no_other() -> None:
    with shop("/u/alice.png") as (app, site):
        app.found["/u/alice.png"] = Found(answer_head("image/png"))
        plain, hers = Found(HTML), Found(HTML, content=b"<img src=/u/alice.png>")
        app.found["/home/"] = hers
        for address in (ATTACKER, VICTIM, "127.0.9.9"):
            with site.client(address) as client:
                client.get(b"/home/", COOKIE)
            site.later()

        app.found["/home/"] = plain
        assert gets(site, "/home/") == []

        hers.headers = [*HTML, (b"set-cookie", b"session=x")]
        app.found["/home/"] = hers
        site.visit("/home/", address=VICTIM)
        site.later()

        app.found["/home/"] = plain
        assert gets(site, "/home/") == []


def test_300_pages_that_one_client_chose_by_their_query_change_nothing_for_others() -> None:
    with shop() as (app, site):
        app.found["/"] = Found(HTML, content=b"<link rel=stylesheet href=/site.css>")
        site.teach([STYLE], visitors=3)
        before = gets(site)
        app.found.update(
            {
                f"/?q={at}": Found(HTML, content=b"<script src=/upload/%d.js></script>" % at)
                for at in range(300)
            }
        )
        with site.client(ATTACKER) as client:
            for at in range(300):
                client.get(f"/?q={at}".encode())
                if at % 10 == 0:
                    site.sync()
        site.later()

        assert gets(site) == before == [STYLE]


NESTED = b"<p>" + b"".join(b"<b x=%d>" % at for at in range(12_000)) + b"</p>" + b"<p>x" * 12_000


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        pytest.param(NESTED, [], id="nested"),
        pytest.param(b"<div>" * 50_000, [], id="deep"),
        pytest.param(b"x" * 10_000_000, [], id="no tag"),
        pytest.param(b"<" * 1_000_000, [], id="begun"),
        pytest.param(b"<link rel=stylesheet href=/a\0b.css>\xff\xfe\xc3" * 9000, [], id="bytes"),
        pytest.param(
            gzip.compress(bytes(100_000_000), 9), [(b"content-encoding", b"gzip")], id="bomb"
        ),
        pytest.param(b"no gzip", [(b"content-encoding", b"gzip")], id="not coded"),
    ],
)
def test_a_hostile_page_is_read_in_time_and_answered_as_it_is(
    content: bytes, fields: Headers
) -> None:
    with shop() as (app, site):
        app.found["/bad/"] = Found([*HTML, *fields, (b"etag", b'"1"')], content=content)
        with site.client(VICTIM) as client:
            response = client.get(b"/bad/")
        # Of a tree, the nested page alone would take minutes and all memory; this gives up sooner.
        site.later()

    assert response.body == content
    assert dict(response.headers)[b"content-length"] == str(len(content)).encode()
    assert dict(response.headers)[b"etag"] == b'"1"'
