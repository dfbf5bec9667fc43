"""A Prometheus server in memory and virtual time: it scrapes the fake platform, and answers what is asked of it.

It knows the three forms of queries that the product itself makes, in the real one's own JSON, which the product reads
with its own reader. Each fault says which real one looks the same.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from bluegreen.domain.stack import Slot, after
from bluegreen.domain.values import dataclass
from bluegreen.metrics.prometheus_answer import rows
from bluegreen.metrics.prometheus_server import NoAnswer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from bluegreen.domain.reading import PodCounters
    from bluegreen.domain.stack import MetricNames, Seconds
    from bluegreen.metrics.prometheus_answer import Row
    from bluegreen.testing.clock import FakeClock
    from bluegreen.testing.platform import FakePlatform

    Bend = Callable[[Mapping[str, str], float], tuple[Mapping[str, str], float] | None]

LOOK_BACK: Seconds = 300.0
_SELECTOR = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<matchers>.*)\})?")
_MATCHER = re.compile(r'(\w+)(=~|=)"((?:[^"\\]|\\.)*)"')

Labels = tuple[tuple[str, str], ...]


def _as_it_is(labels: Mapping[str, str], value: float) -> tuple[Mapping[str, str], float]:
    return labels, value


@dataclass(slots=True, kw_only=True)
class Trouble:
    """What is wrong with the server; each can be set and taken back at any instant."""

    down: bool = False
    """Nobody listens: the connection is refused."""
    slow: bool = False
    """It takes the question and does not answer."""
    blind: bool = False
    """It has stopped scraping, and answers with what it has: an overloaded or half-dead server."""
    page: bytes = b""
    """Every answer is this: the page of a proxy before it, or an error."""
    bend: Bend = _as_it_is
    """Changes, or leaves out, each sample when it is scraped."""
    ahead: Seconds = 0.0
    """How far the times of the samples are ahead of the server's clock."""


class FakePrometheus:
    """Scrapes each ``interval``, from now on. What the product's ``Server`` is over HTTP."""

    name = "http://prometheus.test:9090"
    in_clear = False

    def __init__(self, platform: FakePlatform, *, clock: FakeClock, interval: Seconds = 1.0) -> None:
        """The first scrape is at once."""
        self.trouble = Trouble()
        self.asked: list[str] = []
        self._platform, self._clock, self._interval = platform.session(), clock, interval
        self._series: dict[Labels, list[tuple[float, float | None]]] = {}
        self._scrape()

    def ask(self, query: str, *, timeout: Seconds) -> Sequence[Row]:
        """As the product's own."""
        self.asked.append(query)
        if self.trouble.down:
            raise NoAnswer("cannot be reached: connection refused")
        if self.trouble.slow or timeout <= 0:
            self._clock.wait(until=after(self._clock.now(), max(timeout, 0.0)))
            raise NoAnswer(f"does not answer within {max(timeout, 0.0):.1f} s")
        return rows(self.answer(query))

    def answer(self, query: str) -> bytes:
        """The body of the answer to this query."""
        if self.trouble.page:
            return self.trouble.page
        if found := re.fullmatch(r"time\(\) - timestamp\((.*)\)", query):
            return self._json("vector", self._ages(found[1]))
        if found := re.fullmatch(r"(.*)\[(\d+)s\]", query):
            return self._json("matrix", self._ranges(found[1], over=float(found[2])))
        return self._json("vector", self._newest(query))

    def _scrape(self) -> None:
        if not self.trouble.blind:
            self._scrape_all()
        self._clock.at(self._clock.now() + self._interval, self._scrape)

    def _scrape_all(self) -> None:
        now = self._clock.now()
        reading = self._platform.read(self._platform.snapshot(until=now), until=now)
        seen: set[Labels] = set()
        for found in reading.pods:
            seen |= self._take({"__name__": "up"}, found.pod, found.slot, 1.0)
            for labels, value in self._samples(found):
                seen |= self._take(labels, found.pod, found.slot, value)
        for gap in reading.gaps:
            seen |= self._take({"__name__": "up"}, gap.pod, gap.slot, 1.0 if gap.absent else 0.0)
        for key in self._series.keys() - seen:
            self._series[key].append((self._time(), None))  # a staleness marker

    def _take(self, labels: Mapping[str, str], pod: str, slot: Slot, value: float) -> set[Labels]:
        """Keep the sample, unless it is bent away."""
        whole = {**labels, "pod": pod, "slot": str(slot), "job": "pods", "instance": pod}
        bent = self.trouble.bend(whole, value)
        if bent is None:
            return set()
        key = tuple(sorted(bent[0].items()))
        self._series.setdefault(key, []).append((self._time(), bent[1]))
        return {key}

    def _time(self) -> float:
        return self._clock.wall() + self.trouble.ahead

    def _samples(self, found: PodCounters) -> Iterator[tuple[dict[str, str], float]]:
        names = self._platform.stack.service(found.service).metrics
        if names is None:
            return
        if found.process is not None:
            yield {"__name__": "process_start_time_seconds"}, found.process
        for status, count in found.answers:
            yield {"__name__": names.requests, "status": str(status)}, count
        for edge, count in found.latency.buckets if found.latency is not None else ():
            yield {"__name__": f"{_times(names)}_bucket", "le": f"{edge:g}".replace("inf", "+Inf")}, count

    def _ages(self, selector: str) -> list[dict[str, object]]:
        now = self._clock.wall()
        return [self._vector(key, now - at, named=False) for key, at, _ in self._current(selector)]

    def _newest(self, selector: str) -> list[dict[str, object]]:
        return [self._vector(key, value, named=True) for key, _, value in self._current(selector)]

    def _vector(self, key: Labels, value: float, *, named: bool) -> dict[str, object]:
        labels = {name: text for name, text in key if named or name != "__name__"}
        return {"metric": labels, "value": [self._clock.wall(), str(value)]}

    def _current(self, selector: str) -> Iterator[tuple[Labels, float, float]]:
        for key in self._matching(selector):
            at, value = self._series[key][-1]
            if value is not None and at > self._clock.wall() - LOOK_BACK:
                yield key, at, value

    def _ranges(self, selector: str, *, over: Seconds) -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        for key in self._matching(selector):
            points = [
                [at, str(value)]
                for at, value in self._series[key]
                if value is not None and at > self._clock.wall() - over
            ]
            if points:
                found.append({"metric": dict(key), "values": points})
        return found

    def _matching(self, selector: str) -> list[Labels]:
        parts = _SELECTOR.fullmatch(selector)
        if parts is None:
            raise AssertionError(f"this fake does not know the query {selector}")
        wanted = [("__name__", "=", parts["name"]), *_MATCHER.findall(parts["matchers"] or "")]
        return [
            key for key in self._series if all(_fits(dict(key).get(name, ""), op, text) for name, op, text in wanted)
        ]

    def _json(self, kind: str, result: Sequence[object]) -> bytes:
        return json.dumps({"status": "success", "data": {"resultType": kind, "result": result}}).encode()


def _times(names: MetricNames) -> str:
    return names.overhead or names.duration


def _fits(value: str, op: str, text: str) -> bool:
    plain = text.replace("\\\\", "\\").replace('\\"', '"')
    return re.fullmatch(plain, value) is not None if op == "=~" else plain == value
