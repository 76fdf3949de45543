"""A WSGI application: a page that takes 10 ms, its stylesheet and its image."""

from __future__ import annotations

import time
from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment

_FRESH = ("Cache-Control", "max-age=600")


def app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """The application."""
    match environ["PATH_INFO"]:
        case "/":
            time.sleep(0.01)
            start_response("200 OK", [("Content-Type", "text/html; charset=utf-8")])
            ahead = environ["asgi.scope"].get("headstart.decisions", [])
            return [b"<!doctype html>", str(len(ahead)).encode()]
        case "/style.css":
            start_response("200 OK", [("Content-Type", "text/css"), _FRESH])
        case "/logo.svg":
            start_response("200 OK", [("Content-Type", "image/svg+xml"), _FRESH])
        case _:
            start_response("404 Not Found", [("Content-Type", "text/plain")])
    return [b"x" * 100]
