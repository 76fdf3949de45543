"""Recorded bytes of real servers, changed at random: `headstart.AsyncClient` and `h2c`.

The transcripts are in `transcripts/`; `record.py` made them.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

from headstart.client import AsyncClient
from headstart.errors import HeadstartError
from headstart.h2c import exits
from headstart.wire.frames import ConnectionFrames, Direction
from tests.clock import ClockLoop
from tests.fuzzing.memory import Socket
from tests.fuzzing.mutations import mutate
from tests.fuzzing.profile import WANTED
from tests.fuzzing.record import TRANSCRIPTS
from tests.fuzzing.story import AUTHORITY, Transcript, tell
from tests.h2c.room import PATIENCE, Result, Room, room
from tests.servers.site import FILES, PAGE

pytestmark = pytest.mark.timeout(300)

RECORDED: Final = sorted(path for path in TRANSCRIPTS.iterdir() if path.suffix != ".page")
PAGES: Final = sorted(TRANSCRIPTS.glob("*.page"))
# Over all transcripts; `make fuzz` asks for more.
RUNS: Final = (WANTED or (10_000 if os.environ.get("CI") else 1_000)) // len(RECORDED)
PAGE_RUNS: Final = 40
KNOWN: Final = {exits.OK, exits.REQUEST_FAILED, exits.NOT_CONNECTED, exits.TIMED_OUT}
# Beyond every time-out of the client.
_LONG: Final = 100.0

of_all = pytest.mark.parametrize("file", RECORDED, ids=lambda file: file.name)


@dataclass(frozen=True, slots=True)
class Played:
    """How a server says what it says."""

    transcript: Transcript
    segment: int = 1 << 20
    closes: bool = False

    @classmethod
    def mutated(cls, transcript: Transcript, dice: random.Random) -> Played:
        """Something is wrong with it; most often behind the greeting, or nothing follows."""
        greeting, rest = transcript.greeting, transcript.rest
        if dice.random() < 0.1:
            greeting = mutate(greeting, dice)
        else:
            rest = mutate(rest, dice)
        segment = dice.choice([1 << 20, 1 << 20, 1 << 20, 300, 60, 17])
        return cls(Transcript(greeting, rest), segment, dice.random() < 0.7)

    def parts(self) -> Iterator[bytes]:
        """The segments behind the greeting."""
        rest, size = self.transcript.rest, self.segment
        return (rest[at : at + size] for at in range(0, len(rest), size))


class ServerLoop(ClockLoop):
    """A loop on which every connection leads to such a server."""

    def __init__(self, played: Played) -> None:
        super().__init__()
        self._played = played
        self._playing: set[asyncio.Task[None]] = set()

    async def create_connection(
        self, protocol_factory: Callable[..., Any], *_: Any, **__: Any
    ) -> Any:
        """What asyncio's gives, in memory."""
        protocol = protocol_factory()
        made = Socket(protocol, self)
        protocol.connection_made(made)
        self._playing.add(self.create_task(self._play(made)))
        return made, protocol

    async def _play(self, made: Socket) -> None:
        made.protocol.data_received(self._played.transcript.greeting)
        # Time stands still as long as the client has something to do: it has asked by then.
        await asyncio.sleep(0.01)
        for part in self._played.parts():
            made.read(1 << 30)
            if made.is_closing():
                return
            made.protocol.data_received(part)
            await asyncio.sleep(0.001)
        if self._played.closes and not made.is_closing():
            made.protocol.eof_received()
            made.abort()
        while not made.lost:
            made.read(1 << 30)
            await asyncio.sleep(20)


async def _asked(push: bool) -> list[bytes | HeadstartError]:
    async with AsyncClient(f"http://{AUTHORITY}", push=push, timeout=90) as client:
        outcomes = await tell(client)
    await asyncio.sleep(_LONG)
    return outcomes


def ask(played: Played, push: bool) -> list[bytes | HeadstartError]:
    """Tell the story to such a server; nothing may be left behind."""
    with closing(ServerLoop(played)) as loop:
        outcomes = loop.run_until_complete(_asked(push))

        assert loop.problems == []
        assert asyncio.all_tasks(loop) == set()
        assert loop.timers == []
    return outcomes


@of_all
def test_transcript_is_understood_as_it_was_recorded(file: Path) -> None:
    outcomes = ask(Played(Transcript.parse(file.read_bytes())), file.suffix == ".push")

    page, echo, octets, _ = outcomes
    assert (page, echo, octets) == (FILES[PAGE], b"hello", FILES["/octets.bin"])


@of_all
def test_client_raises_only_errors_of_its_own_tree(file: Path) -> None:
    transcript = Transcript.parse(file.read_bytes())
    outcomes: list[bytes | HeadstartError] = []

    for seed in range(RUNS):
        if seed % 100 == 0:
            gc.collect()  # or `all_tasks` looks through all that were
        played = Played.mutated(transcript, random.Random(seed))
        try:
            outcomes += ask(played, file.suffix == ".push")
        except BaseException as error:
            error.add_note(f"{file.name}, seed {seed}: {played}")
            raise

    # Neither all well nor all broken: the mutations hit what they should.
    failed = sum(isinstance(outcome, HeadstartError) for outcome in outcomes)
    assert 0.2 < failed / len(outcomes) < 0.9


# The background process of h2c, over real sockets.


class Server:
    """Plays what it is told to the next connection that asks for something, and closes it."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.played = Played(Transcript(b"", b""))
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                self._play(connection)

    def _play(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        connection.sendall(self.played.transcript.greeting)
        frames = ConnectionFrames()
        while data := connection.recv(65536):
            if any(frame.kind == "HEADERS" for frame in frames.feed(Direction.SENT, data, 0.0)):
                break
        for part in self.played.parts():
            connection.sendall(part)

    def close(self) -> None:
        """Take no more connections."""
        # A thread that waits in accept hears of it only so.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)


@contextmanager
def playing() -> Iterator[Server]:
    server = Server()
    try:
        yield server
    finally:
        server.close()


@pytest.mark.parametrize("file", PAGES, ids=lambda file: file.name)
def test_background_process_survives_and_says_what_went_wrong(tmp_path: Path, file: Path) -> None:
    transcript, codes = Transcript.parse(file.read_bytes()), set[int]()
    with room(tmp_path) as terminal, playing() as server:
        assert terminal.h2c("start", "--detach", "--dump=frames.txt").code == exits.OK
        before = terminal.ok("pid")
        server.played = Played(transcript)
        assert _get(terminal, server, timeout=PATIENCE / 2).out == FILES[PAGE]

        for seed in range(PAGE_RUNS):
            server.played = Played.mutated(transcript, random.Random(seed))
            result = _get(terminal, server)
            assert result.code in KNOWN, (seed, result)
            assert "Traceback" not in result.err, (seed, result)
            codes.add(result.code)

        assert terminal.ok("pid") == before
        assert (terminal.private / "default.log").read_text() == ""
    assert len(codes) > 1, codes


def _get(terminal: Room, server: Server, timeout: float = 1.0) -> Result:
    options = ("-H", f"host: {AUTHORITY}", "--timeout", f"{timeout:g}")
    return terminal.h2c("get", *options, server.url + PAGE)
