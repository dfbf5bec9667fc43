"""Several requests at once, in a few threads, under one deadline. The threads never leave the adapter."""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bluegreen.domain.stack import Instant, Seconds
    from bluegreen.ports import Clock

T = TypeVar("T")

AT_ONCE = 16
"""Requests under way at a time: each has a connection of its own, and the API server is everybody's."""
_GLANCE: Seconds = 0.1
"""How late an interrupt may be."""


def results(tasks: Sequence[Callable[[], T]], *, clock: Clock, until: Instant) -> list[T | None]:
    """What the tasks return, in their order; None for one that was not done at the deadline.

    What is under way then ends by its own limits, unheard; what waits for its turn is never begun. A task must not
    raise. Raises Interrupted.
    """
    waiting: queue.SimpleQueue[tuple[int, Callable[[], T]]] = queue.SimpleQueue()
    heard: queue.SimpleQueue[tuple[int, T]] = queue.SimpleQueue()
    for numbered in enumerate(tasks):
        waiting.put(numbered)
    for _ in tasks[:AT_ONCE]:
        threading.Thread(target=_work, args=(waiting, heard), name="ask", daemon=True).start()
    try:
        found = _hear(heard, count=len(tasks), clock=clock, until=until)
    finally:
        with suppress(queue.Empty):
            while True:
                waiting.get_nowait()
    return [found.get(place) for place in range(len(tasks))]


def _work(waiting: queue.SimpleQueue[tuple[int, Callable[[], T]]], heard: queue.SimpleQueue[tuple[int, T]]) -> None:
    with suppress(queue.Empty):
        while True:
            place, task = waiting.get_nowait()
            heard.put((place, task()))


def _hear(heard: queue.SimpleQueue[tuple[int, T]], *, count: int, clock: Clock, until: Instant) -> dict[int, T]:
    found: dict[int, T] = {}
    while len(found) < count:
        clock.raise_if_interrupted()
        left = until - clock.now()
        try:
            place, result = heard.get(timeout=min(_GLANCE, max(0.0, left)))
        except queue.Empty:
            if left <= 0:
                break
            continue
        found[place] = result
    return found
