"""The command's half of the conversation."""

from __future__ import annotations

import os
import signal
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from headstart.h2c import exits, ipc, streams
from headstart.h2c.command import conversation
from headstart.h2c.command.conversation import Conversation, Output
from headstart.h2c.ipc import Place
from headstart.h2c.streams import Failed

PLACE = Place("/nowhere", "the")
Script = Callable[[socket.socket], None]


@pytest.fixture
def converse(tmp_path: Path) -> Callable[[Script], int]:
    """Runs a conversation against a script for the other side."""

    def run(script: Script) -> int:
        ours, theirs = socket.socketpair()
        other = threading.Thread(target=script, args=(theirs,))
        other.start()
        try:
            return Conversation(ours, PLACE).run(b"request")
        finally:
            other.join(90)
            theirs.close()

    return run


def says(*frames: bytes) -> Script:
    def script(connection: socket.socket) -> None:
        assert connection.recv(7) == b"request"
        connection.sendall(b"".join(frames))

    return script


def exit_with(code: int) -> bytes:
    return ipc.frame(ipc.EXIT, bytes([code]))


def test_output_and_messages_go_where_they_belong(
    converse: Callable[[Script], int], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    code = converse(
        says(
            ipc.frame(ipc.OUTPUT, b"\0\xff out"),
            ipc.frame(ipc.MESSAGE, b"a message\n"),
            exit_with(4),
        )
    )

    assert code == 4
    assert capfdbinary.readouterr() == (b"\0\xff out", b"a message\n")


@pytest.mark.parametrize(("content", "between"), [(b"half", b"\n"), (b"whole\n", b""), (b"", b"")])
def test_a_message_begins_a_line_on_a_terminal_that_shows_content(
    content: bytes,
    between: bytes,
    converse: Callable[[Script], int],
    capfdbinary: pytest.CaptureFixture[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(conversation, "is_terminal", lambda _: True)

    def script(connection: socket.socket) -> None:
        connection.recv(7)
        connection.sendall(ipc.frame(ipc.OUTPUT, content))
        connection.shutdown(socket.SHUT_RDWR)

    message = ipc.frame(ipc.MESSAGE, b"a message\n")
    converse(says(ipc.frame(ipc.OUTPUT, content), message, exit_with(1)))
    with pytest.raises(Failed, match="went away"):
        converse(script)

    assert capfdbinary.readouterr() == ((content + between) * 2, b"a message\n")


@pytest.mark.parametrize("ending", [b"", b"\x10", ipc.frame(ipc.OUTPUT, b"abc")[:-1]])
def test_a_background_process_that_goes_away_is_told(
    ending: bytes, converse: Callable[[Script], int]
) -> None:
    def script(connection: socket.socket) -> None:
        connection.recv(7)
        connection.sendall(ending)
        connection.shutdown(socket.SHUT_RDWR)

    with pytest.raises(Failed, match=r"went away; its log is /nowhere/the\.log") as caught:
        converse(script)
    assert caught.value.code == exits.NOT_CONNECTED


def test_input_is_read_from_the_file_piece_by_piece(
    converse: Callable[[Script], int], tmp_path: Path
) -> None:
    source = tmp_path / "source"
    source.write_bytes(b"abcde")
    pieces: list[bytes] = []

    def script(connection: socket.socket) -> None:
        connection.recv(7)
        connection.sendall(ipc.frame(ipc.OPEN_INPUT, os.fsencode(source)))
        ready = ipc.frame(ipc.READY, (5).to_bytes(8, "big"))
        assert connection.recv(len(ready)) == ready
        for _ in range(3):
            connection.sendall(ipc.frame(ipc.WANT, (3).to_bytes(4, "big")))
            _, size = ipc.read_header(connection.recv(5))
            pieces.append(connection.recv(size) if size else b"")
        connection.sendall(exit_with(0))

    assert converse(script) == 0
    assert pieces == [b"abc", b"de", b""]


def test_an_answer_that_comes_before_the_input_was_taken_is_not_lost(
    converse: Callable[[Script], int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    reading, gone = threading.Event(), threading.Event()

    def read_until_the_other_side_has_gone(descriptor: int, size: int) -> bytes:
        reading.set()
        assert gone.wait(90)
        return b"too late"

    def script(connection: socket.socket) -> None:
        connection.recv(7)
        connection.sendall(ipc.frame(ipc.OPEN_INPUT, b"/dev/zero"))
        connection.recv(5)
        connection.sendall(ipc.frame(ipc.WANT, (3).to_bytes(4, "big")))
        assert reading.wait(90)
        connection.sendall(ipc.frame(ipc.OUTPUT, b"answer") + exit_with(0))
        connection.close()
        gone.set()

    monkeypatch.setattr(conversation, "read_some", read_until_the_other_side_has_gone)

    assert converse(script) == 0
    assert capfd.readouterr() == ("answer", "")


def test_an_answer_does_not_wait_for_input_that_nobody_types(
    converse: Callable[[Script], int], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "silent")
    silent = os.open(tmp_path / "silent", os.O_RDWR)

    def script(connection: socket.socket) -> None:
        connection.recv(7)
        connection.sendall(ipc.frame(ipc.OPEN_INPUT, os.fsencode(tmp_path / "silent")))
        connection.recv(5)
        connection.sendall(ipc.frame(ipc.WANT, (3).to_bytes(4, "big")))
        connection.sendall(ipc.frame(ipc.OUTPUT, b"answer") + exit_with(0))

    assert converse(script) == 0
    assert capfd.readouterr() == ("answer", "")
    os.close(silent)


def test_a_background_process_that_is_gone_before_it_is_asked_is_told() -> None:
    ours, theirs = socket.socketpair()
    theirs.close()

    with pytest.raises(Failed, match="went away"):
        Conversation(ours, PLACE).run(b"request")


def test_a_background_process_that_is_silent_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "PATIENCE", 0.05)
    place = Place(str(tmp_path))
    ours, theirs = socket.socketpair()

    with pytest.raises(Failed, match=r"pid \?\) does not answer") as caught:
        Conversation(ours, place).run(b"request")

    Path(place.lock).write_text("123\n")
    again, other = socket.socketpair()
    with pytest.raises(Failed, match="'kill -CONT 123' wakes one that was stopped"):
        Conversation(again, place).run(b"x" * 10_000_000)
    assert caught.value.code == exits.TIMED_OUT
    theirs.close()
    other.close()


def test_one_that_has_heard_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    patience: list[float | None] = []
    monkeypatch.setattr(Output, "write", lambda *_: patience.append(ours.gettimeout()))

    theirs.sendall(ipc.frame(ipc.HEARD) + ipc.frame(ipc.OUTPUT, b"x"))
    theirs.sendall(exit_with(0))
    assert Conversation(ours, PLACE).run(b"request") == 0
    assert patience == [None]
    theirs.close()


def test_messages_that_nobody_can_read_harm_nothing(
    converse: Callable[[Script], int], capfd: pytest.CaptureFixture[str]
) -> None:
    stderr = os.dup(2)
    full = os.open("/dev/full", os.O_WRONLY)
    os.dup2(full, 2)
    try:
        streams.say("no room for this")
        code = converse(
            says(
                ipc.frame(ipc.MESSAGE, b"nor for this\n"),
                ipc.frame(ipc.OUTPUT, b"out"),
                exit_with(4),
            )
        )
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(full)

    assert code == 4
    assert capfd.readouterr() == ("out", "")


def output_to(path: Path, *frames: bytes, kind: int = ipc.OPEN_OUTPUT) -> Script:
    def script(connection: socket.socket) -> None:
        connection.recv(7)
        connection.sendall(ipc.frame(kind, os.fsencode(path)))
        if connection.recv(5):
            connection.sendall(b"".join(frames))

    return script


def test_a_file_appears_when_all_of_it_has_come(
    converse: Callable[[Script], int], tmp_path: Path
) -> None:
    target = tmp_path / "target"

    code = converse(output_to(target, ipc.frame(ipc.OUTPUT, b"\0new"), exit_with(0)))

    assert code == 0
    assert target.read_bytes() == b"\0new"
    assert os.listdir(tmp_path) == ["target"]


def picture_to(path: Path) -> Script:
    frames = ipc.frame(ipc.OUTPUT, b"<svg/>"), exit_with(0)
    return output_to(path, *frames, kind=ipc.OPEN_PICTURE)


@pytest.mark.parametrize("content", [b"", b"<svg>old</svg>", b"<?xml version='1.0'?>\n<svg/>"])
def test_a_picture_takes_the_place_of_an_older_one(
    content: bytes, converse: Callable[[Script], int], tmp_path: Path
) -> None:
    target = tmp_path / "page.svg"
    target.write_bytes(content)

    assert converse(picture_to(target)) == 0

    assert target.read_bytes() == b"<svg/>"


@pytest.mark.parametrize("content", [b"-----BEGIN CERTIFICATE-----", b"<?xml version='1.0'?><a/>"])
def test_a_picture_takes_the_place_of_nothing_else(
    content: bytes, converse: Callable[[Script], int], tmp_path: Path
) -> None:
    target = tmp_path / "cert.pem"
    target.write_bytes(content)

    with pytest.raises(Failed, match="is not an SVG picture, so it is left as it is"):
        converse(picture_to(target))

    assert target.read_bytes() == content
    assert os.listdir(tmp_path) == ["cert.pem"]


@pytest.mark.parametrize("name", ["x" * 255, "\N{GREEK SMALL LETTER OMEGA}" * 127])
def test_a_name_may_be_as_long_as_the_folder_takes(
    name: str, converse: Callable[[Script], int], tmp_path: Path
) -> None:
    target = tmp_path / name

    code = converse(output_to(target, ipc.frame(ipc.OUTPUT, b"all"), exit_with(0)))

    assert code == 0
    assert target.read_bytes() == b"all"
    assert list(tmp_path.iterdir()) == [target]


def test_an_old_file_stays_when_the_request_fails(
    converse: Callable[[Script], int], tmp_path: Path
) -> None:
    target = tmp_path / "target"
    target.write_text("old")

    code = converse(output_to(target, ipc.frame(ipc.OUTPUT, b"new"), exit_with(1)))

    assert code == 1
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["target"]


@pytest.mark.parametrize(
    ("name", "problem"), [("none", "No such file or directory"), ("", "it is a folder")]
)
def test_an_input_that_cannot_be_read_is_told(name: str, problem: str, tmp_path: Path) -> None:
    with pytest.raises(Failed, match=f"{problem}; check the path behind --file, or .* @ of -d"):
        conversation.open_input(os.fsencode(tmp_path / name))


def test_an_input_that_is_not_open_is_told() -> None:
    closed = os.open("/dev/null", os.O_RDONLY)
    os.close(closed)

    with pytest.raises(Failed, match="cannot read the file: Bad file descriptor"):
        conversation.read_some(closed, 10)


def test_a_pipe_that_somebody_made_non_blocking_is_written_and_read_whole() -> None:
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    sent = os.urandom(300_000)

    def write() -> None:
        streams.write_all(writer, sent)
        os.close(writer)

    writing = threading.Thread(target=write)

    writing.start()
    received = b""
    while piece := conversation.read_some(reader, 50_000):
        received += piece
    writing.join(90)
    os.close(reader)

    assert received == sent


def test_a_request_says_what_was_typed_and_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(conversation, "is_terminal", lambda descriptor: descriptor == 2)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.delenv("NO_COLOR", raising=False)

    frame = conversation.request("1.2", ["get", "/\udcff"])

    fields = frame[ipc.HEADER_SIZE :].split(b"\0")
    assert fields == [b"1.2", os.fsencode(tmp_path), b"ecuw100", b"get", b"/\xff"]
    monkeypatch.setenv("NO_COLOR", "1")
    assert b"\0euw100\0" in conversation.request("1.2", ["get", "/"])


def test_a_folder_that_is_gone_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert conversation.working_folder() == "/"
    monkeypatch.chdir(tmp_path)


def test_the_width_is_the_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)

    def size_of(descriptor: int) -> os.terminal_size:
        if descriptor == 1:
            raise OSError
        return os.terminal_size((132, 40))

    monkeypatch.setattr(os, "get_terminal_size", size_of)
    assert conversation.width() == 132
    monkeypatch.setenv("COLUMNS", "wide")
    monkeypatch.setattr(os, "get_terminal_size", lambda descriptor: os.fstat(-1))
    assert conversation.width() == 0


def test_progress_is_one_line_that_goes_when_something_else_is_said(
    converse: Callable[[Script], int], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    converse(
        says(
            ipc.frame(ipc.PROGRESS, b"10 %"),
            ipc.frame(ipc.PROGRESS, b"20 %"),
            ipc.frame(ipc.MESSAGE, b"a message\n"),
            ipc.frame(ipc.PROGRESS, b"30 %"),
            exit_with(0),
        )
    )

    clear = b"\x1b[K"
    shown = b"\r10 %" + clear + b"\r20 %" + clear + b"\r" + clear + b"a message\n"
    assert capfdbinary.readouterr().err == shown + b"\r30 %" + clear + b"\r" + clear


def test_a_pipe_has_no_size() -> None:
    reader, writer = os.pipe()

    assert conversation.size_of(reader) == b""
    os.close(reader)
    os.close(writer)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """As a person's terminal has it, and as it was afterwards."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_the_first_ctrl_c_is_told_where_that_is_wanted_and_the_second_one_ends_it(
    converse: Callable[[Script], int],
) -> None:
    def script(connection: socket.socket) -> None:
        connection.recv(7)
        connection.sendall(ipc.frame(ipc.PATIENT))
        connection.sendall(ipc.frame(ipc.OPEN_INPUT, b"/dev/null"))
        connection.recv(ipc.HEADER_SIZE)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        assert connection.recv(ipc.HEADER_SIZE) == ipc.frame(ipc.INTERRUPT)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        converse(script)


@pytest.mark.parametrize("ending", ["/", "/.", "/..", "//"])
def test_a_folder_that_is_not_there_is_no_file(ending: str, tmp_path: Path) -> None:
    output = Output()

    with pytest.raises(Failed, match=f"nodir{ending}: it names a folder"):
        output.open(os.fsencode(f"{tmp_path}/nodir{ending}"))
    assert list(tmp_path.iterdir()) == []


def test_a_replaced_file_keeps_its_mode_and_a_link_its_target(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    output = Output()

    output.open(os.fsencode(link))
    output.write(b"new")
    output.keep()

    assert link.is_symlink()
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_device_is_written_in_place() -> None:
    output = Output()

    output.open(b"/dev/null")
    output.write(b"x")
    output.keep()

    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def test_a_pipe_by_the_name_of_its_descriptor_is_written_in_place() -> None:
    reader, writer = os.pipe()
    output = Output()

    output.open(b"/dev/fd/%d" % writer)
    output.write(b"x")
    output.keep()

    assert os.read(reader, 2) == b"x"
    os.close(reader)
    os.close(writer)


def test_a_part_that_somebody_removed_is_no_fault_of_its_own(tmp_path: Path) -> None:
    output = Output()
    output.open(os.fsencode(tmp_path / "file"))
    (part,) = tmp_path.iterdir()

    part.unlink()
    output.discard()
    output.discard()

    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_told() -> None:
    output = Output()
    output.open(b"/dev/full")

    with pytest.raises(Failed, match=r"cannot write /dev/full: No space left"):
        output.write(b"x")


def test_an_output_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Failed, match="No such file or directory; check the path"):
        Output().open(os.fsencode(tmp_path / "none" / "file"))
