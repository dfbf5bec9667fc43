"""Readings from a Prometheus server: raw counters by pod identity, each as old as its scrape.

Never a rate: over a window of 30 s a rate over scrapes sees nothing (docs/prometheus.md). The server is asked how
long ago each pod was scraped, by its own clock, so that no two clocks are compared; then for the counters, which are
that new at least. Whatever cannot be had is a gap with its reason; nothing is raised for it, and nothing made up.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Protocol

from bluegreen.domain.reading import Gap, PodCounters, Reading, grown, is_another
from bluegreen.domain.stack import Instant
from bluegreen.domain.values import dataclass, replace
from bluegreen.metrics.counts import Absent, Unreadable, process, scale_of
from bluegreen.metrics.prometheus_pod import (
    SCRAPE_TIME,
    USUAL_INTERVAL,
    Answer,
    Target,
    age,
    answered,
    by_pod,
    histogram,
    is_out_of_step,
    missed,
    steps,
    target,
)
from bluegreen.metrics.prometheus_pod import interval as interval_of
from bluegreen.metrics.prometheus_query import about, ages, asked_of, processes, samples, scrapes
from bluegreen.metrics.prometheus_server import NoAnswer
from bluegreen.ports import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.domain.reading import Histogram
    from bluegreen.domain.snapshot import Pod, Snapshot
    from bluegreen.domain.stack import Prometheus, Seconds, Stack
    from bluegreen.metrics.prometheus_answer import Row
    from bluegreen.metrics.prometheus_query import Asked, Question
    from bluegreen.ports import Clock

PATIENCE: Seconds = 5.0
"""How long one reading may take, within its caller's limit."""

BRIEF: Seconds = 1.0
"""The same once the server has not answered: users may be on a new version, which is not left unwatched for it."""

LOOK_BACK: Seconds = 300.0
"""Over how much time the scrape interval is looked for: as long as Prometheus itself looks back for a value."""

LONG: Seconds = 5.0
"""A scrape interval above this is told before the release: the window's end waits for it."""


class Server(Protocol):
    """What answers queries."""

    @property
    def name(self) -> str:
        """Its address, without credentials."""

    @property
    def in_clear(self) -> bool:
        """Whether a credential goes over the network for everybody to read."""

    def ask(self, query: str, *, timeout: Seconds) -> Sequence[Row]:
        """The rows of an instant query. Raises NoAnswer, and Unreadable for an answer that cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """All that was answered about one service."""

    asked: Asked
    ages: Answer
    processes: Answer
    requests: Answer | None
    times: Answer | None
    failed: frozenset[str]
    """The pods that could not be scraped at the last try."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found of one pod."""

    counters: PodCounters | None
    gaps: tuple[Gap, ...] = ()


