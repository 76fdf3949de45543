"""ASGI scopes for the requests of one connection.

Reads a request and the client's settings; changes nothing. `http2_streams.Http2Streams` makes one
`Scopes` for its connection, `http1.Http1Connection` one `Http1Scopes`; `ahead` asks why a request
takes no 103.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from uvicorn.config import Config

from headstart.config import ServerOptions
from headstart.deliver.asgi import EMPTY_QUERY, OURS, HeadstartExtension
from headstart.deliver.request import is_grpc, is_navigation
from headstart.reasons import Refusal
from headstart.server.addresses import local_address, remote_address
from headstart.server.counters import EXTENSION, Counters
from headstart.server.cycle import Scope
from headstart.wire.events import Fields, RequestReceived, RequestTemplate
from headstart.wire.server import ServerConnection

FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto"})
_WATCHED = FORWARDED | {b"expect", b"te"}
_NONE: Fields = []
"""Nothing watched: one list for all, which nobody changes."""

# Targets that are kept in parts: 1,024 of 256 bytes at most.
_REMEMBERED = 1024
_REMEMBERED_LENGTH = 256

_connection_ids = itertools.count(1)


def watched_fields(request: RequestReceived) -> Fields:
    """Return the fields that change the offered extensions or the application; most requests have
    none.
    """
    headers = request.headers
    if _WATCHED.isdisjoint(dict(headers)):
        return _NONE
    return [pair for pair in headers if pair[0] in _WATCHED]


def expects_continue(watched: Fields) -> bool:
    """Return true if the client waits for a 100 before it sends the body (RFC 9110, 10.1.1)."""
    return any(name == b"expect" and value.lower() == b"100-continue" for name, value in watched)


@dataclass(frozen=True, slots=True)
class _Model:
    """The scope of a request with a template, which those of others are copied from."""

    template: RequestTemplate | None
    target: bytes
    push_enabled: bool
    watched: Fields
    scope: dict[str, Any]


_NO_MODEL = _Model(None, b"", False, [], {})


class _ConnectionScopes:
    """The common part of one connection's scopes.

    Attributes:
        client: The client's address and port, or None.
        scheme: The transport's: https or http.
        raw_root: The root path, the prefix of every path of a scope.
    """

    def __init__(
        self, config: Config, app_state: dict[str, Any], transport: asyncio.Transport, asgi: str
    ) -> None:
        self._app_state = app_state
        self._asgi = {"version": config.asgi_version, "spec_version": asgi}
        self._root_path = config.root_path
        self.raw_root = config.root_path.encode()
        self._server = local_address(transport)
        self.client = remote_address(transport)
        self.scheme = "https" if transport.get_extra_info("sslcontext") else "http"
        self._model = _NO_MODEL

    def _like(self, model: _Model, request: RequestReceived) -> Scope:
        scope = model.scope.copy()
        if request.target != model.target:
            scope["path"], scope["raw_path"], scope["query_string"] = self._located(request.target)
            if request.target.endswith(b"?"):
                _note_empty_query(scope, request.target)
            elif EMPTY_QUERY in scope:
                del scope[EMPTY_QUERY]
        scope["headers"] = request.headers
        # Copied as deep as an application may change them.
        scope["state"] = self._app_state.copy()
        scope["extensions"] = scope["extensions"].copy()
        return scope

    def _common(self, request: RequestReceived, version: str, extensions: Scope) -> dict[str, Any]:
        path, raw_path, query = self._located(request.target)
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": self._asgi,
            "http_version": version,
            "method": request.method,
            "scheme": self.scheme,
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": self._root_path,
            "headers": request.headers,
            "client": self.client,
            "server": self._server,
            "state": self._app_state.copy(),
            "extensions": extensions,
        }
        _note_empty_query(scope, request.target)
        return scope

    def _located(self, target: bytes) -> tuple[str, bytes, bytes]:
        """`path`, `raw_path` and `query_string`, behind the root path."""
        located = _remembered(target) if len(target) <= _REMEMBERED_LENGTH else _split(target)
        if not self._root_path:
            return located
        path, raw_path, query = located
        return self._root_path + path, self.raw_root + raw_path, query


class Http1Scopes(_ConnectionScopes):
    """The scopes of one HTTP/1.1 connection."""

    def __init__(
        self,
        config: Config,
        app_state: dict[str, Any],
        transport: asyncio.Transport,
        counters: Counters,
    ) -> None:
        # Of a later version, Starlette would no longer listen for a client that leaves.
        super().__init__(config, app_state, transport, "2.3")
        self._counters = counters.number

    def of(self, request: RequestReceived, version: str) -> tuple[Scope, Fields]:
        """Return the scope of a request, and its `watched_fields`; see `Scopes.of`."""
        template, model = request.template, self._model
        if model.template is not template or template is None:
            extensions: Scope = {EXTENSION: {"counters": self._counters}}
            scope = self._common(request, version, extensions)
            watched = watched_fields(request)
            self._model = model = _Model(template, request.target, False, watched, scope)
        return self._like(model, request), model.watched


class Scopes(_ConnectionScopes):
    """The scopes of one HTTP/2 connection."""

    def __init__(
        self,
        config: Config,
        options: ServerOptions,
        app_state: dict[str, Any],
        transport: asyncio.Transport,
        wire: ServerConnection,
        counters: Counters,
    ) -> None:
        super().__init__(config, app_state, transport, "2.4")
        self._wire = wire
        self._counters = counters.number
        self._options = options
        self._id = next(_connection_ids)
        self._pushed_model = _NO_MODEL

    def of(self, request: RequestReceived, push_enabled: bool) -> tuple[Scope, Fields]:
        """Return the scope of a client's request, and its `watched_fields`.

        The common part of requests (`RequestReceived.template`) is built once.

        Args:
            push_enabled: The client accepts pushes.
        """
        template = request.template
        if template is None:
            watched = watched_fields(request)
            return self._whole(request, watched, push_enabled, pushed=False), watched
        model = self._model
        if model.template is not template or model.push_enabled is not push_enabled:
            watched = watched_fields(request)
            scope = self._whole(request, watched, push_enabled, pushed=False)
            self._model = model = _Model(template, request.target, push_enabled, watched, scope)
        return self._like(model, request), model.watched

    def of_pushed(self, request: RequestReceived) -> tuple[Scope, Fields]:
        """Return the scope of a promised request, and its `watched_fields`."""
        template = request.template
        model = self._pushed_model
        if model.template is not template:
            watched = watched_fields(request)
            scope = self._whole(request, [], push_enabled=False, pushed=True)
            self._pushed_model = model = _Model(template, request.target, False, watched, scope)
        return self._like(model, request), model.watched

    def _whole(
        self, request: RequestReceived, watched: Fields, push_enabled: bool, pushed: bool
    ) -> dict[str, Any]:
        return self._common(request, "2", self._extensions(request, watched, push_enabled, pushed))

    def _extensions(
        self, request: RequestReceived, watched: Fields, push_enabled: bool, pushed: bool
    ) -> Scope:
        """Return the extensions that will work for this client and this request."""
        push = self._options.push and push_enabled and not pushed
        # One for all of the connection's requests with the same fields.
        ours: HeadstartExtension = {
            "connection": self._id,
            "push_enabled": push,
            "pushed": pushed,
            "pushes": (),
            "counters": self._counters,
        }
        extensions: Scope = {OURS: ours}
        if self._options.pathsend:
            extensions["http.response.pathsend"] = {}
        if push:
            extensions["http.response.push"] = {}
        if request.method == "GET" and not pushed and self.hint_refusal(request) is None:
            extensions["http.response.early_hint"] = {}
        if watched and (b"te", b"trailers") in watched:
            extensions["http.response.trailers"] = {}
        return extensions

    def hint_refusal(self, request: RequestReceived) -> Refusal | None:
        """Why this request takes no 103; None where it does."""
        if not self._options.early_hints:
            return Refusal.UNSUPPORTED
        if request.method != "GET":
            return Refusal.NOT_NAVIGATION
        fields = dict(request.headers)
        if not self._wire.takes_hints or is_grpc(fields):
            return Refusal.TAKES_NO_HINTS
        navigation = is_navigation(fields, any_unmarked=self._options.hint_unmarked_clients)
        return None if navigation else Refusal.NOT_NAVIGATION


def _note_empty_query(scope: Scope, target: bytes) -> None:
    """Note a `?` at the end of a target, unless it is a part of a query."""
    if target.endswith(b"?") and target.index(b"?") == len(target) - 1:
        scope[EMPTY_QUERY] = True


def _split(target: bytes) -> tuple[str, bytes, bytes]:
    """Path, decoded and raw, and query of a well-formed target."""
    raw_path, _, query = target.partition(b"?")
    path = raw_path.decode("ascii")
    return (unquote(path) if "%" in path else path), raw_path, query


_remembered = lru_cache(_REMEMBERED)(_split)
