"""Programs of tests/clients that Go or Java builds for a test."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.peers import lack, peer

CLIENTS = Path(__file__).parent
# Where Debian's packages of Go libraries are.
_LIBRARIES = Path("/usr/share/gocode")
_GRPC = _LIBRARIES / "src/google.golang.org/grpc"
# ... and those of Java, of which gRPC needs these.
_JARS = Path("/usr/share/java")
_GRPC_JARS = (
    *("grpc-api", "grpc-context", "grpc-core", "grpc-netty", "grpc-stub", "perfmark-api", "guava"),
    *("netty-buffer", "netty-codec", "netty-codec-http", "netty-codec-http2", "netty-common"),
    *("netty-handler", "netty-resolver", "netty-transport"),
)


def early_uploads(folder: Path) -> str:
    """Build `early_uploads.go` in `folder`; returns the program's path."""
    return _build("early_uploads", folder, {"GOFLAGS": ""})


def grpc_go(folder: Path) -> str:
    """Build `grpc_go.go` in `folder` with Debian's package of gRPC; returns the program's path."""
    go = peer("go")
    if not _GRPC.exists():
        lack(f"grpc-go is not installed for {go}")
    return _build("grpc_go", folder, {"GO111MODULE": "off", "GOPATH": str(_LIBRARIES)})


def grpc_java() -> list[str]:
    """Return the command of `GrpcJava.java`, with Debian's package of gRPC; Java compiles it."""
    java = peer("java")
    jars = [_JARS / f"{name}.jar" for name in _GRPC_JARS]
    if not all(jar.exists() for jar in jars):
        lack(f"grpc-java is not installed for {java}")
    return [java, "-cp", os.pathsep.join(map(str, jars)), str(CLIENTS / "GrpcJava.java")]


def _build(name: str, folder: Path, settings: dict[str, str]) -> str:
    """Go builds its library too, the first time."""
    program = str(folder / name)
    subprocess.run(
        [peer("go"), "build", "-o", program, f"{name}.go"],
        cwd=CLIENTS,
        env={"GOTOOLCHAIN": "local", **os.environ, **settings},
        check=True,
    )
    return program
