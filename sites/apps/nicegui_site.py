"""NiceGUI: a page made of ES modules, with a WebSocket."""

from __future__ import annotations

from fastapi import FastAPI
from nicegui import ui

app = FastAPI()


@ui.page("/")
def page() -> None:
    """Show some elements."""
    ui.label("Machines").classes("text-2xl")
    ui.button("Start", icon="play_arrow")
    ui.table(rows=[{"name": "lathe", "state": "idle"}, {"name": "mill", "state": "busy"}])


ui.run_with(app)
