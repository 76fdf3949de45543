"""Check settings before the start, and report each fault in one line.

`run` calls it; `application` checks the application itself.
"""

from __future__ import annotations

import errno
import os
import socket
import ssl
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from uvicorn.config import LOOP_FACTORIES, WS_PROTOCOLS, create_ssl_context
from uvicorn.importer import ImportFromStringError, import_from_string

from headstart.errors import ConfigurationError

if TYPE_CHECKING:
    from headstart.server.run import Config

_YAML: Final = (".yaml", ".yml")


def check_settings(settings: dict[str, Any]) -> None:
    """Check the settings for which uvicorn's Config would raise a traceback.

    Raises:
        ConfigurationError: A package is missing, or a number in the environment is not one.
    """
    if settings.get("env_file") is not None:
        _check_installed("dotenv", "python-dotenv", "--env-file")
    number = os.environ.get("WEB_CONCURRENCY")
    if settings.get("workers") is None and number is not None and not number.isdecimal():
        raise ConfigurationError(
            f"WEB_CONCURRENCY={number} in the environment is not a number of workers",
            hint="unset it, or give --workers.",
        )
    log_config = settings.get("log_config")
    if isinstance(log_config, str) and log_config.endswith(_YAML):
        _check_installed("yaml", "PyYAML", "--log-config with a YAML file")


def _check_installed(module: str, package: str, option: str) -> None:
    if find_spec(module) is None:
        raise ConfigurationError(
            f"{option} needs the package {package}", hint=f"install it: pip install {package}"
        )


@contextmanager
def usable_logging(settings: dict[str, Any]) -> Iterator[None]:
    """Tell a file for --log-config that cannot be used; uvicorn's Config reads it when it is made.

    Raises:
        ConfigurationError: The file cannot be read, or is not a configuration of logging.
    """
    file = settings.get("log_config")
    if not isinstance(file, str):
        yield
        return
    try:
        yield
    except Exception as error:  # each parser has errors of its own
        raise ConfigurationError(
            f"{file} cannot be used as --log-config: {_one_line(error)}",
            hint="give a file for Python's logging.config: INI, .json or .yaml.",
        ) from error


def check_choices(config: Config) -> None:
    """Check that the event loop and the WebSocket implementation can be loaded, and that options
    belong together.

    Raises:
        ConfigurationError: The name is unknown, or its package is not installed; or
            --proxy-protocol is asked for and nobody is trusted to send it.
    """
    if config.headstart.proxy_protocol and not config.proxy_headers:
        raise ConfigurationError(
            "--proxy-protocol needs to know which addresses to trust",
            hint="leave --no-proxy-headers out, and name them with --forwarded-allow-ips.",
        )
    _check_loads("--loop", config.loop, LOOP_FACTORIES)
    if isinstance(config.ws, str):
        _check_loads("--ws", config.ws, WS_PROTOCOLS)


def _check_loads(option: str, name: str, known: dict[str, str | None]) -> None:
    where = known.get(name, name)
    if where is None:
        return
    try:
        import_from_string(where)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"{option} {name} needs the module {error.name}, which is not installed",
            hint=f"install its package, or choose another {option}.",
        ) from error
    except ImportFromStringError as error:
        raise ConfigurationError(
            f"{option} {name}: {_one_line(error)}", hint=f"known are {', '.join(known)}."
        ) from error


def check_certificate(config: Config) -> None:
    """Raise ConfigurationError where certificate or key cannot be used."""
    if config.ssl_context_factory is not None or not config.is_ssl:
        return
    if not config.ssl_certfile:
        raise ConfigurationError("a key without a certificate", hint="give --ssl-certfile too.")
    for path in (config.ssl_certfile, config.ssl_keyfile):
        if path is not None:
            _check_readable(path)
    password = config.ssl_keyfile_password
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Without a password, an encrypted key would make OpenSSL ask on the terminal.
        context.load_cert_chain(config.ssl_certfile, config.ssl_keyfile, lambda: password or "")
    except ssl.SSLError as error:
        raise _unusable(Path(config.ssl_certfile), config.ssl_keyfile, password, error) from error
    _check_tls_settings(config)


def _check_tls_settings(config: Config) -> None:
    """Check the TLS settings beside the certificate, which is known to be good."""
    if config.ssl_ca_certs is not None:
        _check_readable(config.ssl_ca_certs)
    try:
        create_ssl_context(
            config.ssl_certfile or "",
            config.ssl_keyfile,
            config.ssl_keyfile_password,
            config.ssl_version,
            config.ssl_cert_reqs,
            config.ssl_ca_certs,
            config.ssl_ciphers,
        )
    except (ssl.SSLError, ValueError) as error:
        raise ConfigurationError(
            f"TLS cannot be set up: {_one_line(error)}",
            hint="look at --ssl-version, --ssl-cert-reqs, --ssl-ca-certs and --ssl-ciphers.",
        ) from error


def _check_readable(path: str | os.PathLike[str]) -> None:
    try:
        with open(path, "rb"):
            return
    except OSError as error:
        raise ConfigurationError(
            f"{os.fspath(path)} cannot be read: {error.strerror}",
            hint="check the path and who may read it.",
        ) from error


