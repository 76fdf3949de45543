"""The folders of this user's: for data, and for the sockets of running processes.

Reads the environment and the file system, changes nothing. Called by `devca` and `store.files`, by
`h2c.ipc` and `cache.control`. Imports no more than it must: `h2c` starts with it.
"""

from __future__ import annotations

import os
import stat

from headstart.errors import ConfigurationError

TYPE_CHECKING = False  # importing it from typing would take longer than all the rest
if TYPE_CHECKING:
    from pathlib import Path


def data_folder() -> Path:
    """Return the folder, whether it exists yet or not: $HEADSTART_DATA, or as the platform has it.

    Raises:
        ConfigurationError: This user has no home folder, as in a container whose user id is not in
            /etc/passwd.
    """
    from pathlib import Path

    named = os.environ.get("HEADSTART_DATA")
    if named:
        return Path(named).absolute()
    import platformdirs

    try:
        return Path(platformdirs.user_data_dir("headstart", appauthor=False))
    except RuntimeError as error:
        raise ConfigurationError(
            "this user has no home folder to keep data in",
            hint="set HEADSTART_DATA to a folder of yours, or HOME.",
        ) from error


def runtime_folder(uid: int) -> str:
    """Return the folder for sockets, whether it exists yet or not.

    `headstart` in $XDG_RUNTIME_DIR if that is an absolute path to a folder of the user's, otherwise
    `headstart-UID` in $TMPDIR, or in /tmp. Whoever makes it must make it private (mode 0700), and
    look whose it is before using it.

    Args:
        uid: The user's number.
    """
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(runtime) and _owner_of_folder(runtime) == uid:
        return f"{runtime.rstrip('/')}/headstart"
    temporary = os.environ.get("TMPDIR", "")
    if not os.path.isabs(temporary):
        temporary = "/tmp"  # what POSIX has it default to
    return f"{temporary.rstrip('/')}/headstart-{uid}"


def _owner_of_folder(path: str) -> int | None:
    """Return the number of the user who owns the folder; None if it does not exist."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_uid if stat.S_ISDIR(found.st_mode) else None
