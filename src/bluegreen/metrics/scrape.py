"""Readings from the pods: each one's own metrics page, all at once, under one deadline.

How a page is fetched is the platform's affair where pods cannot be reached straight. A pod that does not answer in
time, or whose page cannot be read, is a gap with its reason; nothing is raised for it.
"""

from __future__ import annotations

import http.client
import queue
import threading
from typing import TYPE_CHECKING

from bluegreen.domain.errors import DeadlineExceeded, PlatformError
from bluegreen.domain.reading import Gap, PodCounters, Reading
from bluegreen.domain.values import dataclass
from bluegreen.metrics import text
from bluegreen.metrics.counts import Absent, Unreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bluegreen.domain.reading import Histogram
    from bluegreen.domain.snapshot import Pod, Snapshot
    from bluegreen.domain.stack import Instant, MetricNames, Seconds, Stack
    from bluegreen.ports import Clock, Finding

    Page = Callable[[Pod, str, Seconds], str]
    """Fetches a path of a pod within so many seconds, in any thread. Raises PlatformError, DeadlineExceeded, OSError or
    HTTPException with the reason why there is no page."""

_LARGEST = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Found:
    """What one pod's page gave: its counters, gaps, or both when only a part could be read."""

    pod: str
    counters: tuple[PodCounters, ...] = ()
    gaps: tuple[Gap, ...] = ()


class ScrapeMetrics:
    """ports.Metrics over the pods' own pages. Pods of services without metrics are left out."""

    def __init__(self, stack: Stack, *, clock: Clock, page: Page | None = None) -> None:
        """``clock``: the one that deadlines are given in. ``page``: how to fetch; None: straight from its address."""
        self._page = page or _page
        self._names = {service.name: service.metrics for service in stack.services}
        self._clock = clock

    def read(self, snapshot: Snapshot, *, until: Instant) -> Reading:
        """Ask every pod of the snapshot, ready or not."""
        asked = [
            (pod, names)
            for workload in snapshot.workloads
            for pod in workload.pods
            if (names := self._names.get(pod.service)) is not None
        ]
        at = self._clock.now()
        found = self._ask_all(asked, until=until)
        return Reading(
            at=at,
            pods=tuple(counters for each in found for counters in each.counters),
            gaps=tuple(gap for each in found for gap in each.gaps),
        )

    def foresee(self, snapshot: Snapshot, *, until: Instant) -> Sequence[Finding]:
        """Nothing: whoever can read the stack reads its pods, and a missing right is the platform's to tell."""
        del snapshot, until
        return ()

    def _ask_all(self, asked: Sequence[tuple[Pod, MetricNames]], *, until: Instant) -> Sequence[_Found]:
        """One thread a pod. One that is still busy at the deadline is left to its own time-out and not heard again."""
        heard: queue.SimpleQueue[_Found] = queue.SimpleQueue()
        started = self._clock.now()
        for pod, names in asked:
            work = (pod, names, until - started, heard)
            threading.Thread(target=self._ask_into, args=work, name=f"scrape {pod.name}", daemon=True).start()
        found = self._hear(heard, count=len(asked), until=until)
        late = f"the metrics did not arrive within {until - started:.1f} s"
        return [found.get(pod.name) or _gap(pod, late) for pod, _ in asked]

    def _hear(self, heard: queue.SimpleQueue[_Found], *, count: int, until: Instant) -> dict[str, _Found]:
        found: dict[str, _Found] = {}
        while len(found) < count:
            try:
                each = heard.get(timeout=max(0.0, until - self._clock.now()))
            except queue.Empty:
                break
            found[each.pod] = each
        return found

    def _ask_into(self, pod: Pod, names: MetricNames, timeout: Seconds, heard: queue.SimpleQueue[_Found]) -> None:
        heard.put(self._ask(pod, names, timeout=timeout))

    def _ask(self, pod: Pod, names: MetricNames, *, timeout: Seconds) -> _Found:
        try:
            return _counted(pod, names, self._page(pod, names.path, timeout))
        except (Unreadable, PlatformError, DeadlineExceeded) as error:
            return _gap(pod, str(error), absent=isinstance(error, Absent))
        except (OSError, http.client.HTTPException) as error:
            return _gap(pod, f"GET {names.path} failed: {str(error) or type(error).__name__}")


def _page(pod: Pod, path: str, timeout: Seconds) -> str:
    if not pod.address:
        raise Unreadable("it has no address that could be asked")
    connection = http.client.HTTPConnection(pod.address, timeout=max(timeout, 0.001))
    try:
        connection.request("GET", path, headers={"accept": "text/plain;version=0.0.4", "connection": "close"})
        response = connection.getresponse()
        body = response.read(_LARGEST + 1)
    finally:
        connection.close()
    if response.status != http.client.OK:
        raise Unreadable(f"GET {path} answered {response.status}")
    if len(body) > _LARGEST:
        raise Unreadable(f"the metrics are larger than {_LARGEST // 1024 // 1024} MiB")
    if response.length:  # which http.client takes for the end
        raise Unreadable(f"GET {path}: the answer was cut off")
    return body.decode(errors="replace")


def _counted(pod: Pod, names: MetricNames, page: str) -> _Found:
    series = text.parse(page, names)
    answers = text.answers(series, names) if names.requests else ()
    parts = text.parts(series, names) if names.requests else ()
    latency, gaps = _latency(pod, series, names)
    counters = PodCounters(
        pod=pod.name,
        service=pod.service,
        slot=pod.slot,
        answers=answers,
        parts=parts,
        latency=latency,
        process=text.process(series),
    )
    return _Found(pod.name, (counters,), gaps)


def _latency(pod: Pod, series: text.Series, names: MetricNames) -> tuple[Histogram | None, tuple[Gap, ...]]:
    """Times that cannot be read are a gap, but take nothing from the answers that were counted."""
    try:
        return text.latency(series, names), ()
    except Unreadable as error:
        return None, _gap(pod, str(error)).gaps


def _gap(pod: Pod, why: str, *, absent: bool = False) -> _Found:
    return _Found(pod.name, gaps=(Gap(pod=pod.name, slot=pod.slot, why=why, absent=absent),))
