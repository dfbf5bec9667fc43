"""Verdicts of a whole slot: which pods count, when it is ready, when it has to be looked at again, which limit ran out.

The causes are in test_domain_health_causes.py.
"""

from __future__ import annotations

import pytest
from tests.unit.domain_kit import BLUE, GREEN, pod, snapshot, workload

from bluegreen.domain.cause import Cause
from bluegreen.domain.dating import dated
from bluegreen.domain.health import Doomed, Limit, Progressing, Ready, Reason, TimedOut, Verdict, explained, judge
from bluegreen.domain.snapshot import (
    Container,
    ContainerState,
    Pod,
    Running,
    Snapshot,
    Terminated,
    Trouble,
    Waiting,
    Windows,
    Workload,
)
from bluegreen.domain.stack import Instant
from bluegreen.domain.values import replace

CRASHED = Terminated(exit_code=3, message="boom")
LOOP = Waiting(reason="CrashLoopBackOff", message="back-off 10s")


def sick(
    state: ContainerState | None = None, last: Terminated | None = None, restarts: int = 0, number: int = 0
) -> Pod:
    return pod(f"p-{number}", ready=False, state=state, last=last, restarts=restarts)


def verdict(*works: Workload, revision: str = "r-1", at: float = 0.0) -> Verdict:
    return judge(snapshot(*works, at=at), GREEN, revision=revision)


def test_the_cause_says_everything_that_a_person_needs() -> None:
    found = verdict(workload(sick(LOOP, CRASHED, 2), replicas=1))
    assert found == Doomed(
        Cause(
            service="pair-back",
            slot=GREEN,
            pod="p-0",
            container="main",
            reason="crash loop",
            detail="boom",
            exit_code=3,
            advice="its last log lines say why",
        )
    )
    assert str(found.cause) == "pair-back in green: crash loop, exit code 3: boom"
    assert str(Cause(service="x", slot=BLUE, reason="odd")) == "x in blue: odd"


def test_a_missing_image_asks_whether_it_was_pushed() -> None:
    found = verdict(workload(sick(Waiting(reason="ErrImagePull", message="not found")), replicas=1))
    assert isinstance(found, Doomed)
    assert found.cause.advice == "was the image built and pushed?"


LOOPS = [sick(LOOP, CRASHED, 2, number) for number in range(3)]
GOOD = [pod(f"p-{number}") for number in range(3)]
STARTING = [sick(Waiting(reason="ContainerCreating"), number=number) for number in range(3)]
OLD = pod("p-old", revision="r-0", ready=False, state=LOOP, last=CRASHED, restarts=5)


@pytest.mark.parametrize(
    ("works", "expected"),
    [
        ([workload(GOOD[0], GOOD[1])], Ready()),
        ([workload(GOOD[0])], Progressing(("pair-back 1/2 ready",))),
        ([workload()], Progressing(("pair-back 0/2 ready",))),
        ([workload(replicas=0)], Ready()),
        ([workload(GOOD[0], GOOD[1], settled=False)], Progressing(("pair-back 2/2 ready",))),
        ([workload(GOOD[0], GOOD[1], reachable=1)], Progressing(("pair-back 1/2 known to the data plane",))),
        ([workload(GOOD[0], GOOD[1], reachable=2)], Ready()),
        ([workload(GOOD[0], GOOD[1], reachable=None)], Ready()),
        ([workload(GOOD[0], STARTING[1])], Progressing(("pair-back 1/2 ready (ContainerCreating)",))),
        ([workload(GOOD[0], LOOPS[1])], Progressing(("pair-back 1/2 ready (CrashLoopBackOff)",))),
        ([workload(LOOPS[0], STARTING[1])], Progressing(("pair-back 0/2 ready (CrashLoopBackOff)",))),
        ([workload(LOOPS[0])], Progressing(("pair-back 0/2 ready (CrashLoopBackOff)",))),  # the other is not made yet
        ([workload(OLD, GOOD[0], GOOD[1])], Ready()),
        ([workload(OLD, GOOD[0])], Progressing(("pair-back 1/2 ready",))),
        ([workload(OLD, OLD, revision="r-0")], Progressing(("pair-back: to be staged",))),
        ([workload(*GOOD[:2], revision="r-0")], Progressing(("pair-back: to be staged",))),
        ([workload(problem="quota exceeded", revision="r-0")], Progressing(("pair-back: to be staged",))),
        ([workload(*GOOD, slot=BLUE)], Progressing(("green: nothing is known of it",))),
        (
            [workload(*GOOD[:2]), workload(STARTING[0], service="pair-front", replicas=1)],
            Progressing(("pair-front 0/1 ready (ContainerCreating)",)),
        ),
        (
            [workload(STARTING[0]), workload(service="pair-front")],
            Progressing(("pair-back 0/2 ready (ContainerCreating)", "pair-front 0/2 ready")),
        ),
        ([workload(*LOOPS, slot=BLUE), workload(*GOOD[:2])], Ready()),
    ],
)
def test_workloads(works: list[Workload], expected: Ready | Progressing) -> None:
    assert verdict(*works) == expected


