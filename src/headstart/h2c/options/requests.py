"""Requests and their headers: `get`, `post` and so on, `request METHOD`, `set` and `unset`.

Called by the package, and by `loading` for the headers of all its requests.
"""

from __future__ import annotations

import argparse
import base64
import re
from dataclasses import dataclass
from typing import TypeAlias

from headstart.errors import ConfigurationError, LocalProtocolError
from headstart.h2c.options.connections import (
    Trust,
    mended_scheme,
    server_options,
    trust,
)
from headstart.h2c.options.grammar import Grammar, Options, octets

# As many as curl follows.
_MOST_REDIRECTIONS = 50
# A name without a dot, as in item:42, may be a path's.
_SERVER = re.compile(
    r"(?:(?:localhost|\[[0-9a-f:.]+\]|www\.[\w.-]+)(?::\d{1,5})?|[\w-]+(?:\.[\w-]+)+:\d{1,5})"
    r"(?:[/?#]|\Z)",
    re.IGNORECASE,
)
# A name with a dot whose last part could be a top-level domain, without a path.
_HOST_NAME = re.compile(r"[\w-]+(?:\.[\w-]+)*\.(?:[a-z]{2,}|xn--[\w-]+)/?", re.IGNORECASE)
# Files of sites that Python's list of types lacks.
_OTHER_FILES = frozenset(
    {
        *("asp", "aspx", "atom", "cfm", "cgi", "conf", "do", "gql", "ini", "jsp", "log", "map"),
        *("md", "php", "rss", "toml", "ts", "webmanifest", "woff", "woff2", "yaml", "yml", "zst"),
    }
)
_METHOD_EXAMPLES = {
    "head": """
h2c head https://example.org/    status and fields, nothing more
h2c head /path                   on the current connection
""",
    "post": """
h2c post --data 'hello world' /data
h2c post --file picture.png --content-type image/png /upload
tar c folder | h2c post --file - https://example.org/backup
""",
    "put": """
h2c put --file page.html --content-type text/html /page.html
h2c put --json '{"name": "value"}' /settings
""",
    "patch": """
h2c patch --json '{"name": "value"}' /settings
""",
}


@dataclass(frozen=True, slots=True)
class SetField:
    """Add a field to every request; without one, list those that are set."""

    field: tuple[bytes, bytes] | None


@dataclass(frozen=True, slots=True)
class UnsetField:
    """Take fields out again; without a value, all of that name."""

    name: str
    value: str | None


def declare_headers(grammar: Grammar) -> None:
    """Declare `set` and `unset`."""
    fields = grammar.command(
        "set",
        _set,
        "send a header with every request from now on",
        """
h2c set user-agent mine/1.0
h2c set accept ''              with an empty value
h2c set                        list what is set
""",
    )
    fields.argument("name", metavar="NAME", nargs="?")
    fields.argument("value", metavar="VALUE", nargs="?")
    unset = grammar.command(
        "unset",
        lambda given: UnsetField(given.name, given.value),
        "remove such a header again",
        """
h2c unset user-agent           all of that name
h2c unset cookie a=1           only the one with this value
""",
    )
    unset.argument("name", metavar="NAME")
    unset.argument("value", metavar="VALUE", nargs="?")


def _set(given: argparse.Namespace) -> SetField:
    if given.name is None:
        return SetField(None)
    if given.value is None:
        raise ConfigurationError(f"{given.name!r} needs a value; write 'h2c set NAME VALUE'")
    return SetField(field_of(given.name, given.value))


def field_of(name: str, value: str) -> tuple[bytes, bytes]:
    """Return a header to send, without white space around the value (RFC 9110, 5.5).

    Raises:
        ConfigurationError: HTTP/2 has no such field.
    """
    field = octets(name).lower(), octets(value.strip(" \t"))
    if _sendable(field[0], b"") is None:
        raise ConfigurationError(
            f"{name!r} is not a valid header name; use letters, digits and '-'"
        )
    sent = _sendable(*field)
    if sent is None:
        raise ConfigurationError(
            f"{value!r} cannot be the value of {name}: no line feeds, no control characters"
        )
    if not sent:
        raise ConfigurationError(f"HTTP/2 has no field {name!r} (RFC 9113, 8.2.2)")
    if field[0] == b"te" and field[1].lower() != b"trailers":
        raise ConfigurationError("te can only be 'trailers' in HTTP/2 (RFC 9113, 8.2.2)")
    if field[0] == b"host" and field[1] and not _is_authority(field[1]):
        raise ConfigurationError(f"{value!r} is not a host; write HOST or HOST:PORT")
    return field


