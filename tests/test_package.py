"""What is published: an sdist in which the Makefile works, and a wheel of the package."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.server.live import environment

ROOT = Path(__file__).parents[1]
# What each verb needs, for where there is no Git to ask: in an unpacked sdist.
NEEDED = (
    *("Makefile", "pyproject.toml", "requirements.txt", "requirements-bench.txt", "README.md"),
    *("tools/setup", "tools/lint", "bench/__main__.py", "fuzz/__main__.py", "sites/visits.py"),
    *("docs/examples/access.log", "src/headstart/__init__.py", "tests/test_package.py"),
)


def kept(*options: str) -> set[str]:
    """The files that are kept in Git, or those that `git ls-files` lists with other options."""
    if not (ROOT / ".git").exists():
        return set(NEEDED)
    listed = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", "ls-files", "-z", *options],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    return {name for name in listed.split("\0") if name and (ROOT / name).exists()}


def built(target: str, folder: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    [made] = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, unpacked."""
    archive = built("sdist", tmp_path_factory.mktemp("sdist"))
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    [unpacked] = folder.iterdir()
    return unpacked


def test_sdist_has_all_that_is_kept_in_git_and_nothing_else(sdist: Path) -> None:
    found = {str(path.relative_to(sdist)) for path in sdist.rglob("*") if path.is_file()}

    assert kept() - found == set()
    if (ROOT / ".git").exists():
        new = kept("--others", "--exclude-standard")
        assert found - kept() - new == {"PKG-INFO"}
    assert set(NEEDED) <= found
    assert (sdist / "tools/setup").stat().st_mode & 0o100


def test_tests_of_what_stands_beside_the_package_are_found_in_the_sdist(sdist: Path) -> None:
    beside = [f"tests/{name}/test_main.py" for name in ("bench", "fuzz")]
    beside += ["tests/test_pictures.py", "tests/test_makefile.py"]
    variables = environment()
    del variables["PYTHONPATH"]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *beside],
        cwd=sdist,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_wheel_has_the_package_and_no_tests(tmp_path: Path) -> None:
    with zipfile.ZipFile(built("wheel", tmp_path)) as wheel:
        names = wheel.namelist()

    package = {name for name in names if ".dist-info/" not in name}
    sources = {name for name in kept() if name.startswith("src/headstart/")}
    assert {name.removeprefix("src/") for name in sources} <= package
    assert all(name.startswith("headstart/") for name in package)
    assert "headstart/py.typed" in package
    described = {name.partition(".dist-info/")[2] for name in names} - {""}
    assert {"METADATA", "entry_points.txt", "licenses/LICENSE"} <= described
