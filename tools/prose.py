"""Measure the English and the names of the project, and fail where they get worse.

`make lint` calls it with `--check`: each figure is compared with its limit below. Without
arguments it prints the table; `--list FIGURE` prints the places that a figure counts.

Reads:   README.md and the other documents, src/
Changes: nothing
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import math
import re
import subprocess
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
CODE = re.compile(r"```.*?```", re.DOTALL)
WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
WHAT = re.compile(r"\bwhat(?:'s|ever)?\b", re.IGNORECASE)
YOU = re.compile(r"\byou(?:r|rs|rself)?\b", re.IGNORECASE)
NO_NOUN = re.compile(r"\b(?:is|are|was|were) no (?!longer|more|less|better|way|other)[a-z]+")
VAGUE = re.compile(r"(?:What|Whatever|Whether|Which|Who|Whoever|Where|It|The same|Nobody)\b")

# A limit moves towards its aim when the figure does, and never back.
AT_MOST = {
    "'what' per 1,000 words of docs": 1.0,  # aim: 1
    "'what' per 1,000 words of docstrings": 1.0,  # aim: 1
    "vague summaries, %": 0.5,  # aim: 1
    "'is no NOUN'": 4,  # aim: 0
    "private functions with one caller, %": 63.0,  # aim: 10
    "those of two lines at most, %": 9.0,  # aim: 10
    "exported symbols": 99,  # aim: 99
}
AT_LEAST = {
    "'you' per 1,000 words of docs": 6.5,  # aim: 12
    "imperative summaries, %": 99.0,  # aim: 90
    "mean length of identifiers": 6.8,  # aim: 8
    "comments per 100 lines": 2.6,  # aim: 4
}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure and the places that it counts, as `file:line: text`."""

    name: str
    value: float
    places: list[str]


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of text that people read: its file, its first line and the text."""

    path: Path
    line: int
    text: str


def documents() -> Iterator[Passage]:
    """Yield the prose of each document: no code blocks and no inline code."""
    for path in [*DOCUMENTS, *sorted((ROOT / "docs").rglob("*.md"))]:
        if path.exists():
            text = CODE.sub(lambda code: "\n" * code[0].count("\n"), path.read_text())
            for number, line in enumerate(text.splitlines(), 1):
                yield Passage(path, number, re.sub(r"`[^`]*`|\]\([^)]*\)", " ", line))


def modules() -> Iterator[tuple[Path, str, ast.Module]]:
    """Yield the path, the text and the tree of each module of the package."""
    for path in sorted((ROOT / "src").rglob("*.py")):
        text = path.read_text()
        yield path, text, ast.parse(text)


def docstrings(path: Path, tree: ast.Module) -> Iterator[tuple[ast.AST, Passage]]:
    """Yield each docstring of a module with the node that it documents."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | Function):
            text = ast.get_docstring(node)
            if text:
                yield node, Passage(path, getattr(node, "lineno", 1), text)


def places(passages: list[Passage], pattern: re.Pattern[str]) -> list[str]:
    """Return a place for each match of the pattern."""
    return [
        f"{passage.path.relative_to(ROOT)}:{passage.line}: {excerpt(passage.text, match)}"
        for passage in passages
        for match in pattern.finditer(passage.text)
    ]


def excerpt(text: str, match: re.Match[str]) -> str:
    """Return the words around a match on one line."""
    return " ".join(text[max(0, match.start() - 30) : match.end() + 40].split())


def words(passages: list[Passage]) -> int:
    """Return the number of words in the passages."""
    return sum(len(WORD.findall(passage.text)) for passage in passages)


def rate(name: str, passages: list[Passage], pattern: re.Pattern[str]) -> Figure:
    """Return the matches of a pattern per 1,000 words."""
    found = places(passages, pattern)
    return Figure(name, round(1000 * len(found) / max(1, words(passages)), 2), found)


def summaries(documented: list[tuple[ast.AST, Passage]]) -> Figure:
    """Return the share of functions whose summary begins without a verb."""
    functions = [passage for node, passage in documented if isinstance(node, Function)]
    vague = [passage for passage in functions if VAGUE.match(passage.text)]
    found = [f"{p.path.relative_to(ROOT)}:{p.line}: {p.text.splitlines()[0]}" for p in vague]
    return Figure("vague summaries, %", percent(len(found), len(functions)), found)


def imperative(documented: list[tuple[ast.AST, Passage]]) -> Figure:
    """Return the share of summaries that ruff's D401 takes for imperative."""
    ruff = str(Path(sys.executable).parent / "ruff")
    command = [ruff, "check", "--select", "D401", "--ignore-noqa", "--output-format", "json"]
    said = subprocess.run(
        [*command, "--exit-zero", str(ROOT / "src")],
        capture_output=True,
        text=True,
        check=True,
    )
    found = [
        f"{Path(row['filename']).relative_to(ROOT)}:{row['location']['row']}: {row['message']}"
        for row in json.loads(said.stdout)
    ]
    functions = [passage for node, passage in documented if isinstance(node, Function)]
    vague = sum(bool(VAGUE.match(passage.text)) for passage in functions)
    share = percent(len(functions) - len(found) - vague, len(functions))
    return Figure("imperative summaries, %", share, found)


