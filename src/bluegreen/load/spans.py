"""What one slot answered between two moments, counted apart, to lay beside what somebody else has counted.

Whoever reads counters knows when only within bounds, and what is under way then is counted or not. So there are two
counts: what the slot has answered in the span for certain, and what it may have answered at most. WebSockets are left
out: who counts requests does not count their messages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bluegreen.load.plan import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bluegreen.load.record import Record

SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A time, in nanoseconds of the wall clock, and the slot whose answers are asked for.

    ``until_ns``: what was answered until then is in the other count. ``latest_ns``: nothing that was begun later is.
    """

    name: str
    slot: str
    start_ns: int
    until_ns: int
    latest_ns: int

    def certainly(self, record: Record) -> bool:
        """Whether the slot has answered this request in the span."""
        return record.complete and record.slot == self.slot and self.start_ns <= record.end * 1000 <= self.until_ns

    def possibly(self, record: Record) -> bool:
        """Whether it may have: what got no whole answer, or one without a name, may have been anybody's."""
        mine = record.slot == self.slot or not record.slot or not record.complete
        return mine and record.sent * 1000 <= self.latest_ns and record.end * 1000 >= self.start_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanCount:
    """How many answers lie in a span: at least and at most; the same of those with a status 5xx."""

    name: str
    least: int
    most: int
    least_errors: int
    most_errors: int


def count_spans(spans: Sequence[Span], records: Iterable[Record]) -> tuple[SpanCount, ...]:
    """Count all spans in one pass over the records."""
    totals = [[0, 0, 0, 0] for _ in spans]
    for record in records:
        if record.kind is Kind.WEBSOCKET:
            continue
        bad = record.status >= SERVER_ERROR
        for span, total in zip(spans, totals, strict=True):
            certain, possible = span.certainly(record), span.possibly(record)
            total[0] += certain
            total[1] += possible
            total[2] += certain and bad
            total[3] += possible and (bad or not record.complete)
    return tuple(
        SpanCount(name=span.name, least=least, most=most, least_errors=bad, most_errors=most_bad)
        for span, (least, most, bad, most_bad) in zip(spans, totals, strict=True)
    )
