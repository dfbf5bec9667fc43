"""Logs of programs: their last lines, and their bounds."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from bluegreen.domain.excerpt import shown
from bluegreen.platforms.local.programs import START_LINE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

LIMIT = 5 * 1024 * 1024
"""Bytes of one log; as much again is kept of what went before."""
EXCERPT = 4096
"""Bytes of an excerpt for the screen or the journal."""
_SHOWN_CONTROLS = "\t"


def tail(path: Path, *, limit: int = EXCERPT) -> str:
    """The end of the file, without control characters; empty: there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - limit))
            text = file.read(limit).decode(errors="replace")
    except OSError:
        return ""
    return "".join(letter for letter in text if letter == "\n" or letter in _SHOWN_CONTROLS or letter.isprintable())


def last_lines(path: Path, *, count: int) -> tuple[str, ...]:
    """The last lines that say something, of the starts of one version only: what ran there before is not to blame."""
    lines = [line.rstrip() for line in tail(path).splitlines() if line.strip()]
    starts = [line for line in lines if line.startswith(START_LINE)]
    if starts:
        lines = lines[_first_of_version(lines, starts[-1]) :]
    return tuple(lines[-count:])


def _first_of_version(lines: Sequence[str], start: str) -> int:
    """Where the newest version was started first: a start that is told in the same words is one of the same version."""
    others = [at for at, line in enumerate(lines) if line.startswith(START_LINE) and line != start]
    return lines.index(start, max(others, default=-1) + 1)


def last_words(path: Path, *, count: int) -> tuple[str, ...]:
    """Of these lines what the program itself said."""
    return tuple(line for line in last_lines(path, count=2 * count) if not line.startswith(START_LINE))[-count:]


def last_line(path: Path) -> str:
    """The last line of the program's newest life, as it may be told and kept; empty: it said nothing."""
    lines = last_lines(path, count=1)
    if not lines or lines[0].startswith(START_LINE):
        return ""
    return shown(lines[0])


def bound_all(folder: Path, *, limit: int = LIMIT) -> None:
    """Cut what has grown too long. The programs append, so they go on at the new end; a line may be cut in two.

    Supervisord's own log is not among them: it turns its log itself.
    """
    for path in folder.glob("*.log"):
        try:
            if path.name != "supervisord.log" and path.stat().st_size > limit:
                _cut(path, limit=limit)
        except OSError:
            continue  # it is gone, or not ours to cut


def _cut(path: Path, *, limit: int) -> None:
    """Keep the end apart, where there is room for it: a log that has filled the disk is cut all the same."""
    aside = path.with_name(f"{path.name}.1")
    try:
        with path.open("rb") as log, aside.open("wb") as kept:
            log.seek(-limit, os.SEEK_END)
            kept.write(log.read(limit))
    except OSError:
        with contextlib.suppress(OSError):
            aside.unlink()
    os.truncate(path, 0)


class Follower:
    """Reads what is appended to a log from now on, across its turning, and when somebody has emptied it."""

    def __init__(self, path: Path) -> None:
        """Begin at the present end."""
        self._path = path
        self._inode, self._read = self._found()
        self._rest = ""

    def lines(self) -> Iterator[str]:
        """The whole lines since the last call."""
        inode, size = self._found()
        if inode != self._inode or size < self._read:
            self._inode, self._read, self._rest = inode, 0, ""
        if size <= self._read:
            return
        with self._path.open("rb") as file:
            file.seek(self._read)
            fresh = file.read(size - self._read)
        self._read += len(fresh)
        *whole, self._rest = (self._rest + fresh.decode(errors="replace")).split("\n")
        yield from whole

    def _found(self) -> tuple[int, int]:
        try:
            found = self._path.stat()
        except OSError:
            return 0, 0
        return found.st_ino, found.st_size
