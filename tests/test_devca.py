from __future__ import annotations

import errno
import fcntl
import os
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import create_server

import pytest
from cryptography import x509

from headstart import certificates, devca
from headstart.devca import DevCaError, DevCertificate, trust_command
from tests.peers import peer

NOW = datetime.now(UTC)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADSTART_DATA", str(tmp_path / "data"))
    return tmp_path / "data" / "dev-ca"


def contents(made: DevCertificate) -> tuple[bytes, bytes, bytes]:
    return (
        made.certfile.read_bytes(),
        made.keyfile.read_bytes(),
        made.ca_certfile.read_bytes(),
    )


def server_context(made: DevCertificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certfile, made.keyfile)
    return context


def handshake(made: DevCertificate, host: str) -> None:
    """A TLS handshake in memory, verified as strictly as Python can."""
    context = ssl.create_default_context(cafile=made.ca_certfile)
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server, server_hostname=host)
    server = server_context(made).wrap_bio(to_server, to_client, server_side=True)
    done = 0
    for side in (client, server, client, server):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        done += 1
    assert done >= 2


@contextmanager
def https_server(made: DevCertificate) -> Iterator[int]:
    """Answers one HTTPS request on 127.0.0.1; gives the port."""

    def answer_once() -> None:
        connection, _ = listener.accept()
        with server_context(made).wrap_socket(connection, server_side=True) as stream:
            stream.recv(65536)
            stream.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\ntrusted"
            )

    with create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        listener.settimeout(90)
        answered = pool.submit(answer_once)
        yield listener.getsockname()[1]
        answered.result(90)


@pytest.mark.parametrize("host", devca.LOOPBACK_HOSTS)
def test_client_that_trusts_the_ca_accepts_every_loopback_name(home: Path, host: str) -> None:
    made = devca.ensure()

    handshake(made, host)


@pytest.mark.parametrize("host", ["example.com", "127.0.0.2", "localhost.example.com"])
def test_client_that_trusts_the_ca_refuses_every_other_name(home: Path, host: str) -> None:
    made = devca.ensure()

    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(made, host)


def test_files_are_the_users_alone(home: Path) -> None:
    old_umask = os.umask(0)
    try:
        made = devca.ensure()
    finally:
        os.umask(old_umask)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [home, *home.iterdir()]}
    assert modes == {
        "dev-ca": 0o700,
        "ca.pem": 0o644,
        "ca-key.pem": 0o600,
        "localhost.pem": 0o644,
        "localhost-key.pem": 0o600,
        "lock": 0o600,
    }
    assert made.keyfile == home / "localhost-key.pem"


def test_second_call_changes_nothing(home: Path) -> None:
    first = devca.ensure(now=NOW)
    before = contents(first)

    second = devca.ensure(now=NOW + timedelta(days=300))

    assert second == first
    assert contents(second) == before


def test_certificate_that_ends_within_a_month_is_renewed_for_the_same_key(home: Path) -> None:
    certificate, key, authority = contents(devca.ensure(now=NOW - timedelta(days=370)))

    renewed = devca.ensure(now=NOW)

    assert contents(renewed)[0] != certificate
    assert contents(renewed)[1:] == (key, authority)
    handshake(renewed, "localhost")


def test_ca_that_ends_within_a_month_is_made_anew(home: Path) -> None:
    authority = contents(devca.ensure(now=NOW - timedelta(days=3640)))[2]

    renewed = devca.ensure(now=NOW)

    assert contents(renewed)[2] != authority
    handshake(renewed, "localhost")


def test_other_hosts_get_another_certificate_from_the_same_ca(home: Path) -> None:
    authority = contents(devca.ensure(now=NOW))[2]

    made = devca.ensure(["App.localhost", "127.0.0.9"], now=NOW)

    handshake(made, "app.localhost")
    handshake(made, "127.0.0.9")
    assert contents(made)[2] == authority


@pytest.mark.parametrize("name", ["ca.pem", "localhost.pem", "localhost-key.pem"])
@pytest.mark.parametrize("damage", [None, b"", b"-----BEGIN CERTIFICATE-----\nno\n"])
def test_damaged_or_missing_file_is_made_anew(home: Path, name: str, damage: bytes | None) -> None:
    devca.ensure(now=NOW)
    if damage is None:
        (home / name).unlink()
    else:
        (home / name).write_bytes(damage)

    made = devca.ensure(now=NOW)

    handshake(made, "localhost")


