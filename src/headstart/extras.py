"""The command that installs an extra, by the way in which Headstart was installed.

Reads the installed package's `direct_url.json`. Called where a package is missing.
"""

from __future__ import annotations

import json
import shlex
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import unquote, urlsplit


def install_command(extra: str) -> str:
    """Return a command for the shell.

    A clone or a wheel is named by its path: the index may have no such package, or another version.
    """
    source = "headstart"
    try:
        told = distribution("headstart").read_text("direct_url.json")
        url = urlsplit(json.loads(told)["url"]) if told else None
    except (PackageNotFoundError, ValueError, KeyError):
        url = None
    if url is not None and url.scheme == "file" and Path(unquote(url.path)).exists():
        source = unquote(url.path)
    return f"pip install {shlex.quote(f'{source}[{extra}]')}"
