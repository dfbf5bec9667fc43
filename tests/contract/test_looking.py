"""ports.Platform, looking: whole snapshots, a watch that never just ends, deadlines."""

from __future__ import annotations

import dataclasses
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING

import pytest
from tests.contract.bench import (
    PATIENCE,
    SOON,
    Make,
    grip,
    home,
    limit,
    look,
    moves,
    new_run,
    spec,
    stage_good,
    stamp,
    wait_ready,
)

from bluegreen.domain.cause import Cause
from bluegreen.domain.dating import dated
from bluegreen.domain.errors import DeadlineExceeded, Interrupted, LostLock
from bluegreen.domain.plan import Options, make_plan
from bluegreen.domain.stack import Instant, Slot, after
from bluegreen.ports import Severity

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.bench import Bench

    from bluegreen.domain.plan import Plan
    from bluegreen.domain.snapshot import Snapshot


def content(snapshot: Snapshot) -> object:
    """All but the instant and the dates, which are when each watch saw it first."""
    undated = dated(dataclasses.replace(snapshot, at=Instant(0.0)), before=None)
    return undated.routes, undated.workloads


def written(snapshot: Snapshot) -> object:
    """What writes leave behind, whatever the pods do meanwhile, or a look of a busy machine finds of them."""
    works = [(work.service, work.slot, work.image, work.revision, work.replicas) for work in snapshot.workloads]
    return works, [(route.service, route.slot, route.version) for route in snapshot.routes]


def test_a_snapshot_is_whole(bench: Bench) -> None:
    names, live = bench.stack.names, look(bench)
    assert tuple(route.service for route in live.routes) == names
    assert tuple(wanted.service for wanted in live.wanted) == names
    for slot in Slot:
        assert tuple(work.service for work in live.slot_workloads(slot)) == names
    assert len(live.workloads) == 2 * len(names)


def test_a_snapshot_is_of_now(bench: Bench) -> None:
    before = bench.clock.now()
    assert before <= look(bench).at <= bench.clock.now()


def test_pods_and_endpoints_say_whose_they_are(bench: Bench) -> None:
    live, slot = look(bench), home(bench)
    for work in live.workloads:
        assert all((pod.service, pod.slot) == (work.service, work.slot) for pod in work.pods)
    for name in bench.stack.names:
        serving = live.workload(name, slot)
        assert serving.image is not None
        assert serving.settled
        assert serving.ready == serving.replicas == bench.stack.service(name).replicas
        ends = live.route(name).endpoints
        assert {end.pod for end in ends} == {pod.name for pod in serving.pods}
        assert all(end.slot is slot and end.ready for end in ends)


def names_of_pods(snapshot: Snapshot) -> list[str]:
    return [pod.name for work in snapshot.workloads for pod in work.pods]


def test_names_of_pods_are_their_own(bench: Bench) -> None:
    names = names_of_pods(look(bench))
    assert len(set(names)) == len(names)


def test_a_snapshot_cannot_be_changed(bench: Bench) -> None:
    live = look(bench)
    hash((live.routes, live.workloads, live.wanted))  # all the way down
    for value in (live, live.routes[0], live.workloads[0]):
        field = dataclasses.fields(value)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, field, None)


def test_routes_alone_are_those_of_the_snapshot(bench: Bench) -> None:
    stamp(bench)
    routes = bench.platform().routes(until=limit(bench))
    assert list(routes) == [dataclasses.replace(route, endpoints=()) for route in look(bench).routes]


def test_what_answers_in_a_slot_is_known_without_a_snapshot(bench: Bench) -> None:
    slot = home(bench)
    for asked in Slot:
        answers = bench.platform().answering(asked, until=limit(bench))
        assert answers == {work.service for work in look(bench).slot_workloads(asked) if work.answers}
    assert bench.platform().answering(slot, until=limit(bench)) == set(bench.stack.names)


def test_nothing_answers_in_a_slot_that_was_ended(bench: Bench) -> None:
    slot, platform = home(bench).other, bench.platform()
    stage_good(bench, slot)
    assert bench.platform().answering(slot, until=limit(bench)) == set(bench.stack.names)
    platform.end(slot, order=bench.stack.end_order, grip=grip(bench), until=limit(bench))
    assert platform.answering(slot, until=limit(bench)) == frozenset()
    assert bench.platform().answering(slot, until=limit(bench)) == frozenset()


