"""What all commands share: where the state is, which app file, and how to answer."""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bluegreen.cli.program import PLAIN, Program
from bluegreen.domain.errors import UsageError
from bluegreen.domain.values import dataclass, field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import IO

    from bluegreen.cli.views.paper import Paper

PREFIX: Final = "BLUEGREEN"
"""Of the environment variables that are options."""
DEBUG: Final = f"{PREFIX}_DEBUG"
DEFAULT_STATE = ".bluegreen"
LONGEST_NAME: Final = 255
"""Bytes of one name in a path; no usual file system takes more."""
LONGEST_PATH: Final = 3800
"""Bytes of a folder's path; Linux takes 4096, and there are files in it."""
_QUOTED: Final = 60
_LONGEST_NUMBER: Final = 10
_TRUE: Final = frozenset({"1", "true", "t", "yes", "y", "on"})
"""What click takes for true."""
WIDEST = 80
"""Lines longer than this are hard to read; a pipe, which has no width, gets this one."""


class Format(StrEnum):
    """How the answer is written."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    """Of ``show`` alone."""
    HTML = "html"
    """Of ``show`` alone."""


USUAL: Final = (Format.TEXT, Format.JSON)
"""The formats of every command."""


class Kind(StrEnum):
    """Where the stack runs."""

    LOCAL = "local"
    KUBERNETES = "kubernetes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """The global options of one command line."""

    state: Path = Path(DEFAULT_STATE)
    app: Path | None = None
    """None: ./bluegreen.yaml, else the built-in stack."""
    platform: Kind = Kind.LOCAL
    namespace: str = ""
    """Kubernetes: empty: the stack's name."""
    context: str = ""
    """Kubernetes: the kubeconfig's context; empty: its current one."""
    direct: bool = False
    """Kubernetes: pods are reached by their own addresses."""
    prometheus: str = ""
    """The URL of the Prometheus server that counters are read from; empty: as the app file says."""
    output: Format = Format.TEXT
    colour: bool = True
    """False: ``--no-color``."""
    program: Program = PLAIN
    """How its user calls us."""
    notify: tuple[str, ...] = field(default=(), repr=False)
    """Where notices go, each a secret; empty: where the app file says."""


def session_from(given: Mapping[str, Any], program: Program) -> Session:
    """The global options that were given, by name; the others as they are without."""
    namespace, context = given.get("namespace", ""), given.get("context", "")
    usual = Kind.KUBERNETES if namespace or context else Kind.LOCAL
    return Session(
        state=given.get("state", Path(DEFAULT_STATE)),
        app=given.get("app"),
        platform=Kind(given.get("platform", usual)),
        namespace=namespace,
        context=context,
        direct=bool(given.get("direct")),
        output=Format(given.get("output", Format.TEXT)),
        colour=not given.get("no_color"),
        program=program,
        notify=tuple(given.get("notify", ())),
    )


def not_empty(text: str, *, of: str) -> str:
    """The value of ``of``. Raises UsageError where it is empty, as an unset variable of a script gives it."""
    if not text.strip():
        raise UsageError(f"{of} is empty", mend=f"leave {of} out, or give it a value")
    return text


def folder(text: str, *, of: str = "--state") -> Path:
    """A folder that need not exist. Raises UsageError for a file, and for no name at all; ``of`` is who named it."""
    path, mend = Path(text), "name a folder, which need not exist"
    if not text or not _can_be(path):
        raise UsageError(f"{of}: {text[:_QUOTED]!r} is no name of a folder", mend=mend)
    try:
        is_file = path.exists() and not path.is_dir()
    except OSError as error:
        why = f"{of}: {str(path)!r} cannot be read: {error.strerror}"
        raise UsageError(why, mend="name a folder that is yours") from error
    if is_file:
        raise UsageError(f"{of}: {str(path)!r} is a file, not a folder", mend=mend)
    return path


def _can_be(path: Path) -> bool:
    names = all(len(os.fsencode(part)) <= LONGEST_NAME for part in path.parts)
    return names and len(os.fsencode(path)) <= LONGEST_PATH


def paper_for(session: Session, stream: IO[str], environment: Mapping[str, str]) -> Paper:
    """What the stream is written on."""
    from bluegreen.cli.views.paper import Paper

    return Paper(
        width=_width(stream, environment),
        colour=session.colour and _colour(stream, environment),
        program=session.program,
    )


def wants_colour(words: Sequence[str], environment: Mapping[str, str]) -> bool:
    """``--no-color`` and its variable, asked of a line that could not be read."""
    return "--no-color" not in words and environment.get(f"{PREFIX}_NO_COLOR", "").strip().lower() not in _TRUE


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
    if columns.isascii() and columns.isdigit() and len(columns) < _LONGEST_NUMBER and int(columns):
        return min(int(columns), WIDEST)
    try:
        return min(os.get_terminal_size(stream.fileno()).columns or WIDEST, WIDEST)
    except (OSError, ValueError):  # no terminal, or no file at all
        return WIDEST
