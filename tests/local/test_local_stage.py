"""A slot staged on one machine: good, bad, watched, judged, ended; with real processes behind a real Envoy."""

from __future__ import annotations

import re
import signal
from dataclasses import replace
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.local.local_kit import (
    BACKEND,
    BLUE,
    CLOCK,
    GATEWAY,
    GREEN,
    Local,
    Users,
    all_ready,
    get,
    local,
    moves,
    purpose,
    soon,
    stack,
    taken,
    wait_for,
)

from bluegreen.domain.errors import DeadlineExceeded, Held, Interrupted, LostLock
from bluegreen.domain.health import Doomed, Progressing, Ready, judge
from bluegreen.domain.plan import Options, make_plan, previous_spec
from bluegreen.domain.release import RunKind
from bluegreen.domain.routing import Conflict, Moved
from bluegreen.domain.snapshot import Running, Waiting
from bluegreen.domain.stack import HttpCheck
from bluegreen.platforms.local import processes
from bluegreen.ports import Check, Severity, Through

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bluegreen.domain.health import Verdict
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import Instant
    from bluegreen.platforms.local.platform import LocalPlatform
    from bluegreen.ports import Grip

pytestmark = [pytest.mark.local, pytest.mark.slow]

AT_ONCE = 15.0
"""Seconds in which a busy machine tells a crash; one that is idle takes two. The limits of its probes are longer."""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Local]:
    with local(tmp_path) as found:
        found.up()
        with found.open() as platform:
            wait_for(platform, "both slots are ready", all_ready)
        yield found


@pytest.fixture
def platform(running: Local) -> Iterator[LocalPlatform]:
    with running.open() as opened:
        yield opened


@pytest.fixture
def grip(running: Local) -> Iterator[Grip]:
    with taken(running.lock()) as held:
        yield held


def verdict(platform: LocalPlatform, *, revision: str, limit: float = 60) -> Verdict:
    due: Instant | None = None

    def again() -> Instant | None:
        return due

    for snapshot in platform.changes(until=soon(limit), again=again):
        found = judge(snapshot, GREEN, revision=revision)
        if isinstance(found, Ready | Doomed):
            return found
        due = found.again if isinstance(found, Progressing) else None
    raise AssertionError("changes() just ended")


def test_a_good_version_is_ready_and_reached_through_its_preview(
    running: Local, platform: LocalPlatform, grip: Grip
) -> None:
    running.image("v2")

    platform.stage(running.spec(platform, GREEN, "v2", revision="r-2"), grip=grip, until=soon(30))

    assert verdict(platform, revision="r-2") == Ready()
    now = platform.snapshot(until=soon(5))
    assert [work.image and work.image.tag for work in now.slot_workloads(GREEN)] == ["v2", "v2"]
    names = [pod.name.partition("@")[0] for pod in now.workload(GATEWAY, GREEN).pods]
    assert names == [f"{GATEWAY}-green-{number}" for number in (0, 1)]
    assert now.workload(BACKEND, GREEN).image_ids != now.workload(BACKEND, BLUE).image_ids
    assert get(running.ports[GATEWAY]) == (200, "blue v1")


def test_one_that_cannot_start_is_doomed_within_seconds_with_its_last_line(
    running: Local, platform: LocalPlatform, grip: Grip
) -> None:
    running.image("bad", "cannot-start")
    began = CLOCK.now()
    platform.stage(running.spec(platform, GREEN, "bad", revision="r-2"), grip=grip, until=soon(30))
    staged = CLOCK.now()

    found = verdict(platform, revision="r-2")

    assert isinstance(found, Doomed)
    assert found.cause.reason == "crash loop"
    assert found.cause.exit_code == 1
    assert found.cause.detail == "no such setting: DATABASE"
    assert CLOCK.now() - staged < AT_ONCE, f"told after {CLOCK.now() - staged:.1f} s (staged in {staged - began:.1f} s)"
    told = platform.diagnose(found.cause, until=soon(1))
    assert told.log[-2:] == ("loading settings", "no such setting: DATABASE")
    assert told.where.endswith(f"{found.cause.pod.partition('@')[0]}.log")


