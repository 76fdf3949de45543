"""A folder of static files, as one that was deployed a month ago."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

_MONTH = 30 * 24 * 3600.0


def aged(folder: Path) -> Path:
    """Return a copy of `folder` below `SITE` whose files were last changed a month ago.

    Without Cache-Control a browser keeps a file for a tenth of its age (RFC 9111, 4.2.2). A package
    that was installed a minute ago would be asked for again at once, unlike on any real site.
    """
    copy = Path(os.environ["SITE"]) / folder.name
    shutil.copytree(folder, copy, dirs_exist_ok=True)
    then = time.time() - _MONTH
    for path in copy.rglob("*"):
        os.utime(path, (then, then))
    return copy
