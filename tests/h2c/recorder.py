"""A command that writes down what it is told, for tests without a second process."""

from __future__ import annotations

import asyncio

from headstart.h2c.daemon.conversation import Conversation


class Recorder(Conversation):
    """Attributes: `output`, `messages`, lines of progress `shown`, the paths of files `opened`;
    `input` is what is read. `closed` is how much had been written when the file was complete."""

    def __init__(self, *pieces: bytes) -> None:
        self.interrupted = asyncio.Event()
        self.patient = False
        self.closed = 0
        self.shown: list[str] = []
        self.output = b""
        self.messages: list[str] = []
        self.opened: list[str] = []
        self.input = list(pieces)

    async def out(self, data: bytes) -> None:
        self.output += data

    async def say(self, message: str) -> None:
        self.messages.append(message)

    async def open_output(self, path: str) -> None:
        self.opened.append(path)

    async def open_picture(self, path: str) -> None:
        self.opened.append(path)

    async def close_output(self) -> None:
        self.closed = len(self.output)

    async def progress(self, line: str) -> None:
        self.shown.append(line)

    async def be_patient(self) -> None:
        self.patient = True

    async def open_input(self, path: str) -> int | None:
        self.opened.append(path)
        return sum(map(len, self.input))

    async def read(self) -> bytes:
        return self.input.pop(0) if self.input else b""
