"""Readings with the data plane's own count beside the pods': the witness that is not the app's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import DeadlineExceeded, PlatformError
from bluegreen.domain.reading import Gap
from bluegreen.domain.stack import Slot
from bluegreen.domain.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bluegreen.domain.reading import Arrivals, Reading
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import Instant
    from bluegreen.ports import Finding, Metrics

DATA_PLANE = "data plane"
"""What stands in a gap for the pod when the data plane itself could not be asked."""


class WithArrivals:
    """ports.Metrics: another one's reading, and the requests that the data plane has sent to each slot."""

    def __init__(self, metrics: Metrics, arrivals: Callable[[Instant], Sequence[Arrivals]]) -> None:
        """``arrivals``: asks the data plane, until the instant; raises PlatformError or DeadlineExceeded."""
        self._metrics = metrics
        self._arrivals = arrivals

    def read(self, snapshot: Snapshot, *, until: Instant) -> Reading:
        """Both. The data plane is asked first: it answers in milliseconds, and must not find the time used up."""
        arrivals, gaps = self._ask(until)
        reading = self._metrics.read(snapshot, until=until)
        return replace(reading, arrivals=(*reading.arrivals, *arrivals), gaps=(*reading.gaps, *gaps))

    def foresee(self, snapshot: Snapshot, *, until: Instant) -> Sequence[Finding]:
        """The other one's; the data plane was there when the snapshot was made."""
        return self._metrics.foresee(snapshot, until=until)

    def _ask(self, until: Instant) -> tuple[tuple[Arrivals, ...], tuple[Gap, ...]]:
        try:
            return tuple(self._arrivals(until)), ()
        except (PlatformError, DeadlineExceeded) as error:
            return (), tuple(Gap(pod=DATA_PLANE, slot=slot, why=str(error)) for slot in Slot)
