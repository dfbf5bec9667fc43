"""One pod's counters out of its Prometheus text. Pure.

What cannot be told is said, never guessed: a series that is missing or not a whole number is no zero. A series that is
declared and has no samples is one: a counter with labels has none before its first event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from bluegreen.domain.reading import Histogram, Timing
from bluegreen.domain.values import dataclass
from bluegreen.metrics import counts
from bluegreen.metrics.counts import PROCESS, Absent, Unreadable, excerpt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client.samples import Sample

    from bluegreen.domain.reading import Answers, Part
    from bluegreen.domain.stack import MetricNames, Seconds


@dataclass(frozen=True, slots=True)
class Series:
    """The samples of one text that were asked for, by their names, and which families were declared."""

    samples: Mapping[str, tuple[Sample, ...]]
    declared: frozenset[str]

    def named(self, name: str) -> tuple[Sample, ...]:
        """The samples of that name; none when it is declared only. Raises Absent for a stranger."""
        if name in self.samples:
            return _once(name, self.samples[name])
        family = name.removesuffix("_total").removesuffix("_bucket")
        if family not in self.declared and name not in self.declared:
            raise Absent(f"the metrics have no {name}")
        return ()


def _once(name: str, samples: tuple[Sample, ...]) -> tuple[Sample, ...]:
    """One series twice, as where two pages were put together, would be counted twice."""
    if len({frozenset(sample.labels.items()) for sample in samples}) < len(samples):
        raise Unreadable(f"the metrics have one series of {name} twice")
    return samples


def parse(text: str, names: MetricNames) -> Series:
    """Take the text apart. Raises Unreadable for what is no Prometheus text."""
    samples: dict[str, list[Sample]] = {}
    declared: set[str] = set()
    try:
        for family in text_string_to_metric_families(_about(text, names)):
            declared.add(family.name)
            for sample in family.samples:
                samples.setdefault(sample.name, []).append(sample)
    except (ValueError, LookupError, AttributeError, TypeError) as error:  # the parser's own answers to garbage
        raise Unreadable(f"the metrics are not in Prometheus text format: {excerpt(str(error))}") from error
    return Series({name: tuple(found) for name, found in samples.items()}, frozenset(declared))


def _about(text: str, names: MetricNames) -> str:
    """The lines about what was asked for; else the first that would hold a sample, to see what the text is.

    The others are no affair of ours: whatever stands there, and there can be megabytes of it each two seconds.
    """
    named = (names.requests.removesuffix("_total"), names.overhead or names.duration, PROCESS)
    asked = [name for name in named if name]
    lines = text.split("\n")
    found = [line for line in lines if any(name in line for name in asked)]
    samples = (line for line in lines if line.strip() and not line.startswith("#"))
    return "\n".join(found or [next(samples, "")]) + "\n"


def answers(series: Series, names: MetricNames) -> Answers:
    """``(status, count)``, other labels added up. Raises Unreadable."""
    return counts.answers(series.named(names.requests), name=names.requests)


def parts(series: Series, names: MetricNames) -> tuple[Part, ...]:
    """The same by the label ``method``, where the counter has one. Raises Unreadable."""
    return counts.parts(series.named(names.requests), name=names.requests)


def latency(series: Series, names: MetricNames) -> Histogram | None:
    """What the service itself adds, else the whole time, marked so; None: it has no histogram. Raises Unreadable."""
    if names.overhead:
        return Histogram(timing=Timing.OVERHEAD, buckets=_buckets(series, names.overhead))
    if names.duration:
        return Histogram(timing=Timing.TOTAL, buckets=_buckets(series, names.duration))
    return None


def process(series: Series) -> Seconds | None:
    """When the process that counts began; None: the page does not say, or says it of several."""
    return counts.process(series.samples.get(PROCESS, ()))


def _buckets(series: Series, name: str) -> tuple[tuple[float, int], ...]:
    found = series.named(f"{name}_bucket")
    if not found and any(sample.value for sample in series.samples.get(f"{name}_count", ())):
        raise Unreadable(f"{name} has no buckets: it is no histogram")
    return counts.buckets(found, name=name, scale=counts.scale_of(name))
