"""Where a response goes: standard output, or a file.

A file named by `-o` is written beside its place and put there when all of it has come. Used by
`conversation`; imports no more than it must.
"""

import os
import stat

from headstart.h2c import exits
from headstart.h2c.streams import Failed, write_all

# Octets of a file's name that are kept in that of the one which is written beside its place.
_LONGEST_KEPT = 100


class Output:
    """Where a response goes: standard output, or a file that appears when it is complete."""

    __slots__ = ("_descriptor", "_ends_line", "_path", "_unfinished")

    def __init__(self) -> None:
        self._descriptor = 1
        self._ends_line = True
        self._path = b""
        self._unfinished = b""

    @property
    def is_amid_line(self) -> bool:
        """Return true if output goes to standard output and its last line is not finished."""
        return self._descriptor == 1 and not self._ends_line

    def open(self, path: bytes) -> None:
        """Write to this file from now on; an old one stays until `keep`.

        Raises:
            Failed: It cannot be written.
        """
        self._path = path
        try:
            mode = mode_of(path)
            if mode is None and os.path.basename(path) in (b"", b".", b".."):
                raise IsADirectoryError(21, "it names a folder")
            if mode is None or stat.S_ISREG(mode):
                self._path = os.path.realpath(path)
                self._open_beside(mode)
            else:  # a device or a pipe, /dev/stdout perhaps: nothing can be put in its place
                self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            raise self._failure(error) from error

    def _open_beside(self, mode: int | None) -> None:
        if mode is not None and not os.access(self._path, os.W_OK):
            raise PermissionError(13, "permission denied")
        folder, name = os.path.split(self._path)
        beside = os.path.join(folder, b"%b.%d.part" % (shortened(name), os.getpid()))
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._descriptor = os.open(beside, flags, 0o666)
        self._unfinished = beside
        if mode is not None:
            os.fchmod(self._descriptor, stat.S_IMODE(mode))

    def write(self, data: bytes) -> None:
        """Write all of it.

        Raises:
            Failed: The disk is full, for instance.
            BrokenPipeError: Nobody reads it any more.
        """
        try:
            write_all(self._descriptor, data)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise self._failure(error) from error
        if data:
            self._ends_line = data.endswith(b"\n")

    def keep(self) -> None:
        """All has come: put the file in its place.

        Raises:
            Failed: That cannot be done.
        """
        if not self._unfinished:
            return
        try:
            os.close(self._descriptor)
            os.replace(self._unfinished, self._path)
        except OSError as error:
            raise self._failure(error) from error
        self._unfinished = b""

    def discard(self) -> None:
        """Remove an incomplete file; do nothing after `keep`."""
        if self._unfinished:
            unfinished, self._unfinished = self._unfinished, b""
            try:
                os.unlink(unfinished)
            except OSError:
                return  # somebody else removed it, or its folder; why we end is told already

    def _failure(self, error: OSError) -> Failed:
        name = os.fsdecode(self._path) if self._path else "standard output"
        return Failed(exits.CANNOT_WRITE.format(name, error.strerror))


def shortened(name: bytes) -> bytes:
    """Return the name, cut if it leaves no room for a suffix: a file name may have 255 bytes."""
    if len(name) <= _LONGEST_KEPT:
        return name
    return name[:_LONGEST_KEPT].decode("utf-8", "ignore").encode()


def mode_of(path: bytes) -> int | None:
    """Return the mode of the file at the path, or None if it does not exist."""
    try:
        return os.stat(path).st_mode
    except FileNotFoundError:
        return None
