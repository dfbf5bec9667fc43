"""What the answers of a Prometheus server say of one pod. Pure.

What it does not say, says twice or says too late is refused with its reason. A series that is absent is no zero, for
"no requests yet" and "not exported any more" look the same.
"""

from __future__ import annotations

import math
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING

from bluegreen.domain.reading import Histogram
from bluegreen.domain.values import dataclass, field
from bluegreen.metrics import counts
from bluegreen.metrics.counts import Absent, Unreadable, excerpt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bluegreen.domain.reading import Answers, Part, Timing
    from bluegreen.domain.stack import Instant, Seconds
    from bluegreen.metrics.prometheus_answer import Row

ORIGIN = ("job", "instance", "namespace", "cluster", "prometheus", "prometheus_replica", "replica", "tenant_id")
"""Labels that say who scraped what. One pod's series that differ in them were scraped twice, and would count twice."""

USUAL_INTERVAL: Seconds = 60.0
"""Prometheus' own default scrape interval: taken where the samples do not tell it."""

SCRAPE_TIME: Seconds = 1.0
"""What a scrape itself may take until its samples can be asked for. Most take milliseconds."""

MISSED = 2
"""A pod whose newest sample is older than this many intervals is not scraped any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The rows of one query by pod, or why there are none. ``called``: what was asked for."""

    called: str = ""
    rows: Mapping[str, tuple[Row, ...]] = field(default_factory=dict)
    why: str = ""

    def lacks(self, pod: str) -> bool:
        """Whether the server has answered, and has nothing of the pod."""
        return not self.why and pod not in self.rows

    def of(self, pod: str) -> tuple[Row, ...]:
        """The pod's rows, all of one scrape. Raises Unreadable."""
        if self.why:
            raise Unreadable(self.why)
        if pod not in self.rows:
            raise Absent(f"has no {self.called} of it")
        found = self.rows[pod]
        for label in ORIGIN:
            values = sorted({row.labels.get(label, "") for row in found})
            if len(values) > 1:
                both = " and ".join(map(excerpt, values[:2]))
                raise Unreadable(f"has {self.called} of it twice, with {label} {both}: narrow the query")
        return found


def by_pod(rows: Iterable[Row], *, label: str, namespace: str) -> dict[str, tuple[Row, ...]]:
    """The rows of each value of the label; those that name another namespace are a stranger's."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        if not namespace or row.labels.get("namespace", namespace) == namespace:
            found.setdefault(row.labels.get(label, ""), []).append(row)
    return {name: tuple(mine) for name, mine in found.items()}


def age(ages: Answer, pod: str) -> Seconds:
    """How old the pod's counters are at most. Raises Unreadable."""
    if ages.why:
        raise Unreadable(ages.why)
    found = [row.value for row in ages.rows.get(pod, ())]
    if not found or not all(map(math.isfinite, found)):
        raise Unreadable(f"does not tell when it was scraped: it has no {ages.called} of it")
    if min(found) < -SCRAPE_TIME:
        raise Unreadable(f"has samples of it from {-min(found):.0f} s in the future: somebody's clock is wrong")
    return max(0.0, *found)


def missed(old: Seconds, *, interval: Seconds) -> str:
    """Why a pod whose counters are so old is a gap; empty: they are as new as they can be."""
    if old <= MISSED * interval + SCRAPE_TIME:
        return ""
    return f"has nothing of it from the last {old:.0f} s, though it scrapes each {interval:.3g} s"


def interval(samples: Answer, *, over: Seconds) -> Seconds | None:
    """How far the samples of the last ``over`` seconds are apart, of the pod that is scraped least often.

    None: there are not two of any, or their times are none (of another unit, for one): no window may wait for them.
    """
    found = max(steps(samples).values(), default=None)
    return found if found is not None and 0 < found <= over else None


Target = frozenset[tuple[str, str]]
"""A series' labels without its name: what is scraped, by whom."""


def target(row: Row) -> Target:
    """Whose row it is."""
    return frozenset(label for label in row.labels.items() if label[0] != "__name__")


def steps(samples: Answer) -> dict[Target, Seconds]:
    """How far the samples of each target are apart, of which there are two at least."""
    rows = (row for found in samples.rows.values() for row in found)
    apart = ((target(row), [later - earlier for (earlier, _), (later, _) in pairwise(row.points)]) for row in rows)
    return {of: median(each) for of, each in apart if each}


def is_out_of_step(before: Instant, now: Instant, *, interval: Seconds) -> bool:
    """Whether one server cannot have made both of these scrapes of a target: it makes them an interval apart."""
    if interval <= 0:
        return False  # its times are none
    off = (now - before) % interval
    return min(off, interval - off) > SCRAPE_TIME


def histogram(times: Answer, pod: str, *, timing: Timing, scale: float) -> Histogram:
    """The pod's times. Raises Unreadable."""
    return Histogram(timing=timing, buckets=counts.buckets(times.of(pod), name=times.called, scale=scale))


def answered(requests: Answer, pod: str, *, label: str, latency: Histogram | None) -> tuple[Answers, tuple[Part, ...]]:
    """The pod's answers by status, and by method as well where the series tell it. Raises Unreadable.

    A counter with labels has no series before its first event; only a histogram beside it that counts nothing shows
    that there was none.
    """
    if requests.lacks(pod) and latency is not None and latency.count == 0:
        return (), ()
    rows = requests.of(pod)
    named = requests.called
    return counts.answers(rows, name=named, label=label), counts.parts(rows, name=named, label=label)
