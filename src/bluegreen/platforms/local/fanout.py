"""Several things at once, each in a thread, under one deadline. The threads never leave the adapter."""

from __future__ import annotations

import queue
import threading
from functools import partial
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bluegreen.domain.stack import Instant
    from bluegreen.ports import Clock

T = TypeVar("T")


def results(tasks: Sequence[Callable[[], T]], *, clock: Clock, until: Instant) -> list[T | None]:
    """What the tasks return, in their order; None for one that is still busy at the deadline.

    That one ends by its own time-outs, and what it finds is not heard. A task must not raise.
    """
    heard: queue.SimpleQueue[tuple[int, T]] = queue.SimpleQueue()
    for place, task in enumerate(tasks):
        threading.Thread(target=partial(_do, place, task, heard), daemon=True).start()
    found: dict[int, T] = {}
    while len(found) < len(tasks):
        try:
            place, result = heard.get(timeout=max(0.0, until - clock.now()))
        except queue.Empty:
            break
        found[place] = result
    return [found.get(place) for place in range(len(tasks))]


def _do(place: int, task: Callable[[], T], heard: queue.SimpleQueue[tuple[int, T]]) -> None:
    heard.put((place, task()))
