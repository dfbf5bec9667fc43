"""What the demo tells of requests that were lost: lines for people, and whether it may have been the machine."""

from __future__ import annotations

from typing import Any

from demo import FIRST, lost_lines
from harness import Counts


def lost(*, due: float, sent: float, end: float) -> dict[str, Any]:
    moments = {"due": due, "sent": sent, "end": end}
    return {"column": "failed", "kind": "new", "cause": "timeout"} | {
        name: {"wall_ns": 1, "ms": 1000 * at} for name, at in moments.items()
    }


def counts(*rows: dict[str, Any]) -> Counts:
    bad = {**lost(due=1, sent=1, end=1), "column": "answered_badly"}
    return Counts({"causes": {"failed": {"timeout": len(rows)}}, "not_ok": [bad, *rows]})


def test_lost_requests_are_told_in_lines_that_fit() -> None:
    lines = lost_lines(counts(*[lost(due=1.0, sent=1.01, end=6.5)] * 40))
    assert lines[:2] == [
        "failed: 40 timeout; the first of them, in seconds since the load began:",
        "  new: timeout, due 1.00 s, sent 1.01 s, over 6.50 s",
    ]
    assert len(lines) == 1 + FIRST
    assert max(map(len, lines)) <= 80


def test_a_load_that_was_late_itself_is_said() -> None:
    lines = lost_lines(counts(lost(due=77.5, sent=87.6, end=92.8)))
    assert lines[-1] == "  some were sent long after they were due: this machine was too busy for the load"


def test_a_failing_test_has_a_line_for_each_request_up_to_twenty() -> None:
    who: dict[str, Any] = {"target": "http://alfred-gateway", "status": 0, "slot": "", "version": "v1"}
    row = {**lost(due=0.9, sent=0.95, end=6.0), **who, "fault": {"wall_ns": 1_796_006_238_105_690_000, "ms": 6000.0}}
    document = Counts({**counts(*[row] * 22).document, "requests": 99, "columns": {"failed": 22}, "standstills": []})
    told = document.told().splitlines()
    assert told[0] == "22 of 99 failed: 22 new timeout"
    assert told[1:3] == ['columns: {"failed": 22}', 'causes: {"failed": {"timeout": 22}}']
    assert told[3] == (
        "new to http://alfred-gateway: timeout, ? v1, status 0; "
        "due 0.900, sent 0.950, over 6.000, fault at 02:37:18.105690"
    )
    assert told[-1] == "and 2 more"
    assert len(told) == 3 + 20 + 1
