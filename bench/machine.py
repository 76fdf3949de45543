"""What was measured on: processor, cores, system, Python, versions of all servers.

Reads /proc where there is one, and asks each program for its version. Called by `__main__`.
"""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from shutil import which

from bench.clients.contest import PACKAGES
from bench.cores import CORES
from bench.proxies import NGHTTPX, NGINX
from bench.servers import ROOT, Peer, package_version, peer_version, program_version


@dataclass(frozen=True, slots=True)
class Machine:
    """For the report's head.

    Attributes:
        processor: Model name.
        cores: That this process may use.
        memory: Bytes, 0 where unknown.
        stamp: Date, and the commit that was measured.
        versions: Server's name -> packages and versions.
        cores_used: Which cores servers and load had.
        load: The system's load average over a minute at the start; noise, if it is not near 0.
        optimized: Python was built with profile-guided optimization, as distributions build it.
    """

    processor: str
    cores: int
    memory: int
    system: str
    python: str
    h2load: str
    cores_used: str
    load: float
    stamp: str
    versions: dict[str, str]
    optimized: bool

    def is_like(self, other: Machine | None) -> bool:
        """Whether figures of both may stand side by side."""
        return other is None or all(
            getattr(self, name) == getattr(other, name)
            for name in ("processor", "cores", "memory", "python", "cores_used", "optimized")
        )


def describe(peers: list[Peer], *, optimized: bool) -> Machine:
    """This machine, now.

    Args:
        optimized: Said by the user: a distribution's Python does not tell how it was built.
    """
    return Machine(
        processor=processor(_read("/proc/cpuinfo")) or platform.processor() or "unknown",
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1,
        memory=_memory(),
        system=_system(),
        python=_python(),
        h2load=program_version("h2load"),
        cores_used=str(CORES),
        load=round(os.getloadavg()[0], 2),
        stamp=f"{date.today().isoformat()}, commit {revision()}",
        versions={peer.name: peer_version(peer) for peer in peers}
        | {name: program_version(name) for name in (NGHTTPX, NGINX)}
        | _clients(),
        optimized=optimized,
    )


def _clients() -> dict[str, str]:
    curl = program_version("curl").splitlines()[0]
    return {
        **{name: f"{name} {package_version(name)}" for name in PACKAGES},
        "curl": " ".join(curl.split()[:2]),
    }


def revision() -> str:
    """The commit that is checked out, with a "+" where src differs from it."""
    head = _git("rev-parse", "--short", "HEAD")
    return head + "+" * bool(head and _git("status", "--porcelain", "--", "src")) or "unknown"


def _git(*words: str) -> str:
    if which("git") is None:
        return ""
    said = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    return said.stdout.strip()


def processor(cpuinfo: str) -> str:
    """The model's name in the text of /proc/cpuinfo, "" where it is not there."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return ""


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _system() -> str:
    kernel = f"{platform.system()} {platform.release()} {platform.machine()}"
    try:
        return f"{platform.freedesktop_os_release()['PRETTY_NAME']}, {kernel}"
    except (OSError, KeyError):
        return kernel


def _python() -> str:
    """Version, and the compiler, by which builds of one version differ."""
    name = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{name} ({platform.python_compiler()})"


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (OSError, ValueError):
        return 0