def test_one_that_is_never_ready_says_which_probe_fails(running: Local, platform: LocalPlatform, grip: Grip) -> None:
    running.image("bad", "never-ready")
    platform.stage(running.spec(platform, GREEN, "bad", revision="r-2"), grip=grip, until=soon(30))

    now = wait_for(platform, "its probe fails", lambda now: _failing(now) == "readiness: GET /ready answered 503")

    assert isinstance(now.workload(BACKEND, GREEN).pods[0].containers[0].state, Running)
    with pytest.raises(DeadlineExceeded):
        verdict(platform, revision="r-2", limit=1)


def _failing(now: Snapshot) -> str:
    """Of the first replica."""
    return next((c.failing for pod in now.workload(BACKEND, GREEN).pods[:1] for c in pod.containers), "")


def test_after_a_bad_version_the_next_crash_is_told_as_fast(
    running: Local, platform: LocalPlatform, grip: Grip
) -> None:
    running.image("bad", "cannot-start")
    for revision in ("r-2", "r-3"):
        platform.stage(running.spec(platform, GREEN, "bad", revision=revision), grip=grip, until=soon(30))
        staged = CLOCK.now()
        assert isinstance(verdict(platform, revision=revision), Doomed)
        assert CLOCK.now() - staged < AT_ONCE


def test_supervisord_rests_after_crashes_and_stages(running: Local, platform: LocalPlatform, grip: Grip) -> None:
    """Supervisord watches descriptors of dead children for a while; nothing that ours do may keep it busy with them."""
    running.image("bad", "cannot-start")
    supervisord = psutil.Process(running.supervisord().pid)
    for number, tag in enumerate(["bad", "v1", "bad", "v1"]):
        platform.stage(running.spec(platform, GREEN, tag, revision=f"r-{number}"), grip=grip, until=soon(30))
        verdict(platform, revision=f"r-{number}")
        before = supervisord.cpu_times().user
        CLOCK.wait(until=soon(1))
        assert supervisord.cpu_times().user - before < 0.5, f"busy after stage {number} of {tag}"


def test_an_image_that_vanishes_is_a_missing_image(running: Local, platform: LocalPlatform, grip: Grip) -> None:
    platform.stage(running.spec(platform, GREEN, "v9", revision="r-2"), grip=grip, until=soon(30))

    found = verdict(platform, revision="r-2")

    assert isinstance(found, Doomed)
    assert (found.cause.reason, found.cause.word) == ("image not found", "ErrImagePull")
    assert re.match(r"demo/(backend|gateway):v9 not found: there is no folder", found.cause.detail)


def test_preflight_refuses_a_missing_image_and_nothing_else(running: Local, platform: LocalPlatform) -> None:
    running.image("v2")
    now = platform.snapshot(until=soon(5))
    spec = running.spec(platform, GREEN, "v2", revision="r-2")
    images = {work.service: work.image for work in spec.workloads}
    plan = make_plan(now, stack=running.stack, images=images, options=Options(), release="r-2")
    assert platform.preflight(plan, until=soon(5)) == ()

    missing = replace(plan, want=running.spec(platform, GREEN, "v9", revision="r-2"))
    findings = platform.preflight(missing, until=soon(5))

    assert [finding.severity for finding in findings] == [Severity.REFUSE] * 2
    assert findings[0].text.startswith("demo/backend:v9 not found: there is no folder")


def test_preflight_refuses_a_stack_whose_supervisord_is_dead(running: Local, platform: LocalPlatform) -> None:
    now = platform.snapshot(until=soon(5))
    image = now.workload(BACKEND, BLUE).image
    assert image is not None
    plan = make_plan(now, stack=running.stack, images={BACKEND: image}, options=Options(force=True), release="r-2")
    supervisord = running.supervisord()
    supervisord.signal(signal.SIGKILL)
    assert not processes.wait_gone([supervisord], clock=CLOCK, until=soon(5))

    findings = platform.preflight(plan, until=soon(5))

    assert [finding.text for finding in findings] == ["supervisord does not run"]
    assert findings[0].mend == "bluegreen up starts what is missing"


