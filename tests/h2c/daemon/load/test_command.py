"""`h2c load`, as the background process does it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator

import pytest

from headstart import __version__
from headstart.h2c import exits, options
from headstart.h2c.daemon.conversation import Request
from headstart.h2c.daemon.load.command import load
from headstart.h2c.daemon.session import Session
from headstart.h2c.failures import NotConnectedError
from headstart.h2c.options.loading import LoadPage
from tests.h2c.push_server import Page, PushServer, push_server
from tests.h2c.recorder import Recorder


@pytest.fixture
def server() -> Iterator[PushServer]:
    with push_server() as running:
        running.pages = {"/page": Page(b"<img src=i.png>"), "/i.png": Page(b"image", "image/png")}
        yield running


@pytest.fixture
async def session() -> AsyncIterator[Session]:
    made = Session()
    yield made
    await made.close()


async def run(
    session: Session, recorder: Recorder, *arguments: str, width: int = 90, to_terminal: bool = True
) -> int:
    command = options.parse(["load", *arguments])
    assert isinstance(command, LoadPage)
    request = Request(__version__, "/", to_terminal, True, arguments, True, True, width)
    return await load(command, session, recorder, request)


async def test_it_shows_a_waterfall_and_the_sum(session: Session, server: PushServer) -> None:
    recorder = Recorder()

    assert await run(session, recorder, f"{server.origin}/page") == exits.OK

    heading, connecting, page, image, _, total = recorder.output.decode().splitlines()
    assert heading.startswith("RESOURCE")
    assert connecting.startswith("connect 127.0.0.1:")
    assert page.split()[:5] == ["/page", "200", "15", "B", "request"]
    assert image.split()[:5] == ["/i.png", "200", "5", "B", "request"]
    assert total.startswith("2 resources, 20 B in ")
    assert recorder.messages == []


@pytest.mark.parametrize("to_terminal", [True, False])
async def test_the_sum_fits_a_narrow_terminal_and_is_one_line_elsewhere(
    to_terminal: bool, session: Session, server: PushServer
) -> None:
    recorder = Recorder()

    await run(session, recorder, f"{server.origin}/page", width=50, to_terminal=to_terminal)

    _, _, _, _, _, *told = recorder.output.decode().splitlines()
    assert len(told) == (2 if to_terminal else 1)
    assert " ".join(told).split()[-6:] == ["2", "requested,", "0", "hinted,", "0", "pushed"]
    assert not to_terminal or max(map(len, told)) <= 50


async def test_a_path_is_on_the_current_connection(session: Session, server: PushServer) -> None:
    with pytest.raises(NotConnectedError):
        await run(session, Recorder(), "/page")
    await run(session, Recorder(), f"{server.origin}/page")
    recorder = Recorder()

    assert await run(session, recorder, "page", "--json") == exits.OK

    told = json.loads(recorder.output)
    assert told["url"] == f"{server.origin}/page"
    assert told["connections"] == []
    assert len(told["resources"]) == 2


async def test_a_picture_goes_to_its_file_and_the_text_to_the_terminal(
    session: Session, server: PushServer
) -> None:
    recorder = Recorder()

    await run(session, recorder, f"{server.origin}/page", "--waterfall", "page.svg")

    assert recorder.opened == ["page.svg"]
    picture, text = recorder.output.split(b"\n</svg>\n")
    assert picture.startswith(b"<?xml")
    assert b"RESOURCE" not in picture
    assert text.startswith(b"RESOURCE")
    assert recorder.closed == len(picture) + len(b"\n</svg>\n")


async def test_fields_are_those_that_are_set_and_typed(
    session: Session, server: PushServer
) -> None:
    session.fields += [(b"a", b"set"), (b"b", b"set")]

    await run(session, Recorder(), f"{server.origin}/page", "-H", "A: typed")

    for fields in server.all_fields.values():
        assert (fields["a"], fields["b"]) == ("typed", "set")


async def test_what_did_not_come_is_exit_code_1(session: Session, server: PushServer) -> None:
    server.pages["/page"] = Page(b"<img src=/reset><img src=i.png>")
    recorder = Recorder()

    assert await run(session, recorder, f"{server.origin}/page") == exits.REQUEST_FAILED

    assert recorder.messages == [exits.NOT_ALL_CAME.format(1, 3)]
    assert b"failed: /reset: " in recorder.output


@pytest.mark.parametrize(("arguments", "code"), [([], exits.OK), (["--fail"], 1)])
async def test_a_bad_status_is_one_when_asked_for(
    arguments: list[str], code: int, session: Session, server: PushServer
) -> None:
    server.pages["/i.png"] = Page(status=404)

    assert await run(session, Recorder(), f"{server.origin}/page", *arguments) == code


async def test_a_page_that_cannot_be_reached_has_its_own_exit_code(session: Session) -> None:
    recorder = Recorder()

    assert await run(session, recorder, "http://127.0.0.1:1/") == exits.NOT_CONNECTED

    (message,) = recorder.messages
    assert "refuses the connection" in message
    assert recorder.output == b""


class Ordered(Recorder):
    """Keeps how much had been written when something was said."""

    written = -1

    async def say(self, message: str) -> None:
        self.written = len(self.output)
        await super().say(message)


async def test_json_of_a_page_that_cannot_be_reached_comes_after_the_error(
    session: Session,
) -> None:
    recorder = Ordered()

    code = await run(session, recorder, "http://127.0.0.1:1/", "--json")

    assert code == exits.NOT_CONNECTED
    assert recorder.written == 0
    (resource,) = json.loads(recorder.output)["resources"]
    assert "refuses the connection" in resource["error"]


async def test_a_page_that_cannot_be_reached_replaces_no_picture(session: Session) -> None:
    recorder = Recorder()

    code = await run(session, recorder, "http://127.0.0.1:1/", "--waterfall", "page.svg")

    assert code == exits.NOT_CONNECTED
    assert (recorder.output, recorder.closed) == (b"", 0)


async def test_insecure_is_said(session: Session, server: PushServer) -> None:
    recorder = Recorder()

    await run(session, recorder, f"{server.origin}/page", "--insecure")

    assert recorder.messages == [exits.INSECURE.format(server.origin)]
