"""The map as configuration of other people's servers: each page's links, by its path.

    plan = plan_of(learner, origin)         # pages with links, and the omissions
    written = configuration(plan, "nginx")  # text for that server, and its omissions

    plan         LinkedPage, AssetLink, LeftOut, Plan: one site's pages; why others are left out
    paths        paths as configurations compare them
    formats      Format: how to install it, its limits; comments
    nginx, apache, caddy, h2o, haproxy, netlify, cloudflare   one each: the syntax and its escapes

Called by `headstart map export`. Pure. Paths and assets come from strangers: each format writes
them so that they can neither end their own line nor be read as anything but themselves. It
leaves out a page that it cannot write so, and gives the reason.
"""

from __future__ import annotations

from typing import Final

from headstart.export import apache, caddy, cloudflare, h2o, haproxy, netlify, nginx
from headstart.export.formats import TITLE, Configuration, Format, written
from headstart.export.plan import AssetLink, LeftOut, LinkedPage, Plan, Reason, plan_of

__all__ = [
    "FORMATS",
    "TITLE",
    "AssetLink",
    "Configuration",
    "Format",
    "LeftOut",
    "LinkedPage",
    "Plan",
    "Reason",
    "configuration",
    "plan_of",
]

FORMATS: Final[dict[str, Format]] = {
    "nginx": nginx.FORMAT,
    "apache": apache.FORMAT,
    "caddy": caddy.FORMAT,
    "h2o": h2o.FORMAT,
    "haproxy": haproxy.FORMAT,
    "netlify": netlify.FORMAT,
    "cloudflare": cloudflare.FORMAT,
}
"""The formats by name."""


def configuration(plan: Plan, name: str) -> Configuration:
    """Return a plan as configuration.

    Args:
        plan: Pages and their links.
        name: One of FORMATS.
    """
    return written(plan, FORMATS[name])
