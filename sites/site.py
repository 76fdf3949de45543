"""The sites: which module of `sites.apps` makes each, and the page that is visited."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Site:
    """A site that browsers visit.

    Attributes:
        module: Its module in `sites.apps`.
        page: Path of the page that is visited.
        arguments: What `headstart serve` needs beside the application.
        proxied: The site is no Python application: `headstart proxy` stands in front of it.
    """

    module: str
    page: str
    arguments: tuple[str, ...] = ()
    proxied: bool = False


SITES = (
    Site("django_admin", "/admin/login/"),
    Site("wagtail_cms", "/admin/login/"),
    Site("flask_bootstrap", "/", ("--interface", "wsgi")),
    Site("quart_site", "/"),
    Site("fastapi_docs", "/docs"),
    Site("litestar_site", "/"),
    Site("nicegui_site", "/"),
    Site("datasette_site", "/birds/birds"),
    Site("sphinx_furo", "/"),
    Site("vite_build", "/"),
    Site("wordpress", "/", proxied=True),
)
