"""The command: gives each target its time, and says what was found and how to repeat it.

Exit status 0, 1 where something was found or atheris is missing, 2 for a wrong call.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
CORPUS: Final = Path(__file__).with_name("corpus")
FOUND: Final = ROOT / ".fuzz"
NAMES: Final = (
    "frames",
    "server",
    "client",
    "blocks",
    "links",
    "push",
    "http1",
    "upstream",
    "upstream_http2",
    "page",
)

_MAX_INPUT: Final = 4096
_MAX_SECONDS_EACH: Final = 10
_MAX_MEGABYTES: Final = 1024
_RUNS = re.compile(r"^Done (\d+) runs", re.M)
_ARTIFACT = re.compile(r"Test unit written to (\S+)")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    parser = _parser()
    given = parser.parse_args(arguments)
    names = given.targets or list(NAMES)
    if unknown := [name for name in names if name not in NAMES]:
        parser.error(f"no target {unknown[0]!r}; there are {', '.join(NAMES)}")
    if given.repeat is not None and len(names) != 1:
        parser.error("--repeat needs the one target that the file is for")
    if find_spec("atheris") is None:
        print("fuzz: no atheris. `tools/setup fuzz` installs it.", file=sys.stderr)
        return 1
    if given.repeat is not None:
        return _repeat(names[0], given.repeat)
    failed = [name for name in names if not _fuzz(name, given.seconds)]
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzzing.guided",
        description="Coverage-guided fuzzing of what reads a stranger's bytes.",
    )
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=", ".join(NAMES))
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target (60)")
    parser.add_argument("--repeat", type=Path, metavar="FILE", help="run one input and no other")
    return parser


def _fuzz(name: str, seconds: float) -> bool:
    """Give one target its time; whether nothing was found."""
    found = FOUND / name
    found.mkdir(parents=True, exist_ok=True)
    # New inputs are written to the first folder; the seeds are only read.
    folders = [str(found), *([str(CORPUS / name)] if (CORPUS / name).exists() else [])]
    done = _engine(
        name,
        f"-max_total_time={max(1, round(seconds))}",
        f"-max_len={_MAX_INPUT}",
        f"-timeout={_MAX_SECONDS_EACH}",
        f"-rss_limit_mb={_MAX_MEGABYTES}",
        f"-artifact_prefix={FOUND}/{name}-",
        "-print_final_stats=0",
        *folders,
    )
    runs = _RUNS.search(done.stderr)
    if done.returncode == 0 and runs is not None:
        print(f"fuzz: {name}: {runs[1]} runs, nothing found", flush=True)
        return True
    print(done.stdout + done.stderr, file=sys.stderr)
    artifact = _ARTIFACT.search(done.stderr)
    if artifact is not None:
        command = f"python -m tests.fuzzing.guided {name} --repeat {artifact[1]}"
        print(f"fuzz: {name}: repeat with `{command}`")
    else:
        print(f"fuzz: {name}: ended with {done.returncode}, see above")
    return False


def _repeat(name: str, file: Path) -> int:
    done = _engine(name, str(file))
    print(done.stdout + done.stderr, file=sys.stderr)
    return 1 if done.returncode else 0


def _engine(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.fuzzing.guided.engine", name, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


if __name__ == "__main__":
    sys.exit(main())
