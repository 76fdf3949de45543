"""A caller's request, checked and encoded.

`RequestBuilder` holds the settings of all requests of a client, and makes a `PreparedRequest` of
each request, which may be sent on more than one connection. Used by `client.client`; reads no
socket and no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias, TypedDict

from headstart import __version__
from headstart.client import response_stream
from headstart.client.contents import Content
from headstart.client.encoding import Pairs, add_params, as_json, form
from headstart.client.headers import Headers
from headstart.client.origin import Origin, split_url
from headstart.errors import ConfigurationError, LocalProtocolError
from headstart.wire.events import Fields

HeaderTypes: TypeAlias = Mapping[str, str] | Iterable[tuple[str | bytes, str | bytes]]
Informed: TypeAlias = Callable[[int, Headers], None]
"""Told of each 1xx response when it comes: its status and its headers. An exception from it fails
the request."""

_USER_AGENT = (b"user-agent", f"headstart/{__version__}".encode())

# Programs ask for the same few URLs again and again, and to take one apart costs as much as the
# rest of a request.
_REMEMBERED = 512
_split = lru_cache(maxsize=_REMEMBERED)(split_url)


class Options(TypedDict, total=False):
    """The options of every request; see `AsyncClient.request`."""

    params: Pairs | str
    data: Pairs
    json: Any
    headers: HeaderTypes
    trailers: HeaderTypes | Callable[[], HeaderTypes]
    informed: Informed | None
    timeout: float | None


_OPTIONS = Options.__annotations__.keys()
_OF_HTTPX = frozenset({"auth", "cookies", "extensions", "files", "follow_redirects"})
_FORM = (b"content-type", b"application/x-www-form-urlencoded")
_JSON = (b"content-type", b"application/json")


@dataclass(frozen=True, slots=True)
class PreparedRequest:
    """A request as it goes to a connection, perhaps more than once."""

    origin: Origin
    method: str
    target: str
    headers: Fields
    content: Content
    trailers: Fields | Callable[[], HeaderTypes]
    informed: response_stream.Informed | None
    timeout: float | None
    slot_timeout: float | None = None
    """For the wait for a stream; None for `timeout`."""
    connect_timeout: float | None = None
    """None for the client's."""

    def send_trailers(self) -> Fields:
        """Return the trailers; called when the content is sent."""
        return self.trailers if isinstance(self.trailers, list) else _fields(self.trailers())


