"""ports.Platform, writing slots: stage, protect and end, and the users who must not notice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.contract.bench import (
    SOON,
    Make,
    grip,
    home,
    limit,
    look,
    moves,
    spec,
    stage_good,
    wait,
    wait_ready,
)

from bluegreen.domain.errors import DeadlineExceeded, Held, LostLock
from bluegreen.domain.health import Doomed, Progressing, judge
from bluegreen.ports import Cover

if TYPE_CHECKING:
    from tests.contract.bench import Bench

    from bluegreen.domain.plan import SlotSpec
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import Slot
    from bluegreen.ports import Grip, Platform


def names_of_pods(snapshot: Snapshot, slot: Slot) -> set[str]:
    return {pod.name for work in snapshot.slot_workloads(slot) for pod in work.pods}


def users_side(snapshot: Snapshot, slot: Slot) -> object:
    """All that users have to do with."""
    pods = [(pod.name, pod.ready) for work in snapshot.slot_workloads(slot) for pod in work.pods]
    return [(route.service, route.slot) for route in snapshot.routes], pods


def test_a_staged_slot_becomes_what_the_spec_says_and_nothing_else(bench: Bench) -> None:
    serving = home(bench)
    slot = serving.other
    stage_good(bench, slot)
    before = look(bench)
    wanted = stage_good(bench, slot)
    live = look(bench)
    for work in wanted.workloads:
        found = live.workload(work.service, slot)
        assert (found.image, found.replicas, found.template) == (work.image, work.replicas, work.template)
        assert found.revision == wanted.revision
        assert {pod.revision for pod in found.current} == {wanted.revision}
        assert found.ready == len(found.current) == work.replicas
        assert found.settled
        assert found.reachable in {None, work.replicas}
    assert not names_of_pods(live, slot) & names_of_pods(before, slot)
    assert users_side(live, serving) == users_side(before, serving)


def test_right_after_a_stage_nothing_of_the_old_revision_counts(bench: Bench) -> None:
    slot = home(bench).other
    stage_good(bench, slot)
    wanted = spec(bench, slot)
    bench.platform().stage(wanted, grip=grip(bench), until=limit(bench))
    first = look(bench)
    for work in first.slot_workloads(slot):
        assert work.revision == wanted.revision
        assert all(pod.revision == wanted.revision for pod in work.current)
    assert not isinstance(judge(first, slot, revision="the one before"), Doomed)
    wait_ready(bench, wanted)


def test_the_newest_stage_wins(bench: Bench) -> None:
    slot, held, platform = home(bench).other, grip(bench), bench.platform()
    bad, good = spec(bench, slot, Make.NEVER_READY), spec(bench, slot)
    platform.stage(bad, grip=held, until=limit(bench))
    platform.stage(good, grip=held, until=limit(bench))
    live = wait_ready(bench, good)
    assert all(work.image == bench.image(work.service, Make.GOOD) for work in live.slot_workloads(slot))


def test_an_image_that_cannot_start_is_doomed_with_its_exit_code_and_its_last_words(bench: Bench) -> None:
    serving = home(bench)
    slot = serving.other
    before = look(bench)
    wanted = spec(bench, slot, Make.CANNOT_START)
    platform = bench.platform()
    platform.stage(wanted, grip=grip(bench), until=limit(bench))

    def doomed(now: Snapshot) -> bool:
        return isinstance(judge(now, slot, revision=wanted.revision), Doomed)

    live = wait(bench, platform, doomed, what="a verdict of doom")
    verdict = judge(live, slot, revision=wanted.revision)
    assert isinstance(verdict, Doomed)
    cause = verdict.cause
    assert cause.exit_code not in {None, 0}
    assert cause.pod in names_of_pods(live, slot)
    assert bench.platform().diagnose(cause, until=limit(bench)).log
    assert users_side(live, serving) == users_side(before, serving)


def test_an_image_that_is_never_ready_is_progress_that_says_what_is_missing(bench: Bench) -> None:
    slot = home(bench).other
    wanted = spec(bench, slot, Make.NEVER_READY)
    platform = bench.platform()
    platform.stage(wanted, grip=grip(bench), until=limit(bench))
    seen: list[Snapshot] = []
    with pytest.raises(DeadlineExceeded):
        seen.extend(platform.changes(until=limit(bench, 5.0)))
    verdicts = [judge(live, slot, revision=wanted.revision) for live in seen]
    assert all(isinstance(verdict, Progressing) for verdict in verdicts)
    last = verdicts[-1]
    assert isinstance(last, Progressing)
    assert len(last.wants) == len(bench.stack.names)
    assert all("(" in want for want in last.wants), last.wants


def test_an_end_goes_in_the_order_given_and_leaves_the_record(bench: Bench) -> None:
    serving = home(bench)
    slot = serving.other
    wanted = stage_good(bench, slot)
    before = look(bench)
    order = bench.stack.end_order
    ended = bench.platform().end(slot, order=order, grip=grip(bench), until=limit(bench))
    assert ended.services == order
    assert ended.cut == 0
    live = look(bench)
    for work in wanted.workloads:
        found = live.workload(work.service, slot)
        assert (found.replicas, found.pods) == (0, ())
        assert found.image == work.image
    assert users_side(live, serving) == users_side(before, serving)


def test_what_is_ended_already_is_not_ended_again(bench: Bench) -> None:
    slot = home(bench).other
    stage_good(bench, slot)
    held = grip(bench)
    bench.platform().end(slot, order=bench.stack.end_order, grip=held, until=limit(bench))
    start = bench.clock.now()
    again = bench.platform().end(slot, order=bench.stack.end_order, grip=held, until=limit(bench))
    assert again.services == ()
    assert bench.clock.now() - start < SOON


def test_a_slot_that_was_ended_can_be_staged_again(bench: Bench) -> None:
    slot = home(bench).other
    bench.platform().end(slot, order=bench.stack.end_order, grip=grip(bench), until=limit(bench))
    stage_good(bench, slot)


def write(bench: Bench, platform: Platform, call: str, wanted: SlotSpec, held: Grip) -> None:
    """Make one of the writes by its name."""
    if call == "stage":
        platform.stage(wanted, grip=held, until=limit(bench))
    elif call == "end":
        platform.end(wanted.slot, order=bench.stack.end_order, grip=held, until=limit(bench))
    else:
        platform.protect(Cover.BOTH, grip=held, until=limit(bench))


@pytest.mark.parametrize("call", ["stage", "end"])
def test_a_slot_that_users_are_on_is_not_touched(bench: Bench, call: str) -> None:
    slot, held, platform = home(bench), grip(bench), bench.platform()
    wanted, before = spec(bench, slot), look(bench)
    with pytest.raises(Held):
        write(bench, platform, call, wanted, held)
    assert users_side(look(bench), slot) == users_side(before, slot)


def test_a_slot_that_is_staged_is_nobodys_fallback(bench: Bench) -> None:
    serving = home(bench)
    slot = serving.other
    stage_good(bench, slot)
    sent = moves(look(bench), serving, order=bench.stack.names, fallback=slot)
    bench.platform().route(sent, grip=grip(bench), until=limit(bench))
    wanted = spec(bench, slot)
    bench.platform().stage(wanted, grip=grip(bench), until=limit(bench))
    live = look(bench)
    assert [route.fallback for route in live.routes] == [None] * len(bench.stack.names)
    assert [route.slot for route in live.routes] == [serving] * len(bench.stack.names)
    wait_ready(bench, wanted)


@pytest.mark.parametrize("call", ["stage", "end", "protect"])
def test_a_run_that_lost_the_lock_changes_nothing(bench: Bench, call: str) -> None:
    if call == "protect" and not bench.evicts:
        pytest.skip("nobody is evicted on this platform, so nothing is written")
    slot = home(bench).other
    stage_good(bench, slot)
    held, platform = grip(bench), bench.platform()
    wanted, before = spec(bench, slot), look(bench)
    grip(bench)
    with pytest.raises(LostLock) as caught:
        write(bench, platform, call, wanted, held)
    assert caught.value.taken_by
    live = look(bench)
    assert names_of_pods(live, slot) == names_of_pods(before, slot)
    assert [work.replicas for work in live.slot_workloads(slot)] == [
        work.replicas for work in before.slot_workloads(slot)
    ]


@pytest.mark.parametrize("cover", Cover)
def test_budgets_may_be_asked_for_at_any_time(bench: Bench, cover: Cover) -> None:
    bench.platform().protect(cover, grip=grip(bench), until=limit(bench))
    assert look(bench).routes