class PrometheusMetrics:
    """ports.Metrics over what a Prometheus server has scraped. Services that nothing is asked about are left out."""

    def __init__(self, stack: Stack, source: Prometheus, server: Server, *, clock: Clock, namespace: str = "") -> None:
        """``namespace``: where the pods are; a series that says another one is a stranger's. Empty: anywhere."""
        self._asked = {asked.service: asked for asked in asked_of(stack, source)}
        self._source, self._server, self._clock, self._namespace = source, server, clock, namespace
        self._scrapes = scrapes(source)
        self._interval: Seconds | None = None
        self._silent = False
        self._known: dict[str, PodCounters] = {}
        self._scraped: dict[Target, Instant] = {}
        self._steps: dict[Target, Seconds] = {}
        self._doubt: Seconds = 0.0
        """So much older than told the counters may be: an interval, once two servers have answered in turn."""

    def read(self, snapshot: Snapshot, *, until: Instant) -> Reading:
        """Ask about every pod of the snapshot, ready or not."""
        pods = [pod for work in snapshot.workloads for pod in work.pods if pod.service in self._asked]
        nameless = [pod for pod in pods if not self._key(pod)]
        pods = [pod for pod in pods if self._key(pod)]
        started = self._clock.now()
        end = Instant(min(until, started + (BRIEF if self._silent else PATIENCE)))
        try:
            found = [each for told, mine in self._ask_all(pods, end=end) for each in self._find(told, mine, started)]
            self._silent = False
        except NoAnswer as error:
            self._silent = True
            found = [_nothing(pod, str(error)) for pod in pods]
        unknown = [_nothing(pod, "cannot know it: it has no address yet") for pod in nameless]
        return self._reading([*found, *unknown], started=started)

    def foresee(self, snapshot: Snapshot, *, until: Instant) -> Sequence[Finding]:
        """A warning for each service and reason for which the ready pods of the snapshot cannot be counted now."""
        service_of = {pod.name: pod.service for work in snapshot.workloads for pod in work.pods if pod.ready}
        reading = self.read(snapshot, until=until)
        missing = dict.fromkeys((service_of[gap.pod], gap.why) for gap in reading.gaps if gap.pod in service_of)
        return (*self._in_clear(), *(self._missing(service, why) for service, why in missing), *self._trails())

    def _reading(self, found: Sequence[_Found], *, started: Instant) -> Reading:
        gaps = tuple(gap for each in found for gap in each.gaps)
        pods = tuple(each.counters for each in found if each.counters is not None)
        lag = self._interval + SCRAPE_TIME + self._doubt if self._interval is not None else 0.0
        newest = min((each.at for each in pods if each.at is not None), default=started)
        at = Instant(started - lag) if gaps else newest  # a gap may be closed by the next scrape, so it is waited for
        return Reading(at=at, pods=pods, gaps=gaps, lag=lag)

    def _ask_all(self, pods: Sequence[Pod], *, end: Instant) -> list[tuple[_Told, list[Pod]]]:
        """The answers about each service, with its pods. Raises NoAnswer."""
        if not pods:
            return []
        seen = self._ask(ages(self._scrapes), self._source.scrapes, pods, end=end)
        self._compare(seen, at=self._clock.now())
        if self._interval is None and seen.rows:
            sampled = self._ask(samples(self._scrapes, over=LOOK_BACK), self._source.scrapes, pods, end=end)
            self._interval, self._steps = interval_of(sampled, over=LOOK_BACK), steps(sampled)
        begun = self._ask(processes(self._source), "process", pods, end=end)
        of_service = {name: [pod for pod in pods if pod.service == name] for name in self._asked}
        return [(self._ask_about(name, mine, seen, begun, end=end), mine) for name, mine in of_service.items() if mine]

    def _compare(self, seen: Answer, *, at: Instant) -> None:
        """Notice a second server behind the address: the age may be the one's and the counts the other's."""
        for row in (row for rows in seen.rows.values() for row in rows if math.isfinite(row.value)):
            whose, scraped = target(row), Instant(at - row.value)
            before, step = self._scraped.get(whose, scraped), self._steps.get(whose)
            if step is not None and is_out_of_step(before, scraped, interval=step):
                self._doubt = max(self._doubt, step)
            self._scraped[whose] = scraped

    def _ask_about(self, service: str, pods: Sequence[Pod], seen: Answer, begun: Answer, *, end: Instant) -> _Told:
        asked = self._asked[service]
        requests = self._question(asked.requests, pods, end=end)
        return _Told(
            asked=asked,
            ages=seen,
            processes=begun,
            requests=requests,
            times=self._question(asked.times, pods, end=end),
            failed=self._failed(requests, pods, end=end),
        )

    def _question(self, question: Question, pods: Sequence[Pod], *, end: Instant) -> Answer | None:
        """None: there is nothing to ask for. Raises NoAnswer."""
        return self._ask(question.query, question.called, pods, end=end) if question.query else None

    def _failed(self, requests: Answer | None, pods: Sequence[Pod], *, end: Instant) -> frozenset[str]:
        """Asked only where something is missing, to say why. Raises NoAnswer."""
        if self._source.scrapes != "up" or requests is None or not any(requests.lacks(self._key(pod)) for pod in pods):
            return frozenset()
        answer = self._ask(self._scrapes, "up", pods, end=end)
        return frozenset(name for name, rows in answer.rows.items() if all(row.value == 0 for row in rows))

    def _ask(self, query: str, called: str, pods: Sequence[Pod], *, end: Instant) -> Answer:
        """Raises NoAnswer."""
        names = {self._key(pod) for pod in pods}
        try:
            rows = self._server.ask(about(query, sorted(names)), timeout=end - self._clock.now())
        except NoAnswer:
            raise
        except Unreadable as error:
            return Answer(called=called, why=str(error))
        label = self._source.pod_label
        if rows and not any(label in row.labels for row in rows):
            return Answer(
                called=called, why=f"has no label {label} in its {called}: keep it, as in sum by ({label}, …)"
            )
        found = by_pod(rows, label=label, namespace=self._namespace)
        return Answer(called=called, rows={name: mine for name, mine in found.items() if name in names})

    def _key(self, pod: Pod) -> str:
        """What the label says of the pod; empty: nothing yet."""
        return pod.address if self._source.pod_label == "instance" else pod.name

    def _find(self, told: _Told, pods: Sequence[Pod], started: Instant) -> list[_Found]:
        return [self._pod(pod, told, started=started) for pod in pods]

    def _pod(self, pod: Pod, told: _Told, *, started: Instant) -> _Found:
        key = self._key(pod)
        try:
            old = age(told.ages, key)
            if key in told.failed:
                raise Unreadable("could not scrape it at its last try")  # noqa: TRY301 - a reason like the others
            latency, gaps = self._latency(pod, told)
            label = self._source.status_label
            answers, parts = answered(told.requests, key, label=label, latency=latency) if told.requests else ((), ())
        except Unreadable as error:
            return _nothing(pod, str(error), absent=isinstance(error, Absent))
        at = Instant(started - old)
        counters = PodCounters(
            pod=pod.name,
            service=pod.service,
            slot=pod.slot,
            answers=answers,
            parts=parts,
            latency=latency,
            at=at,
            process=process(told.processes.rows.get(key, ())),
        )
        counters = self._newest(counters)
        if why := missed(old, interval=self._interval or USUAL_INTERVAL):
            gaps = (*_nothing(pod, why).gaps, *gaps)  # what it had counted still counts against the release
        return _Found(counters, gaps)

    def _newest(self, found: PodCounters) -> PodCounters:
        """Not what is older than what was read before: two servers behind one address are never equally far, and a
        count that goes back would be taken for a process that was started anew.

        The age may be the one's and the counts the other's. Each is an interval old at most: so what goes back is
        believed only when it is newer than what is known by more than both of these.
        """
        known = self._known.get(found.pod, found)
        assert known.at is not None  # noqa: S101 - all that comes from here has its time
        assert found.at is not None  # noqa: S101
        surely = 2 * (self._interval or USUAL_INTERVAL) + SCRAPE_TIME
        if found.at > known.at + surely or (found.at >= known.at and not _goes_back(known, found)):
            self._known[found.pod] = found
            return replace(found, at=Instant(found.at - self._doubt))
        return replace(known, at=Instant(known.at - self._doubt))

    def _latency(self, pod: Pod, told: _Told) -> tuple[Histogram | None, tuple[Gap, ...]]:
        """Times that cannot be read are a gap, but take nothing from the answers that were counted."""
        if told.times is None:
            return None, ()
        try:
            scale = self._source.scale or scale_of(told.asked.times.query)
            found = histogram(told.times, self._key(pod), timing=told.asked.timing, scale=scale)
        except Unreadable as error:
            return None, _nothing(pod, str(error)).gaps
        return found, ()

    def _missing(self, service: str, why: str) -> Finding:
        return Finding(
            severity=Severity.WARN,
            text=f"{service}: {why}; as it is, this release will end as not proven",
            mend=f"see that {self._server.name} scrapes its pods, with their names in the label "
            f"{self._source.pod_label}, or name other queries or labels under prometheus in the app file",
        )

    def _trails(self) -> tuple[Finding, ...]:
        if self._interval is None or self._interval <= LONG:
            return ()
        text = (
            f"Prometheus scrapes each {self._interval:.3g} s: the switch waits for the first scrape of the new pods, "
            "the end of the window for the last"
        )
        return (Finding(severity=Severity.NOTE, text=text),)

    def _in_clear(self) -> tuple[Finding, ...]:
        if not self._server.in_clear:
            return ()
        text = f"the credentials for {self._server.name} go over the network in clear text"
        return (Finding(severity=Severity.WARN, text=text, mend="use https"),)


def _goes_back(known: PodCounters, found: PodCounters) -> bool:
    if is_another(known.process, found.process):
        return False  # several processes of a pod are scraped in turn
    growth = grown(known, found)
    return growth.restarted or bool(growth.gone)


def _nothing(pod: Pod, why: str, *, absent: bool = False) -> _Found:
    return _Found(None, (Gap(pod=pod.name, slot=pod.slot, why=f"Prometheus {why}", absent=absent),))