# The watch.


def test_a_watch_yields_at_once(bench: Bench) -> None:
    start = bench.clock.now()
    watch = bench.platform().changes(until=limit(bench))
    first = next(watch)
    assert bench.clock.now() - start < SOON
    assert written(first) == written(look(bench))
    assert names_of_pods(first) == names_of_pods(look(bench))


def test_a_watch_yields_what_somebody_else_does(bench: Bench) -> None:
    watch = bench.platform().changes(until=limit(bench))
    first = next(watch)
    start = bench.clock.now()
    bench.later(0.5, lambda: stamp(bench))
    next(live for live in watch if live.routes[0].version != first.routes[0].version)
    assert bench.clock.now() - start < 0.5 + SOON


def test_a_watch_misses_nothing_that_happened_while_it_was_not_asked(bench: Bench) -> None:
    watch = bench.platform().changes(until=limit(bench))
    first = next(watch)
    stamp(bench)
    start = bench.clock.now()
    seen = takewhile(lambda live: live.routes[-1].version == first.routes[-1].version, watch)
    assert len(list(seen)) < len(bench.stack.names)  # between two writes there may be a look
    assert bench.clock.now() - start < SOON


def test_a_watch_never_yields_the_same_twice_in_a_row(bench: Bench) -> None:
    slot = home(bench).other
    platform = bench.platform()
    platform.stage(spec(bench, slot), grip=grip(bench), until=limit(bench))
    seen: list[Snapshot] = []
    with pytest.raises(DeadlineExceeded):
        seen.extend(platform.changes(until=limit(bench, 5.0)))
    assert len(seen) > 1
    assert all(content(one) != content(other) for one, other in pairwise(seen))
    assert all(one.at <= other.at for one, other in pairwise(seen))


def test_a_watch_yields_again_when_its_reader_has_to_look_again(bench: Bench) -> None:
    due: Instant | None = None
    watch = bench.platform().changes(until=limit(bench), again=lambda: due)
    seen = [next(watch)]
    due = after(bench.clock.now(), 1.0)
    for live in watch:  # what changes by itself, such as a probe that a busy machine fails, is yielded at once
        seen.append(live)
        if content(seen[-2]) == content(live):
            break
    assert due <= seen[-1].at < due + SOON


def test_a_watch_dates_what_it_sees_by_when_it_saw_it_first(bench: Bench) -> None:
    platform = bench.platform()
    watch = platform.changes(until=limit(bench))
    first = next(watch)
    bench.later(0.5, lambda: stamp(bench))
    last = next(watch)
    then, now = ({pod.name: pod for work in live.workloads for pod in work.pods} for live in (first, last))
    dates = [pod.since for name, pod in now.items() if pod.ready is then[name].ready]  # a busy machine fails a probe
    assert dates == [first.at] * len(dates) != []
    assert {pod.since for pod in then.values()} == {first.at}
    assert all(pod.since is None for work in look(bench).workloads for pod in work.pods)


def test_a_watch_ends_at_its_deadline_and_never_just_ends(bench: Bench) -> None:
    until = limit(bench, 1.0)
    watch = bench.platform().changes(until=until)
    with pytest.raises(DeadlineExceeded):
        list(watch)
    assert until <= bench.clock.now() < until + SOON


def test_an_interrupt_ends_a_watch(bench: Bench) -> None:
    watch = bench.platform().changes(until=limit(bench))
    next(watch)
    start = bench.clock.now()
    bench.later(0.5, bench.interrupt)
    with pytest.raises(Interrupted) as caught:
        list(watch)
    assert caught.value.signal == "SIGINT"
    assert bench.clock.now() - start < 0.5 + SOON


def test_a_watch_of_a_run_that_lost_the_lock_ends_with_that(bench: Bench) -> None:
    platform = bench.platform()
    platform.stage(spec(bench, home(bench).other), grip=grip(bench), until=limit(bench))
    watch = platform.changes(until=limit(bench))
    next(watch)
    grip(bench)
    start = bench.clock.now()
    with pytest.raises(LostLock):
        list(watch)
    assert bench.clock.now() - start < SOON