def percent(part: int, whole: int) -> float:
    """Return a share in percent."""
    return round(100 * part / max(1, whole), 1)


def identifiers(trees: list[tuple[Path, str, ast.Module]]) -> Figure:
    """Return the mean length of the names that the package defines, each counted once a module."""
    names = [name for _, _, tree in trees for name in set(defined(tree)) if len(name) > 1]
    return Figure("mean length of identifiers", round(sum(map(len, names)) / len(names), 2), [])


def defined(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a module defines: functions, classes, arguments and variables."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield name.strip("_")
            case ast.ClassDef(name=name) | ast.arg(arg=name):
                yield name.strip("_")
            case ast.Name(id=name, ctx=ast.Store()):
                yield name.strip("_")
            case _:
                pass  # defines nothing


def comments(trees: list[tuple[Path, str, ast.Module]]) -> Figure:
    """Return the comments per 100 lines that are not blank."""
    lines = sum(bool(line.strip()) for _, text, _ in trees for line in text.splitlines())
    found = sum(
        token.type == tokenize.COMMENT
        for _, text, _ in trees
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
    )
    return Figure("comments per 100 lines", round(100 * found / lines, 2), [])


def lonely(name: str, trees: list[tuple[Path, str, ast.Module]], most: float = math.inf) -> Figure:
    """Return the share of private functions that their module names only once.

    Args:
        name: Of the figure.
        trees: The modules.
        most: Count only functions of so many lines, without signature and docstring.
    """
    total, found = 0, []
    for path, _, tree in trees:
        used = Counter(mentioned(tree))
        for node in ast.walk(tree):
            if isinstance(node, Function) and re.match(r"_[a-z]", node.name):
                total += 1
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = (node.end_lineno or 0) - body[0].lineno + 1 if body else 0
                if used[node.name] == 1 and lines <= most:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {node.name}")
    return Figure(name, percent(len(found), total), found)


def mentioned(tree: ast.Module) -> Iterator[str]:
    """Yield the names that a module uses."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name):
                yield name
            case _:
                pass  # uses no name


def exported(trees: list[tuple[Path, str, ast.Module]]) -> Figure:
    """Return the number of names in `__all__` of the modules that docs/api.md declares public."""
    sections = re.findall(r"^## (\S+)", (ROOT / "docs" / "api.md").read_text(), re.MULTILINE)
    public = {ROOT / "src" / section.replace(".", "/") for section in sections}
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}: {name}"
        for path, _, tree in trees
        if path.with_suffix("") in public or (path.name == "__init__.py" and path.parent in public)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__"
        for name in ast.literal_eval(node.value)
    ]
    return Figure("exported symbols", len(found), found)


def measure() -> list[Figure]:
    """Return all figures."""
    trees = list(modules())
    documented = [pair for path, _, tree in trees for pair in docstrings(path, tree)]
    docs, inside = list(documents()), [passage for _, passage in documented]
    forbidden = places([*docs, *inside], NO_NOUN)
    return [
        rate("'what' per 1,000 words of docs", docs, WHAT),
        rate("'what' per 1,000 words of docstrings", inside, WHAT),
        rate("'you' per 1,000 words of docs", docs, YOU),
        summaries(documented),
        imperative(documented),
        Figure("'is no NOUN'", len(forbidden), forbidden),
        identifiers(trees),
        comments(trees),
        lonely("private functions with one caller, %", trees),
        lonely("those of two lines at most, %", trees, most=2),
        exported(trees),
    ]


def main() -> int:
    """Print the table or a list, or check the limits; return 1 where one is broken."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="compare with the limits")
    parser.add_argument("--list", metavar="FIGURE", help="print the places that a figure counts")
    options = parser.parse_args()
    figures = {figure.name: figure for figure in measure()}
    if options.list:
        print(*figures[options.list].places, sep="\n")
        return 0
    broken = [name for name in figures if not holds(figures[name])]
    for name in broken if options.check else figures:
        limit = AT_MOST.get(name, AT_LEAST.get(name))
        print(f"{name:40} {figures[name].value:8} (limit {limit})")
    if options.check and broken:
        print("Run `python tools/prose.py --list FIGURE` to see the places.")
    return int(options.check and bool(broken))


def holds(figure: Figure) -> bool:
    """Return true if the figure is within its limit."""
    return AT_LEAST.get(figure.name, 0) <= figure.value <= AT_MOST.get(figure.name, math.inf)


if __name__ == "__main__":
    sys.exit(main())
