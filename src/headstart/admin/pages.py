"""The table of routes of the admin port.

Add a page as a `Route`. `app` reads the table.
"""

from __future__ import annotations

from typing import Final

from headstart.admin.health import healthz, readyz
from headstart.admin.routes import Route
from headstart.admin.site.views import SITE_ROUTES

ROUTES: Final[tuple[Route, ...]] = (
    Route("GET", "/healthz", healthz, public=True),
    Route("GET", "/readyz", readyz, public=True),
    *SITE_ROUTES,
)