def test_lost_ca_key_matters_only_when_it_is_needed(home: Path) -> None:
    before = contents(devca.ensure(now=NOW))
    (home / "ca-key.pem").unlink()

    assert contents(devca.ensure(now=NOW)) == before
    made = devca.ensure(["localhost"], now=NOW)

    assert contents(made)[2] != before[2]
    handshake(made, "localhost")


def test_certificate_of_another_ca_is_replaced(home: Path) -> None:
    made = devca.ensure(now=NOW)
    foreign = certificates.make_authority(NOW)
    key = certificates.load_key(made.keyfile.read_bytes())
    assert key is not None
    leaf = certificates.issue(foreign, key, devca.LOOPBACK_HOSTS, NOW)
    made.certfile.write_bytes(certificates.certificate_pem(leaf))

    handshake(devca.ensure(now=NOW), "localhost")


def test_processes_that_start_at_once_agree_on_one_ca(home: Path) -> None:
    script = "from headstart import devca; print(devca.ensure().ca_certfile.read_text())"
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))

    running = [
        subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env=environment
        )
        for _ in range(3)
    ]
    seen = {process.communicate(timeout=90)[0].strip() for process in running}

    assert seen == {(home / "ca.pem").read_text().strip()}
    assert not list(home.glob("*.new"))
    handshake(devca.ensure(), "localhost")


def test_what_a_killed_process_left_is_no_obstacle(home: Path, tmp_path: Path) -> None:
    home.mkdir(parents=True, mode=0o700)
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    (home / "ca-key.new").symlink_to(victim)
    (home / "localhost.new").write_text("half")

    made = devca.ensure()

    handshake(made, "localhost")
    assert victim.read_text() == "untouched"


def test_failed_write_leaves_no_file_behind(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, target: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    monkeypatch.setattr(Path, "replace", full)

    with pytest.raises(DevCaError, match="No space left on device"):
        devca.ensure()

    assert [path.name for path in home.iterdir()] == ["lock"]


def test_file_that_cannot_be_read_is_an_error_with_what_to_do(home: Path) -> None:
    (home / "localhost.pem").mkdir(parents=True)
    home.chmod(0o700)

    with pytest.raises(DevCaError, match="Is a directory") as failed:
        devca.ensure()

    assert "HEADSTART_DATA" in failed.value.hint


def test_what_another_process_made_meanwhile_is_taken(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_flock = fcntl.flock
    meanwhile: list[tuple[bytes, bytes, bytes]] = []

    def other_process_first(descriptor: int, operation: int) -> None:
        monkeypatch.setattr(fcntl, "flock", real_flock)
        meanwhile.append(contents(devca.ensure()))
        real_flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", other_process_first)

    made = devca.ensure()

    assert [contents(made)] == meanwhile


@pytest.mark.parametrize("hosts", [["example.com"], ["192.168.0.1"], ["ü.localhost"], []])
def test_names_beyond_loopback_are_refused_with_what_to_do(home: Path, hosts: list[str]) -> None:
    with pytest.raises(DevCaError, match="loopback names only") as refused:
        devca.ensure(hosts)

    assert "--certfile" in refused.value.hint
    assert not home.exists()


def test_folder_that_cannot_be_made_is_an_error_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HEADSTART_DATA", str(tmp_path / "file" / "data"))

    with pytest.raises(DevCaError) as failed:
        devca.ensure()

    assert str(tmp_path / "file") in str(failed.value)
    assert "HEADSTART_DATA" in failed.value.hint
    assert devca.ca_certificate() is None


def test_folder_that_others_may_write_is_not_trusted(home: Path) -> None:
    devca.ensure()
    home.chmod(0o777)

    assert devca.ca_certificate() is None
    with pytest.raises(DevCaError, match="not yours alone"):
        devca.ensure()


def test_ca_certificate_is_none_until_there_is_one(home: Path) -> None:
    assert devca.ca_certificate() is None

    made = devca.ensure()

    assert devca.ca_certificate() == made.ca_certfile


def test_ca_certificate_is_none_where_the_folder_cannot_be_looked_into(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEADSTART_DATA", str(tmp_path / ("x" * 300)))

    assert devca.ca_certificate() is None


def test_folder_is_in_the_users_data_folder_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HEADSTART_DATA")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)

    assert devca.folder().is_relative_to(tmp_path)
    assert devca.folder().parts[-2:] == ("headstart", "dev-ca")


def test_asking_for_the_ca_certificate_does_not_load_cryptography(home: Path) -> None:
    script = (
        "import sys; from headstart import devca; devca.ca_certificate(); "
        "print(*{'cryptography', 'platformdirs', 'ssl'} & set(sys.modules))"
    )
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))

    output = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        timeout=90,
        env=environment,
    ).stdout

    assert output.split() == []