def header_option(options: Options) -> None:
    """`-H`."""
    options.value(
        "-H",
        "--header",
        action="append",
        default=[],
        metavar="FIELD",
        help="send this field, too, such as 'NAME: VALUE'; may be given several times",
    )


def header(text: str) -> tuple[bytes, bytes]:
    """Parse `-H 'NAME: VALUE'`.

    Raises:
        ConfigurationError: It is not a field, or HTTP/2 has no such field.
    """
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise ConfigurationError(f"{text!r} is not a header; write -H 'name: value'")
    return field_of(name.strip(), value)


def _sendable(name: bytes, value: bytes) -> list[tuple[bytes, bytes]] | None:
    """Return the header as sent, or None if HTTP forbids it."""
    # Imported here: the wire takes as long to import as all options, and most commands have no
    # headers.
    from headstart.wire.fields import checked_fields

    try:
        return checked_fields([(name, value)], [])
    except LocalProtocolError:
        return None


def _is_authority(value: bytes) -> bool:
    from headstart.wire.fields import valid_authority  # as in `_sendable`

    return valid_authority(value)


def path_or_url(text: str) -> str:
    """Return the argument, unless a server's name without `https://` was meant.

    Raises:
        ConfigurationError: It would be the path `/HOST:PORT`.
    """
    meant = f"https://{text}" if _SERVER.match(text) else mended_scheme(text)
    if meant is not None:
        raise ConfigurationError(f"{text!r} is neither a path nor a URL; write {meant} or /{text}")
    return text


def is_like_a_host(path: str) -> bool:
    """Return true for a path such as `example.org`, which was perhaps meant as a server.

    Files have such names, too, so one that ends as files of a site do is a path.
    """
    if not _HOST_NAME.fullmatch(path):
        return False
    import mimetypes  # of no use but for such names

    # The system's own list has file types such as .org and .com.
    known = mimetypes.MimeTypes()
    ending = path.lower().rpartition(".")[2]
    kinds = known.types_map[True].keys() | known.encodings_map.keys()
    return f".{ending}" not in kinds and ending not in _OTHER_FILES


@dataclass(frozen=True, slots=True)
class Text:
    """Content given as an argument."""

    data: bytes


@dataclass(frozen=True, slots=True)
class FromFile:
    """Content in a file; `-` is standard input."""

    path: str


Content: TypeAlias = Text | FromFile | None


@dataclass(frozen=True, slots=True)
class RequestCommand:
    """Send a request and show its response.

    Attributes:
        where: A path on the current connection, or a URL.
        headers: Names in lower case, and values.
        output: Where the response goes; "" and `-` are standard output.
        redirections: How many may be followed.
        compressed: Decode the content.
    """

    method: str
    where: str
    content: Content
    headers: tuple[tuple[bytes, bytes], ...]
    include: bool
    output: str
    fail: bool
    verbose: bool
    timeout: float
    use_pushes: bool
    keep_push: bool
    trust: Trust
    follow_hints: bool = False
    redirections: int = 0
    compressed: bool = False


def declare(grammar: Grammar) -> None:
    """Declare `get`, `post` and so on, and `request METHOD`."""
    for method in ("get", "head", "options", "delete", "post", "put", "patch"):
        _method_command(grammar, method)
    _request_command(grammar)


def _method_command(grammar: Grammar, method: str) -> None:
    name = method.upper()
    examples = _METHOD_EXAMPLES.get(
        method,
        f"""
h2c {method} https://example.org/path
h2c {method} -H 'accept-language: de' /path     on the current connection
h2c {method} --include -v /path       show the status and the fields, and where they came from
""",
    )
    article = "an" if name[0] in "AEIOU" else "a"
    options = grammar.command(method, _exchange, f"send {article} {name} request", examples)
    _exchange_options(options)
    options.set_method(name)


def _request_command(grammar: Grammar) -> None:
    options = grammar.command(
        "request",
        _exchange,
        "send a request with any method",
        """
h2c request PROPFIND -H 'depth: 1' /folder
""",
    )
    options.argument("method", metavar="METHOD", type=_method)
    _exchange_options(options)