@pytest.mark.parametrize(
    "works",
    [
        [workload(*LOOPS[:2])],
        [workload(*LOOPS)],  # more pods than wanted, all of them bad
        [workload(*LOOPS[:2], pod("p-9", terminating=True))],  # one on its way out is no hope
        [workload(OLD, *LOOPS[:2])],
        [workload(STARTING[0]), workload(*LOOPS[:2], service="pair-front")],
    ],
)
def test_doomed_when_all_pods_of_a_workload_are(works: list[Workload]) -> None:
    found = verdict(*works)
    assert isinstance(found, Doomed)
    assert found.cause.reason == "crash loop"


def test_a_platform_that_refuses_to_make_pods_dooms() -> None:
    found = verdict(workload(GOOD[0], problem="exceeded quota: pods=10", problem_since=1.0), at=6.0)
    assert isinstance(found, Doomed)
    assert str(found.cause) == "pair-back in green: quota exceeded: exceeded quota: pods=10"


def test_a_ready_pod_is_not_doomed_by_its_past() -> None:
    assert verdict(workload(pod(last=CRASHED, restarts=7), replicas=1)) == Ready()


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (pod(ready=False, failing="readiness: GET /ready answered 503"), "readiness: GET /ready answered 503"),
        (pod(ready=False, unplaced="0/3 nodes have enough memory"), "0/3 nodes have enough memory"),
    ],
)
def test_why_a_pod_is_not_ready_is_said(one: Pod, why: str) -> None:
    assert verdict(workload(one, replicas=1)) == Progressing((f"pair-back 0/1 ready ({why})",))


def test_what_keeps_pods_from_being_made_is_said_while_it_may_pass() -> None:
    """A webhook that cannot be called has half a minute; nobody is to look at "0/2 ready" and nothing else for that."""
    down = 'failed calling webhook "w.example": connection refused'
    found = verdict(workload(problem=down, problem_since=0.0), at=1.0)
    assert isinstance(found, Progressing)
    assert found.wants == (f"pair-back 0/2 ready ({down})",)


def test_one_bad_container_is_enough() -> None:
    sidecar = Container(name="proxy", state=LOOP, last=CRASHED, restarts=2)
    two = pod(ready=False)
    both = Pod(
        name="p", service="pair-back", slot=GREEN, revision="r-1", ready=False, containers=(*two.containers, sidecar)
    )
    found = verdict(workload(both, replicas=1))
    assert isinstance(found, Doomed)
    assert found.cause.container == "proxy"


# When it has to be looked at again, though nothing changes.


UNPLACED = pod(ready=False, unplaced="0/2 nodes are available", since=10.0)


def test_a_grace_says_when_it_ends() -> None:
    works = [workload(UNPLACED, replicas=1), workload(replicas=1, service="pair-front")]
    works[1] = replace(works[1], problem="exceeded quota", problem_since=Instant(11.0))
    assert again(verdict(*works, at=12.0)) == 16.0
    found = verdict(works[0], at=30.0)
    assert isinstance(found, Doomed)
    assert found.cause.reason == Reason.UNSCHEDULABLE


def test_what_is_not_dated_dooms_nobody_by_its_age() -> None:
    """A single look has no dates: since when it is so is not known."""
    assert again(verdict(workload(replace(UNPLACED, since=None), replicas=1), at=999.0)) is None


def again(found: Verdict) -> Instant | None:
    assert isinstance(found, Progressing)
    return found.again


def test_one_pod_in_grace_and_one_that_is_doomed() -> None:
    both = workload(replace(LOOPS[0], name="p-9"), UNPLACED)
    assert again(verdict(both, at=12.0)) == 30.0
    assert isinstance(verdict(both, at=30.0), Doomed)


# A pod that was started again has to stay ready for some seconds.


ONCE = pod("p-0", last=CRASHED, restarts=1, since=100.0)