def _unusable(
    certfile: Path,
    keyfile: str | os.PathLike[str] | None,
    password: str | None,
    error: ssl.SSLError,
) -> ConfigurationError:
    """Return which of both files is at fault, as OpenSSL does not always say."""
    # Slow to load, and needed for this only.
    from cryptography.hazmat.primitives.serialization import load_pem_private_key
    from cryptography.x509 import load_pem_x509_certificates

    try:
        load_pem_x509_certificates(certfile.read_bytes())
    except ValueError:
        return ConfigurationError(
            f"{certfile} holds no certificate in PEM", hint="give another --ssl-certfile."
        )
    holder = certfile if keyfile is None else Path(keyfile)
    content = holder.read_bytes()
    if b"PRIVATE KEY-----" not in content:
        return ConfigurationError(
            f"{holder} holds no private key in PEM", hint="give the key's file with --ssl-keyfile."
        )
    try:
        load_pem_private_key(content, None)
    except TypeError:  # it is encrypted
        said = "is wrong" if password else "is missing"
        if password is None or not _decrypts(content, password):
            return ConfigurationError(
                f"the password for the key in {holder} {said}",
                hint="give it with --ssl-keyfile-password.",
            )
    except ValueError:
        pass  # OpenSSL's own reason says more
    reason = (error.reason or str(error)).replace("_", " ").lower()
    return ConfigurationError(
        f"{certfile} and its key cannot be used: {reason}",
        hint="both must be PEM and belong together.",
    )


def _decrypts(key: bytes, password: str) -> bool:
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        load_pem_private_key(key, password.encode())
    except ValueError:
        return False
    return True


def _one_line(error: BaseException) -> str:
    """Return the error's words, to which a sentence's end can be added."""
    told = error.strerror if isinstance(error, OSError) and error.strerror else error.args[-1:]
    text = told if isinstance(told, str) else str(*told)
    return " ".join(text.split()).rstrip(".") or type(error).__name__


def check_address(config: Config) -> None:
    """Raise ConfigurationError where the host is unknown or a port is taken."""
    _check_redirect(config)
    if config.uds is not None:
        _check_unix_socket(Path(config.uds))
        return
    if config.fd is not None:
        _check_descriptor(config.fd)
        return
    _check_free(config.host, config.port, "--port")


def _check_redirect(config: Config) -> None:
    port = config.headstart.redirect_http
    if not port:
        return
    if not config.is_ssl:
        raise ConfigurationError(
            "--redirect-http needs a server that speaks TLS",
            hint="give --ssl-certfile and --ssl-keyfile too.",
        )
    if config.uds is None and config.fd is None and port == config.port:
        raise ConfigurationError(
            f"--redirect-http and --port are both {port}", hint="give two different ports."
        )
    _check_free(config.host, port, "--redirect-http")


def _check_free(host: str, port: int, option: str) -> None:
    """Raise ConfigurationError where nothing can listen on this address."""
    try:
        found = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (socket.gaierror, OverflowError, UnicodeError) as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {_one_line(error)}", hint=_host_hint(host)
        ) from error
    for family, kind, proto, _, address in found:
        try:
            with socket.socket(family, kind, proto) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
        except OSError as error:
            raise ConfigurationError(
                f"cannot listen on {host}:{port}: {os.strerror(error.errno or 0)}",
                hint=_address_hint(error.errno, option),
            ) from error


def _host_hint(host: str) -> str:
    if host.startswith("[") and host.endswith("]"):
        return f"give an IPv6 address without brackets: --host {host[1:-1]}."
    if "://" in host:
        return "--host takes a name or address of this machine, not a URL."
    return "--host takes a name or address of this machine, --port a number up to 65535."


def _check_unix_socket(path: Path) -> None:
    """Check that the path holds nothing but our own socket, since it is removed at the end."""
    if not path.parent.is_dir():
        raise ConfigurationError(
            f"cannot listen on {path}: there is no such folder", hint="make it, or name another."
        )
    if not path.exists():
        return
    if not stat.S_ISSOCK(path.stat().st_mode):
        raise ConfigurationError(
            f"cannot listen on {path}: it is not a socket",
            hint="name a path with --uds where nothing is yet.",
        )
    with socket.socket(socket.AF_UNIX) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise ConfigurationError(
                f"cannot listen on {path}: {os.strerror(errno.EADDRINUSE)}",
                hint="stop what listens there, or name another path with --uds.",
            )


def _check_descriptor(number: int) -> None:
    try:
        socket.socket(fileno=os.dup(number)).close()
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on descriptor {number}: {error.strerror}",
            hint="--fd takes the number of a socket that was handed over open.",
        ) from error


def _address_hint(number: int | None, option: str) -> str:
    if number == errno.EADDRINUSE:
        return f"stop what listens there, or choose another port with {option}."
    if number == errno.EACCES:
        return f"ports below 1024 need more rights; choose another with {option}."
    return "--host takes a name or address of this machine."
