"""Starting a Python program that need not import everything first.

Half a second of each start of a server is imports, always the same. Here a parent imports them
once, and forks for each program that a test starts: a process of its own, with the standard
streams, the folder and the environment of a program that was started by itself. Both sides are
here:

    Program   a program, for a test; it resembles `subprocess.Popen`
    Piped     one whose standard streams are pipes, if nothing else is wanted
    stand_in  the path of a program to run in place of Python, for commands that start another one
    _main     the parent, one for each process that runs tests

`multiprocessing` has a fork server, too, but its children have the streams, the folder and the
environment of that server, only Python code that pickles objects can ask for one, and they end
without what a program does at its end (`os._exit`).

The parent ends when the process that runs tests does, be it killed, and ends all programs before.

Tests of the start itself, or of what a program costs, start it themselves.
"""

from __future__ import annotations

import ast
import atexit
import fcntl
import gc
import importlib
import os
import resource
import runpy
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import IO

_IMPORTS = (
    "headstart.admin.site",
    "headstart.cli.demo",
    "headstart.cli.serve",
    "headstart.client",
    "headstart.h2c.command.local",
    "headstart.h2c.daemon.service",
    "headstart.h2c.dump.tap",
    "headstart.h2c.options",
    "headstart.server.run",
)
_ROOT = Path(__file__).parents[1]
_PATIENCE = 90.0
_MOST_DESCRIPTORS = 64
# Without a bound, macOS has no such limit.
_OPEN_FILES = 4096
# Bytes of an id or a status.
_NUMBER = 12
# Above every number of a descriptor that a program is started with.
_ABOVE = 256

# Hands on what Python was started with, and ends once the program runs.
_STAND_IN = """#!{python} -IS
import os, sys
from _socket import AF_UNIX, SCM_RIGHTS, SOL_SOCKET, socket
from resource import RLIMIT_NOFILE, getrlimit
descriptors = []
for descriptor in range(64):
    try:
        if os.get_inheritable(descriptor):
            descriptors.append(descriptor)
    except OSError:
        pass
mask = os.umask(0)
open_files = getrlimit(RLIMIT_NOFILE)[0]
start = sys.argv.index("-m")
request = dict(
    module=sys.argv[start + 1], arguments=sys.argv[start + 2 :], safe="-P" in sys.argv[:start],
    folder=os.getcwd(), mask=mask, open_files=open_files, environment=dict(os.environ),
    descriptors=descriptors,
)
connection = socket(AF_UNIX)
connection.connect({path!r})
rights = b"".join(each.to_bytes(4, sys.byteorder) for each in descriptors)
text = repr(request).encode()
connection.sendmsg([len(text).to_bytes(4)], [(SOL_SOCKET, SCM_RIGHTS, rights)])
connection.sendall(text)
connection.recv(32)
"""


@dataclass(frozen=True)
class _Request:
    module: str
    arguments: list[str]
    folder: str
    mask: int
    open_files: int
    environment: dict[str, str]
    descriptors: list[int]
    safe: bool


