"""What is fuzzed: functions that take bytes, and the only exceptions that they may raise.

A target turns bytes into what its room reads, and asserts what must hold of the answer. It keeps
nothing from call to call that changes what it does, so that a file repeats a finding. Called by
`engine`, and by tests with the seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final

from hpack import Decoder, HPACKError
from hyperframe.frame import ContinuationFrame, HeadersFrame

from headstart.config import ClientLimits, WireLimits
from headstart.deliver.preload import link_value
from headstart.deliver.push import PushBuilder
from headstart.errors import LocalProtocolError, StreamGoneError
from headstart.learn import SeenAsset
from headstart.learn.safety import bad_target
from headstart.pages.codings import KNOWN, undo
from headstart.pages.markup import read_markup
from headstart.server.promised import push_target
from headstart.wire import links
from headstart.wire.blocks import BlockRewriter
from headstart.wire.client import ClientConnection
from headstart.wire.connection import OUTPUT_CHUNK, Connection
from headstart.wire.events import (
    DataReceived,
    PromiseReceived,
    RequestReceived,
    ResponseReceived,
    WebSocketRequested,
)
from headstart.wire.fields import response_fields, valid_target
from headstart.wire.frames import PREFACE, ConnectionFrames, Direction, Frame, FrameDecoder
from headstart.wire.links import Link, LinkError
from headstart.wire.promises import PromiseHeads
from headstart.wire.server import ServerConnection
from tests.fuzzing.guided.http1 import talk
from tests.fuzzing.guided.upstream import hear, hear_http2


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to fuzz.

    Attributes:
        run: Takes any bytes.
        allowed: What it may raise; everything else is a finding, a failed assertion too.
    """

    run: Callable[[bytes], None]
    allowed: tuple[type[Exception], ...] = field(default=())

    def __call__(self, data: bytes) -> None:
        """Run it; what is allowed is as good as nothing."""
        try:
            self.run(data)
        except self.allowed:
            return


