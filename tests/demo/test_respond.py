"""What the demo's applications share: whole answers, and a lifespan with nothing in it."""

from __future__ import annotations

from headstart.demo.respond import lifespan, respond, say
from tests.server.apps import Message


class Wire:
    """Notes what is sent; gives what is to be received."""

    def __init__(self, *due: str) -> None:
        self.due = list(due)
        self.sent: list[Message] = []

    async def receive(self) -> Message:
        return {"type": self.due.pop(0)}

    async def send(self, message: Message) -> None:
        self.sent.append(message)


async def test_answer_says_its_type_its_length_and_that_it_is_not_to_be_kept() -> None:
    wire = Wire()
    await respond(wire.send, 200, "text/css", b"p {}", [(b"x-more", b"1")])

    assert wire.sent == [
        {
            "type": "http.response.start",
            "status": 200,
            "headers": [
                (b"content-type", b"text/css"),
                (b"content-length", b"4"),
                (b"cache-control", b"no-store"),
                (b"x-more", b"1"),
            ],
        },
        {"type": "http.response.body", "body": b"p {}"},
    ]


async def test_answer_that_may_be_kept_says_for_how_long() -> None:
    wire = Wire()
    await respond(wire.send, 200, "text/css", b"", cache_control=b"max-age=60")

    assert (b"cache-control", b"max-age=60") in wire.sent[0]["headers"]


async def test_text_is_utf_8() -> None:
    wire = Wire()
    await say(wire.send, 404, "Nö.\n")

    assert wire.sent[0]["status"] == 404
    assert (b"content-type", b"text/plain; charset=utf-8") in wire.sent[0]["headers"]
    assert wire.sent[1]["body"] == "Nö.\n".encode()


async def test_lifespan_has_nothing_to_do() -> None:
    wire = Wire("lifespan.startup", "lifespan.shutdown")
    await lifespan({"type": "lifespan"}, wire.receive, wire.send)

    assert [message["type"] for message in wire.sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


async def test_websocket_is_refused() -> None:
    wire = Wire()
    await lifespan({"type": "websocket"}, wire.receive, wire.send)

    assert wire.sent == [{"type": "websocket.close", "code": 1000}]
