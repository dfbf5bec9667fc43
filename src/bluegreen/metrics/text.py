"""One pod's counters out of its Prometheus text. Pure.

What cannot be told is said, never guessed: a series that is missing or not a whole number is no zero. A series that is
declared and has no samples is one: a counter with labels has none before its first event.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from bluegreen.domain.reading import Histogram, Timing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client.samples import Sample

    from bluegreen.domain.stack import MetricNames

_EXCERPT = 80


class Unreadable(Exception):
    """The text does not say what was asked; the message is the reason that a gap carries."""


@dataclass(frozen=True, slots=True)
class Series:
    """All samples of one text by their names, and which families were declared."""

    samples: Mapping[str, tuple[Sample, ...]]
    declared: frozenset[str]

    def named(self, name: str) -> tuple[Sample, ...]:
        """The samples of that name; none when it is declared only. Raises Unreadable for a stranger."""
        if name in self.samples:
            return self.samples[name]
        family = name.removesuffix("_total").removesuffix("_bucket")
        if family not in self.declared and name not in self.declared:
            raise Unreadable(f"its metrics have no {name}")
        return ()


def parse(text: str) -> Series:
    """Take the text apart. Raises Unreadable for what is no Prometheus text."""
    samples: dict[str, list[Sample]] = {}
    declared: set[str] = set()
    try:
        for family in text_string_to_metric_families(text):
            declared.add(family.name)
            for sample in family.samples:
                samples.setdefault(sample.name, []).append(sample)
    except (ValueError, LookupError, AttributeError, TypeError) as error:  # the parser's own answers to garbage
        raise Unreadable(f"its metrics are not in Prometheus text format: {_excerpt(str(error))}") from error
    return Series({name: tuple(found) for name, found in samples.items()}, frozenset(declared))


def answers(series: Series, names: MetricNames) -> tuple[tuple[int, int], ...]:
    """``(status, count)``, other labels added up. Raises Unreadable."""
    counts: Counter[int] = Counter()
    for sample in series.named(names.requests):
        status = sample.labels.get("status", "")
        if not status.isdecimal():
            raise Unreadable(f"{names.requests} has a sample whose label status is {_excerpt(status)}, not a number")
        counts[int(status)] += _whole(sample)
    return tuple(sorted(counts.items()))


def latency(series: Series, names: MetricNames) -> Histogram | None:
    """What the service itself adds, else the whole time, marked so; None: it has no histogram. Raises Unreadable."""
    if names.overhead:
        return Histogram(timing=Timing.OVERHEAD, buckets=_buckets(series, names.overhead))
    if names.duration:
        return Histogram(timing=Timing.TOTAL, buckets=_buckets(series, names.duration))
    return None


def _buckets(series: Series, name: str) -> tuple[tuple[float, int], ...]:
    counts: Counter[float] = Counter()
    for sample in series.named(f"{name}_bucket"):
        counts[_edge(sample)] += _whole(sample)
    buckets = tuple(sorted(counts.items()))
    _check_cumulative(name, [count for _, count in buckets])
    if buckets and buckets[-1][0] != math.inf:
        raise Unreadable(f"{name} has no bucket without an upper edge (le=+Inf)")
    return buckets


def _check_cumulative(name: str, counts: list[int]) -> None:
    if counts != sorted(counts):
        raise Unreadable(f"the buckets of {name} do not add up: a wider one holds less")


def _edge(sample: Sample) -> float:
    try:
        edge = float(sample.labels["le"])
    except (KeyError, ValueError) as error:
        raise Unreadable(f"{sample.name} has a sample without an upper edge (le)") from error
    if math.isnan(edge):
        raise Unreadable(f"{sample.name} has a sample whose upper edge (le) is not a number")
    return edge


def _whole(sample: Sample) -> int:
    value = float(sample.value)
    if not (math.isfinite(value) and value >= 0 and value.is_integer()):
        raise Unreadable(f"{sample.name} is {value}, which is no count")
    return int(value)


def _excerpt(text: str) -> str:
    """For the screen: short, and no control characters."""
    return repr(text[:_EXCERPT])