@pytest.mark.parametrize(
    ("one", "at", "expected"),
    [
        (
            ONCE,
            109.0,
            Progressing(("pair-back: a pod was started again, and has to stay ready for 10 s",), Instant(110.0)),
        ),
        (ONCE, 110.0, Ready()),
        (pod("p-0", since=100.0), 100.0, Ready()),  # one that never ended is believed at once: good slots do not wait
        (replace(ONCE, since=None), 100.0, Ready()),
    ],
)
def test_a_pod_that_was_started_again_has_to_stay_ready(one: Pod, at: float, expected: Verdict) -> None:
    assert verdict(workload(one, replicas=1), at=at) == expected


# A service is not ready before those that it needs.


def failing(service: str, *, since: float) -> Pod:
    """It runs and started well, and its readiness probe, with a window of 15 s, fails."""
    container = Container(
        name="main", failing="readiness: 503", windows=Windows(startup=90.0, readiness=15.0), since=Instant(since)
    )
    return replace(pod(service=service, ready=False, since=since), containers=(container,))


@pytest.mark.parametrize(
    ("back", "at", "expected"),
    [
        (pod(ready=False, since=0.0), 500.0, ""),  # not ready yet, and nobody knows why: no fault of the front
        (pod(since=100.0), 132.0, ""),
        (pod(since=100.0), 133.0, "pair-front"),
        (failing("pair-back", since=100.0), 133.0, "pair-back"),  # the cause is where the need is
    ],
)
def test_readiness_may_wait_for_what_is_needed(back: Pod, at: float, expected: str) -> None:
    front = workload(failing("pair-front", since=0.0), service="pair-front", replicas=1, needs=("pair-back",))
    found = verdict(workload(back, replicas=1), front, at=at)
    assert (found.cause.service if isinstance(found, Doomed) else "") == expected


def ended(*, since: float, last: Terminated = CRASHED) -> Pod:
    """It waits for its third life, since then."""
    container = Container(name="main", state=LOOP, last=last, restarts=1, since=Instant(since))
    return replace(pod(service="pair-front", ready=False, since=0.0), containers=(container,))


def starts(*, condemned: str) -> Pod:
    container = Container(name="main", started=False, condemned=condemned, last=CRASHED, restarts=1)
    return replace(pod(service="pair-front", ready=False), containers=(container,))


STARTING_BACK, READY_BACK = pod(ready=False, since=0.0), pod(since=20.0)


@pytest.mark.parametrize(
    ("back", "front", "expected"),
    [
        (STARTING_BACK, ended(since=11.0), ""),  # it gives up at once where nobody answers, and is started again
        (READY_BACK, ended(since=11.0), ""),
        (READY_BACK, ended(since=24.0), ""),  # that life may have begun before
        (READY_BACK, ended(since=31.0), Reason.CRASH_LOOP),
        (READY_BACK, replace(ended(since=31.0), containers=(Container(name="main", last=CRASHED, restarts=2),)), ""),
        (STARTING_BACK, ended(since=11.0, last=Terminated(exit_code=137, reason="OOMKilled")), Reason.OUT_OF_MEMORY),
        (STARTING_BACK, ended(since=11.0, last=Terminated(exit_code=128, reason="StartError")), Reason.CANNOT_CREATE),
        (STARTING_BACK, starts(condemned="startup"), ""),
        (READY_BACK, starts(condemned="startup"), Reason.STARTUP),
    ],
)
def test_ends_may_be_for_what_is_needed(back: Pod, front: Pod, expected: str) -> None:
    dated_front = replace(front, containers=tuple(_dated(each, 31.0) for each in front.containers))
    works = workload(back, replicas=1), workload(dated_front, service="pair-front", replicas=1, needs=("pair-back",))
    found = verdict(*works, at=32.0)
    assert (found.cause.reason if isinstance(found, Doomed) else "") == expected


SLOW = Container(name="main", started=False, windows=Windows(startup=30.0), since=Instant(0.0))
KILLED = replace(SLOW, condemned="startup", last=CRASHED, restarts=1, since=Instant(31.0))


@pytest.mark.parametrize(
    ("front", "at", "expected"),
    [
        (SLOW, 52.0, ""),  # it may have waited until 20
        (SLOW, 53.0, Reason.STARTUP),
        (KILLED, 82.0, ""),  # the life that was ended for it began before 20, and this one has its window as well
        (KILLED, 83.0, Reason.STARTUP),
        (replace(KILLED, state=LOOP), 82.0, ""),  # nor is it a crash
        (replace(KILLED, state=LOOP), 83.0, Reason.STARTUP),
    ],
)
def test_a_startup_probe_counts_from_when_what_is_needed_is_ready(front: Container, at: float, expected: str) -> None:
    one = replace(pod(service="pair-front", ready=False, since=0.0), containers=(front,))
    works = workload(READY_BACK, replicas=1), workload(one, service="pair-front", replicas=1, needs=("pair-back",))
    found = verdict(*works, at=at)
    assert (found.cause.reason if isinstance(found, Doomed) else "") == expected


