"""What only the fake can do on demand: fail at an exact call. Its answers are those that ports.py promises."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.contract.bench import grip, limit, look, moves
from tests.contract.fake_bench import FakeBench

from bluegreen.domain.errors import LostLock, PlatformError
from bluegreen.domain.routing import Moved, Unknown
from bluegreen.domain.stack import HttpCheck, Slot
from bluegreen.ports import Check, Through
from bluegreen.testing import Behaviour, Fault, Rehearsal

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluegreen.domain.routing import Move

BLUE, GREEN = Slot.BLUE, Slot.GREEN


def refused() -> None:
    raise PlatformError("connection refused")


def taken_over(bench: FakeBench) -> Callable[[], None]:
    """Another run takes over."""

    def act() -> None:
        grip(bench)

    return act


def sent(bench: FakeBench) -> tuple[Move, ...]:
    return moves(look(bench), GREEN, order=bench.stack.names)


def slots(bench: FakeBench) -> list[Slot | None]:
    return [route.slot for route in look(bench).routes]


@pytest.mark.parametrize(
    ("nth", "after", "kinds", "expected"),
    [
        (1, False, [Unknown], [BLUE, BLUE]),
        (1, True, [Unknown], [GREEN, BLUE]),
        (2, False, [Moved, Unknown], [GREEN, BLUE]),
        (2, True, [Moved, Unknown], [GREEN, GREEN]),
    ],
)
def test_a_lost_answer_is_unknown_and_may_have_been_done(
    nth: int, after: object, kinds: list[type], expected: list[Slot]
) -> None:
    bench = FakeBench()
    bench.rehearsal.platform.faults.append(Fault(call="route", nth=nth, action=refused, after=bool(after)))
    results = bench.platform().route(sent(bench), grip=grip(bench), until=limit(bench))
    assert [type(result) for result in results] == kinds
    assert slots(bench) == expected


def test_the_lock_lost_between_two_writes_tells_what_was_written() -> None:
    bench = FakeBench()
    bench.rehearsal.platform.faults.append(Fault(call="route", nth=2, action=taken_over(bench)))
    results = bench.platform().route(sent(bench), grip=grip(bench), until=limit(bench))
    assert [type(result) for result in results] == [Moved]
    assert slots(bench) == [GREEN, BLUE]


def test_a_deadline_that_passes_between_two_writes_tells_what_was_written() -> None:
    bench = FakeBench()
    until = limit(bench, 5.0)
    late = Fault(call="route", nth=2, action=lambda: bench.clock.wait(until=limit(bench, 6.0)))
    bench.rehearsal.platform.faults.append(late)
    results = bench.platform().route(sent(bench), grip=grip(bench), until=until)
    assert [type(result) for result in results] == [Moved, Unknown]
    assert slots(bench) == [GREEN, BLUE]


def test_the_lock_lost_just_before_the_first_write_writes_nothing() -> None:
    bench = FakeBench()
    bench.rehearsal.platform.faults.append(Fault(call="route", action=taken_over(bench)))
    with pytest.raises(LostLock):
        bench.platform().route(sent(bench), grip=grip(bench), until=limit(bench))
    assert slots(bench) == [BLUE, BLUE]


@pytest.mark.parametrize("call", ["snapshot", "changes", "read", "check"])
def test_elsewhere_an_unreachable_platform_raises_once(call: str) -> None:
    bench = FakeBench()
    live = look(bench)
    bench.rehearsal.platform.faults.append(Fault(call=call, action=refused))
    platform = bench.platform()

    def ask() -> None:
        if call == "snapshot":
            platform.snapshot(until=limit(bench))
        elif call == "changes":
            next(platform.changes(until=limit(bench)))
        elif call == "read":
            platform.read(live, until=limit(bench))
        else:
            platform.check([], until=limit(bench))

    with pytest.raises(PlatformError, match="connection refused"):
        ask()
    ask()


def test_a_persons_patch_leaves_the_fence_and_moves_the_version() -> None:
    bench = FakeBench()
    bench.platform().route(sent(bench), grip=grip(bench), until=limit(bench))
    before = look(bench).route("pair-back")
    bench.rehearsal.platform.patch_by_hand("pair-back", BLUE)
    now = look(bench).route("pair-back")
    assert (now.slot, now.fence, now.changed_by) == (BLUE, before.fence, "kubectl")
    assert now.version != before.version


def test_an_entry_that_cannot_be_reached_from_here_proves_nothing() -> None:
    bench = FakeBench()
    bench.rehearsal.platform.entry_answers = False
    wanted = Check(check=HttpCheck(name="entry", service="pair-back", path="/health"), slot=BLUE, through=Through.ENTRY)
    (result,) = bench.platform().check([wanted], until=limit(bench))
    assert (result.passed, result.answered_by) == (None, None)


def test_a_version_without_its_metrics_page_is_a_gap_a_pod() -> None:
    rehearsal = Rehearsal()
    rehearsal.platform.behaviours["v1"] = Behaviour(no_metrics=True)
    live = rehearsal.platform.snapshot(until=rehearsal.clock.now())
    reading = rehearsal.platform.read(live, until=rehearsal.clock.now())
    assert reading.pods == ()
    assert [gap.pod for gap in reading.gaps] == [
        pod.name for work in live.workloads if work.service == "pair-front" for pod in work.pods
    ]
