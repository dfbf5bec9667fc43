"""The shape of the source: which way imports go, what the inner layers may use, how long functions are."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

import bluegreen

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = Path(bluegreen.__file__).resolve().parent
PROJECT = SOURCE.parent.parent
FILES = sorted(SOURCE.rglob("*.py"))
INNER = [path for path in FILES if path.relative_to(SOURCE).parts[0] in {"domain", "pipeline", "ports.py"}]

PURE = {
    "__future__",
    "collections",
    "contextlib",
    "dataclasses",
    "enum",
    "functools",
    "inspect",
    "itertools",
    "json",
    "math",
    "operator",
    "re",
    "types",
    "typing",
}
"""All that the inner layers may import besides themselves: nothing in it knows the time, chance or the machine."""

OWN = {
    "domain": ("bluegreen.domain",),
    "ports.py": ("bluegreen.domain",),
    "pipeline": ("bluegreen.domain", "bluegreen.ports", "bluegreen.pipeline"),
}
IMPURE_BUILTINS = {"open", "print", "input", "exec", "eval", "breakpoint", "globals", "id", "hash"}
"""The last two differ from run to run."""

Function = ast.FunctionDef | ast.AsyncFunctionDef
Documented = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


TREES = {path: tree(path) for path in FILES}


class Place(NamedTuple):
    """A name in the source, as an editor can jump to it."""

    path: Path
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.path.relative_to(PROJECT)}:{self.line}: {self.name}"


def said(places: list[Place]) -> str:
    return "\n".join(map(str, places))


def test_the_source_was_found() -> None:
    assert len(INNER) > 20
    assert (PROJECT / "pyproject.toml").is_file()


def test_imports_go_one_way() -> None:
    """The contracts are in pyproject.toml."""
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 broken" in done.stdout


def imported(module: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.lineno, node.module or ""


@pytest.mark.parametrize("path", INNER, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_inner_layers_import_what_is_pure_and_themselves_only(path: Path) -> None:
    """No clock, sleep, chance, environment, file, socket, thread or third party: by what may be named at all."""
    own = OWN[path.relative_to(SOURCE).parts[0]]
    strangers = [
        Place(path, line, name)
        for line, name in imported(TREES[path])
        if name.partition(".")[0] not in PURE and not name.startswith(own)
    ]
    assert not strangers, said(strangers)


@pytest.mark.parametrize("path", INNER, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_inner_layers_call_nothing_that_reaches_outside(path: Path) -> None:
    calls = (node.func for node in ast.walk(TREES[path]) if isinstance(node, ast.Call))
    reaching = [
        Place(path, call.lineno, call.id) for call in calls if isinstance(call, ast.Name) and call.id in IMPURE_BUILTINS
    ]
    assert not reaching, said(reaching)


def functions() -> Iterator[tuple[int, Place]]:
    """Every function of the source with its lines, signature and docstring among them."""
    for path, module in TREES.items():
        for node in ast.walk(module):
            if isinstance(node, Function):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                yield length, Place(path, node.lineno, f"{node.name} ({length} lines)")


def test_functions_are_short() -> None:
    found = sorted(functions(), reverse=True)
    lengths = [length for length, _ in found]
    longest = said([place for _, place in found[:20]])
    assert statistics.median(lengths) <= 8, f"median {statistics.median(lengths)}; the longest are\n{longest}"
    ninth = statistics.quantiles(lengths, n=10)[-1]
    assert ninth <= 30, f"90th percentile {ninth}; the longest are\n{longest}"
    over = [place for length, place in found if length > 60]
    assert not over, said(over)


def public(path: Path) -> Iterator[Place]:
    """What is public and has no docstring. Members of private classes and functions inside functions are not."""
    module = TREES[path]
    if ast.get_docstring(module) is None:
        yield Place(path, 1, "the module")
    yield from undocumented(path, module)


def undocumented(path: Path, inside: ast.Module | ast.ClassDef) -> Iterator[Place]:
    for node in inside.body:
        if not isinstance(node, Documented) or node.name.startswith("_"):
            continue
        if ast.get_docstring(node) is None:
            yield Place(path, node.lineno, node.name)
        if isinstance(node, ast.ClassDef):
            yield from undocumented(path, node)


def test_everything_public_has_a_docstring() -> None:
    missing = [place for path in FILES for place in public(path)]
    assert not missing, said(missing)


def loose(annotation: ast.expr) -> bool:
    """Whether a type is a dict, or anything at all."""
    names = {node.id for node in ast.walk(annotation) if isinstance(node, ast.Name)}
    texts = {str(node.value) for node in ast.walk(annotation) if isinstance(node, ast.Constant)}
    return bool(names & {"dict", "Dict", "Any", "object"}) or any("dict" in text for text in texts)


def test_no_public_parameter_of_the_pipeline_is_a_dict() -> None:
    """Past an adapter everything has a small type of its own."""
    found = [
        Place(path, node.lineno, f"{node.name}({argument.arg})")
        for path in INNER
        if "pipeline" in path.parts
        for node in ast.walk(TREES[path])
        if isinstance(node, Function) and not node.name.startswith("_")
        for argument in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
        if argument.annotation is not None and loose(argument.annotation)
    ]
    assert not found, said(found)