def test_leaf_for_another_name_is_refused_even_if_the_ca_key_signed_it(home: Path) -> None:
    made = devca.ensure()
    authority_key = certificates.load_key((home / "ca-key.pem").read_bytes())
    key = certificates.load_key(made.keyfile.read_bytes())
    assert authority_key is not None
    assert key is not None
    authority = certificates.KeyPair(
        x509.load_pem_x509_certificate(made.ca_certfile.read_bytes()), authority_key
    )
    stolen = certificates.issue(authority, key, ["example.com"], NOW)
    made.certfile.write_bytes(certificates.certificate_pem(stolen))

    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree violation"):
        handshake(made, "example.com")


def test_curl_accepts_the_certificate(home: Path) -> None:
    curl = peer("curl")
    made = devca.ensure()

    with https_server(made) as port:
        answer = subprocess.run(
            [curl, "-sS", "--noproxy", "*", "--resolve", f"localhost:{port}:127.0.0.1",
             "--cacert", made.ca_certfile, f"https://localhost:{port}/"],
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip

    assert (answer.stdout, answer.stderr) == ("trusted", "")


def test_node_accepts_the_certificate(home: Path) -> None:
    node = peer("node")
    made = devca.ensure()
    script = (
        "require('https').get({host: '127.0.0.1', port: +process.argv[1], ca: "
        "require('fs').readFileSync(process.argv[2])}, r => r.pipe(process.stdout))"
    )

    with https_server(made) as port:
        answer = subprocess.run(
            [node, "-e", script, str(port), made.ca_certfile],
            capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip

    assert (answer.stdout, answer.stderr) == ("trusted", "")


_JAVA_CLIENT = """
import java.io.FileInputStream;
import java.net.URL;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import javax.net.ssl.*;

public class Fetch {
    public static void main(String[] args) throws Exception {
        KeyStore store = KeyStore.getInstance("PKCS12");
        store.load(null, null);
        var factory = CertificateFactory.getInstance("X.509");
        store.setCertificateEntry("ca", factory.generateCertificate(new FileInputStream(args[1])));
        var trust = TrustManagerFactory.getInstance("PKIX");
        trust.init(store);
        var context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        HttpsURLConnection.setDefaultSSLSocketFactory(context.getSocketFactory());
        var stream = new URL("https://127.0.0.1:" + args[0] + "/").openStream();
        System.out.write(stream.readAllBytes());
        System.out.flush();
    }
}
"""


def test_java_accepts_the_certificate(home: Path, tmp_path: Path) -> None:
    java = peer("java")
    made = devca.ensure()
    source = tmp_path / "Fetch.java"
    source.write_text(_JAVA_CLIENT)

    with https_server(made) as port:
        answer = subprocess.run(
            [java, source, str(port), made.ca_certfile],
            capture_output=True, text=True, timeout=50, check=False,
        )  # fmt: skip

    assert answer.stdout == "trusted", answer.stderr


def test_command_adds_the_ca_to_the_database_that_browsers_read(home: Path, tmp_path: Path) -> None:
    certutil = peer("certutil")
    made = devca.ensure()
    own = {"HOME": str(tmp_path), "PATH": f"{Path(certutil).parent}:/usr/bin:/bin"}

    for _ in range(2):
        subprocess.run(
            ["sh", "-c", trust_command(made.ca_certfile)],
            stdin=subprocess.DEVNULL,
            timeout=90,
            check=True,
            env=own,
        )

    listed = subprocess.run(
        [certutil, "-d", f"sql:{tmp_path}/.pki/nssdb", "-L", "-n", "headstart", "-a"],
        capture_output=True,
        timeout=90,
        check=True,
    )
    assert x509.load_pem_x509_certificate(listed.stdout) == x509.load_pem_x509_certificate(
        made.ca_certfile.read_bytes()
    )


def test_command_quotes_a_folder_with_spaces() -> None:
    assert trust_command(Path("/my data/ca.pem")).endswith(" -i '/my data/ca.pem'")