def _dated(container: Container, at: float) -> Container:
    return container if container.since is not None else replace(container, since=Instant(at))


# A program without a startup probe may take as long to start as the limit gives it.


def unprobed(*, was_ready: bool = False) -> Workload:
    container = Container(name="main", failing="readiness: 503", windows=Windows(readiness=15.0), since=Instant(0.0))
    one = replace(pod(ready=False, since=0.0), containers=(container,), was_ready=was_ready)
    return workload(one, replicas=1)


def test_a_slow_start_that_no_probe_speaks_of_is_judged_at_the_limit() -> None:
    longer = Limit(name="the health validation's 300 s", at=Instant(300.0))
    early = judge(snapshot(unprobed(), at=299.0), GREEN, revision="r-1", limit=longer)
    assert again(early) == 300.0
    found = judge(snapshot(unprobed(), at=300.0), GREEN, revision="r-1", limit=longer)
    assert isinstance(found, Doomed)
    assert (found.cause.reason, "--health-retries" in found.cause.advice) == (Reason.READINESS, True)


def test_one_that_was_ready_before_has_shown_that_it_can_start() -> None:
    longer = Limit(name="the health validation's 300 s", at=Instant(300.0))
    found = judge(snapshot(unprobed(was_ready=True), at=60.0), GREEN, revision="r-1", limit=longer)
    assert isinstance(found, Doomed)
    assert "--health-retries" not in found.cause.advice


# Limits.


LIMIT = Limit(name="the health validation's 150 s", at=Instant(150.0), mend="--health-retries")


def limited(*works: Workload, at: float) -> Verdict:
    return judge(snapshot(*works, at=at), GREEN, revision="r-1", limit=LIMIT)


def test_the_limit_that_ran_out_is_named() -> None:
    waiting = workload(STARTING[0], replicas=1)
    assert isinstance(limited(waiting, at=149.9), Progressing)
    assert limited(waiting, at=150.0) == TimedOut(LIMIT, ("pair-back 0/1 ready (ContainerCreating)",))


def test_ready_and_doomed_beat_a_limit() -> None:
    assert limited(workload(GOOD[0], replicas=1), at=999.0) == Ready()
    assert isinstance(limited(workload(LOOPS[0], replicas=1), at=999.0), Doomed)


def test_a_workloads_own_limit_counts_from_when_its_revision_was_seen() -> None:
    """Krane: Progressing=False decides, and a condition left over from the rollout before does not."""
    waiting = replace(workload(STARTING[0], replicas=1), overdue=60.0, since=Instant(10.0))
    assert again(verdict(waiting, at=69.0)) == 70.0
    found = limited(waiting, at=70.0)
    assert isinstance(found, TimedOut)
    assert found.limit.name == "the 60 s that pair-back allows itself"
    assert isinstance(verdict(replace(waiting, since=None), at=70.0), Progressing)


# Dates.


def seen(one: Pod, *, at: float, before: Snapshot | None = None, problem: str = "", revision: str = "r-1") -> Snapshot:
    work = workload(one, replicas=1, problem=problem, revision=revision)
    return dated(snapshot(work, at=at), before=before)


def only(found: Snapshot) -> Pod:
    return found.workloads[0].pods[0]


def test_a_state_keeps_its_date_until_it_is_another_one() -> None:
    first = seen(sick(Waiting(reason="ErrImagePull", message="try 1")), at=1.0)
    second = seen(sick(Waiting(reason="ImagePullBackOff", message="pause")), at=2.0, before=first)
    third = seen(sick(Running()), at=3.0, before=second)
    assert [only(each).containers[0].since for each in (first, second, third)] == [1.0, 1.0, 3.0]
    assert [only(each).since for each in (first, second, third)] == [1.0, 1.0, 1.0]


@pytest.mark.parametrize(
    "other",
    [sick(LOOP, CRASHED, 2), sick(LOOP, CRASHED, 1, number=1), pod(ready=False), sick(CRASHED, CRASHED, 1)],
    ids=["another life", "another pod", "it runs", "it ended"],
)
def test_what_is_new_has_its_own_date(other: Pod) -> None:
    first = seen(sick(LOOP, CRASHED, 1), at=1.0)
    assert only(seen(other, at=2.0, before=first)).containers[0].since == 2.0


