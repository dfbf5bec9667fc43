"""The ends of the replicas' logs, for whoever asks for them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from bluegreen.domain.stack import Slot
from bluegreen.ports import LogTail

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def tails_in(folder: Path, *, services: Iterable[str], slot: Slot | None, lines: int) -> tuple[LogTail, ...]:
    """The ends of the replicas' logs, by service, slot and number. A log that vanishes meanwhile is left out."""
    slots = tuple(Slot) if slot is None else (slot,)
    paths = [path for service in services for each in slots for path in _logs(folder, f"{service}-{each}-")]
    return tuple(tail for path in paths if (tail := _tail(path, lines=lines)) is not None)


def _logs(folder: Path, start: str) -> list[Path]:
    """By number. What has more than a number there is of another service, ``web-blue`` beside ``web``."""
    numbers = {path: path.stem.removeprefix(start) for path in folder.glob(f"{start}*.log")}
    return sorted((path for path, number in numbers.items() if number.isdigit()), key=lambda path: int(numbers[path]))


def _tail(path: Path, *, lines: int) -> LogTail | None:
    try:
        with path.open(encoding="utf-8", errors="replace") as log:
            last = deque(log, maxlen=lines)
    except FileNotFoundError:
        return None
    except OSError as error:
        last = deque([f"(it cannot be read: {error.strerror})"])
    return LogTail(where=str(path), lines=tuple(line.rstrip("\r\n") for line in last))
