"""List and purge in a running server, over a Unix socket that each worker listens on.

    <folder>/<process id>.sock    one line of JSON in, one line out

The folder belongs to the user that the server runs as, and nobody else may enter it. Started and
stopped by `middleware` with the server; `ask` is called by `headstart cache`.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import socket
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from headstart.cache.memory import Entry, Memory
from headstart.cache.requests import Key
from headstart.errors import ConfigurationError
from headstart.folders import runtime_folder

logger = logging.getLogger("headstart.cache")

_LONGEST: Final = 16 * 1024
_SECONDS: Final = 10.0
_PRINTABLE: Final = "".join(map(chr, range(0x21, 0x7F)))


def default_folder() -> Path:
    """Return the folder of the user's servers. The folder above it is that of `h2c`."""
    return Path(runtime_folder(os.getuid()), "cache")


def url_of(key: Key) -> str:
    """Return the URL of a stored response, in printable ASCII: it is shown on terminals."""
    scheme, host, target, _ = key
    return f"{scheme}://{quote(host, _PRINTABLE)}{quote(target, _PRINTABLE)}"


def matches(key: Key, pattern: str) -> bool:
    """Return whether a URL or a path names the key; a `*` at the end stands for all."""
    url = url_of(key)
    pattern = quote(pattern, _PRINTABLE)  # a path may be pasted as a browser shows it
    told = url if "://" in pattern else url[url.index("/", url.index("://") + 3) :]
    return told.startswith(pattern[:-1]) if pattern.endswith("*") else told == pattern


class Control:
    """The listening end.

    Args:
        memory: The entries to list.
        fetches: Keys whose responses are on their way.
        purge: Removes the entries of a key; returns their number.
        folder: The socket's folder; "" for the user's own.
        clock: Seconds since 1970.
    """

    def __init__(
        self,
        memory: Memory,
        fetches: Collection[Key],
        purge: Callable[[Key], int],
        folder: str,
        clock: Callable[[], float],
    ) -> None:
        self._memory = memory
        self._fetches = fetches
        self._purge = purge
        self._folder = folder
        self._clock = clock
        self._server: asyncio.Server | None = None
        self._path: Path | None = None

    async def start(self) -> None:
        """Listen. A folder that cannot be used is a line of the log: the cache works without."""
        try:
            folder = Path(self._folder) if self._folder else default_folder()
            if not self._folder:
                # The folder above may be in /tmp, and h2c refuses one that others may enter.
                _make_private(folder.parent)
            _make_private(folder)
            path = folder / f"{os.getpid()}.sock"
            path.unlink(missing_ok=True)
            self._server = await asyncio.start_unix_server(self._serve, path, limit=_LONGEST)
        except ConfigurationError as error:
            logger.warning("The cache cannot be listed or purged: %s. %s", error, error.hint)
            return
        except OSError as error:
            logger.warning("The cache cannot be listed or purged: %s", error)
            return
        self._path = path

    async def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.close()
            self._server = None
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_SECONDS):
                with suppress(ValueError, OSError):
                    asked = json.loads(await reader.readline())
                    writer.write(json.dumps(self._answer(asked)).encode() + b"\n")
                    await writer.drain()
        except TimeoutError:
            return
        finally:
            writer.close()

    def _answer(self, asked: Any) -> Any:
        if "purge" in asked:
            known = {*self._fetches, *(key for key, _ in self._memory)}
            keys = [key for key in known if matches(key, asked["purge"])]
            return {"purged": sum(self._purge(key) for key in keys)}
        now = self._clock()
        rows = [_row(key, entry, now) for key, entry in self._memory]
        return {"size": self._memory.size, "used": self._memory.used, "entries": rows}


def _row(key: Key, entry: Entry, now: float) -> dict[str, Any]:
    return {
        "url": url_of(key),
        "status": entry.status,
        "size": entry.size,
        "age": round(entry.age(now)),
        "fresh_for": round(entry.left(now)),
        "hits": entry.hits,
        "vary": [name.decode("latin-1") for name in entry.vary],
    }


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private(folder)


def check_private(folder: Path) -> None:
    """Check that the folder belongs to this user and that nobody else may enter it.

    Raises:
        ConfigurationError: It does not, or somebody may.
        OSError: The folder does not exist.
    """
    found = folder.stat()
    if found.st_uid != os.getuid():
        raise ConfigurationError(
            f"{folder} belongs to user {found.st_uid}",
            hint="Name another folder with --cache-control.",
        )
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise ConfigurationError(
            f"{folder} may be entered by others", hint=f"Run chmod 700 {folder}."
        )


def ask(folder: Path, question: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Ask every worker of every server that listens in the folder; yield the answers.

    Each has its process's number as `worker`.
    A socket that nobody listens on any more is removed.

    Raises:
        ConfigurationError: A worker did not answer. All others were asked before.
    """
    problem: ConfigurationError | None = None
    for path in sorted(folder.glob("*.sock")):
        try:
            answer = _ask_one(path, question)
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
        except ConnectionError:
            continue  # it ended just now, and its cache with it
        except (OSError, ValueError) as error:
            slow = isinstance(error, TimeoutError)
            why = f"no answer within {_SECONDS:g} s" if slow else str(error)
            problem = ConfigurationError(
                f"The worker at {path} cannot be asked: {why}",
                hint="The others were asked. Restart the server if this one does not recover.",
            )
        else:
            if answer is not None:
                yield {"worker": path.stem, **answer}
    if problem is not None:
        raise problem


def _ask_one(path: Path, question: dict[str, Any]) -> dict[str, Any] | None:
    """Return a worker's answer; None if it ended before."""
    with socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(_SECONDS)
        asked.connect(str(path))
        asked.sendall(json.dumps(question).encode() + b"\n")
        with asked.makefile("rb") as stream:
            line = stream.readline()
    if not line:
        return None
    answer = json.loads(line)
    if not isinstance(answer, dict):
        raise ValueError("its answer is not an object")
    return answer