def test_readiness_its_loss_and_that_it_was_there() -> None:
    ready = seen(pod(), at=1.0)
    lost = seen(pod(ready=False), at=2.0, before=ready)
    found = [(only(each).since, only(each).was_ready) for each in (ready, lost, seen(pod(), at=3.0, before=lost))]
    assert found == [(1.0, True), (2.0, True), (3.0, True)]
    assert not only(seen(pod(ready=False), at=1.0)).was_ready


def test_trouble_of_any_kind_is_one_trouble() -> None:
    first = seen(replace(pod(ready=False), trouble=Trouble(reason="FailedMount")), at=1.0)
    second = seen(replace(pod(ready=False), trouble=Trouble(reason="FailedAttachVolume")), at=2.0, before=first)
    third = seen(pod(ready=False), at=3.0, before=second)
    assert only(second).trouble == Trouble(reason="FailedAttachVolume", since=Instant(1.0))
    assert only(third).trouble is None


@pytest.mark.parametrize(
    ("harmless", "cause"), [("NetworkNotReady", "FailedMount"), ("ReadinessGatesNotReady", "NodeNotReady")]
)
def test_what_is_no_cause_does_not_make_one_older(harmless: str, cause: str) -> None:
    """A node that is set up slowly, or a load balancer that is slow to register, takes no grace away."""
    first = seen(replace(pod(ready=False), trouble=Trouble(reason=harmless)), at=1.0)
    second = seen(replace(pod(ready=False), trouble=Trouble(reason=cause)), at=300.0, before=first)
    assert only(second).trouble == Trouble(reason=cause, since=Instant(300.0))


def test_no_node_for_it_is_not_as_old_as_the_wait_for_its_volume() -> None:
    """An autoscaler learns that a node is wanted when the volume is there."""
    unbound = "0/2 nodes are available: pod has unbound immediate PersistentVolumeClaims."
    first = seen(pod(ready=False, unplaced=unbound), at=1.0)
    second = seen(pod(ready=False, unplaced="0/2 nodes are available: 2 Insufficient cpu."), at=50.0, before=first)
    third = seen(pod(ready=False, unplaced="0/3 nodes are available: 3 Insufficient cpu."), at=60.0, before=second)
    assert [only(each).since for each in (first, second, third)] == [1.0, 50.0, 50.0]


def test_a_problem_and_a_revision_have_dates_too() -> None:
    first = seen(pod(), at=1.0, problem="quota 1")
    second = seen(pod(), at=2.0, before=first, problem="quota 2")
    third = seen(pod(), at=3.0, before=second, problem="quota 2", revision="r-2")
    found = [(each.workloads[0].since, each.workloads[0].problem_since) for each in (first, second, third)]
    assert found == [(1.0, 1.0), (1.0, 1.0), (3.0, 3.0)]
    assert seen(pod(), at=4.0, before=second).workloads[0].problem_since is None


def test_a_refusal_is_not_as_old_as_the_webhook_that_could_not_be_called() -> None:
    """It is the first word of who can be asked again, and may be taken back as any other."""
    unasked = 'Internal error occurred: failed calling webhook "w": connection refused'
    first = seen(pod(), at=1.0, problem=unasked)
    second = seen(pod(), at=20.0, before=first, problem="Operation cannot be fulfilled on resourcequotas")
    assert [each.workloads[0].problem_since for each in (first, second)] == [1.0, 20.0]


def test_dates_make_no_other_snapshot() -> None:
    first = seen(pod(), at=1.0)
    assert not seen(pod(), at=2.0, before=first).differs(first)


# What the log adds.


def test_a_log_may_tell_the_reason() -> None:
    found = verdict(workload(LOOPS[0], replicas=1))
    assert isinstance(found, Doomed)
    vague = replace(found.cause, detail="")
    told = explained(vague, log=("starting", "exec /run: exec format error"), event="BackOff: again")
    assert (told.reason, told.detail) == (Reason.WRONG_ARCHITECTURE, "exec /run: exec format error")
    assert (told.log[-1], told.event) == ("exec /run: exec format error", "BackOff: again")


def test_a_log_overrules_no_reason_that_is_certain() -> None:
    cause = Cause(service="pair-back", slot=GREEN, reason=Reason.OUT_OF_MEMORY, advice="more")
    assert explained(cause, log=("exec format error",)) == replace(cause, log=("exec format error",))
    assert explained(cause, log=()) == cause
