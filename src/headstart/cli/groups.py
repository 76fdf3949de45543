"""The help of a command with many options: in sections, and first the ten that most people need.

Called by `serve` and `proxy`, whose commands are made of `GroupedCommand`.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Final

import click

# Sections in the order of the help, with their options' names or patterns of them. An option stands
# in the first section that it fits, and its place there is that of what it fits.
SECTIONS: Final[dict[str, tuple[str, ...]]] = {
    "Most used options": (
        *("host", "port", "ssl_certfile", "ssl_keyfile", "workers", "reload", "interface"),
        *("forwarded_allow_ips", "store", "learn"),
    ),
    "Upstream": ("upstream_*", "max_upstream_*", "via"),
    "Application": (
        *("app_dir", "factory", "root_path", "lifespan", "env_file", "reset_contextvars"),
        *("wsgi_*", "pathsend", "reload_*"),
    ),
    "Sending ahead": ("push", "early_hints", "hint_unmarked_clients", "rum", "deliver_*"),
    "Learning": ("learn_*",),
    "Cache": ("cache", "max_cache_entry", "cache_*"),
    "Admin port": ("admin", "admin_*"),
    "Log and traces": ("log_*", "access_log", "use_colors", "tracing"),
    "Response headers and proxies in front": (
        *("headers", "server_header", "date_header", "proxy_headers"),
        "proxy_protocol",
    ),
    "TLS": ("ssl_*", "redirect_http"),
    "Sockets and processes": (
        *("uds", "fd", "backlog", "loop", "limit_*", "timeout_worker_healthcheck"),
        *("timeout_graceful_shutdown", "max_memory"),
    ),
    "Time-outs": (
        *("*_timeout", "timeout_keep_alive", "min_*_rate", "ping_interval", "call_grace"),
    ),
    "Limits of one client and one connection": (*("max_*", "stream_window", "connection_window"),),
    "WebSockets": ("ws", "ws_*"),
    "Other": ("*",),
}


def section_of(name: str) -> tuple[int, int]:
    """Return the number of an option's section, and its place in there."""
    for section, patterns in enumerate(SECTIONS.values()):
        for place, pattern in enumerate(patterns):
            if fnmatchcase(name, pattern):
                return section, place
    raise AssertionError("the last section takes all")


class GroupedCommand(click.Command):
    """A command whose help has its options in `SECTIONS`."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each section that has options."""
        shown: dict[int, list[tuple[int, tuple[str, str]]]] = {}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None and isinstance(param, click.Option):
                section, place = section_of(param.name or "")
                shown.setdefault(section, []).append((place, record))
        for number, title in enumerate(SECTIONS):
            if number in shown:
                ordered = sorted(shown[number], key=lambda entry: entry[0])
                with formatter.section(title):
                    formatter.write_dl([record for _, record in ordered])