def _split(data: bytes) -> list[bytes]:
    """The first octet says how small the segments are in which the others arrive."""
    size = data[0] if data else 0
    rest = data[1:]
    if not size:
        return [rest]
    size = max(size, len(rest) // 64)
    return [rest[at : at + size] for at in range(0, len(rest), size)]


def frames(data: bytes) -> None:
    """`wire.frames`: the frames do not depend on how the bytes were cut."""
    whole, parts = _decoded([data[1:]]), _decoded(_split(data))

    assert whole == parts


def _decoded(parts: list[bytes]) -> list[Frame]:
    both = ConnectionFrames(client=Direction.SENT)
    found: list[Frame] = []
    for direction in Direction:
        start = PREFACE if direction is Direction.SENT else b""
        for part in [start, *parts]:
            found += both.feed(direction, part, 0.0)
    return found + both.end(0.0)


def server(data: bytes) -> None:
    """`wire.server`: never raises, and answers in frames whatever comes."""
    wire = ServerConnection(WireLimits(), 0.0, websockets=True)
    seen = FrameDecoder(Direction.SENT, preface=False)
    for now, part in enumerate([PREFACE, *_split(data)]):
        for event in wire.receive(part, float(now)):
            if isinstance(event, RequestReceived):
                _answer(wire, event)
            elif isinstance(event, WebSocketRequested):
                _accept(wire, event)
            elif isinstance(event, DataReceived):
                wire.acknowledge(len(event.data), event.stream_id)
        _write(wire, seen)


def _accept(wire: ServerConnection, request: WebSocketRequested) -> None:
    assert valid_target(request.target)
    try:
        wire.respond(request.stream_id, response_fields(200, []), False)
    except StreamGoneError:
        return


def _answer(wire: ServerConnection, request: RequestReceived) -> None:
    assert valid_target(request.target) or request.target == b"*"
    try:
        heads = PromiseHeads("GET", b"http", request.authority, [(b"a", b"b")])
        wire.promise(request.stream_id, heads.of(b"/style.css"))
        wire.respond(request.stream_id, response_fields(200, []), False)
        wire.send_data(request.stream_id, b"page", True)
    except StreamGoneError:
        return  # it was reset in the same segment


def _write(wire: Connection, seen: FrameDecoder) -> None:
    while data := wire.output():
        assert len(data) <= OUTPUT_CHUNK
        for frame in seen.feed(data, 0.0):
            assert not frame.problem, frame
    assert not wire.wants_output


def client(data: bytes) -> None:
    """`wire.client`: never raises, and answers in frames whatever comes."""
    wire = ClientConnection(ClientLimits(), True, 0.0)
    seen = FrameDecoder(Direction.SENT, preface=True)
    streams = {
        wire.request("GET", b"http", b"localhost", b"/", [], True),
        wire.request("POST", b"http", b"localhost", b"/", [], False),
    }
    _write(wire, seen)
    for part in _split(data):
        for event in wire.receive(part, 0.0):
            if isinstance(event, PromiseReceived):
                assert event.method in ("GET", "HEAD")
                streams.add(event.promised_stream_id)
            elif isinstance(event, ResponseReceived):
                assert event.stream_id in streams
            elif isinstance(event, DataReceived):
                wire.acknowledge(len(event.data), event.stream_id)
        _write(wire, seen)
        wire.after_output(0.0)


# More fields, and bytes of them, than any input makes.
_MOST: Final = 1 << 24


def blocks(data: bytes) -> None:
    """`wire.blocks`: a rewritten block means what it meant, wherever it was cut.

    The second octet says where the second block begins, and whether CONTINUATION frames follow.
    """
    mark = data[1] if len(data) > 1 else 0
    rest = data[2:]
    rewriter = BlockRewriter(_MOST)
    before, after = Decoder(_MOST), Decoder(_MOST)
    for block in (rest[:mark], rest[mark:]):
        framed = _headers(block, len(block) // 2 if mark % 2 else len(block))
        parts = _split((data[:1] or b"\0") + framed)
        rewritten = b"".join(bytes(rewriter.rewrite(part)) for part in parts)
        try:
            fields = before.decode(block, raw=True)
        except HPACKError:
            return  # the engine says so
        read = tuple((name, value) for name, value in after.decode(_block(rewritten), raw=True))
        assert [*rewriter.restored(read)] == [
            (name, value.strip(b" \t")) for name, value in fields if name != b"upgrade"
        ]
        rewriter.forget_long()


def _headers(block: bytes, cut: int) -> bytes:
    """A header block in a HEADERS frame and, if it is longer than `cut`, a CONTINUATION frame."""
    frames: list[HeadersFrame | ContinuationFrame] = [HeadersFrame(1, block[:cut])]
    if cut < len(block):
        frames.append(ContinuationFrame(1, block[cut:]))
    frames[-1].flags.add("END_HEADERS")
    return b"".join(frame.serialize() for frame in frames)


def _block(frames: bytes) -> bytes:
    """The header block that frames without padding and priority hold."""
    found = []
    while frames:
        end = 9 + int.from_bytes(frames[:3])
        found.append(frames[9:end])
        frames = frames[end:]
    return b"".join(found)


def link(data: bytes) -> None:
    """`wire.links`: reads anything; what it writes is one link again, and safe in a header."""
    found = links.parse(data)
    assert len(found) <= data.count(b"<")
    target, _, uses = data.decode("utf-8", "surrogateescape").partition("\n")
    crossorigin, _, rest = uses.partition("\n")
    kind, integrity, nonce, media, candidates, sizes = [*rest.split("\n"), *[""] * 6][:6]
    made: Any = Link
    written = made(
        target,
        as_="image",
        crossorigin=crossorigin or None,
        type=kind,
        integrity=integrity,
        nonce=nonce,
        media=media,
        imagesrcset=candidates,
        imagesizes=sizes,
    ).field_value()

    (read,) = links.parse(written)
    assert written.isascii()
    assert written.decode().isprintable()
    assert read.target == links.escape_target(target)
    assert read.as_ == "image"
    assert (read.get("media") or "") == media


def push(data: bytes) -> None:
    """`deliver.push`: whatever is asked for, the target is one that may be promised."""
    words = data.decode("utf-8", "surrogateescape").split("\n")
    path, query, name, value, page, host = (words + [""] * 6)[:6]
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("a push reads nothing")

    builder = PushBuilder(_scope(page, host), receive, send)
    builder.path(path).query_string(query)
    if name:
        builder.set_header(name, value)
    elif value:
        builder.session(value)
    _run(builder.push())

    (message,) = sent
    assert message["path"].startswith("/")
    assert valid_target(push_target(message["path"], b""))


def _scope(page: str, host: str) -> dict[str, Any]:
    raw = page.encode("utf-8", "surrogateescape")
    return {
        "type": "http",
        "scheme": "https",
        "path": "/" + raw.decode("utf-8", "replace"),
        "raw_path": b"/" + raw,
        "headers": [(b"host", host.encode("utf-8", "surrogateescape") or b"localhost")],
        "extensions": {"http.response.push": {}, "headstart": {"pushed": False}},
    }


def _run(call: Coroutine[Any, Any, object]) -> None:
    """Run what never waits."""
    try:
        call.send(None)
    except StopIteration:
        return
    raise AssertionError("it waits")


def http1(data: bytes) -> None:
    """`server.protocol` and `server.http1`: any bytes on a new connection."""
    talk(_split(data))


def upstream(data: bytes) -> None:
    """`proxy.http1` and `proxy.forwarding`: any bytes from an upstream that was asked."""
    hear(data[0] if data else 0, _split(data))


def upstream_http2(data: bytes) -> None:
    """`proxy.http2` and `client`: any frames from an upstream that was asked."""
    hear_http2(_split(data))


def page(data: bytes) -> None:
    """`pages`: any bytes as a page, after a line that says its coding and encoding."""
    first, _, body = data.partition(b"\n")
    coding, _, charset = first.decode("latin-1").partition(" ")
    undone = undo(body, coding if coding in KNOWN else "", 65_536)
    if undone is None:
        return
    content, _ = undone
    assert len(content) <= 65_536
    markup = read_markup(content, "https://localhost/a/b?c", charset)
    targets = [*(each.target for each in markup.named), *markup.alternatives]
    assert len(targets) <= 128
    for target in targets:
        assert bad_target(target, 2048) is None
    for each in markup.named:
        link = link_value(SeenAsset(each.target, each.kind), each)
        assert link.isascii()
        assert link.decode().isprintable()


TARGETS: Final = {
    "frames": Target(frames),
    "server": Target(server),
    "client": Target(client),
    "blocks": Target(blocks),
    "links": Target(link, (LinkError,)),
    "push": Target(push, (LocalProtocolError,)),
    "http1": Target(http1),
    "upstream": Target(upstream),
    "upstream_http2": Target(upstream_http2),
    "page": Target(page),
}
