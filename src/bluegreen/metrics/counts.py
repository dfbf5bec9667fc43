"""From samples to counts, whatever has read them: a pod's own page, or a Prometheus server's answer. Pure.

What is no count is refused and never rounded: a rate, a NaN, a bucket that holds less than a narrower one.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Protocol

from bluegreen.domain.reading import Part

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bluegreen.domain.reading import Answers

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""Each is a part of its own; a client may send any word, and each further part makes all of them harder to judge."""

OTHER_METHOD = "other"

LARGEST = 2**53
"""A float above that cannot count one by one; and a number of that size is no count of requests."""

LONGEST_STATUS = 9
"""Digits; those of HTTP have three."""

SECONDS = re.compile(r"_seconds(_bucket)?\b")
"""How the names of metrics in seconds end, by Prometheus' own convention."""

EXCERPT = 80
"""How much of a stranger's text is repeated."""


PROCESS = "process_start_time_seconds"
"""What most libraries tell beside the app's own metrics: when the process began, by which it is known."""


class Unreadable(Exception):
    """It does not say what was asked; the message is the reason that a gap carries."""


class Absent(Unreadable):
    """It was read whole, and has no such counter."""


class Sample(Protocol):
    """One value of one series."""

    @property
    def labels(self) -> Mapping[str, str]:
        """The series' labels."""

    @property
    def value(self) -> float:
        """The value."""


def answers(samples: Iterable[Sample], *, name: str, label: str = "status") -> Answers:
    """``(status, count)``, other labels added up. ``name``: what to call it. Raises Unreadable."""
    counts: Counter[int] = Counter()
    for sample in samples:
        status = sample.labels.get(label, "")
        if not status.isdecimal() or len(status) > LONGEST_STATUS:
            raise Unreadable(f"{name} has a sample whose label {label} is {excerpt(status)}, not a number")
        counts[int(status)] += _whole(sample, name)
    return tuple(sorted(counts.items()))


def parts(samples: Iterable[Sample], *, name: str, label: str = "status") -> tuple[Part, ...]:
    """The same by the label ``method``, where the counter has one; all unusual methods are one. Raises Unreadable."""
    found: dict[str, list[Sample]] = {}
    for sample in samples:
        method = sample.labels.get("method", "").upper()
        if method:
            found.setdefault(method if method in METHODS else OTHER_METHOD, []).append(sample)
    return tuple(
        Part(name=method, answers=answers(mine, name=name, label=label)) for method, mine in sorted(found.items())
    )


def buckets(samples: Iterable[Sample], *, name: str, scale: float = 1.0) -> tuple[tuple[float, int], ...]:
    """``(upper edge in ms, count)`` in rising order, other labels added up. ``scale``: ms in the unit of the edges.

    Raises Unreadable.
    """
    counts: Counter[float] = Counter()
    for sample in samples:
        counts[round(_edge(sample, name) * scale, 6)] += _whole(sample, name)
    found = tuple(sorted(counts.items()))
    _check_cumulative(name, [count for _, count in found])
    if found and found[-1][0] != math.inf:
        raise Unreadable(f"{name} has no bucket without an upper edge (le=+Inf)")
    return found


def scale_of(name: str) -> float:
    """Milliseconds in the unit of a histogram of this name, or in a query that names one."""
    return 1000.0 if SECONDS.search(name) else 1.0


def process(samples: Sequence[Sample]) -> float | None:
    """When the process that counts began; None: it is not said, or of several at once."""
    return float(samples[0].value) if len(samples) == 1 and math.isfinite(samples[0].value) else None


def _check_cumulative(name: str, counts: Sequence[int]) -> None:
    if list(counts) != sorted(counts):
        raise Unreadable(f"the buckets of {name} do not add up: a wider one holds less")


def _edge(sample: Sample, name: str) -> float:
    try:
        edge = float(sample.labels["le"])
    except (KeyError, ValueError) as error:
        raise Unreadable(f"{name} has a sample without an upper edge (le)") from error
    if math.isnan(edge):
        raise Unreadable(f"{name} has a sample whose upper edge (le) is not a number")
    return edge


def _whole(sample: Sample, name: str) -> int:
    value = float(sample.value)
    if not (0 <= value <= LARGEST and value.is_integer()):
        raise Unreadable(f"{name} is {value}, which is no count")
    return int(value)


def excerpt(text: str) -> str:
    """For the screen: short, and no control characters."""
    return repr(text[:EXCERPT])