class RequestBuilder:
    """The settings of all requests of a client.

    Args:
        base_url: Prefix for URLs that are paths; may end in a path itself.
        headers: HeaderTypes of every request that does not set them itself.
        timeout: Seconds without any progress in a request that names none, None for no end.

    Raises:
        ConfigurationError: `base_url` is not a URL.
        LocalProtocolError: A header is not Latin-1.
        TypeError: An argument is of a wrong type.
    """

    def __init__(self, base_url: str, headers: HeaderTypes, timeout: float | None) -> None:
        self._base, self._base_path = _base(base_url)
        self._headers = _fields(headers)
        if not any(name == b"user-agent" for name, _ in self._headers):
            self._headers.append(_USER_AGENT)
        _require_seconds(timeout)
        self._timeout = timeout
        self._plain: dict[tuple[str, str], PreparedRequest] = {}
        """Requests with neither content nor options, by method and URL; at most `_REMEMBERED`."""

    def make(self, method: str, url: str, content: Content, options: Options) -> PreparedRequest:
        """Prepare a request from a caller's arguments; see `AsyncClient.request`.

        Raises:
            ConfigurationError: The URL cannot be used.
            LocalProtocolError: A header is not Latin-1.
            TypeError: An argument has a wrong type or an unknown name.
        """
        if content is None and not options and isinstance(url, str):  # as most requests
            return self._plain.get((method, url)) or self._make_plain(method, url)
        if isinstance(content, str):
            raise TypeError("content must be bytes, not str: encode it")
        if isinstance(content, bytearray | memoryview):
            content = bytes(content)  # it may change before the request is sent once more
        _require_known(options)
        origin, target = self._resolve(url)
        if params := options.get("params"):
            target = add_params(target, params)
        fields = _fields(options.get("headers", ()))
        content, media_type = _encoded(content, options)
        # The caller's own Content-Type counts.
        if media_type is not None and not any(name == b"content-type" for name, _ in fields):
            fields.append(media_type)
        named = {name for name, _ in fields}
        fields += [field for field in self._headers if field[0] not in named]
        trailers = options.get("trailers", ())
        # An iterator would have nothing left where the request is sent once more.
        trailing = trailers if callable(trailers) else _fields(trailers)
        informed, timeout = _informed(options), options.get("timeout", self._timeout)
        _require_seconds(timeout)
        return PreparedRequest(origin, method, target, fields, content, trailing, informed, timeout)

    def _make_plain(self, method: str, url: str) -> PreparedRequest:
        origin, target = self._resolve(url)
        prepared = PreparedRequest(
            origin, method, target, self._headers, None, [], None, self._timeout
        )
        if len(self._plain) >= _REMEMBERED:
            self._plain.clear()
        self._plain[method, url] = prepared
        return prepared

    def _resolve(self, url: str) -> tuple[Origin, str]:
        if not isinstance(url, str):
            raise TypeError(f"a URL is str, not {type(url).__name__}: {url!r}")
        origin, target = _split(url)
        if origin is not None:
            return origin, target
        if self._base is None:
            raise ConfigurationError(
                f"{url!r} names no host", hint="Give a whole URL, or the client a base_url."
            )
        return self._base, self._base_path + target


def _base(url: str) -> tuple[Origin | None, str]:
    if not url:
        return None, ""
    origin, path = split_url(url)
    if origin is None:
        raise ConfigurationError(
            f"{url!r} is not a URL", hint="For instance https://localhost:8443"
        )
    return origin, path.rstrip("/")


def _require_known(options: Options) -> None:
    if not (unknown := options.keys() - _OPTIONS):
        return
    names = ", ".join(sorted(unknown))
    if unknown & _OF_HTTPX:
        raise TypeError(f"a request does not take: {names}; use httpx with headstart.httpx for it")
    raise TypeError(f"a request does not take: {names}; see AsyncClient.request")


def _encoded(content: Content, options: Options) -> tuple[Content, tuple[bytes, bytes] | None]:
    """Return the content of a request and, for `data=` and `json=`, its type."""
    data, value = options.get("data"), options.get("json")
    if sum(given is not None for given in (content or None, data, value)) > 1:
        raise TypeError("content, data and json exclude each other")
    if value is not None:
        return as_json(value), _JSON
    if data is None:
        return content, None
    _require_form(data)
    return form(data).encode("ascii"), _FORM


def _require_form(data: object) -> None:
    if isinstance(data, str | bytes | bytearray | memoryview):
        raise TypeError("data is a mapping or pairs of a form; give bytes as content")


def _informed(options: Options) -> response_stream.Informed | None:
    told = options.get("informed")
    return None if told is None else lambda status, fields: told(status, Headers(fields))


def _require_seconds(timeout: object) -> None:
    if not (timeout is None or isinstance(timeout, int | float)):
        raise TypeError(f"a time-out is seconds, or None for no end; not {timeout!r}")


def _fields(headers: HeaderTypes) -> Fields:
    if isinstance(headers, Headers):
        return list(headers.raw)
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [(_octets(name).lower(), _octets(value)) for name, value in pairs]


def _octets(text: str | bytes) -> bytes:
    if not isinstance(text, str | bytes):
        raise TypeError(f"a field is str or bytes, not {type(text).__name__}: {text!r}")
    try:
        return text if isinstance(text, bytes) else text.encode("latin-1")
    except UnicodeEncodeError:
        raise LocalProtocolError(
            f"{text!a} cannot be sent in a field as Latin-1",
            hint="Encode it, and give bytes.",
        ) from None
