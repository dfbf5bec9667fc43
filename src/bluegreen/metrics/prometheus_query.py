"""What a Prometheus server is asked for each service of a stack. Pure.

A question is a query with ``$pods`` in the place of a pattern of the pods. One that the app file does not write is made
from the metric's name: ``alfred_gateway_requests_total{pod=~"$pods"}``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bluegreen.domain.reading import Timing
from bluegreen.domain.stack import MetricNames, Queries
from bluegreen.domain.values import dataclass
from bluegreen.metrics.counts import PROCESS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bluegreen.domain.stack import Prometheus, Seconds, Service, Stack

PODS = "$pods"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A query, and what the answer is called in messages. An empty query: there is nothing to ask for."""

    query: str
    called: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The questions about one service."""

    service: str
    requests: Question
    times: Question
    timing: Timing


def asked_of(stack: Stack, source: Prometheus) -> tuple[Asked, ...]:
    """The questions about each service that has any."""
    own = {queries.service: queries for queries in source.queries}
    every = (_asked(service, own.get(service.name), source) for service in stack.services)
    return tuple(asked for asked in every if asked.requests.query or asked.times.query)


def _asked(service: Service, own: Queries | None, source: Prometheus) -> Asked:
    own = own or Queries(service=service.name)
    names = service.metrics or MetricNames()
    overhead = _question(own.overhead, _buckets(names.overhead), "overhead", source)
    return Asked(
        service=service.name,
        requests=_question(own.requests, names.requests, "requests", source),
        times=overhead if overhead.query else _question(own.duration, _buckets(names.duration), "duration", source),
        timing=Timing.OVERHEAD if overhead.query else Timing.TOTAL,
    )


def _buckets(name: str) -> str:
    return f"{name}_bucket" if name else ""


def _question(own: str, metric: str, what: str, source: Prometheus) -> Question:
    """The app file's own query goes before the metric's name."""
    if own:
        return Question(query=own, called=f"answer to the query for {what}")
    return Question(query=_of_pods(metric, source) if metric else "", called=metric)


def _of_pods(metric: str, source: Prometheus) -> str:
    return f'{metric}{{{source.pod_label}=~"{PODS}"}}'


def scrapes(source: Prometheus) -> str:
    """A selector of series that have a sample at each scrape of a pod."""
    return source.scrapes if "{" in source.scrapes else _of_pods(source.scrapes, source)


def processes(source: Prometheus) -> str:
    """Since when the process of each pod runs, which most libraries tell beside the app's own metrics."""
    return _of_pods(PROCESS, source)


def ages(selector: str) -> str:
    """How many seconds ago each pod was scraped, by the server's own clock: no other one is in it."""
    return f"time() - timestamp({selector})"


def samples(selector: str, *, over: Seconds) -> str:
    """All samples of the last seconds with their times: how far they are apart is the scrape interval."""
    return f"{selector}[{over:.0f}s]"


def about(query: str, pods: Iterable[str]) -> str:
    """The query about these pods."""
    return query.replace(PODS, "|".join(map(_escaped, pods)))


def _escaped(name: str) -> str:
    """A pattern that only this name fits, as it stands in a text in double quotes."""
    return re.escape(name).replace(r"\-", "-").replace("\\", "\\\\").replace('"', r"\"")