def _exchange_options(options: Options) -> None:
    options.argument("where", metavar="PATH_OR_URL")
    options.value("--data", metavar="TEXT", help="the content, exactly so; of a file: --file")
    options.value(
        "-d", metavar="FORM", dest="form", help="as in curl: a form; @FILE is read from a file"
    )
    options.value("--file", metavar="FILE", help="the content is in this file; - is standard input")
    options.value("--json", metavar="TEXT", help="the content, and its type application/json")
    options.value("--content-type", metavar="TYPE", help="the content's type")
    header_option(options)
    options.value("-u", "--user", metavar="USER:PASSWORD", help="send them as Basic credentials")
    options.flag("-L", "--location", help="follow redirections")
    options.flag("--compressed", help="ask for gzip or deflate, and decode the content")
    options.flag(
        "-i", "--include", help="show status and fields before the content, trailers behind it"
    )
    options.value(
        "-o",
        "--output",
        metavar="FILE",
        default="",
        help="write to this file; an old one is replaced once the response is complete",
    )
    options.flag("-f", "--fail", help="a status from 400 on is an error: exit code 1, no content")
    options.flag("-v", "--verbose", help="say where the answer came from: pushed, or requested")
    options.flag("--keep", help="leave the pushed response there for the next time")
    options.flag("--no-push-cache", help="send a request even if a pushed response waits")
    options.flag("--follow-hints", help="fetch what a 103 names at once, for the next 'get'")
    options.timeout()
    server_options(options)


def _method(text: str) -> str:
    if not text.isascii() or not text.replace("-", "").replace("_", "").isalnum():
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a method; write one such as GET or PURGE"
        )
    if text.upper() == "CONNECT":
        raise argparse.ArgumentTypeError(
            "CONNECT asks for a tunnel, which h2c does not make; "
            "'h2c connect HOST:PORT' makes a connection, other methods are requests on it"
        )
    return text.upper()


def _exchange(given: argparse.Namespace) -> RequestCommand:
    if given.follow_hints and (given.method != "GET" or given.file is not None):
        raise ConfigurationError("--follow-hints goes with a GET that sends no file")
    return RequestCommand(
        method=given.method,
        where=path_or_url(given.where),
        content=_content(given),
        headers=_headers(given),
        include=given.include or given.method == "HEAD",  # there is nothing else to show
        output=given.output,
        fail=given.fail,
        verbose=given.verbose,
        timeout=given.timeout,
        use_pushes=not given.no_push_cache,
        keep_push=given.keep,
        trust=trust(given),
        follow_hints=given.follow_hints,
        redirections=_MOST_REDIRECTIONS if given.location else 0,
        compressed=given.compressed,
    )


def _content(given: argparse.Namespace) -> Content:
    sources = [text for text in (given.data, given.json) if text is not None]
    if len(sources) + (given.file is not None) + (given.form is not None) > 1:
        raise ConfigurationError("--data, --json and --file exclude each other, and -d")
    if given.file is not None:
        return FromFile(given.file)
    if given.form is not None:
        is_file = given.form.startswith("@")
        return FromFile(given.form[1:]) if is_file else Text(octets(given.form))
    return Text(octets(sources[0])) if sources else None


def _credentials(text: str) -> tuple[bytes, bytes]:
    """Return `USER:PASSWORD` as a header (RFC 7617, 2)."""
    if ":" not in text:
        raise ConfigurationError("-u needs a password; write -u USER:PASSWORD")
    return b"authorization", b"Basic " + base64.b64encode(octets(text))


def _headers(given: argparse.Namespace) -> tuple[tuple[bytes, bytes], ...]:
    headers = [header(text) for text in given.header]
    if given.content_type is not None:
        headers.append(field_of("content-type", given.content_type))
    elif given.json is not None:
        headers.append((b"content-type", b"application/json"))
    elif given.form is not None and not any(name == b"content-type" for name, _ in headers):
        headers.append((b"content-type", b"application/x-www-form-urlencoded"))
    if given.user is not None:
        headers.append(_credentials(given.user))
    if given.compressed and not any(name == b"accept-encoding" for name, _ in headers):
        headers.append((b"accept-encoding", b"gzip, deflate"))
    return tuple(headers)
