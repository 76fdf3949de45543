"""A command that writes down what it is told, for tests without a second process."""

from __future__ import annotations

from headstart.h2c.conversation import Conversation


class Recorder(Conversation):
    """Attributes: `output`, `messages`, the paths of files `opened`; `input` is what is read."""

    def __init__(self, *pieces: bytes) -> None:
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

    async def open_input(self, path: str) -> None:
        self.opened.append(path)

    async def read(self) -> bytes:
        return self.input.pop(0) if self.input else b""
