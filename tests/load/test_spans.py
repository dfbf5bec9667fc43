"""What lies in a span for certain, and what may: the second witness must not be surer than it can be."""

from __future__ import annotations

import pytest

from bluegreen.load.plan import Kind
from bluegreen.load.record import Cause, Record
from bluegreen.load.spans import Span, SpanCount, count_spans

SPAN = Span(name="r-1", slot="green", start_ns=10_000_000, until_ns=20_000_000, latest_ns=22_000_000)
"""From 10,000 to 20,000 microseconds; counted until 22,000 at the latest."""


def record(
    *,
    sent: int,
    end: int,
    slot: str = "green",
    status: int = 200,
    cause: Cause = Cause.NONE,
    kind: Kind = Kind.KEEPALIVE,
) -> Record:
    return Record(kind=kind, due=sent, sent=sent, end=end, fault=end, cause=cause, status=status, slot=slot)


@pytest.mark.parametrize(
    ("given", "least", "most"),
    [
        pytest.param(record(sent=12_000, end=13_000), 1, 1, id="in it"),
        pytest.param(record(sent=9_000, end=10_000), 1, 1, id="answered at its start"),
        pytest.param(record(sent=9_000, end=9_999), 0, 0, id="answered before it"),
        pytest.param(record(sent=19_000, end=20_001), 0, 1, id="under way when it ended"),
        pytest.param(record(sent=21_999, end=30_000), 0, 1, id="begun until the latest"),
        pytest.param(record(sent=22_001, end=30_000), 0, 0, id="begun after it"),
        pytest.param(record(sent=12_000, end=13_000, slot="blue"), 0, 0, id="another slot's"),
        pytest.param(record(sent=12_000, end=13_000, slot=""), 0, 1, id="an answer without a name"),
        pytest.param(
            record(sent=12_000, end=13_000, slot="", cause=Cause.RESET_BEFORE_FIRST_BYTE), 0, 1, id="no whole answer"
        ),
        pytest.param(record(sent=12_000, end=13_000, kind=Kind.WEBSOCKET), 0, 0, id="a message on a WebSocket"),
    ],
)
def test_one_request(given: Record, least: int, most: int) -> None:
    (found,) = count_spans([SPAN], [given])
    assert (found.least, found.most) == (least, most)


def test_errors_are_counted_apart_and_a_broken_answer_may_have_been_one() -> None:
    records = [
        record(sent=12_000, end=13_000),
        record(sent=12_000, end=13_000, status=503, cause=Cause.WRONG_STATUS),
        record(sent=19_000, end=21_000, status=500, cause=Cause.WRONG_STATUS),
        record(sent=12_000, end=13_000, slot="", cause=Cause.TRUNCATED),
    ]
    assert count_spans([SPAN], records) == (SpanCount(name="r-1", least=2, most=4, least_errors=1, most_errors=3),)


def test_spans_may_lie_over_each_other() -> None:
    other = Span(name="r-2", slot="green", start_ns=0, until_ns=15_000_000, latest_ns=15_000_000)
    found = count_spans([SPAN, other], [record(sent=12_000, end=13_000), record(sent=16_000, end=17_000)])
    assert [(each.name, each.least, each.most) for each in found] == [("r-1", 2, 2), ("r-2", 1, 1)]
