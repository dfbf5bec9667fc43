"""The thread that shows that a lock's holder lives, every few seconds, as long as it holds the lock."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from bluegreen.domain.errors import BluegreenError, Interrupted
from bluegreen.domain.stack import after
from bluegreen.platforms.kubernetes.lease import Hold, renew
from bluegreen.platforms.kubernetes.threadclock import ThreadClock
from bluegreen.platforms.kubernetes.transport import Api

if TYPE_CHECKING:
    from bluegreen.domain.stack import Seconds
    from bluegreen.platforms.kubernetes.cluster import Cluster

EACH: Seconds = 5.0
"""A third of what the lock lasts: two renewals may fail before anybody may take it."""

AGAIN: Seconds = 1.0
"""After a renewal that failed: whoever watches the Lease counts anew from when it can be read again."""

_LIMIT: Seconds = 4.0


class Renewal:
    """A thread with a connection of its own, which is made for the first renewal: most rollbacks are over by then."""

    def __init__(
        self, cluster: Cluster, path: str, hold: Hold, *, each: Seconds = EACH, again: Seconds = AGAIN
    ) -> None:
        """It runs at once, and writes for the first time after ``each`` seconds; ``again``: after a failure."""
        self._cluster = cluster
        self._path = path
        self._hold = hold
        self._each = each
        self._again = again
        self._clock = ThreadClock()
        self._api: Api | None = None
        self._thread = threading.Thread(target=self._run, name=f"renew {path}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it, without waiting for it: what is under way may still arrive, and carries its precondition."""
        self._clock.stop()

    def join(self, *, timeout: Seconds) -> bool:
        """Wait for its end; whether it has ended."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._renew_until_lost()
        except Interrupted:
            pass  # stopped
        finally:
            if self._api is not None:
                self._api.close()

    def _renew_until_lost(self) -> None:
        ours, pause = True, self._each
        while ours:
            self._clock.wait(until=after(self._clock.now(), pause))
            try:
                ours, pause = self._renew(), self._each
            except Interrupted:
                raise
            except BluegreenError:
                # Nobody can be told in here. When it lasts the lock is another's, and our next write finds that out.
                pause = self._again

    def _renew(self) -> bool:
        if self._api is None:
            self._api = Api(self._cluster, clock=self._clock)
        until = after(self._clock.now(), _LIMIT)
        return renew(self._api, self._path, self._hold, wall=self._clock.wall(), until=until)
