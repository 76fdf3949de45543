"""FastAPI's /docs with Swagger UI from the site itself, as FastAPI's documentation shows it."""

from __future__ import annotations

from pathlib import Path

import swagger_ui_bundle
from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from sites.apps.aged import aged

_STATIC = next((Path(swagger_ui_bundle.__file__).parent / "vendor").iterdir())

app = FastAPI(docs_url=None, redoc_url=None)
app.mount("/static", StaticFiles(directory=aged(_STATIC)), name="static")


@app.get("/docs", include_in_schema=False)
async def docs() -> HTMLResponse:
    """Show Swagger UI."""
    return get_swagger_ui_html(
        openapi_url="/openapi.json",
        title="A service",
        swagger_js_url="/static/swagger-ui-bundle.js",
        swagger_css_url="/static/swagger-ui.css",
        swagger_favicon_url="/static/favicon-32x32.png",
    )


@app.get("/orders/{number}")
async def order(number: int) -> dict[str, int]:
    """Return an order."""
    return {"number": number}
