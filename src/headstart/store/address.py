"""Names of stores: the path of a file, or the URL of a Redis server that a fleet shares.

Reads no file and opens no connection, so the command line can check its arguments. A URL may
hold a password: it is never part of `str` or `repr` of a `RedisAddress`, nor of an error. Called by
the command line and `open_store`; `redis_client` connects.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import parse_qs, unquote, urlsplit

from headstart.errors import ConfigurationError

DEFAULT_PREFIX = "headstart"

_SCHEMES = ("redis", "rediss", "redis+cluster", "rediss+cluster", "unix")
# A slip such as redis:/host or REDIS://host is not meant as the name of a file.
_LIKE_URL = re.compile(
    r"(redis|rediss|unix|valkey|valkeys)(\+[a-z]+)?:|[a-z][a-z0-9+.-]*://", re.IGNORECASE
)
_PREFIX = re.compile(r"[A-Za-z0-9_.:-]{1,64}")
_TLS_FILES = frozenset(("ssl_ca_certs", "ssl_certfile", "ssl_keyfile"))
_QUERY = frozenset(("db", "prefix", "password_file")) | _TLS_FILES
_FORMS = (
    "Give redis://HOST:PORT/DB, rediss://HOST:PORT/DB for TLS, redis+cluster://HOST:PORT or "
    "rediss+cluster://HOST:PORT for a cluster, unix:///PATH?db=DB, or the path of a file."
)


@dataclass(frozen=True, slots=True)
class RedisAddress:
    """A Redis server, and the fleet that shares it.

    Attributes:
        prefix: Begins each key, so that two fleets can use one database.
        host, port, path: Of the server; `path` is that of a Unix socket, else "".
        tls: The connection is made over TLS.
        cluster: The server is one of a cluster.
        db: The number of the database.
        username: Of the server's ACL, or "".
        password: Of the user, or "".
        password_file: Holds the password, and is read for each connection.
        files: The names of redis-py's options for TLS, and the files that they name.
    """

    prefix: str
    host: str = ""
    port: int = 6379
    path: str = ""
    tls: bool = False
    cluster: bool = False
    db: int = 0
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    password_file: Path | None = None
    files: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        """Return the URL without user and password, for logs and errors."""
        prefix = "" if self.prefix == DEFAULT_PREFIX else f"prefix={self.prefix}"
        if self.path:
            query = "&".join(filter(None, (f"db={self.db}" if self.db else "", prefix)))
            place = f"unix://{self.path}"
        else:
            host = f"[{self.host}]" if ":" in self.host else self.host
            query = prefix
            scheme = ("rediss" if self.tls else "redis") + ("+cluster" if self.cluster else "")
            place = f"{scheme}://{host}:{self.port}" + ("" if self.cluster else f"/{self.db}")
        return f"{place}?{query}" if query else place


Place: TypeAlias = Path | RedisAddress


def parse_place(text: str) -> Place:
    """Return the file or the Redis server that a user named.

    Raises:
        ConfigurationError: It is a URL, but not one of a Redis server.
    """
    if _LIKE_URL.match(text) is None:
        return Path(text)
    scheme, _, rest = text.partition(":")
    if "sentinel" in scheme.lower():
        raise ConfigurationError(
            "a store cannot be found through Redis Sentinel",
            hint="Give the address that your failover moves, such as redis://HOST:PORT/DB.",
        )
    if scheme not in _SCHEMES or not rest.startswith("//"):
        # The text may hold a password, so it is not repeated.
        raise ConfigurationError(f"a store cannot be at a URL that begins {scheme!r}", hint=_FORMS)
    try:
        return _parse_redis(text)
    except ValueError:
        # urlsplit names the part that is wrong, which may be a part of the password.
        raise ConfigurationError(f"the URL of the {scheme} store is invalid", hint=_FORMS) from None


def has_password(text: str) -> bool:
    """Return whether a URL holds a password, which other users see if it is in a command line."""
    return "://" in text and ":" in text.split("://", 1)[1].rpartition("@")[0]


def _parse_redis(text: str) -> RedisAddress:
    url = urlsplit(text)
    query = {name: values[-1] for name, values in parse_qs(url.query).items()}
    if url.fragment:
        raise ConfigurationError(
            "the URL of the store has a #", hint="Write %23 for one in a password or a path."
        )
    if query.keys() - _QUERY:
        raise ConfigurationError(
            "the URL of the store has parameters that are not known",
            hint=f"Those that are known: {', '.join(sorted(_QUERY))}.",
        )
    prefix = query.get("prefix", DEFAULT_PREFIX)
    if not _PREFIX.fullmatch(prefix):
        raise ConfigurationError(
            "the prefix of the store's keys is invalid",
            hint="Use up to 64 letters, digits and -._: in it.",
        )
    unix = url.scheme == "unix"
    database = query.get("db", "") if unix or "db" in query else url.path.strip("/")
    if database and not (database.isdecimal() and database.isascii()):
        raise ConfigurationError(
            "the store's database is not a number", hint="End the URL with /0, for instance."
        )
    cluster = url.scheme.endswith("+cluster")
    if (unix and (url.hostname or not url.path)) or (cluster and int(database or "0")):
        raise ValueError
    password_file = query.get("password_file")
    return RedisAddress(
        prefix=prefix,
        host="" if unix else unquote(url.hostname or "localhost"),
        port=url.port or 6379,
        path=unquote(url.path) if unix else "",
        tls=url.scheme.startswith("rediss"),
        cluster=cluster,
        db=int(database or "0"),
        username=unquote(url.username or ""),
        password=unquote(url.password or ""),
        password_file=Path(password_file) if password_file else None,
        files=tuple((name, query[name]) for name in sorted(_TLS_FILES & query.keys())),
    )
