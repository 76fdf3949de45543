"""Files of the user's: how they begin, and how they are written without loss.

Called by `cli.map`, `h2c.dump` and `store.ownership`. Imports no more than it must: `h2c` needs it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def beginning(path: Path, size: int) -> bytes:
    """Return the first bytes of a file, so many at most.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return file.read(size)


def has_other_content(path: Path, beginnings: tuple[bytes, ...]) -> bool:
    """Return whether a file is there whose content has none of these beginnings.

    An empty file, a pipe and a device hold nothing.

    Raises:
        OSError: The file cannot be read.
    """
    if not path.is_file():
        return False
    head = beginning(path, max(map(len, beginnings)))
    return bool(head) and not head.startswith(beginnings)


def write_whole(path: Path, text: str) -> None:
    """Write a file as a whole or not at all, and leave nothing beside it; write to a pipe.

    Raises:
        OSError: The file cannot be written. Its old content is unchanged.
    """
    if path.exists() and not path.is_file():
        path.write_text(text, encoding="utf-8")
        return
    target = path.resolve()  # a link stays one
    temporary = target.with_name(f".{target.name}.{os.getpid()}.new")
    mode = target.stat().st_mode & 0o777 if target.exists() else None
    try:
        # Exclusive: nothing of that name is written to or followed, and nothing else is removed.
        with temporary.open("x", encoding="utf-8") as file:
            if mode is not None:
                temporary.chmod(mode)
            file.write(text)
        temporary.replace(target)
    except FileExistsError:
        raise
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
