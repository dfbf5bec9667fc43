"""The page of the JSON lines: the events of a run, the answers of the commands that look, and what they are made of."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import types
from enum import Enum
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Union, get_args, get_origin, get_type_hints

from scripts.reference.paper import code, page, sentence, table, told_below

from bluegreen.cli.views.doctor import Examined, Found
from bluegreen.cli.views.json import name_in_line
from bluegreen.cli.views.status import Status
from bluegreen.domain import events
from bluegreen.domain.codec import kind
from bluegreen.domain.release import Body, Entry, Run
from bluegreen.domain.report import Report
from bluegreen.domain.values import fields, is_dataclass
from bluegreen.ports import LogTail

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

INTRODUCTION = f"""\
`--output json` prints one object a line. `v` is the version of the format, {events.VERSION} now; it changes when a
field changes its meaning or goes, and not when one is added. `event` is the kind of the line, the rest are its fields.
An object within a line has its `kind`. Times are in seconds; instants in seconds since 1970.

A run ends with `summary`. A command that was refused, or could not be carried out, ends with `error`: `message`,
`mend` (what to do, may be empty) and `exit_code`.
"""
ANSWERS = """\
`status`, `show` (`run`, then `report`), `logs` (`log_tail`), `doctor` (`found`, and at the end `examined`). `history`
has a short `run`: `id`, `kind_of_run`, `began_at`, `who`, and in words `what` it was to do; `outcome`, `serving_after`
and `took` as in `report`. Where its journal cannot be read `unread` says why, and of the others only `id` is known."""
HEADS = ("field", "value", "meaning")


def json_lines() -> str:
    """The page."""
    told = get_args(events.Event)
    answers = (Status, Run, Report, LogTail, Found, Examined)
    entries = (Entry, *get_args(Body))
    listed = (*told, *answers, *entries)
    parts = [each for each in _reached(listed) if each not in listed]
    return page(
        "JSON lines",
        INTRODUCTION,
        "## Events of a run",
        *map(_line, told),
        "## Answers of the commands that look",
        ANSWERS,
        *map(_line, answers),
        "## Entries of the journal",
        "In `entries` of a run. The journal on the platform holds the same.",
        *map(_value, entries),
        "## What they are made of",
        *map(_value, parts),
    )


def _line(cls: type) -> str:
    """A value that is a line by itself."""
    return _value(cls, named=partial(name_in_line, cls))


def _value(cls: type, *, named: Callable[[str], str] = str) -> str:
    """``named``: what a field is called."""
    about = f"### {code(kind(cls))}\n\n{_said(cls.__doc__)}"
    words = {name: _said(text) for name, text in told_below(cls).items()}
    hints = _hints(cls)
    rows = ((code(named(each.name)), shape(hints[each.name]), words.get(each.name, "")) for each in fields(cls))
    return f"{about}\n\n{table(HEADS, rows)}".strip()


def _hints(cls: type) -> dict[str, Any]:
    """The fields' types; a module imports some names for type checkers only, so its imports are read."""
    module = sys.modules[cls.__module__]
    return get_type_hints(cls, globalns={**_imported(module), **vars(module)})


@cache
def _imported(module: types.ModuleType) -> dict[str, object]:
    """What the module's own lines import from the rest of the program, by name."""
    lines = (each for each in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(each, ast.ImportFrom))
    ours = (
        (str(line.module), name) for line in lines if str(line.module).startswith("bluegreen.") for name in line.names
    )
    return {name.asname or name.name: getattr(import_module(place), name.name) for place, name in ours}


def _said(docstring: str | None) -> str:
    """With JSON's word for nothing."""
    return re.sub(r"\bNone\b", "null", sentence(docstring))


def _reached(classes: Iterable[type]) -> list[type]:
    """These, and every value that their fields hold, each once."""
    found = list(dict.fromkeys(classes))
    for cls in found:
        for hint in _hints(cls).values():
            found.extend(dict.fromkeys(each for each in _inside(hint) if each not in found))
    return found


def _inside(hint: Any) -> Iterator[type]:  # noqa: ANN401 - annotations are of any shape
    if is_dataclass(hint) and isinstance(hint, type):
        yield hint
    for each in get_args(hint):
        yield from _inside(each)


def shape(hint: Any) -> str:  # noqa: ANN401 - as above
    """What stands in a field, in a few words."""
    hint = getattr(hint, "__supertype__", hint)
    origin = get_origin(hint)
    if origin in {Union, types.UnionType}:
        return " or ".join(dict.fromkeys(shape(each) for each in get_args(hint)))
    if origin in {tuple, frozenset, list}:
        return "list of " + " or ".join(dict.fromkeys(shape(each) for each in get_args(hint) if each is not ...))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _one_of(hint)
    if isinstance(hint, type) and is_dataclass(hint):
        return f"[{code(kind(hint))}](#{kind(hint)})"
    return _PLAIN.get(hint, str(getattr(hint, "__name__", hint)))


def _one_of(hint: type[Enum]) -> str:
    return ", ".join(code(str(each.value)) for each in hint)


_PLAIN = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`", type(None): "`null`"}
