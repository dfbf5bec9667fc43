"""Each row of the table of verdicts (``examples/verdicts.py``) is run, on one machine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from harness import SETTLE, Rates
from verdicts import RELEASED, TABLE, Row

if TYPE_CHECKING:
    from harness import Counts, LocalStack, StartLoad

pytestmark = [pytest.mark.local, pytest.mark.slow, pytest.mark.soak]

WINDOW = "10"
RATES = Rates(new=30, keepalive=60, slow=2, post=25, stream=5, websocket=12)
"""Some 120 metered requests a second: 1,200 in the window."""


def on_a_busy_machine(row: Row, stack: LocalStack) -> str:
    """Its fault. The machine may be slow by itself, which must not be what a version that is released is judged by."""
    if not row.of_slowness:
        stack.allow_slowness()
    elif row.outcome == RELEASED:
        stack.allow_slowness(limit_ms=1000)
        return row.fault.replace("=400", "=1500")
    return row.fault


@pytest.mark.parametrize("row", TABLE, ids=[" ".join([row.fault, *row.words]) for row in TABLE])
def test_each_bad_version_meets_its_verdict(row: Row, stack: LocalStack, start_load: StartLoad) -> None:
    stack.image("v2", fault=on_a_busy_machine(row, stack))
    load = start_load(stack, bad=["v2"], rates=RATES)
    time.sleep(SETTLE)
    done = stack.deploy("v2", "--validation-time", WINDOW, *row.words, code=row.code, output="json")
    time.sleep(1)
    counts = load.stop()
    events = done.events
    assert events[-1]["outcome"] == row.outcome
    assert row.cause in done.out
    assert [event["phase"] for event in events if event["event"] == "phase_done" and event["phase"] != "restore"][
        -1
    ] == row.phase
    if row.crash:
        assert only_what_was_under_way(counts), counts.told()
    else:
        assert counts.failed == 0, counts.told()
    assert (counts.column("answered_badly") > 0) is row.badly, counts.told()


REPLICAS = 2
DYING_MS = 250.0
"""A process that ends closes its connections one by one; on a busy machine others get the processor in between, and
somebody asks over one that is still open."""


def only_what_was_under_way(counts: Counts) -> bool:
    """Whether each that was lost was under way at the end of a process, however many that were: none came later.

    These ends are known by nothing but the losses: it takes no more instants than there are replicas for each lost
    request to have been under way at one of them.
    """
    lost = [row for row in counts.document["not_ok"] if row["column"] in {"failed", "answered_badly"}]
    ends = list[float]()
    for row in sorted(lost, key=lambda row: float(row["end"]["ms"])):
        if not any(row["sent"]["ms"] <= end + DYING_MS for end in ends):
            ends.append(row["end"]["ms"])
    return len(ends) <= REPLICAS
