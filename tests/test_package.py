"""What is published: an sdist in which the Makefile works, and a wheel of the package."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.server.live import environment

ROOT = Path(__file__).parents[1]
# What each verb needs, for where there is no Git to ask: in an unpacked sdist.
NEEDED = (
    *("Makefile", "pyproject.toml", "requirements.txt", "requirements-bench.txt", "README.md"),
    *(
        "tools/setup",
        "tools/lint",
        "bench/__main__.py",
        "tests/fuzzing/guided/__main__.py",
        "sites/visits.py",
    ),
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


def metadata(folder: Path, *options: str) -> str:
    """Return what hatchling says of the project in a folder."""
    command = [sys.executable, "-m", "hatchling", *options]
    return subprocess.check_output(command, cwd=folder, text=True).strip()


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the sdist, and with the wheel that was built from the sdist."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return folder


@pytest.fixture(scope="module")
def sdist(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist, unpacked."""
    [archive] = built.glob("*.tar.gz")
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    [unpacked] = folder.iterdir()
    return unpacked


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    [made] = built.glob("*.whl")
    return made


def test_sdist_has_all_that_is_kept_in_git_and_nothing_else(sdist: Path) -> None:
    found = {str(path.relative_to(sdist)) for path in sdist.rglob("*") if path.is_file()}

    assert kept() - found == set()
    if (ROOT / ".git").exists():
        new = kept("--others", "--exclude-standard")
        assert found - kept() - new == {"PKG-INFO", "src/headstart/_version.py"}
    assert set(NEEDED) <= found
    assert (sdist / "tools/setup").stat().st_mode & 0o100


def test_no_store_of_a_trial_run_is_kept_in_git() -> None:
    heads = {name: (ROOT / name).read_bytes()[:16] for name in kept() if (ROOT / name).is_file()}

    assert "README.md" in heads
    assert [name for name, head in heads.items() if head == b"SQLite format 3\0"] == []


def test_tests_of_the_sdist_are_found_and_pass(sdist: Path) -> None:
    beside = ["tests/bench/test_main.py", "tests/fuzzing/test_guided_main.py"]
    beside += ["tests/test_pictures.py", "tests/test_makefile.py"]
    variables = environment()
    del variables["PYTHONPATH"]

    def pytest_in_sdist(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments],
            cwd=sdist,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )

    listed = pytest_in_sdist("--collect-only", *beside)
    done = pytest_in_sdist("tests/wire/test_frames.py", "tests/learn/test_urls.py")

    assert listed.returncode == 0, listed.stdout + listed.stderr
    assert done.returncode == 0, done.stdout + done.stderr


