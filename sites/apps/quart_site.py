"""Quart, with Bootstrap's files in its static folder."""

from __future__ import annotations

import asyncio
from pathlib import Path

import flask_bootstrap
from quart import Quart, render_template_string

_STATIC = Path(flask_bootstrap.__file__).parent / "static" / "bootstrap5"

app = Quart(__name__, static_folder=str(_STATIC), static_url_path="/static")

_PAGE = """<!doctype html>
<html lang=en>
<head>
<meta charset=utf-8><title>Messages</title>
<link rel=stylesheet href="{{ url_for('static', filename='css/bootstrap.min.css') }}">
<link rel=stylesheet href="{{ url_for('static', filename='css/font/bootstrap-icons.min.css') }}">
</head>
<body class=container>
<h1><i class="bi bi-envelope"></i> Messages</h1>
<script src="{{ url_for('static', filename='umd/popper.min.js') }}"></script>
<script src="{{ url_for('static', filename='js/bootstrap.min.js') }}"></script>
</body>
</html>"""


@app.route("/")
async def messages() -> str:
    """Show a page that takes as long as a look into a database."""
    await asyncio.sleep(0.03)
    return await render_template_string(_PAGE)
