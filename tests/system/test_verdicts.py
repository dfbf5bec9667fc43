"""The expected verdict for each bad version at a stated rate, and what users see of it. Each row is run.

The thresholds are the specification's (1 % of answers 5xx, P95 of the gateway's overhead 150 ms); none is tuned to the
example. `not proven` is a valid row: at a true share equal to the limit, or where the metrics cannot see the fault,
nothing else would be honest.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from harness import SETTLE, Rates

if TYPE_CHECKING:
    from harness import LocalStack, StartLoad

pytestmark = [pytest.mark.local, pytest.mark.slow, pytest.mark.soak]

WINDOW = "10"
RATES = Rates(new=30, keepalive=60, slow=2, post=25, stream=5, websocket=12)
"""Some 120 metered requests a second: 1,200 in the window."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """A bad version, and what has to come of it."""

    fault: str
    code: int
    outcome: str
    cause: str
    """Words on the screen."""
    phase: str
    """The last phase that ended well."""
    badly: bool
    """Whether users get complete, bad answers of that version."""
    crash: bool = False
    words: tuple[str, ...] = ()


FAILED, TIMED_OUT, ROLLED_BACK = "failed before the switch", "timed out before the switch", "rolled back"
RELEASED, NOT_PROVEN = "released", "released, not proven"

TABLE = (
    Row(fault="cannot-start", code=1, outcome=FAILED, cause="database schema is newer", phase="deploy", badly=False),
    Row(
        fault="never-ready",
        code=70,
        outcome=TIMED_OUT,
        cause="health validation's 10 s",
        phase="deploy",
        badly=False,
        words=("--health-retries", "2"),
    ),
    Row(fault="error-page", code=1, outcome=FAILED, cause="the pair answers", phase="deploy", badly=False),
    Row(fault="crash-after=6", code=3, outcome=ROLLED_BACK, cause="crash", phase="switch", badly=False, crash=True),
    Row(fault="errors=1", code=0, outcome=NOT_PROVEN, cause="error share", phase="observe", badly=True),
    Row(fault="errors=5", code=3, outcome=ROLLED_BACK, cause="error share", phase="switch", badly=True),
    Row(fault="errors=100", code=1, outcome=FAILED, cause="the pair answers", phase="deploy", badly=False),
    Row(fault="post-errors=50", code=3, outcome=ROLLED_BACK, cause="error share", phase="switch", badly=True),
    Row(fault="slow=400", code=3, outcome=ROLLED_BACK, cause="P95 overhead", phase="switch", badly=False),
    Row(fault="tail=400@15", code=3, outcome=ROLLED_BACK, cause="P95 overhead", phase="switch", badly=False),
    Row(fault="tail=400@2", code=0, outcome=RELEASED, cause="", phase="observe", badly=False),
    Row(fault="memory=1", code=0, outcome=RELEASED, cause="", phase="observe", badly=False),
)


@pytest.mark.parametrize("row", TABLE, ids=[row.fault for row in TABLE])
def test_each_bad_version_meets_its_verdict(row: Row, stack: LocalStack, start_load: StartLoad) -> None:
    stack.image("v2", fault=row.fault)
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
        assert counts.failed + counts.column("answered_badly") <= RATES.slow * 2 + 10, counts.told()
    else:
        assert counts.failed == 0, counts.told()
    assert (counts.column("answered_badly") > 0) is row.badly, counts.told()