def test_a_restore_rebuilds_the_old_settings(tmp_path: Path) -> None:
    with local(tmp_path, made=stack(settings={"MODE": "old", "API_TOKEN": "hush"})) as found:
        found.up()
        with found.open() as platform, taken(found.lock()) as grip:
            before = previous_spec(platform.snapshot(until=soon(5)), GREEN)
            assert before is not None
            assert "hush" not in repr(before)
        found.stack = stack(settings={"MODE": "new", "API_TOKEN": "hush-hush"})
        found.up()
        with found.open() as platform, taken(found.lock()) as grip:
            platform.stage(found.spec(platform, GREEN, "v1", revision="r-2"), grip=grip, until=soon(30))
            assert verdict(platform, revision="r-2") == Ready()
            assert {"MODE=new", "API_TOKEN=hush-hush"} <= _environment(platform, found)
            platform.stage(replace(before, revision="r-3"), grip=grip, until=soon(30))
            assert verdict(platform, revision="r-3") == Ready()
            assert {"MODE=old", "API_TOKEN=hush"} <= _environment(platform, found)


def _environment(platform: LocalPlatform, found: Local) -> set[str]:
    pod = platform.snapshot(until=soon(5)).workload(BACKEND, GREEN).pods[0]
    return set(get(int(pod.address.rpartition(":")[2]), "/environment")[1].splitlines())


def test_a_program_sees_its_own_slot_and_nothing_of_the_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/secret")
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    with local(tmp_path) as found:
        up = found.up()
        with found.open() as platform:
            pod = platform.snapshot(until=soon(5)).workload(GATEWAY, GREEN).pods[0]
        port = int(pod.address.rpartition(":")[2])
        lines = get(port, "/environment")[1].splitlines()

    preview = dict(up.fronts[0].preview_ports)[GREEN]
    assert {f"PORT={port}", "SLOT=green", "VERSION=v1", f"BACKEND_URL=http://127.0.0.1:{preview}"} <= set(lines)
    assert {line.partition("=")[0] for line in lines} <= {
        *("PORT", "SLOT", "VERSION", "HOST", "BACKEND_URL", "PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR"),
        *("PWD", "OLDPWD", "SHLVL", "_", "LC_ALL", "LC_CTYPE"),
    }


def test_a_killed_replica_is_seen_and_comes_back(running: Local, platform: LocalPlatform) -> None:
    victim = processes.recorded(running.layout.pids / f"{BACKEND}-blue-0")
    assert victim is not None
    watch = platform.changes(until=soon(60))
    next(now for now in watch if now.workload(BACKEND, BLUE).ready == 2)
    victim.signal(signal.SIGKILL)

    seen = next(now for now in watch if now.workload(BACKEND, BLUE).ready == 1)

    container = seen.workload(BACKEND, BLUE).pods[0].containers[0]
    assert container.state == Waiting(reason="CrashLoopBackOff", message="it is started again after a growing pause")
    assert container.last is not None
    assert container.last.exit_code == 137
    back = next(now for now in watch if now.workload(BACKEND, BLUE).ready == 2)
    assert back.workload(BACKEND, BLUE).pods[0].restarts == 1


def test_one_that_is_alive_in_name_only_is_started_again(running: Local, platform: LocalPlatform) -> None:
    pod = platform.snapshot(until=soon(5)).workload(BACKEND, GREEN).pods[0]
    mark = running.images / "demo" / "backend" / "v1" / f"deaf-{pod.address.rpartition(':')[2]}"
    mark.touch()

    told = wait_for(platform, "it is condemned", lambda now: now.workload(BACKEND, GREEN).ready == 1)
    mark.unlink()
    back = wait_for(platform, "it is back", lambda now: now.workload(BACKEND, GREEN).ready == 2)

    assert told.workload(BACKEND, GREEN).pods[0].containers[0].failing == "liveness: GET /live answered 500"
    container = back.workload(BACKEND, GREEN).pods[0].containers[0]
    assert container.restarts == 1
    assert container.last is not None
    assert container.last.message == "liveness: GET /live answered 500"


