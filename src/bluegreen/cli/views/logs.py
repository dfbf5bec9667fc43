"""The last lines of logs."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bluegreen.cli.views.paper import clean
from bluegreen.domain.stack import Slot

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from bluegreen.cli.views.paper import Paper


@dataclass(frozen=True, slots=True, kw_only=True)
class LogTail:
    """The end of one log."""

    where: str
    lines: tuple[str, ...]


def tails_in(folder: Path, *, services: Iterable[str], slot: Slot | None, lines: int) -> tuple[LogTail, ...]:
    """The ends of the replicas' logs, by service, slot and number. A log that vanishes meanwhile is left out."""
    slots = tuple(Slot) if slot is None else (slot,)
    paths = [path for service in services for each in slots for path in sorted(folder.glob(f"{service}-{each}-*.log"))]
    return tuple(tail for path in paths if (tail := _tail(path, lines=lines)) is not None)


def _tail(path: Path, *, lines: int) -> LogTail | None:
    try:
        with path.open(encoding="utf-8", errors="replace") as log:
            last = deque(log, maxlen=lines)
    except FileNotFoundError:
        return None
    except OSError as error:
        last = deque([f"(it cannot be read: {error.strerror})"])
    return LogTail(where=str(path), lines=tuple(line.rstrip("\r\n") for line in last))


def log_lines(paper: Paper, tails: Sequence[LogTail]) -> list[str]:
    """Each log's lines as they are, under the place of the whole of it."""
    if not tails:
        return paper.paragraph("no log yet")
    lines: list[str] = []
    for tail in tails:
        lines.append(paper.paint(f"==> {clean(tail.where)} <==", "bold"))
        lines += [clean(line) for line in tail.lines] or ["(empty)"]
    return lines
