"""The files for a public forge: workflows, issue forms, pre-commit."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FORGE = ROOT / ".github"
WORKFLOWS = sorted((FORGE / "workflows").glob("*.yml"))
TEMPLATES = sorted((FORGE / "ISSUE_TEMPLATE").glob("*.yml"))


def schema_of(path: Path) -> str:
    if path in WORKFLOWS:
        return "github-workflows"
    if path.name == "config.yml":
        return "github-issue-config"
    return "github-issue-forms" if path in TEMPLATES else "dependabot"


@pytest.mark.parametrize("path", sorted(FORGE.rglob("*.yml")), ids=lambda path: path.name)
def test_file_has_the_form_that_the_forge_asks_for(path: Path) -> None:
    checker = Path(sys.executable).with_name("check-jsonschema")
    done = subprocess.run(
        [checker, "--builtin-schema", f"vendor.{schema_of(path)}", path],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def test_tests_run_on_each_supported_python_on_linux_and_macos() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    supported = [
        text.rpartition(" ")[2] for text in project["classifiers"] if re.search(r":: 3\.\d+$", text)
    ]
    matrix = yaml.safe_load((FORGE / "workflows" / "ci.yml").read_text())["jobs"]["tests"]
    matrix = matrix["strategy"]["matrix"]

    assert matrix["python"] == supported
    assert {system.partition("-")[0] for system in matrix["system"]} == {"ubuntu", "macos"}


@pytest.mark.parametrize("path", [*WORKFLOWS, ROOT / ".pre-commit-config.yaml"])
def test_verbs_are_those_of_the_makefile(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text()
    verbs = re.findall(r"\bmake ([a-z-]+)", re.sub(r"#.*", "", path.read_text()))

    assert verbs
    for verb in verbs:
        assert re.search(rf"^{verb}:", makefile, re.MULTILINE), verb


def test_each_action_is_pinned_to_a_commit() -> None:
    used = [
        (path.name, action)
        for path in WORKFLOWS
        for action in re.findall(r"\buses: (\S+)", path.read_text())
        if not action.startswith("./")
    ]

    assert len(used) > 10
    for name, action in used:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action), (name, action)


def test_list_of_parts_is_that_of_an_installation() -> None:
    steps = yaml.safe_load((FORGE / "workflows" / "release.yml").read_text())["jobs"]["build"]
    [listing] = [step for step in steps["steps"] if "sbom-action" in step.get("uses", "")]
    [installing] = [step["run"] for step in steps["steps"] if "venv" in step.get("run", "")]

    assert f"python -m venv {listing['with']['path']}\n" in installing
    assert "dist/*.whl" in installing


def test_release_is_published_without_a_secret_and_after_the_checks() -> None:
    release = yaml.safe_load((FORGE / "workflows" / "release.yml").read_text())
    jobs = release["jobs"]

    assert "secrets." not in (FORGE / "workflows" / "release.yml").read_text()
    assert jobs["build"]["needs"] == "checks"
    assert jobs["publish"]["needs"] == "build"
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert release["permissions"] == {"contents": "read"}