def test_changes_tell_a_route_that_somebody_else_wrote(running: Local, platform: LocalPlatform) -> None:
    watch = platform.changes(until=soon(60))
    before = next(watch)
    with running.open() as other, taken(running.lock()) as grip:
        (first, *_) = moves(before, GREEN)
        other.route([first], grip=grip, until=soon(5))

    seen = next(now for now in watch if now.route(BACKEND).slot is GREEN)

    assert seen.route(BACKEND).fence == first.fence
    assert seen.route(GATEWAY).slot is BLUE


def test_changes_end_by_deadline_interrupt_or_lost_lock(running: Local, platform: LocalPlatform) -> None:
    with pytest.raises(DeadlineExceeded):
        list(platform.changes(until=soon(0.3)))
    CLOCK.interrupt("SIGTERM")
    with pytest.raises(Interrupted, match="SIGTERM"):
        list(platform.changes(until=soon(5)))
    with taken(running.lock()) as grip:
        platform.route([], grip=grip, until=soon(1))
        watch = platform.changes(until=soon(60))
        next(watch)
        rollback = running.lock()
        newer = rollback.preempt(purpose("rb-1", RunKind.ROLLBACK))
        with pytest.raises(LostLock, match="rollback rb-1 by a test") as lost:
            list(watch)
        assert lost.value.taken_by.startswith("rollback rb-1 by a test")
        rollback.release(newer)


def test_after_a_lost_lock_nothing_is_written(running: Local, platform: LocalPlatform, grip: Grip) -> None:
    before = platform.snapshot(until=soon(5))
    spec = running.spec(platform, GREEN, "v1", revision="r-2")
    rollback = running.lock()
    newer = rollback.preempt(purpose("rb-1", RunKind.ROLLBACK))

    for write in (
        lambda: platform.stage(spec, grip=grip, until=soon(5)),
        lambda: platform.route(moves(before, GREEN), grip=grip, until=soon(5)),
        lambda: platform.end(GREEN, order=running.stack.end_order, grip=grip, until=soon(5)),
    ):
        with pytest.raises(LostLock):
            write()

    after = platform.snapshot(until=soon(5))
    assert _written(after) == _written(before)
    results = platform.route(moves(before, GREEN), grip=newer, until=soon(5))
    assert all(isinstance(result, Moved) for result in results)
    rollback.release(newer)


def _written(now: Snapshot) -> object:
    """What writes leave behind; a look of a busy machine may find a replica silent."""
    works = [(work.service, work.slot, work.image, work.replicas, work.revision) for work in now.workloads]
    pods = [pod.name for work in now.workloads for pod in work.pods]
    return works, pods, [(route.service, route.slot, route.version, route.fallback) for route in now.routes]


def test_a_route_judged_on_an_old_version_is_refused(running: Local, platform: LocalPlatform, grip: Grip) -> None:
    old = platform.snapshot(until=soon(5))
    platform.route(moves(old, GREEN)[:1], grip=grip, until=soon(5))

    (result,) = platform.route(moves(old, BLUE), grip=grip, until=soon(5))

    assert isinstance(result, Conflict)
    assert result.found.slot is GREEN
    assert platform.snapshot(until=soon(5)).route(GATEWAY).slot is BLUE


def test_the_slot_of_users_is_never_staged_over_or_ended(running: Local, platform: LocalPlatform, grip: Grip) -> None:
    spec = running.spec(platform, BLUE, "v1", revision="r-2")

    with pytest.raises(Held, match="users of demo-backend are on blue"):
        platform.stage(spec, grip=grip, until=soon(5))
    with pytest.raises(Held):
        platform.end(BLUE, order=running.stack.end_order, grip=grip, until=soon(5))