def test_wheel_has_the_package_and_no_tests(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as opened:
        names = opened.namelist()

    package = {name for name in names if ".dist-info/" not in name}
    sources = {name for name in kept() if name.startswith("src/headstart/")}
    own = {name.removeprefix("src/") for name in sources}
    if (ROOT / ".git").exists():
        own |= {name.removeprefix("src/") for name in kept("--others", "--exclude-standard")}
        assert package - own == {"headstart/_version.py"}
    assert own & package == {name for name in own if name.startswith("headstart/")}
    assert {"headstart/py.typed", "headstart/django/templatetags/headstart.py"} <= package
    described = {name.partition(".dist-info/")[2] for name in names} - {""}
    assert {"METADATA", "entry_points.txt", "licenses/LICENSE"} <= described


def test_wheel_is_the_same_each_time_it_is_built(sdist: Path, wheel: Path, tmp_path: Path) -> None:
    metadata(sdist, "build", "-t", "wheel", "-d", str(tmp_path))

    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


# The version.


def test_version_of_the_package_is_that_of_its_sdist_and_wheel(sdist: Path, wheel: Path) -> None:
    _, version, *_ = wheel.name.split("-")

    assert f"\nVersion: {version}\n" in (sdist / "PKG-INFO").read_text()
    assert f'VERSION = "{version}"' in (sdist / "src/headstart/_version.py").read_text()
    with zipfile.ZipFile(wheel) as opened:
        assert f'VERSION = "{version}"' in opened.read("headstart/_version.py").decode()


def test_version_is_that_of_the_tag(tmp_path: Path) -> None:
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-C", str(tmp_path)]
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"], ["tag", "v1.2.3"]):
        subprocess.run([*git, *arguments], check=True)

    assert metadata(tmp_path, "version") == "1.2.3"


def test_copy_without_git_has_a_version(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)

    assert metadata(tmp_path, "version") == "0.1.dev0"


def test_source_that_was_never_built_can_be_imported(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("_version.py"))
    program = "import headstart; print(headstart.__version__)"

    said = subprocess.check_output(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": str(tmp_path / "src")},
        text=True,
    )

    assert said == "0.0.0\n"


# The extras.


def test_extras_are_in_the_docs_and_one_has_them_all() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    [whole] = map(Requirement, extras["all"])
    listed = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/start.md").read_text(), re.MULTILINE)

    assert whole.extras == set(extras) - {"all"}
    assert set(listed) == set(extras)


# A minimal installation: the wheel and the packages that it asks for, nothing else.


def requirements(name: str, found: set[str]) -> set[str]:
    """Return the distributions that one needs, without extras, with their own."""
    for text in distribution(name).requires or []:
        each = Requirement(text)
        if each.name not in found and (each.marker is None or each.marker.evaluate({"extra": ""})):
            found.add(each.name)
            requirements(each.name, found)
    return found


@pytest.fixture(scope="module")
def minimal(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder to import from: the wheel unpacked, and links to the packages it needs."""
    folder = tmp_path_factory.mktemp("minimal")
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(folder)
    for name in requirements("headstart", set()):
        for file in distribution(name).files or []:
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (folder / top).exists():
                (folder / top).symlink_to(Path(str(distribution(name).locate_file(top))))
    return folder


def run_in(folder: Path, program: str) -> str:
    """Run a program that finds only the standard library and a folder."""
    return subprocess.check_output(
        [sys.executable, "-S", "-c", program],
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"},
        text=True,
    )


# What the extras bring, and the frameworks of users.
OPTIONAL = {"asgiref", "backports", "django", "flask", "httpx", "opentelemetry"}
OPTIONAL |= {"prometheus_client", "redis"}


def test_minimal_installation_imports_each_module_but_those_of_extras(minimal: Path) -> None:
    said = run_in(
        minimal,
        "import importlib, json, pkgutil, headstart\n"
        "missing = {}\n"
        "packages = pkgutil.walk_packages(headstart.__path__, 'headstart.', lambda name: None)\n"
        "for module in packages:\n"
        "    if not module.name.endswith('__main__'):\n"
        "        try: importlib.import_module(module.name)\n"
        "        except ModuleNotFoundError as error: missing[module.name] = error.name\n"
        "print(json.dumps(missing))\n",
    )

    missing = json.loads(said)
    assert {name.partition(".")[0] for name in missing.values()} <= OPTIONAL, missing
    assert "headstart.flask" in missing


def test_minimal_installation_has_both_commands(minimal: Path) -> None:
    program = "import sys; sys.argv[1:] = ['--version']; from {} import main; main()"

    assert run_in(minimal, program.format("headstart.__main__")).startswith("headstart, version ")
    assert run_in(minimal, program.format("headstart.h2c.command")).startswith("h2c ")


def headstart_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command of a folder, which alone it can import from."""
    program = "import sys; from headstart.__main__ import main; sys.argv[0] = 'headstart'; main()"
    return subprocess.run(
        [sys.executable, "-S", "-c", program, *arguments],
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )


@pytest.mark.parametrize("command", ["serve", "proxy", "map", "cache", "replay", "demo"])
def test_minimal_installation_loads_each_command(minimal: Path, command: str) -> None:
    done = headstart_in(minimal, command, "--help")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Usage: headstart {command} ")


def test_minimal_installation_plays_a_log(minimal: Path) -> None:
    done = headstart_in(minimal, "replay", str(ROOT / "docs/examples/access.log"))

    assert done.returncode == 0, done.stderr
    assert "Requests saved: 16 of 26 were" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "package", "extra"),
    [
        (("map", "--store", "redis://127.0.0.1:1/"), "redis", "redis"),
        (("serve", "x:app", "--store", "redis://127.0.0.1:1/"), "redis", "redis"),
        (("proxy", "http://127.0.0.1:1", "--tracing"), "opentelemetry-api", "tracing"),
    ],
)
def test_command_that_lacks_an_extra_tells_how_to_install_it(
    minimal: Path, arguments: tuple[str, ...], package: str, extra: str
) -> None:
    done = headstart_in(minimal, *arguments)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert f"needs the package {package}. Install it: pip install '" in done.stderr
    assert done.stderr.endswith(f"[{extra}]'\n")


@pytest.mark.parametrize(
    ("module", "allowed"),
    [
        ("headstart", set()),
        ("headstart.deliver", set()),
        ("headstart.client", {"hpack", "httptools", "hyperframe", "ngh2"}),
        ("headstart.middleware", {"selectolax", "tinycss2", "webencodings"}),
        ("headstart.h2c.command", set()),
    ],
)
def test_import_loads_no_package_that_it_does_not_need(
    minimal: Path, module: str, allowed: set[str]
) -> None:
    """Count packages, not seconds: what is not loaded takes no time."""
    said = run_in(
        minimal,
        f"import sys; import {module}\n"
        "print(*{name.partition('.')[0] for name in sys.modules} - sys.stdlib_module_names)",
    )

    # Modules in Cython make a module of this name.
    loaded = {name for name in said.split() if not name.startswith("_")} - {"cython_runtime"}
    assert loaded - {"headstart"} <= allowed
