"""Datasette with one table; its stylesheet is `app.css?...` without Cache-Control."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from datasette.app import Datasette

_DATABASE = Path(os.environ["SITE"]) / "birds.db"

if not _DATABASE.exists():
    with sqlite3.connect(_DATABASE) as connection:
        connection.execute("CREATE TABLE birds (id INTEGER PRIMARY KEY, name TEXT, seen TEXT)")
        connection.executemany(
            "INSERT INTO birds (name, seen) VALUES (?, ?)",
            [(f"bird {number}", f"2026-05-{number % 28 + 1:02}") for number in range(300)],
        )
    connection.close()
app = Datasette([str(_DATABASE)]).app()
