"""The connection to a Redis server, and its errors as ours.

The only module that imports redis-py, which is an extra: `headstart[redis]`. Reads the file of the
password and, where neither it nor the URL has one, HEADSTART_REDIS_PASSWORD. Called by `redis` and
`offline`.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeAlias

from headstart.errors import ConfigurationError
from headstart.extras import install_command
from headstart.store.address import RedisAddress
from headstart.store.base import StoreError

if TYPE_CHECKING:
    from redis import Redis, RedisCluster
    from redis.client import Pipeline

    Client: TypeAlias = Redis | RedisCluster

PASSWORD_VARIABLE = "HEADSTART_REDIS_PASSWORD"

# Seconds for a connection, and for each response. A thread waits, never a request.
_TIMEOUT = 1.0
# Characters of a server's own message that are shown.
_SHOWN = 200


def check_installed(address: RedisAddress) -> None:
    """Check that the package is there.

    Raises:
        ConfigurationError: It is not installed.
    """
    try:
        importlib.import_module("redis")
    except ImportError as error:
        raise ConfigurationError(
            f"a store at {address} needs the package redis",
            hint=f"Install it: {install_command('redis')}",
        ) from error


def connect(address: RedisAddress) -> Client:
    """Return a client. It connects when it is used; that of a cluster now, to find its nodes.

    Raises:
        redis.RedisError: The cluster cannot be reached.
    """
    from redis import ConnectionPool, Redis, RedisCluster, SSLConnection
    from redis.connection import Connection, UnixDomainSocketConnection

    settings = _settings(address)
    if address.path:
        pool = ConnectionPool(UnixDomainSocketConnection, path=address.path, **settings)
        return Redis(connection_pool=pool)
    settings |= {"host": address.host, "port": address.port, "socket_connect_timeout": _TIMEOUT}
    settings |= dict(address.files)
    if address.cluster:
        return RedisCluster(ssl=address.tls, **settings)
    pool = ConnectionPool(SSLConnection if address.tls else Connection, **settings)
    return Redis(connection_pool=pool)


def _settings(address: RedisAddress) -> dict[str, Any]:
    """Return the options of redis-py for a connection of any kind."""
    from redis.backoff import NoBackoff
    from redis.credentials import CredentialProvider
    from redis.retry import Retry

    class Credentials(CredentialProvider):
        """Asked for each connection, so that a password can be changed while servers run."""

        def get_credentials(self) -> tuple[str] | tuple[str, str]:
            password = _password(address)
            return (address.username, password) if address.username else (password,)

    settings: dict[str, Any] = {
        "socket_timeout": _TIMEOUT,
        # An entry that was sent twice would be counted twice, so redis-py must not repeat it.
        "retry": Retry(NoBackoff(), 0),
        # Redis and Valkey of all versions speak it, and so do proxies.
        "protocol": 2,
        # Each command of the handshake has a time-out of its own, and an access list may forbid it.
        "driver_info": None,
    }
    if not address.cluster:
        settings["db"] = address.db
    if address.username or address.password_file or _password(address):
        settings["credential_provider"] = Credentials()
    return settings


def disconnect(client: Client) -> None:
    """Close all connections of a client, which is of no use afterwards."""
    from redis import Redis

    client.close()
    if isinstance(client, Redis):
        # `close` leaves a pool alone that it did not make.
        client.connection_pool.disconnect()


def transaction(client: Client, write: Callable[[Pipeline], None], key: str) -> None:
    """Watch a key, let `write` queue commands, and execute them; again where the key was changed.

    This is redis-py's own, but for what is left of one that fails. Its `reset`, which runs once
    more when it is collected, tells the server UNWATCH, and connects for that: the client may be
    disconnected by then, and nobody would close that connection.

    Raises:
        redis.RedisError: The server cannot be used.
    """
    from redis import Redis
    from redis.exceptions import WatchError

    # Not all of these methods have types.
    untyped: Any = client
    if not isinstance(client, Redis):
        untyped.transaction(write, key)
        return
    pipe, done = untyped.pipeline(), False
    try:
        while not done:
            with suppress(WatchError):
                pipe.watch(key)
                write(pipe)
                pipe.execute()
                done = True
    finally:
        if not done:
            pipe.watching = False
            client.connection_pool.disconnect()
        pipe.reset()


@contextmanager
def opened(address: RedisAddress) -> Iterator[Client]:
    """Connect, and disconnect afterwards.

    Raises:
        ConfigurationError: The package redis is not installed.
        StoreError: The server cannot be used.
    """
    check_installed(address)
    with told(address):
        client = connect(address)
        try:
            yield client
        finally:
            disconnect(client)


@contextmanager
def told(address: RedisAddress) -> Iterator[None]:
    """Turn errors of redis-py, the server and the system into one line.

    Raises:
        StoreError: In place of their errors.
    """
    from redis.exceptions import RedisClusterException, RedisError

    try:
        yield
    # UnicodeError: a host that no name service can be asked for, such as a..b.
    except (RedisError, RedisClusterException, OSError, UnicodeError) as error:
        # Some errors hold others' text, and servers choose theirs: one line, and no control codes.
        reason = "".join(char if char.isprintable() else " " for char in str(error))
        reason = " ".join(reason.split())[:_SHOWN].rstrip(".?") or type(error).__name__
        hint = _OTHER_SERVER if "unknown command" in reason else _ADVICE
        raise StoreError(f"{address} cannot be used: {reason}", hint=hint) from None


_ADVICE = "Check the address, the password and that the server runs."
_OTHER_SERVER = "Give the address of a Redis 6.2 or newer, or of a Valkey; a Sentinel is not one."


def _password(address: RedisAddress) -> str:
    if address.password_file is not None:
        return address.password_file.read_text(encoding="utf-8", errors="replace").rstrip("\r\n")
    return address.password or os.environ.get(PASSWORD_VARIABLE, "")
