"""Before users are moved: a source that scrapes by itself, such as Prometheus, has to have seen the new slot's pods.

From counters that are first seen after the switch nobody can tell what users have got since: there would be no witness,
and the checklist could not be judged. Counters that are read from the pods themselves are there at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.events import Waiting
from bluegreen.domain.stack import after

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.domain.plan import Plan
    from bluegreen.domain.reading import Gap, Reading
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import Seconds
    from bluegreen.pipeline.tools import Tools

NOTICED: Seconds = 5.0
"""Beyond an interval: so long Prometheus itself may take to hear of a new pod (it gathers changes for five seconds)."""
LOOK_AGAIN: Seconds = 1.0


def await_counters(tools: Tools, plan: Plan, *, ready: Snapshot) -> None:
    """Return when the target slot's pods were scraped, or would have been if they ever are. Raises Interrupted.

    A service of which the active slot's pods are not scraped either is not waited for: it has been warned of. Nor is a
    counter that a scraped pod does not have: it may come with the first user.
    """
    started = tools.clock.now()
    while True:
        reading = tools.metrics.read(ready, until=tools.limit())
        missing = _missing(plan, reading, ready)
        now, end = tools.clock.now(), after(started, reading.lag + NOTICED)
        if not missing or not reading.lag or now >= end:
            return
        tools.emit(Waiting(wants=(_words(plan, missing),), waited=now - started, left=end - now))
        tools.clock.wait(until=min(end, after(now, LOOK_AGAIN)))


def _missing(plan: Plan, reading: Reading, ready: Snapshot) -> Sequence[Gap]:
    scraped = {counters.service for counters in reading.pods if counters.slot is plan.active}
    awaited = {pod.name for work in ready.slot_workloads(plan.target) if work.service in scraped for pod in work.pods}
    return [gap for gap in reading.gaps if gap.pod in awaited and not gap.absent]


def _words(plan: Plan, missing: Sequence[Gap]) -> str:
    more = f" ({len(missing)} pods)" if len(missing) > 1 else ""
    return f"the first counters of {plan.target}: {missing[0].pod}{more}: {missing[0].why}"
