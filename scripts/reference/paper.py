"""What all pages share: their first lines, tables, and sentences as Markdown takes them."""

from __future__ import annotations

import ast
import inspect
import re
from itertools import pairwise
from textwrap import dedent
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import ModuleType


def page(title: str, *parts: str) -> str:
    """A whole page."""
    note = "<!-- Written by `make docs` from the program; change the program, not this page. -->"
    return "\n\n".join([f"# {title}", note, *(part.strip("\n") for part in parts if part.strip())]) + "\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; empty without rows."""
    lines = [f"| {' | '.join(map(cell, row))} |".replace("|  |", "| |") for row in rows]
    if not lines:
        return ""
    return "\n".join([f"| {' | '.join(heads)} |", "|" + "---|" * len(heads), *lines])


def cell(text: str) -> str:
    """In one line, with bars that end no cell."""
    return " ".join(text.split()).replace("|", "\\|")


def code(text: str) -> str:
    """A word of the program."""
    return f"`{text}`"


def sentence(docstring: str | None) -> str:
    """A docstring as Markdown: its double back-quotes are single ones, its lines one paragraph each."""
    paragraphs = re.split(r"\n\s*\n", (docstring or "").strip())
    return "\n\n".join(" ".join(each.split()) for each in paragraphs).replace("``", "`")


def told_below(what: type | ModuleType) -> dict[str, str]:
    """The sentence below each name of a class or a module, as the source has it."""
    tree = ast.parse(dedent(inspect.getsource(what)))
    body = tree.body if not isinstance(what, type) else getattr(tree.body[0], "body", [])
    found: dict[str, str] = {}
    for line, after in pairwise(body):
        name = _named(line)
        if name and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            found[name] = sentence(str(after.value.value)).replace("\n\n", " ")
    return found


def _named(line: ast.stmt) -> str:
    """The name that a line gives a value or a type; empty: none."""
    match line:
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
            return name
        case _:
            return ""