def test_a_run_that_waits_notices_that_it_lost_the_lock(bench: Bench) -> None:
    platform = bench.platform()
    staged = spec(bench, home(bench).other, Make.NEVER_READY)
    platform.stage(staged, grip=grip(bench), until=limit(bench))
    start = bench.clock.now()
    bench.later(1.0, lambda: grip(bench))
    with pytest.raises(LostLock) as caught:
        list(platform.changes(until=limit(bench)))
    assert caught.value.taken_by
    assert bench.clock.now() - start < 1.0 + SOON


def test_who_only_looks_has_no_lock_to_lose(bench: Bench) -> None:
    watch = bench.platform().changes(until=limit(bench, 1.0))
    next(watch)
    grip(bench)
    with pytest.raises(DeadlineExceeded):
        list(watch)


# Deadlines, the plan's enemies, and causes.


def plan(bench: Bench, make: Make) -> Plan:
    images = {name: bench.image(name, make) for name in bench.stack.names}
    return make_plan(look(bench), stack=bench.stack, images=images, options=Options(force=True), release=new_run())


CAUSE = Cause(service="", slot=Slot.BLUE, reason="crash loop")


@pytest.mark.parametrize(
    "call", ["snapshot", "routes", "answering", "changes", "preflight", "examine", "diagnose", "stage", "route", "end"]
)
def test_a_call_whose_deadline_has_passed_says_so_and_does_nothing(bench: Bench, call: str) -> None:
    platform, slot, held = bench.platform(), home(bench).other, grip(bench)
    wanted, planned, before = spec(bench, slot), plan(bench, Make.GOOD), look(bench)
    sent = moves(before, slot, order=bench.stack.names)
    past = limit(bench, -0.001)
    calls: dict[str, Callable[[], object]] = {
        "snapshot": lambda: platform.snapshot(until=past),
        "routes": lambda: platform.routes(until=past),
        "answering": lambda: platform.answering(slot, until=past),
        "changes": lambda: next(platform.changes(until=past)),
        "preflight": lambda: platform.preflight(planned, until=past),
        "examine": lambda: platform.examine(until=past),
        "diagnose": lambda: platform.diagnose(CAUSE, until=past),
        "stage": lambda: platform.stage(wanted, grip=held, until=past),
        "route": lambda: platform.route(sent, grip=held, until=past),
        "end": lambda: platform.end(slot, order=bench.stack.end_order, grip=held, until=past),
    }
    with pytest.raises(DeadlineExceeded):
        calls[call]()
    assert written(look(bench)) == written(before)


def test_nothing_speaks_against_good_images(bench: Bench) -> None:
    found = bench.platform().preflight(plan(bench, Make.GOOD), until=limit(bench))
    assert [finding for finding in found if finding.severity is Severity.REFUSE] == []


def test_an_examination_changes_nothing_and_of_a_stack_that_serves_it_refuses_nothing(bench: Bench) -> None:
    before = look(bench)
    found = bench.platform().examine(until=limit(bench))
    assert [finding for finding in found if finding.severity is Severity.REFUSE] == []
    assert all(finding.rule and finding.why for finding in found)
    assert written(look(bench)) == written(before)


def test_missing_images_are_refused_before_anything_is_written_where_that_can_be_known(bench: Bench) -> None:
    before = look(bench)
    found = bench.platform().preflight(plan(bench, Make.MISSING), until=limit(bench))
    refused = [finding for finding in found if finding.severity is Severity.REFUSE]
    missing = [str(bench.image(name, Make.MISSING)) for name in bench.stack.names if bench.knows_images]
    for image in missing:
        assert any(image in finding.text for finding in refused), f"{image} in {refused}"
    assert len(refused) == len(missing)
    assert all(finding.mend for finding in refused)
    assert written(look(bench)) == written(before)


def test_a_diagnosis_is_bounded_clean_and_says_where_more_is(bench: Bench) -> None:
    slot = home(bench).other
    wanted = stage_good(bench, slot)
    pods = [pod for work in wait_ready(bench, wanted).slot_workloads(slot) for pod in work.pods]
    causes = [Cause(service=pod.service, slot=slot, reason="odd", pod=pod.name, container="main") for pod in pods]
    for cause in [*causes, CAUSE]:
        start = bench.clock.now()
        found = bench.platform().diagnose(cause, until=limit(bench))
        assert bench.clock.now() - start < PATIENCE
        assert len(found.log) <= 25
        assert sum(len(line) for line in found.log) <= 4096
        assert all(line.isprintable() for line in (text.replace("\t", " ") for text in found.log))
        assert found.where