class Program:
    """`python -m MODULE ARGUMENTS`, in a session of its own.

    Args:
        output: The descriptor of standard output.
        errors: That of standard error.
        input: That of standard input; None for an empty one.
        pass_fds: Other descriptors that it has, too.
        safe: As with Python's `-P`, the folder's modules are not found.

    Attributes:
        pid: The process's id.

    Raises:
        RuntimeError: The parent could not fork, or has ended; also of `poll` and `wait`.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        output: int,
        errors: int,
        environment: Mapping[str, str],
        input: int | None = None,
        folder: Path | None = None,
        pass_fds: Sequence[int] = (),
        safe: bool = False,
    ) -> None:
        mask = os.umask(0)
        os.umask(mask)
        request = _Request(
            module=module,
            arguments=list(arguments),
            folder=str(folder or Path.cwd()),
            mask=mask,
            open_files=resource.getrlimit(resource.RLIMIT_NOFILE)[0],
            environment=dict(environment),
            descriptors=[0, 1, 2, *pass_fds],
            safe=safe,
        )
        text = repr(asdict(request)).encode()
        self._connection = socket.socket(socket.AF_UNIX)
        self._connection.connect(_parent())
        with open(os.devnull, "rb") as nothing:
            read = nothing.fileno() if input is None else input
            rights = [read, output, errors, *pass_fds]
            socket.send_fds(self._connection, [len(text).to_bytes(4)], rights)
        self._connection.sendall(text)
        self._status: int | None = None
        self.pid = self._number()

    def poll(self) -> int | None:
        """Return the exit status, or None while it runs."""
        if self._status is None and select.select([self._connection], [], [], 0)[0]:
            self._take()
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        """Return the exit status once it has ended.

        Raises:
            subprocess.TimeoutExpired: It does not end in so many seconds.
        """
        if self._status is None and not select.select([self._connection], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("a program", timeout or 0.0)
        return self._take()

    def _take(self) -> int:
        if self._status is None:
            self._status = self._number()
            self._connection.close()
        return self._status

    def _number(self) -> int:
        try:
            number = self._connection.recv(_NUMBER)
        except ConnectionResetError:
            number = b""
        if not number:
            self._connection.close()
            raise RuntimeError("the parent of the tests' programs has ended, or could not fork")
        return int(number)

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class Piped(Program):
    """A program with pipes, as `subprocess.Popen` makes them.

    Args:
        stdin, stdout, stderr: `PIPE`, `DEVNULL`, or a descriptor.

    Attributes:
        stdin, stdout, stderr: Our ends of the pipes; None for a stream that is not one.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        folder: Path,
        stdin: int = subprocess.DEVNULL,
        stdout: int = subprocess.PIPE,
        stderr: int = subprocess.PIPE,
        safe: bool = False,
    ) -> None:
        with ExitStack() as its:
            input, self.stdin = _stream(stdin, its, "wb")
            output, self.stdout = _stream(stdout, its, "rb")
            errors, self.stderr = _stream(stderr, its, "rb")
            super().__init__(
                module,
                arguments,
                output=output,
                errors=errors,
                environment=environment,
                input=input,
                folder=folder,
                safe=safe,
            )

    def communicate(self, data: bytes = b"", timeout: float | None = None) -> tuple[bytes, bytes]:
        """Write the data, then return what it writes to its end; b"" for what is not a pipe.

        Raises:
            subprocess.TimeoutExpired: It does not end in so many seconds.
        """
        # Imported here: it imports logging, which in the parent comes after `_leave` is registered.
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor() as threads:
            reading = [threads.submit(_read, each) for each in (self.stdout, self.stderr)]
            writing = threads.submit(_write, self.stdin, data)
            try:
                self.wait(timeout)
            except BaseException:
                self.kill()
                raise
            writing.result()
            output, errors = (each.result() for each in reading)
            return output, errors

    def close(self) -> None:
        """Close our ends of the pipes."""
        for each in (self.stdin, self.stdout, self.stderr):
            if each is not None:
                with suppress(BrokenPipeError):
                    each.close()


def _stream(wanted: int, its: ExitStack, mode: str) -> tuple[int, IO[bytes] | None]:
    """Return a program's descriptor, which is closed with the stack if it is new, and our end."""
    if wanted >= 0:
        return wanted, None
    if wanted == subprocess.DEVNULL:
        return its.enter_context(open(os.devnull, "r+b")).fileno(), None
    reader, writer = os.pipe()
    its_end, ours = (reader, writer) if mode == "wb" else (writer, reader)
    its.callback(os.close, its_end)
    return its_end, os.fdopen(ours, mode)


def _read(stream: IO[bytes] | None) -> bytes:
    return b"" if stream is None or stream.closed else stream.read()


def _write(stream: IO[bytes] | None, data: bytes) -> None:
    if stream is not None and not stream.closed:
        with suppress(BrokenPipeError):  # it needs no more
            stream.write(data)
        with suppress(BrokenPipeError):
            stream.close()


@cache
def stand_in() -> str:
    """Return the path of a program that takes the arguments of Python, `[-P] -m MODULE ...`."""
    path = Path(_parent()).with_name("python")
    path.write_text(_STAND_IN.format(python=sys.executable, path=_parent()))
    path.chmod(0o700)
    return str(path)


@cache
def _parent() -> str:
    """Start the parent; return the path of its socket."""
    folder = tempfile.mkdtemp(prefix="warm-")
    path = f"{folder}/socket"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(_ROOT / "src"), str(_ROOT)]),
        "PYTHONUNBUFFERED": "1",
    }
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "tests.warm", path],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        start_new_session=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    process.stdout.close()

    def end() -> None:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(_PATIENCE)
        shutil.rmtree(folder, ignore_errors=True)

    atexit.register(end)
    return path


