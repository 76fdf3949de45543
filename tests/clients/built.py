"""Programs of tests/clients that Go builds for a test."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.peers import lack, peer

CLIENTS = Path(__file__).parent
# Where Debian's packages of Go libraries are.
_LIBRARIES = Path("/usr/share/gocode")
_GRPC = _LIBRARIES / "src/google.golang.org/grpc"


def early_uploads(folder: Path) -> str:
    """Build `early_uploads.go` in `folder`; returns the program's path."""
    return _build("early_uploads", folder, {"GOFLAGS": ""})


def grpc_go(folder: Path) -> str:
    """Build `grpc_go.go` in `folder` with Debian's package of gRPC; returns the program's path."""
    go = peer("go")
    if not _GRPC.exists():
        lack(f"grpc-go is not installed for {go}")
    return _build("grpc_go", folder, {"GO111MODULE": "off", "GOPATH": str(_LIBRARIES)})


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
