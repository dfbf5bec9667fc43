"""Checks of one machine against a server that answers as it is told: what is no whole answer proves nothing."""

from __future__ import annotations

import pytest
from tests.kubernetes_transport.server import ScriptedServer, Step, hang_up, head, page, raw, reset

from bluegreen.clock import SystemClock
from bluegreen.domain.stack import HttpCheck, Slot, after
from bluegreen.platforms.local.checks import Request, run
from bluegreen.ports import Check, CheckResult, Through

CLOCK = SystemClock()
CHECK = Check(check=HttpCheck(name="c", service="web", path="/"), slot=Slot.GREEN, through=Through.PODS)


def made(answer: Step) -> CheckResult:
    with ScriptedServer(answer) as server:
        request = Request(check=CHECK, whom="a", address=f"127.0.0.1:{server.port}")
        (result,) = run([request], clock=CLOCK, until=after(CLOCK.now(), 10.0))
    return result


@pytest.mark.parametrize("fault", [reset, hang_up, raw(head(200, [("Content-Length", "9")]) + b"half")])
def test_what_is_no_whole_answer_proves_nothing(fault: Step) -> None:
    result = made(fault)
    assert result.passed is None
    assert result.detail.startswith("a: not reachable: ")


@pytest.mark.parametrize(("status", "passed"), [(200, True), (500, False)])
def test_a_whole_answer_is_judged(status: int, passed: bool) -> None:  # noqa: FBT001 - the table's column
    result = made(page(status, "fine", X_Bluegreen_Slot="green"))
    assert (result.passed, result.answered_by) == (passed, Slot.GREEN)
