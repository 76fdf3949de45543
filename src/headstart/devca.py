"""The development CA: TLS for loopback names without a warning and without a flag.

`headstart demo` calls `ensure`, serves with its result, and prints `trust_command`; `h2c` and
`headstart.AsyncClient` call `ca_certificate` and trust it for loopback names only. That call loads
nothing but this module and `folders`, so that the command starts quickly.

Reads and changes one folder, `dev-ca` (0700) in the user's data folder, or in $HEADSTART_DATA:

    ca.pem, ca-key.pem                  the authority, ten years, one for each user
    localhost.pem, localhost-key.pem    the server's certificate, renewed when it has to be
    lock                                held while any of them is written

Keys are readable by nobody else (0600) from the moment that they exist. A file is replaced as a
whole, and the server's key outlives its certificates, so that a process that reads the pair at any
time gets matching halves.
"""

from __future__ import annotations

import fcntl
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from headstart.errors import ConfigurationError, HeadstartError
from headstart.folders import data_folder

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

    from headstart.certificates import KeyPair

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")

_PRIVATE = 0o600
_PUBLIC = 0o644


class DevCaError(HeadstartError):
    """The development CA cannot be made, read or used for the names asked for."""


@dataclass(frozen=True, slots=True)
class DevCertificate:
    """Where a server's certificate is: three PEM files that exist."""

    certfile: Path
    keyfile: Path
    ca_certfile: Path


def folder() -> Path:
    """Return where the development CA is kept, whether it exists yet or not.

    Raises:
        ConfigurationError: This user has no home folder.
    """
    return data_folder() / "dev-ca"


def ca_certificate() -> Path | None:
    """Return the development CA's certificate (PEM), or None if none can be trusted."""
    try:
        home = folder()
        certificate = home / "ca.pem"
        trusted = certificate.is_file() and _nobody_else_writes(home)
    except (OSError, ConfigurationError):
        return None
    return certificate if trusted else None


def ensure(hosts: Sequence[str] = LOOPBACK_HOSTS, *, now: datetime | None = None) -> DevCertificate:
    """Return a server certificate for `hosts`; make or renew it, and the CA, where needed.

    Args:
        hosts: Loopback names and addresses, all of which the certificate will name.
        now: The time, aware; the clock's if left out.

    Raises:
        DevCaError: A host is not a loopback name, or the folder cannot be used.
        ConfigurationError: This user has no home folder.
    """
    wanted = tuple(dict.fromkeys(host.lower() for host in hosts))
    _refuse_other_names(wanted)
    now = now or datetime.now(UTC)
    home = folder()
    try:
        _make_folder(home)
        if not _is_complete(home, wanted, now):
            with _locked(home):
                _complete(home, wanted, now)
    except OSError as error:
        raise DevCaError(
            f"the development CA in {home} cannot be used: {error.strerror or error}",
            hint="Make the folder writable, or name another one in HEADSTART_DATA.",
        ) from error
    return DevCertificate(home / "localhost.pem", home / "localhost-key.pem", home / "ca.pem")


def trust_command(ca_certfile: Path) -> str:
    """Return the shell command that makes Chromium and Chrome on Linux trust the CA, for this user.

    They read the user's NSS database. `certutil` makes it where there is none, but not its folder.
    """
    certificate = shlex.quote(str(ca_certfile))
    return (
        'mkdir -p "$HOME/.pki/nssdb" && '
        f'certutil -d sql:"$HOME/.pki/nssdb" -A -t C,, -n headstart -i {certificate}'
    )


def _refuse_other_names(hosts: Sequence[str]) -> None:
    from headstart.certificates import is_loopback

    others = [host for host in hosts if not is_loopback(host)]
    if others or not hosts:
        raise DevCaError(
            f"the development CA is for loopback names only, not for {', '.join(others) or 'none'}",
            hint="Give a certificate of your own with --certfile and --keyfile.",
        )


def _make_folder(home: Path) -> None:
    for path in (home.parent, home):
        # The mode counts for the last part only, so the two are made one after the other.
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _nobody_else_writes(home):
        raise DevCaError(
            f"the development CA's folder {home} is not yours alone",
            hint=f"Run: chmod 700 {home}; or name a folder of your own in HEADSTART_DATA.",
        )


def _nobody_else_writes(home: Path) -> bool:
    """Refuse a folder that others can write to: the CA decides which servers clients trust."""
    status = home.stat()
    return status.st_uid == os.geteuid() and not status.st_mode & 0o022


@contextmanager
def _locked(home: Path) -> Iterator[None]:
    """Wait until no other process writes in `home`; the lock ends with the file descriptor."""
    descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_complete(home: Path, hosts: Sequence[str], now: datetime) -> bool:
    """Return true if the files for a server and its clients exist, are valid, and match."""
    from headstart import certificates

    authority = certificates.load_certificate(_read(home / "ca.pem"))
    leaf = certificates.load_certificate(_read(home / "localhost.pem"))
    key = certificates.load_key(_read(home / "localhost-key.pem"))
    if authority is None or leaf is None or key is None:
        return False
    return (
        certificates.is_current(authority, now)
        and certificates.belong_together(leaf, key)
        and certificates.vouches_for(authority, leaf, hosts, now)
    )


def _complete(home: Path, hosts: Sequence[str], now: datetime) -> None:
    """Make the missing files. The caller holds the lock."""
    from headstart import certificates

    # Another process may have done it while this one waited for the lock.
    if _is_complete(home, hosts, now):
        return
    authority = _authority(home, now)
    leaf = certificates.issue(authority, _server_key(home), hosts, now)
    _replace(home / "localhost.pem", certificates.certificate_pem(leaf), _PUBLIC)


def _authority(home: Path, now: datetime) -> KeyPair:
    """Return the CA, a new one if it is missing, damaged or about to end."""
    from headstart import certificates

    certificate = certificates.load_certificate(_read(home / "ca.pem"))
    key = certificates.load_key(_read(home / "ca-key.pem"))
    if (
        certificate
        and key
        and certificates.belong_together(certificate, key)
        and certificates.is_current(certificate, now)
    ):
        return certificates.KeyPair(certificate, key)
    made = certificates.make_authority(now)
    _replace(home / "ca-key.pem", certificates.key_pem(made.key), _PRIVATE)
    _replace(home / "ca.pem", certificates.certificate_pem(made.certificate), _PUBLIC)
    return made


def _server_key(home: Path) -> ec.EllipticCurvePrivateKey:
    """Return the server's key, made once: a renewed certificate certifies the same key."""
    from headstart import certificates

    path = home / "localhost-key.pem"
    key = certificates.load_key(_read(path))
    if key is None:
        key = certificates.new_key()
        _replace(path, certificates.key_pem(key), _PRIVATE)
    return key


def _read(path: Path) -> bytes:
    """Return the file's content, b"" if it does not exist."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _replace(path: Path, content: bytes, mode: int) -> None:
    """Write `content` beside `path`, then rename it: a reader sees the old file or the new one.

    The caller holds the lock, so a file with the temporary name is from a killed process.
    """
    temporary = path.with_suffix(".new")
    temporary.unlink(missing_ok=True)
    # O_EXCL: the file is ours and has its mode from the start; a link of that name is not followed.
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
        temporary.replace(path)
    except BaseException:
        with suppress(OSError):
            temporary.unlink()
        raise