class _Parent:
    """The parent's side: waits for requests, for ends of programs, and for the end of the tests."""

    def __init__(self, path: str) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(path)
        self._listener.listen(100)
        self._ended, wakeup = socket.socketpair()
        self._ended.setblocking(False)
        wakeup.setblocking(False)
        self._wakeup = wakeup
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        signal.set_wakeup_fd(wakeup.fileno())
        self._programs: dict[int, socket.socket] = {}

    def wait(self) -> _Request | None:
        """Return in a program's new process, with its request, or at the end of the tests."""
        ended, asked, left = self._ended.fileno(), self._listener.fileno(), 0
        while True:
            readable, _, _ = select.select([ended, asked, left], [], [])
            if ended in readable:
                self._ended.recv(4096)
                self._reap()
            if asked in readable and (request := self._fork()) is not None:
                return request
            if left in readable:
                return None

    def end(self) -> None:
        """End all programs, with the processes that they started in their group."""
        for pid in self._programs:
            os.kill(pid, signal.SIGKILL)
            with suppress(ProcessLookupError):  # it had no time to make a group
                os.killpg(pid, signal.SIGKILL)
        while self._programs:
            self._reap(0)

    def _reap(self, options: int = os.WNOHANG) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, options)
                if not pid:
                    return
                connection = self._programs.pop(pid)
                with suppress(ConnectionError), connection:
                    connection.sendall(b"%12d" % os.waitstatus_to_exitcode(status))

    def _fork(self) -> _Request | None:
        connection, _ = self._listener.accept()
        request, descriptors = _received(connection)
        try:
            pid = os.fork() if request is not None else -1
        except OSError:  # too many processes
            pid = -1
        if not pid:
            assert request is not None
            # Its id is told by itself: who knows it may end its group, which there must be by then.
            os.setsid()
            with suppress(ConnectionError), connection:
                connection.sendall(b"%12d" % os.getpid())
            self._leave()
            _become(request, descriptors)
            return request
        for each in descriptors:
            os.close(each)
        if pid < 0:
            connection.close()
            return None
        self._programs[pid] = connection
        return None

    def _leave(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for each in (self._listener, self._ended, self._wakeup, *self._programs.values()):
            each.close()


def _received(connection: socket.socket) -> tuple[_Request | None, Sequence[int]]:
    """Return a request and its descriptors; None if who sends it was ended meanwhile."""
    descriptors: list[int] = []
    try:
        length, descriptors, _, _ = socket.recv_fds(connection, 4, _MOST_DESCRIPTORS)
        size = int.from_bytes(length)
        with connection.makefile("rb") as sent:
            text = sent.read(size)
    except ConnectionError:
        return None, descriptors
    if not text or len(text) < size:
        return None, descriptors
    return _Request(**ast.literal_eval(text.decode())), descriptors


def _become(request: _Request, descriptors: Sequence[int]) -> None:
    """Take over what the program was given."""
    moved = [fcntl.fcntl(each, fcntl.F_DUPFD_CLOEXEC, _ABOVE) for each in descriptors]
    for each in descriptors:
        os.close(each)
    for wanted, each in zip(request.descriptors, moved, strict=True):
        os.dup2(each, wanted, inheritable=True)
        os.close(each)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (request.open_files, hard))
    os.umask(request.mask)
    os.chdir(request.folder)
    os.environ.clear()
    os.environ.update(request.environment)
    time.tzset()
    sys.argv = [request.module, *request.arguments]
    if not request.safe:
        sys.path.insert(0, request.folder)


def _leave(statuses: Sequence[int]) -> None:
    """End a program that came to its end, once it has done all that has an effect.

    The rest of Python's end takes the imported modules to pieces. In a forked process this copies
    most of its memory, which takes six times as long as the fork.
    """
    if not statuses:
        return
    gc.collect()  # coroutines that nobody awaited, tasks that were not ended: their warnings
    try:
        for stream in (sys.stdout, sys.stderr):
            if stream is not None and not stream.closed:
                stream.flush()
    except OSError:
        return  # Python tries again, and tells of it with a status of its own
    os._exit(statuses[0])


def _run(request: _Request, statuses: list[int]) -> None:
    """Run the program; note its status, unless it is an error."""
    try:
        runpy.run_module(request.module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            statuses.append(end.code or 0)
        raise
    statuses.append(0)


def _main(path: str) -> None:
    statuses: list[int] = []
    # Before the imports, so that it is called after all that they register.
    atexit.register(_leave, statuses)
    for name in _IMPORTS:
        importlib.import_module(name)
    # So that no program looks through all of it, when it collects garbage or ends.
    gc.freeze()
    # A test may lower the limit of its program, and so that of this process if it is the first.
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, _OPEN_FILES), hard))
    parent = _Parent(path)
    print("ready", flush=True)
    request = parent.wait()
    if request is None:
        parent.end()
        shutil.rmtree(Path(path).parent, ignore_errors=True)
    else:
        _run(request, statuses)


if __name__ == "__main__":
    _main(sys.argv[1])
