"""The bytes of all connections, shown as frames, and the file that they are written to."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import NamedTemporaryFile

import pytest
from hario_core.models.har_1_2 import HarLog
from hpack import Encoder
from hypothesis import given, settings
from hypothesis import strategies as st

from headstart.h2c import exits, options
from headstart.h2c.dump import tap
from headstart.h2c.dump.settings import DumpFormat, DumpOptions
from headstart.h2c.dump.tap import Dump, Sink
from headstart.h2c.options.process import Start
from headstart.h2c.streams import Failed
from headstart.wire.frames import PREFACE, Direction

_BLOCKS = st.lists(
    st.sampled_from(
        [
            (b":method", b"GET"),
            (b":method", b"GET"),
            (b":path", b"/a?b=c&d"),
            (b":status", b"200"),
            (b":status", b"103"),
            (b"content-length", b"x"),
            (b"set-cookie", b"a=b; expires=Wed"),
        ]
    )
    | st.tuples(st.binary(max_size=8), st.binary(max_size=12)),
    max_size=4,
).map(lambda fields: b"".join(map(_literal, fields)))


def _literal(field: tuple[bytes, bytes]) -> bytes:
    """A field that changes no table (RFC 7541, 6.2.2)."""
    return b"\x00" + b"".join(bytes([len(part)]) + part for part in field)


@st.composite
def _frames(draw: st.DrawFn) -> bytes:
    """A frame that is nearly right."""
    kind = draw(st.sampled_from([0, 1, 1, 1, 1, 3, 4, 5, 5, 7, 8, 9, 0xC, 0x10, 0xBE]))
    payload = draw(_BLOCKS if kind in (1, 9) else st.binary(max_size=20))
    if kind == 5:
        payload = draw(st.sampled_from([2, 3, 4])).to_bytes(4, "big") + draw(_BLOCKS)
    if kind == 3:
        payload = b"\x00\x00\x00\x08"
    flags = draw(st.sampled_from([0, 1, 4, 4, 5, 5, 13, 37]))
    stream = draw(st.sampled_from([0, 1, 1, 2, 3, 4]))
    header = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return header + payload


PING = bytes.fromhex("000008060000000000") + b"12345678"


def dump(*arguments: str) -> Dump:
    command = options.parse(["start", "--dump", *arguments])
    assert isinstance(command, Start)
    assert command.dump is not None
    return Dump(command.dump)


def test_frames_are_written_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    dump().tap()(Direction.RECEIVED, PING, 0.5)

    assert capfd.readouterr().out.startswith("<- PING(0) 0.500 s, 8 bytes\n")


def test_connections_have_a_number_once_there_are_two(capfd: pytest.CaptureFixture[str]) -> None:
    shown = dump()
    first, second = shown.tap(), shown.tap()

    first(Direction.RECEIVED, PING, 0.5)
    second(Direction.RECEIVED, PING, 0.5)
    first(Direction.RECEIVED, PING, 0.5)

    titles = [line for line in capfd.readouterr().out.splitlines() if line.startswith("<-")]
    assert titles == [
        "<- PING(0) 0.500 s, 8 bytes",
        "<- PING(0) connection 2, 0.500 s, 8 bytes",
        "<- PING(0) connection 1, 0.500 s, 8 bytes",
    ]


def test_frames_that_are_excluded_are_not_written(capfd: pytest.CaptureFixture[str]) -> None:
    dump("--exclude", "PING").tap()(Direction.RECEIVED, PING, 0.5)

    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("terminal", "no_color", "colored"), [(True, "", True), (True, "1", False), (False, "", False)]
)
def test_colour_is_for_terminals_whose_user_wants_it(
    terminal: bool,
    no_color: str,
    colored: bool,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tap, "is_terminal", lambda descriptor: terminal)
    monkeypatch.setenv("NO_COLOR", no_color)

    dump().tap()(Direction.RECEIVED, PING, 0.5)

    assert ("\x1b[" in capfd.readouterr().out) == colored


@pytest.mark.parametrize(
    ("failure", "farewell"),
    [(BrokenPipeError(), exits.DUMP_UNREAD), (Failed("disk full"), exits.DUMP_UNWRITABLE)],
)
def test_once_nobody_reads_nothing_is_written_any_more(
    failure: BrokenPipeError | Failed, farewell: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[bytes] = []
    told: list[str] = []

    def fail(sink: Sink, piece: bytes, end: bytes = b"") -> None:
        written.append(piece)
        raise failure

    monkeypatch.setattr(Sink, "write", fail)
    shown = dump()
    shown.when_failed = told.append
    listener = shown.tap()

    listener(Direction.RECEIVED, PING + PING, 0.5)
    listener(Direction.RECEIVED, PING, 0.5)

    shown.close()

    assert len(written) == 1
    assert told == [farewell]
    assert shown.failure is failure


def test_secrets_are_masked_unless_asked_for(capfd: pytest.CaptureFixture[str]) -> None:
    block = Encoder().encode([(b"cookie", b"a=b")])
    frame = len(block).to_bytes(3, "big") + b"\x01\x04\x00\x00\x00\x01" + block

    dump().tap()(Direction.RECEIVED, frame, 0.5)
    dump("--show-secrets").tap()(Direction.RECEIVED, frame, 0.5)

    shown = [line for line in capfd.readouterr().out.splitlines() if "cookie" in line]
    assert shown == ["    cookie: {hidden}", "    cookie: a=b"]


@pytest.mark.parametrize(("form", "ends"), [("text", ""), ("json", ""), ("har", '"_frames"')])
def test_every_format_goes_to_a_file_that_only_the_user_reads(
    form: str, ends: str, tmp_path: Path
) -> None:
    file = tmp_path / "dump"
    shown = dump(f"--dump={file}", "--dump-format", form)
    listener = shown.tap()

    listener(Direction.RECEIVED, PING, 0.5)
    listener(Direction.RECEIVED, b"", 0.6)
    shown.close()

    assert "PING" in file.read_text()
    assert ends in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert shown.frames == 1


@pytest.mark.parametrize("form", list(DumpFormat))
@pytest.mark.parametrize("before", list(DumpFormat))
def test_an_older_dump_of_any_format_is_replaced(
    form: DumpFormat, before: DumpFormat, tmp_path: Path
) -> None:
    file = tmp_path / "dump"
    written = []
    for each in (form, before, form):
        shown = dump(f"--dump={file}", "--dump-format", each)
        listener = shown.tap()
        for direction in (Direction.SENT, Direction.RECEIVED):
            listener(direction, PING, 0.5)
        shown.close()
        written.append(len(file.read_bytes()))

    assert written[0] == written[2] > 0


@pytest.mark.parametrize("form", list(DumpFormat))
@pytest.mark.parametrize(
    "content",
    [
        b'192.0.2.1 - - [10/Oct/2025:13:55:36 +0200] "GET / HTTP/1.1" 200 5 "-" "-"\n',
        b'{"log":{"version":"1.2","creator":{"name":"Firefox"}}}',
        b"\n",
    ],
)
def test_a_file_of_the_users_own_is_left_as_it_is(
    form: DumpFormat, content: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "access.log"
    file.write_bytes(content)
    file.chmod(0o644)

    with pytest.raises(Failed, match=r"access\.log is not a dump of h2c, so it is left as it is"):
        dump(f"--dump={file}", "--dump-format", form)

    assert file.read_bytes() == content
    assert file.stat().st_mode & 0o777 == 0o644


def test_what_is_incomplete_at_the_end_of_a_connection_is_shown(
    capfd: pytest.CaptureFixture[str],
) -> None:
    listener = dump().tap()

    listener(Direction.RECEIVED, PING[:12], 0.5)
    listener(Direction.RECEIVED, b"", 0.75)

    assert capfd.readouterr().out.startswith("<- INCOMPLETE 0.750 s, 12 bytes\n")


def _mostly_frames(number: int) -> st.SearchStrategy[bytes]:
    """Other bytes at times: behind them nothing is decoded any more."""
    return _frames() if number else st.binary(min_size=1)


_PIECES = st.lists(
    st.tuples(st.sampled_from(Direction), st.integers(0, 20).flatmap(_mostly_frames)),
    max_size=20,
)


@pytest.mark.parametrize("form", list(DumpFormat))
@settings(max_examples=150, deadline=None)
@given(pieces=_PIECES)
def test_no_bytes_of_a_peer_stop_a_dump_or_spoil_it(
    form: DumpFormat, pieces: list[tuple[Direction, bytes]]
) -> None:
    with NamedTemporaryFile() as file:
        shown = Dump(DumpOptions(file.name, form))
        one, other = shown.tap(), shown.tap()
        for tap_ in (one, other):
            tap_(Direction.SENT, PREFACE, 0.0)
        for number, (direction, data) in enumerate(pieces):
            (one if number % 5 else other)(direction, data, number / 8)
        one(Direction.RECEIVED, b"", 9.0)
        shown.close()

        assert shown.failure is None
        written = Path(file.name).read_bytes()
    assert written.isascii()
    match form:
        case DumpFormat.JSON:
            assert len([json.loads(line) for line in written.splitlines()]) == shown.frames
        case DumpFormat.HAR:
            log = json.loads(written)["log"]
            HarLog.model_validate_json(json.dumps(log), strict=True)
        case DumpFormat.TEXT:
            assert written.replace(b"\n", b"").decode().isprintable()


def test_a_file_is_whole_after_every_piece(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_text('{"connection":"what was there before is longer than all that comes"}')
    sink = Sink(str(file))

    seen = []
    for piece in (b"[1", b",22", b",333"):
        sink.write(piece, b"]\n")
        seen.append(file.read_bytes())
    sink.close()

    assert seen == [b"[1]\n", b"[1,22]\n", b"[1,22,333]\n"]
    assert file.read_bytes() == b"[1,22,333]\n"


def test_a_last_piece_without_an_end_is_the_end(tmp_path: Path) -> None:
    sink = Sink(str(tmp_path / "list"))

    sink.write(b"[1", b"]")
    sink.write(b",2]")
    sink.close()

    assert (tmp_path / "list").read_bytes() == b"[1,2]"


def test_standard_output_gets_the_end_at_the_end(capfd: pytest.CaptureFixture[str]) -> None:
    sink = Sink("")

    sink.write(b"[1", b"]\n")
    sink.write(b",2", b"]\n")
    before = capfd.readouterr().out
    sink.close()

    assert (before, capfd.readouterr().out) == ("[1,2", "]\n")


def test_only_the_user_reads_the_file(tmp_path: Path) -> None:
    Sink(str(tmp_path / "dump")).close()

    assert (tmp_path / "dump").stat().st_mode & 0o777 == 0o600


def test_a_file_that_others_could_read_is_the_users_own_from_now_on(tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.touch()
    file.chmod(0o644)

    Sink(str(file)).close()

    assert file.stat().st_mode & 0o777 == 0o600


def test_a_named_pipe_gets_the_pieces_in_order(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    sink = Sink(str(pipe))

    sink.write(b"[1", b"]")
    sink.write(b",2", b"]")
    sink.close()

    assert os.read(reader, 100) == b"[1,2]"
    os.close(reader)


def test_one_that_cannot_be_opened_or_written_says_so(tmp_path: Path) -> None:
    with pytest.raises(Failed, match=r"cannot write .*/missing/dump: No such file or directory"):
        Sink(str(tmp_path / "missing" / "dump"))
    with pytest.raises(Failed, match="cannot write /dev/full: No space left on device"):
        Sink("/dev/full").write(b"x")


def test_a_pipe_that_nobody_reads_is_told_apart(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    sink = Sink(str(pipe))
    os.close(reader)

    with pytest.raises(BrokenPipeError):
        sink.write(b"x")
