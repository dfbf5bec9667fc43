"""ports.Metrics: counters by pod identity, gaps that are said, and the data plane's own count of users."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.bench import Make, grip, home, limit, look, moves, spec, stage_good, wait

from bluegreen.domain.health import Doomed, judge
from bluegreen.domain.reading import arrived, risen, tally
from bluegreen.domain.stack import HttpCheck, Slot
from bluegreen.ports import Check, Through

if TYPE_CHECKING:
    from tests.contract.bench import Bench

    from bluegreen.domain.reading import Reading
    from bluegreen.domain.snapshot import Pod, Snapshot


def read(bench: Bench) -> Reading:
    """All that was counted until now. A source that trails has it within its lag."""
    now = limit(bench, 0.01)  # an instant later than what was answered just now: virtual time stands still meanwhile
    metrics = bench.metrics()
    while True:
        reading = metrics.read(look(bench), until=limit(bench))
        if reading.is_due(now, now=bench.clock.now()):
            return reading
        bench.clock.wait(until=limit(bench, 0.2))


def metered(bench: Bench, snapshot: Snapshot) -> list[Pod]:
    """The pods of the services that have metrics."""
    names = {service.name for service in bench.stack.services if service.metrics is not None}
    return [pod for work in snapshot.workloads if work.service in names for pod in work.pods]


def test_every_pod_has_its_own_counters(bench: Bench) -> None:
    stage_good(bench, home(bench).other)
    live, before = look(bench), bench.clock.now()
    reading = read(bench)
    assert before <= reading.at <= bench.clock.now()
    assert [(found.pod, found.service, found.slot) for found in reading.pods] == [
        (pod.name, pod.service, pod.slot) for pod in metered(bench, live)
    ]
    assert reading.pods
    assert reading.gaps == ()
    for found in reading.pods:
        statuses = [status for status, _ in found.answers]
        assert len(set(statuses)) == len(statuses)
        assert found.latency is not None
        counts = [count for _, count in found.latency.buckets]
        edges = [edge for edge, _ in found.latency.buckets]
        assert counts == sorted(counts)
        assert edges == sorted(edges)
        assert edges[-1] == float("inf")


def test_users_are_counted_once_each_where_they_were_answered(bench: Bench) -> None:
    slot, name = home(bench), bench.stack.names[-1]
    stage_good(bench, slot.other)
    before = read(bench)
    bench.users(name, requests=24)
    now = read(bench)
    counts = tally(before, now, slot=slot, limit_ms=1e9, service=name)
    assert (counts.requests, counts.errors, counts.timed, counts.slow) == (24, 0, 24, 0)
    assert tally(before, now, slot=slot.other, limit_ms=1e9, service=name).requests == 0
    sent = {(item.service, item.slot): item.requests for item in now.arrivals}
    earlier = {(item.service, item.slot): item.requests for item in before.arrivals}
    assert ((name, slot) in sent) is bench.counts_users
    if bench.counts_users:
        assert sent[name, slot] - earlier[name, slot] == 24
        assert sent[name, slot.other] == earlier[name, slot.other]


def users_of(bench: Bench, before: Reading, now: Reading, *, slot: Slot) -> int | None:
    """Users' requests that went to the slot, by the witness that the platform has."""
    if bench.counts_users:
        return arrived(before, now, slot=slot)
    assert arrived(before, now, slot=slot) is None
    return risen(before, now, stack=bench.stack, slot=slot)


def test_after_a_switch_they_are_counted_for_the_other_slot(bench: Bench) -> None:
    old, name = home(bench), bench.stack.names[-1]
    stage_good(bench, old.other)
    sent = moves(look(bench), old.other, order=bench.stack.names)
    bench.platform().route(sent, grip=grip(bench), until=limit(bench))
    before = read(bench)
    bench.users(name, requests=100)
    now = read(bench)
    assert tally(before, now, slot=old.other, limit_ms=1e9, service=name).requests == 100
    assert users_of(bench, before, now, slot=old.other) in ({100} if bench.counts_users else range(1, 101))
    assert users_of(bench, before, now, slot=old) == 0


def test_the_data_plane_counts_each_service_and_slot(bench: Bench) -> None:
    found = {(item.service, item.slot) for item in read(bench).arrivals}
    assert found == {(name, slot) for name in bench.stack.names for slot in Slot if bench.counts_users}


def test_checks_and_probes_are_no_users(bench: Bench) -> None:
    """Else an idle slot would seem to serve: what confirms a switch is the growth of this count."""
    slot = home(bench).other
    stage_good(bench, slot)
    before = read(bench)
    for name in bench.stack.names:
        path = bench.stack.service(name).probed.readiness.path
        wanted = HttpCheck(name="look", service=name, path=path)
        ways = (Through.PODS, Through.PREVIEW)
        checks = [Check(check=wanted, slot=slot, through=way) for way in ways]
        assert all(result.passed for result in bench.platform().check(checks, until=limit(bench)))
    bench.clock.wait(until=limit(bench, 1.0))
    now = read(bench)
    assert users_of(bench, before, now, slot=slot) == 0
    assert tally(before, now, slot=slot, limit_ms=1.0).requests == 0


def test_new_pods_count_from_nothing_under_new_names(bench: Bench) -> None:
    slot = home(bench).other
    stage_good(bench, slot)
    before = {found.pod for found in read(bench).pods if found.slot is slot}
    stage_good(bench, slot)
    fresh = [found for found in read(bench).pods if found.slot is slot]
    assert fresh
    assert not before & {found.pod for found in fresh}
    assert sum(count for found in fresh for _, count in found.answers) == 0


def test_a_pod_that_cannot_be_read_is_a_gap_with_a_reason(bench: Bench) -> None:
    slot = home(bench).other
    wanted = spec(bench, slot, Make.CANNOT_START)
    bench.platform().stage(wanted, grip=grip(bench), until=limit(bench))

    def doomed(now: Snapshot) -> bool:
        return isinstance(judge(now, slot, revision=wanted.revision), Doomed)

    live = wait(bench, bench.platform(), doomed, what="a verdict of doom")
    reading = bench.metrics().read(live, until=limit(bench, 5.0))
    silent = {pod.name for pod in metered(bench, live) if pod.slot is slot}
    assert {gap.pod for gap in reading.gaps} == silent
    assert all(gap.why and gap.slot is slot for gap in reading.gaps)
    assert {found.slot for found in reading.pods} == {slot.other}
