"""What all commands share: where the state is, which app file, and how to answer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import IO

    from bluegreen.cli.views.paper import Paper

DEFAULT_STATE = ".bluegreen"
WIDEST = 80
"""Lines longer than this are hard to read; a pipe, which has no width, gets this one."""


class Format(StrEnum):
    """How the answer is written."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The global options of one command line."""

    state: Path = Path(DEFAULT_STATE)
    app: Path | None = None
    """None: ./bluegreen.yaml, else the built-in stack."""
    output: Format = Format.TEXT
    colour: bool = True
    """False: ``--no-color``."""


def paper_for(session: Session, stream: IO[str], environment: Mapping[str, str]) -> Paper:
    """What the stream is written on."""
    from bluegreen.cli.views.paper import Paper

    return Paper(width=_width(stream, environment), colour=session.colour and _colour(stream, environment))


def _colour(stream: IO[str], environment: Mapping[str, str]) -> bool:
    """NO_COLOR (no-color.org) wins over FORCE_COLOR (force-color.org); else a terminal that is not dumb."""
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR", "") not in {"", "0"}:
        return True
    return environment.get("TERM") != "dumb" and _is_terminal(stream)


def _is_terminal(stream: IO[str]) -> bool:
    try:
        return stream.isatty()
    except ValueError:  # it is closed
        return False


def _width(stream: IO[str], environment: Mapping[str, str]) -> int:
    columns = environment.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns):
        return min(int(columns), WIDEST)
    try:
        return min(os.get_terminal_size(stream.fileno()).columns or WIDEST, WIDEST)
    except (OSError, ValueError):  # no terminal, or no file at all
        return WIDEST
