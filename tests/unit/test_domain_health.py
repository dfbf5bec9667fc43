"""Verdicts: Krane's table of fatal container states (lib/krane/kubernetes_resource/pod.rb), and the rules around it."""

from __future__ import annotations

import pytest
from tests.unit.domain_kit import BLUE, GREEN, pod, snapshot, workload

from bluegreen.domain.health import Cause, Doomed, Progressing, Ready, judge
from bluegreen.domain.snapshot import Container, ContainerState, Pod, Running, Terminated, Waiting, Workload

CRASHED = Terminated(exit_code=3, message="boom")
LOOP = Waiting(reason="CrashLoopBackOff", message="back-off 10s")
NODE_FAULT = Terminated(exit_code=128, reason="ContainerCannotRun")
CANNOT_RUN = Terminated(exit_code=127, reason="ContainerCannotRun", message="exec: not found")


def sick(
    state: ContainerState | None = None, last: Terminated | None = None, restarts: int = 0, number: int = 0
) -> Pod:
    return pod(f"p-{number}", ready=False, state=state, last=last, restarts=restarts)


def verdict(*works: Workload, revision: str = "r-1") -> Ready | Progressing | Doomed:
    return judge(snapshot(*works), GREEN, revision=revision)


KRANE = [
    # state, last, restarts -> reason when doomed, else empty
    (LOOP, CRASHED, 1, "crash loop"),
    (LOOP, CRASHED, 9, "crash loop"),
    (LOOP, CRASHED, 0, ""),  # ours is milder here: one end is a hiccup, and a kubelet says so only after the second
    (LOOP, None, 1, ""),  # nothing is known of how it ended: missing data is no proof
    (LOOP, NODE_FAULT, 1, "crash loop"),
    (Waiting(reason="ErrImagePull", message="manifest: Not Found"), None, 0, "ErrImagePull"),
    (Waiting(reason="ErrImagePull", message="image team/x:v2 was not found"), None, 0, "ErrImagePull"),
    (Waiting(reason="ErrImagePull", message="dial tcp: i/o timeout"), None, 0, ""),
    (Waiting(reason="ErrImagePull"), None, 0, ""),
    (Waiting(reason="ImagePullBackOff", message="manifest not found"), None, 0, ""),
    (
        Waiting(reason="CreateContainerConfigError", message='secret "s" not found'),
        None,
        0,
        "CreateContainerConfigError",
    ),
    (Waiting(reason="CreateContainerConfigError", message="failed to sync secret cache: timed out"), None, 0, ""),
    (Waiting(reason="InvalidImageName", message="invalid reference"), None, 0, "InvalidImageName"),
    (Waiting(reason="ErrImageNeverPull"), None, 0, "ErrImageNeverPull"),
    (Waiting(reason="ContainerCannotRun"), None, 0, "ContainerCannotRun"),
    (Waiting(reason="ContainerCreating"), None, 0, ""),
    (Waiting(reason="PodInitializing"), None, 0, ""),
    (CANNOT_RUN, None, 0, "ContainerCannotRun"),
    (Running(), CANNOT_RUN, 1, "ContainerCannotRun"),
    (NODE_FAULT, None, 0, ""),
    (Running(), NODE_FAULT, 1, ""),
    (Running(), NODE_FAULT, 2, "crash loop"),
    (CRASHED, None, 0, ""),
    (CRASHED, CRASHED, 1, ""),
    (CRASHED, CRASHED, 2, "crash loop"),
    (Running(), None, 0, ""),
    (Running(), CRASHED, 1, ""),
    (Running(), CRASHED, 2, "crash loop"),
    (Running(), None, 2, ""),
]


@pytest.mark.parametrize(("state", "last", "restarts", "reason"), KRANE)
def test_container_states(state: ContainerState, last: Terminated | None, restarts: int, reason: str) -> None:
    found = verdict(workload(sick(state, last, restarts), replicas=1))
    assert (found.cause.reason if isinstance(found, Doomed) else "") == reason
    assert isinstance(found, Doomed if reason else Progressing)


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
    found = verdict(workload(GOOD[0], problem="exceeded quota: pods=10"))
    assert isinstance(found, Doomed)
    assert str(found.cause) == "pair-back in green: cannot make its pods: exceeded quota: pods=10"


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


def test_one_bad_container_is_enough() -> None:
    sidecar = Container(name="proxy", state=LOOP, last=CRASHED, restarts=2)
    two = pod(ready=False)
    both = Pod(
        name="p", service="pair-back", slot=GREEN, revision="r-1", ready=False, containers=(*two.containers, sidecar)
    )
    found = verdict(workload(both, replicas=1))
    assert isinstance(found, Doomed)
    assert found.cause.container == "proxy"
