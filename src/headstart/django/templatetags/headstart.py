"""`{% headstart "app.css" "app.js" %}`: elements that load assets, and the hint for them.

Loaded by Django for `{% load headstart %}`. Reads the request from the context; `headstart.django`
sends the hint.
"""

from __future__ import annotations

from typing import Any, Final

from django import template
from django.http import HttpRequest
from django.template import Context
from django.templatetags.static import static
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString

from headstart.django import hint
from headstart.wire.links import Link, LinkError

register = template.Library()

# The attributes of an element that its link must repeat, or a browser fetches the asset twice.
_REPEATED: Final = ("crossorigin", "fetchpriority", "integrity", "media", "nonce")
# The attributes of scripts alone.
_OF_SCRIPTS: Final = frozenset({"async", "defer", "type"})


def headstart(context: Context, *assets: str, **attributes: Any) -> SafeString:
    """Return the elements that load the assets, and hint them all in one 103.

    Use it once, in the head of the page: browsers read only one 103. The assets of a second use
    become `Link` headers.

    Args:
        context: Of the template. Without a request in it, nothing is hinted.
        assets: Names of static files, or URLs. Stylesheets and scripts get their elements, fonts
            and images a `<link rel=preload>`.
        attributes: For each element, as in HTML: `defer=True`, `type="module"`, `nonce=csp_nonce`.
            `async`, `defer` and `type` are for scripts alone.

    Raises:
        LinkError: The name of an asset does not tell its use, or an attribute has no such value.
    """
    given = {name.replace("_", "-"): value for name, value in attributes.items()}
    links = [_link(_url(asset), given) for asset in assets]
    request = context.get("request", getattr(context, "request", None))
    if isinstance(request, HttpRequest):
        hint(request, *links)
    return format_html_join("\n", "{}", ((_element(link, given),) for link in links))


register.simple_tag(headstart, takes_context=True)


def _url(asset: str) -> str:
    """Return the URL of a static file, or the URL that was given."""
    return asset if asset.startswith("/") or "://" in asset else static(asset)


def _link(url: str, attributes: dict[str, Any]) -> Link:
    guessed = Link.guess(url)
    # `Link` checks the values.
    more: dict[str, Any] = {
        name: str(attributes[name]) for name in _REPEATED if attributes.get(name)
    }
    if attributes.get("crossorigin") is True:
        more["crossorigin"] = "anonymous"
    if guessed.as_ == "script" and attributes.get("type") == "module":
        return Link(url, "modulepreload", **more)
    return Link(url, guessed.rel, guessed.as_, **more)


def _element(link: Link, attributes: dict[str, Any]) -> SafeString:
    if link.as_ in ("style", "font", "image"):
        attributes = {name: attributes[name] for name in attributes if name not in _OF_SCRIPTS}
    match link.as_, link.rel:
        case "style", _:
            return format_html(
                '<link rel="stylesheet" href="{}"{}>', link.target, _html(attributes)
            )
        case _, "modulepreload":
            own = _html({"src": link.target, "type": "module", **attributes})
            return format_html("<script{}></script>", own)
        case "script", _:
            return format_html("<script{}></script>", _html({"src": link.target, **attributes}))
        case "font" | "image", _:
            more = {"as": link.as_, "crossorigin": link.crossorigin, **attributes}
            return format_html("<link{}>", _html({"rel": "preload", "href": link.target, **more}))
        case _:
            raise LinkError(f"no element loads {link.target!r}")


def _html(attributes: dict[str, Any]) -> SafeString:
    """Return attributes as they stand in an element; True is one without a value."""
    written = (
        # Literals in templates count as safe, and may hold a quotation mark all the same.
        format_html(" {}", name) if value is True else format_html(' {}="{}"', name, escape(value))
        for name, value in attributes.items()
        if value or value == ""
    )
    return format_html_join("", "{}", ((one,) for one in written))
