"""Events as JSON lines, for programs: the same values as the plain view, with nothing left out.

One object a line: ``v`` is the version of the format, ``event`` the kind, the rest are the event's own fields.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bluegreen.domain.codec import Plain, kind, to_plain
from bluegreen.domain.events import VERSION

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
    """A value's fields in plain form. Raises TypeError for what is no dataclass."""
    plain = to_plain(value)
    if not isinstance(plain, dict):
        raise TypeError(f"{type(value).__name__} has no fields")
    return {name: field for name, field in plain.items() if name != "kind"}


def line(event: str, fields: dict[str, Plain]) -> str:
    """One line."""
    return json.dumps({"v": VERSION, "event": event, **fields}, separators=(",", ":"), ensure_ascii=True)


def error_line(error: BluegreenError, program: Program) -> str:
    """An error that ended the command, so that a program need not read the standard error.

    The commands of its mend are this program's as it was called, as they are for a person.
    """
    mend = program.said(error.mend)
    return line("error", {"message": str(error), "mend": mend, "exit_code": int(error.exit_code)})