def test_staging_takes_the_fallback_away_first(running: Local, platform: LocalPlatform, grip: Grip) -> None:
    now = platform.snapshot(until=soon(5))
    platform.route(moves(now, BLUE, fallback=GREEN), grip=grip, until=soon(5))
    running.image("v2")

    platform.stage(running.spec(platform, GREEN, "v2", revision="r-2"), grip=grip, until=soon(30))

    assert [route.fallback for route in platform.snapshot(until=soon(5)).routes] == [None, None]


def test_an_ended_slot_is_empty_and_can_be_staged_again(running: Local, platform: LocalPlatform, grip: Grip) -> None:
    ended = platform.end(GREEN, order=running.stack.end_order, grip=grip, until=soon(30))

    assert ended.services == (GATEWAY, BACKEND)
    assert ended.cut == 0
    now = platform.snapshot(until=soon(5))
    for work in now.slot_workloads(GREEN):
        assert (work.replicas, work.pods, work.settled) == (0, (), True)
        assert work.image is not None
    assert [path for path in running.layout.pids.glob("*green*") if processes.recorded(path)] == []
    assert get(running.ports[GATEWAY]) == (200, "blue v1")
    platform.stage(running.spec(platform, GREEN, "v1", revision="r-2"), grip=grip, until=soon(30))
    assert verdict(platform, revision="r-2") == Ready()


def test_users_notice_nothing_of_a_switch_and_the_old_slots_end(
    running: Local, platform: LocalPlatform, grip: Grip
) -> None:
    running.image("v2")
    with Users(running.ports[GATEWAY]) as users:
        platform.stage(running.spec(platform, GREEN, "v2", revision="r-2"), grip=grip, until=soon(30))
        assert verdict(platform, revision="r-2") == Ready()
        now = platform.snapshot(until=soon(5))
        platform.route(moves(now, GREEN, fallback=BLUE), grip=grip, until=soon(5))
        platform.end(BLUE, order=running.stack.end_order, grip=grip, until=soon(30))

    assert users.lost == []
    assert set(users.answers) == {"blue v1", "green v2"}


def test_checks_are_real_requests_each_way(running: Local, platform: LocalPlatform) -> None:
    good = HttpCheck(name="says green", service=BACKEND, path="/", contains="green v1")
    bad = HttpCheck(name="says red", service=BACKEND, path="/", contains="red")

    pods, preview, entry, failed = (
        platform.check([Check(check=check, slot=GREEN, through=through)], until=soon(5))
        for check, through in (
            (good, Through.PODS),
            (good, Through.PREVIEW),
            (good, Through.ENTRY),
            (bad, Through.PODS),
        )
    )

    assert [result.passed for result in pods] == [True, True]
    assert [(result.passed, result.answered_by) for result in preview] == [(True, GREEN)]
    assert [(result.passed, result.answered_by) for result in entry] == [(False, BLUE)]
    assert [result.passed for result in failed] == [False, False]
    assert "the body does not hold 'red': 'green v1'" in failed[0].detail


def test_a_check_that_cannot_be_made_is_not_a_failed_one(running: Local, platform: LocalPlatform, grip: Grip) -> None:
    platform.end(GREEN, order=running.stack.end_order, grip=grip, until=soon(30))
    check = HttpCheck(name="any", service=BACKEND, path="/")

    (result,) = platform.check([Check(check=check, slot=GREEN, through=Through.PODS)], until=soon(5))

    assert result.passed is None
    assert "not reachable: it has no replica" in result.detail


def test_without_agent_and_supervisord_it_still_sees_and_routes(
    running: Local, platform: LocalPlatform, grip: Grip
) -> None:
    running.supervisord().signal(signal.SIGKILL)
    agent = processes.recorded(running.layout.pids / "agent")
    if agent is not None:
        agent.signal(signal.SIGKILL)
        assert not processes.wait_gone([agent], clock=CLOCK, until=soon(5))

    now = wait_for(platform, "it sees all of them", all_ready)

    results = platform.route(moves(now, GREEN, fallback=BLUE), grip=grip, until=soon(5))
    assert all(isinstance(result, Moved) for result in results)
    assert get(running.ports[BACKEND]) == (200, "green v1")
