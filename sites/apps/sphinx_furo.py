"""A Sphinx site with the theme furo, as built files."""

from __future__ import annotations

import os
from pathlib import Path

from sphinx.cmd.build import build_main
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from sites.apps.aged import aged

_FOLDER = Path(os.environ["SITE"])
_SOURCE = _FOLDER / "source"
_BUILT = _FOLDER / "built" / "html"

if not _BUILT.exists():
    _SOURCE.mkdir()
    (_SOURCE / "conf.py").write_text('project = "Manual"\nhtml_theme = "furo"\n')
    (_SOURCE / "index.rst").write_text(
        "Manual\n======\n\n.. toctree::\n\n   use\n\n" + "A sentence.\n\n" * 50
    )
    (_SOURCE / "use.rst").write_text("Use\n===\n\n.. code-block:: python\n\n   print(1)\n")
    if build_main(["-q", "-b", "html", str(_SOURCE), str(_BUILT)]) != 0:
        raise SystemExit("sphinx-build failed")
app = Starlette(routes=[Mount("/", StaticFiles(directory=aged(_BUILT), html=True))])
