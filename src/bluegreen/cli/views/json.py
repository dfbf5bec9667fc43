"""Events as JSON lines, for programs: the same values as the plain view, with nothing left out.

One object a line: ``v`` is the version of the format, ``event`` the kind, the rest are the event's own fields.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from bluegreen.domain.codec import Plain, kind, to_plain
from bluegreen.domain.events import VERSION
from bluegreen.domain.values import fields as fields_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluegreen.cli.program import Program
    from bluegreen.domain.errors import BluegreenError
    from bluegreen.domain.events import Event


class JsonView:
    """A listener that writes one line for each event."""

    def __init__(self, write: Callable[[str], None]) -> None:
        """``write`` takes one line without its end."""
        self._write = write

    def __call__(self, event: Event) -> None:
        """Write the event."""
        self._write(line(kind(type(event)), fields(event)))

    def remind(self) -> None:
        """A program needs no reminder."""


def fields(value: object) -> dict[str, Plain]:
    """A value's fields in plain form, by their names in a line. Raises TypeError for what is no dataclass."""
    plain = to_plain(value)
    if not isinstance(plain, dict):
        raise TypeError(f"{type(value).__name__} has no fields")
    own = plain if any(field.name == "kind" for field in fields_of(cast("Any", value))) else _without_kind(plain)
    return {name_in_line(type(value), name): field for name, field in own.items()}


def _without_kind(plain: dict[str, Plain]) -> dict[str, Plain]:
    """Without what is the line's ``event``."""
    return {name: field for name, field in plain.items() if name != "kind"}


def name_in_line(cls: type, field: str) -> str:
    """A field's own name; ``kind`` is what an object within a line is, so a run's is its ``kind_of_run``."""
    return f"kind_of_{kind(cls)}" if field == "kind" else field


def line(event: str, fields: dict[str, Plain]) -> str:
    """One line."""
    return json.dumps({"v": VERSION, "event": event, **fields}, separators=(",", ":"), ensure_ascii=True)


def error_line(error: BluegreenError, program: Program) -> str:
    """An error that ended the command, so that a program need not read the standard error.

    The commands of its mend are this program's as it was called, as they are for a person.
    """
    mend = program.said(error.mend)
    return line("error", {"message": str(error), "mend": mend, "exit_code": int(error.exit_code)})
