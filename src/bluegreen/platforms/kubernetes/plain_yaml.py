"""YAML as kubectl and the clouds' tools write a kubeconfig: nested blocks, one plain or quoted word a value.

A rollback need not import a parser for that. At the first thing that it does not know for certain, it gives up, and
PyYAML reads the whole text: a test holds both equal on whatever this one takes.
"""

from __future__ import annotations

import re
from typing import Final

Tree = None | bool | str | list["Tree"] | dict[str, "Tree"]
Line = tuple[int, str]
"""How far it is indented, and the rest of it."""

_LINE: Final = re.compile(r"( {0,40})([!-~](?:[ -~]*[!-~])?)")
_PAIR: Final = re.compile(r"([A-Za-z][\w./-]*):(?: (\S.*))?", re.ASCII)
_WORD: Final = re.compile(r"(?:[A-Za-z/]|--[a-z])[\w./:@+=,~-]*", re.ASCII)
_QUOTED: Final = re.compile(r"'([^']*)'|\"([^\"\\]*)\"")
_FIXED: Final[dict[str, Tree]] = {"true": True, "false": False, "null": None}
_MEANS_SOMETHING: Final = frozenset({"yes", "no", "on", "off", "true", "false", "null", "y", "n"})
"""In any spelling but those of ``_FIXED``: what they are is for PyYAML to say."""


class GaveUp(Exception):
    """There is something in it that is not known here."""


def read(text: str) -> Tree:
    """The tree. Raises GaveUp."""
    lines = [_line(each) for each in text.removesuffix("\n").split("\n")]
    found, rest = _block(lines, 0)
    if rest != len(lines):
        raise GaveUp
    return found


def _line(text: str) -> Line:
    found = _LINE.fullmatch(text)
    if found is None or "#" in text:
        raise GaveUp
    return len(found[1]), found[2]


def _block(lines: list[Line], at: int) -> tuple[Tree, int]:
    """The mapping or the list that begins in this line, and the line after it."""
    return _list(lines, at) if lines[at][1].startswith("- ") else _mapping(lines, at)


def _mapping(lines: list[Line], at: int) -> tuple[Tree, int]:
    indent, found = lines[at][0], dict[str, Tree]()
    while at < len(lines) and lines[at][0] == indent and not lines[at][1].startswith("- "):
        pair = _PAIR.fullmatch(lines[at][1])
        if pair is None or pair[1] in found or pair[1].lower() in _MEANS_SOMETHING:
            raise GaveUp
        value, at = (_scalar(pair[2]), at + 1) if pair[2] else _below(lines, at + 1, indent)
        found[pair[1]] = value
    return found, _ended(lines, at, indent)


def _below(lines: list[Line], at: int, indent: int) -> tuple[Tree, int]:
    """What belongs to a name without a value in its own line: a list may stand as far to the left as the name."""
    if at < len(lines):
        deeper, text = lines[at]
        if deeper > indent or (deeper == indent and text.startswith("- ")):
            return _block(lines, at)
    return None, at


def _list(lines: list[Line], at: int) -> tuple[Tree, int]:
    indent, found = lines[at][0], list[Tree]()
    while at < len(lines) and lines[at][0] == indent and lines[at][1].startswith("- "):
        item = lines[at][1][2:]
        if _PAIR.fullmatch(item) is None:
            value, at = _scalar(item), at + 1
        else:
            lines[at] = (indent + 2, item)
            value, at = _mapping(lines, at)
        found.append(value)
    return found, _ended(lines, at, indent)


def _ended(lines: list[Line], at: int, indent: int) -> int:
    if at < len(lines) and lines[at][0] > indent:
        raise GaveUp
    return at


def _scalar(text: str) -> Tree:
    if text in _FIXED:
        return _FIXED[text]
    if text == "{}":
        return {}
    if text == "[]":
        return []
    quoted = _QUOTED.fullmatch(text)
    if quoted is not None:
        return quoted[1] or quoted[2] or ""
    if _WORD.fullmatch(text) is None or text.endswith(":") or text.lower() in _MEANS_SOMETHING:
        raise GaveUp
    return text
