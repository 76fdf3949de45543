"""Litestar with a static files router and a template."""

from __future__ import annotations

from pathlib import Path

import flask_bootstrap
from litestar import Litestar, MediaType, get
from litestar.static_files import create_static_files_router

from sites.apps.aged import aged

_STATIC = Path(flask_bootstrap.__file__).parent / "static" / "bootstrap4"

_PAGE = """<!doctype html>
<html lang=en>
<head>
<meta charset=utf-8><title>Bookings</title>
<link rel=stylesheet href=/assets/css/bootstrap.min.css>
<link rel=stylesheet href=/assets/css/font/bootstrap-icons.min.css>
<script defer src=/assets/jquery.min.js></script>
<script defer src=/assets/umd/popper.min.js></script>
<script defer src=/assets/js/bootstrap.min.js></script>
</head>
<body class=container><h1><i class="bi bi-calendar"></i> Bookings</h1></body>
</html>"""


@get("/", media_type=MediaType.HTML)
async def bookings() -> str:
    """Show a page with two stylesheets, a font and three scripts."""
    return _PAGE


app = Litestar([bookings, create_static_files_router("/assets", [aged(_STATIC)])])
