"""A run's story for whoever looks with ``kubectl describe``: Kubernetes Events on its Services and Deployments.

A listener of the run's events. It can fail nobody and holds up nobody: a thread of its own posts them, gives up for
good at the first that cannot be posted, and says so once.
"""

from __future__ import annotations

import queue
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

from bluegreen.domain.errors import Interrupted
from bluegreen.domain.events import Planned
from bluegreen.platforms.kubernetes.errors import NotFound
from bluegreen.platforms.kubernetes.posting import Post
from bluegreen.platforms.kubernetes.telling import tell
from bluegreen.platforms.kubernetes.threadclock import ThreadClock
from bluegreen.platforms.kubernetes.transport import Api

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluegreen.domain.events import Event
    from bluegreen.domain.plan import Plan
    from bluegreen.domain.stack import Seconds, Stack
    from bluegreen.platforms.kubernetes.cluster import Cluster
    from bluegreen.platforms.kubernetes.pace import Pace
    from bluegreen.platforms.kubernetes.telling import Told
    from bluegreen.platforms.kubernetes.watch import StoppableClock

FAREWELL: Seconds = 1.0
"""How long the end of a run waits for what is not posted yet."""


class Story:
    """Give it every event of a run; close it at the end."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        stack: Stack,
        namespace: str,
        run_of: Callable[[], str] | None = None,
        clock: StoppableClock | None = None,
        pace: Pace | None = None,
        farewell: Seconds = FAREWELL,
    ) -> None:
        """``run_of``: the run's id, where no plan names it. ``clock``: the thread's own. Nothing is connected yet."""
        self._farewell = farewell
        self._stack = stack
        self._run_of = run_of
        self._plan: Plan | None = None
        self._clock = clock or ThreadClock()
        self._post = Post(Api(cluster, clock=self._clock, pace=pace), namespace=namespace, clock=self._clock)
        self._waiting: queue.SimpleQueue[tuple[Told, float] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="story", daemon=True)

    def __call__(self, event: Event) -> None:
        """Take one event of the run, and return at once."""
        if isinstance(event, Planned) and not event.dry_run:
            self._plan = event.plan
        told = tuple(tell(event, stack=self._stack, plan=self._plan, run=self._run()))
        if told and self._thread.ident is None:
            self._thread.start()
        for one in told:
            self._waiting.put((one, self._clock.wall()))

    def new_trouble(self) -> str:
        """Why nothing more is told, once; empty: nothing has failed since the last call."""
        return self._post.new_trouble()

    def close(self) -> str:
        """Wait a little for what is not posted yet. Why the story is not told to its end; empty: it is."""
        self._waiting.put(None)
        if self._thread.is_alive():
            self._thread.join(self._farewell)
        if self._thread.is_alive():
            self._post.trouble = self._post.trouble or f"the API server took no Events within {self._farewell:g} s"
        self._clock.stop()
        self._post.api.abandon()
        return self._post.trouble

    def _run(self) -> str:
        if self._plan is not None:
            return self._plan.release
        return self._run_of() if self._run_of is not None else ""

    def _work(self) -> None:
        with self._post.api, suppress(Interrupted):
            while (item := self._waiting.get()) is not None:
                with suppress(NotFound):  # a slot's Deployment that is still to be made, most likely
                    self._post.post(item[0], at=item[1])
