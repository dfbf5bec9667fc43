"""The API's words in, the domain's out."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.kubernetes_adapter.objects_kit import (
    STACK,
    deployment,
    endpoint_slice,
    live,
    pod,
    service,
    template,
)

from bluegreen.domain.dating import dated
from bluegreen.domain.health import Doomed, Progressing, Ready, judge
from bluegreen.domain.routing import Active, Split, active, routed
from bluegreen.domain.snapshot import Lost, Pod, Running, Snapshot, Terminated, Waiting, Windows
from bluegreen.domain.stack import Instant, Slot
from bluegreen.domain.values import replace
from bluegreen.platforms.kubernetes.objects import event_of
from bluegreen.platforms.kubernetes.picture import compose

BLUE, GREEN = Slot.BLUE, Slot.GREEN
SIZES = tuple((name, 2) for name in STACK.names)


def snapshot(**changes: Any) -> Snapshot:
    return compose(live(**changes), stack=STACK, at=Instant(5.0))


def test_a_stack_at_rest() -> None:
    found = snapshot()
    assert active(found.routes) == Active(BLUE)
    assert routed(found, BLUE, at_least=SIZES)
    assert not routed(found, GREEN, at_least=SIZES)
    assert isinstance(judge(found, GREEN, revision=""), Ready)
    work = found.workload("pair-back", GREEN)
    assert (str(work.image), work.replicas, work.reachable, work.settled) == ("pair/back:v1", 2, 2, True)
    assert [each.address for each in work.pods] == ["10.0.0.1:8000", "10.0.0.2:8000"]
    assert work.image_ids == {"sha256:1"}


def test_a_route_says_whose_write_it_carries() -> None:
    marked = [service(name, GREEN, **{"bluegreen.dev_fence": "w-1"}) for name in STACK.names]
    route = snapshot(services=marked).route("pair-back")
    assert (route.slot, route.version, route.fence, route.changed_by) == (GREEN, "7", "w-1", "kubectl-patch")


def test_a_route_was_changed_by_whoever_wrote_its_selector() -> None:
    """A load balancer's controller writes the status, others write marks: none of them has moved anybody."""
    moved = service("pair-back", GREEN)
    moved["metadata"]["managedFields"] += [
        {"manager": "ann", "time": "2026-01-03T00:00:00Z", "fieldsV1": {"f:spec": {"f:selector": {}}}},
        {"manager": "argo", "time": "2026-01-04T00:00:00Z", "fieldsV1": {"f:metadata": {"f:annotations": {}}}},
        {"manager": "cloud", "time": "2026-01-05T00:00:00Z", "subresource": "status", "fieldsV1": {"f:status": {}}},
    ]
    assert snapshot(services=[moved, service("pair-front", GREEN)]).route("pair-back").changed_by == "ann"


def test_a_selector_without_a_slot_or_with_a_strange_one_is_no_slot() -> None:
    odd = [service("pair-back", None), service("pair-front", BLUE)]
    odd[1]["spec"]["selector"]["slot"] = "purple"
    found = active(snapshot(services=odd).routes)
    assert found == Split((("pair-back", None), ("pair-front", None)))


def test_an_endpoint_that_is_no_pod_of_the_slot_keeps_a_switch_from_having_arrived() -> None:
    stranger = {"metadata": {"name": "plain-1"}, "status": {"podIP": "10.0.0.9"}}
    mine = [pod("pair-back", BLUE, number) for number in (1, 2)]
    slices = [endpoint_slice("pair-back", *mine, stranger), endpoint_slice("pair-front")]
    assert not routed(snapshot(slices=slices), BLUE, at_least=(("pair-back", 2),))


@pytest.mark.parametrize(
    "status",
    [{"observedGeneration": 2}, {"updatedReplicas": 1}, {"replicas": 3}],
    ids=["not seen yet", "one is old", "an old one is left"],
)
def test_a_rollout_that_goes_on_is_not_settled(status: dict[str, int]) -> None:
    works = [deployment(name, GREEN, status=status) for name in STACK.names]
    assert not snapshot(deployments=works).workload("pair-back", GREEN).settled


def test_only_pods_of_the_newest_release_are_judged() -> None:
    fresh = template("pair-back", GREEN, release="r-2")
    old = pod("pair-back", GREEN, 1, release="r-1", ready=False)
    old["status"]["containerStatuses"][0].update(
        state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState={"terminated": {"exitCode": 1}}, restartCount=9
    )
    found = snapshot(
        deployments=[deployment("pair-back", GREEN, template=fresh, replicas=1)],
        pods=[old, pod("pair-back", GREEN, 2, release="r-2")],
    )
    work = found.workload("pair-back", GREEN)
    assert (work.revision, [each.name for each in work.current]) == ("r-2", ["pair-back-green-2"])


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (
            {"waiting": {"reason": "ErrImagePull", "message": "not found"}},
            Waiting(reason="ErrImagePull", message="not found"),
        ),
        ({"terminated": {"exitCode": 3, "reason": "Error"}}, Terminated(exit_code=3, reason="Error")),
        ({"running": {}}, Running()),
        ({}, Waiting(reason="Pending")),
    ],
)
def test_container_states(state: dict[str, Any], expected: object) -> None:
    made = pod("pair-back", GREEN, 1, ready=False)
    made["status"]["containerStatuses"][0]["state"] = state
    (found,) = snapshot(pods=[made]).workload("pair-back", GREEN).pods[0].containers
    assert found.state == expected


def test_what_a_container_left_when_it_ended_is_shown_as_a_log_is() -> None:
    """``terminationMessagePolicy: FallbackToLogsOnError`` puts up to 80 lines of the log there."""
    left = "starting\nconnecting to postgres://ann:canary@db/shop\n\x1b[31mfatal\x1b[0m: password=canary\nexit\n"
    made = pod("pair-back", GREEN, 1, ready=False)
    ended = {"terminated": {"exitCode": 1, "reason": "Error", "message": left}}
    made["status"]["containerStatuses"][0].update(state={"waiting": {}}, lastState=ended)
    (found,) = snapshot(pods=[made]).workload("pair-back", GREEN).pods[0].containers
    assert found.last is not None
    assert found.last.message == "connecting to postgres://ann:***@db/shop fatal: password=*** exit"


def test_what_components_say_is_kept_without_secrets_and_to_its_end() -> None:
    image = f"reg.example/{'team/' * 40}web:v2"
    pull = f'failed to resolve "https://ann:canary@{image}": {image}: {image}: not found'
    made = pod("pair-back", GREEN, 1, ready=False)
    made["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "ErrImagePull", "message": pull}}
    denied = [{"type": "ReplicaFailure", "status": "True", "message": "webhook denied the request: token=canary"}]
    found = snapshot(pods=[made], deployments=[deployment("pair-back", GREEN, status={"conditions": denied})]).workload(
        "pair-back", GREEN
    )
    state = found.pods[0].containers[0].state
    assert isinstance(state, Waiting)
    assert state.message.endswith("not found")
    assert found.problem == "webhook denied the request: token=***"
    assert "canary" not in state.message


def test_an_init_container_that_is_done_is_not_a_crash_and_one_that_failed_is() -> None:
    made = pod("pair-back", GREEN, 1)
    done = {"name": "init", "ready": True, "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}
    failed = {"name": "init", "ready": False, "state": {"terminated": {"exitCode": 2, "reason": "Error"}}}
    for status, names in ((done, ["back"]), (failed, ["init", "back"])):
        made["status"]["initContainerStatuses"] = [status]
        containers = snapshot(pods=[made]).workload("pair-back", GREEN).pods[0].containers
        assert [container.name for container in containers] == names


@pytest.mark.parametrize(
    ("policy", "code", "doomed"), [(None, 0, False), (None, 3, True), ("Always", 0, True)], ids=str
)
def test_an_init_container_is_done_again_with_each_sandbox(policy: str | None, code: int, *, doomed: bool) -> None:
    """A sandbox that was lost twice, as on a node that restarts, is no program that ends by itself."""
    made = pod("pair-back", GREEN, 1, ready=False)
    made["spec"] = {"nodeName": "n1", "initContainers": [{"name": "init", "restartPolicy": policy}]}
    ended = {"terminated": {"exitCode": code, "reason": "Completed"}}
    again = {"name": "init", "ready": False, "state": {"running": {}}, "lastState": ended, "restartCount": 2}
    made["status"]["initContainerStatuses"] = [again]
    made["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "PodInitializing"}}
    found = snapshot(pods=[made], deployments=[deployment("pair-back", GREEN, replicas=1)])
    assert isinstance(judge(found, GREEN, revision=""), Doomed) is doomed


def test_pods_that_are_over_or_on_their_way_out() -> None:
    evicted = pod("pair-back", GREEN, 1, status={"phase": "Failed", "reason": "Evicted"})
    going = pod("pair-back", GREEN, 2, metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    work = snapshot(pods=[evicted, going]).workload("pair-back", GREEN)
    assert [(each.name, each.terminating, each.ready) for each in work.pods] == [("pair-back-green-2", True, False)]
    assert work.current == ()


def test_a_pod_without_a_place_says_why() -> None:
    where = [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/2 nodes"}]
    made = pod("pair-back", GREEN, 1, status={"conditions": where, "containerStatuses": None, "podIP": ""})
    found = snapshot(pods=[made]).workload("pair-back", GREEN).pods[0]
    assert (found.unplaced, found.ready, found.address) == ("0/2 nodes", False, "")


def test_what_keeps_the_controller_from_making_pods_dooms_the_slot() -> None:
    quota = [{"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": "exceeded quota"}]
    works = [deployment(name, GREEN, status={"conditions": quota}) for name in STACK.names]
    first = dated(snapshot(deployments=works, pods=[]), before=None)
    later = dated(replace(first, at=Instant(first.at + 5.0)), before=first)
    verdict = judge(later, GREEN, revision="")
    assert isinstance(verdict, Doomed)
    assert "exceeded quota" in str(verdict.cause)


def test_what_kept_the_spec_before_from_making_pods_is_no_word_about_the_newest() -> None:
    denied = [{"type": "ReplicaFailure", "status": "True", "message": "webhook denied the request: no"}]
    works = [deployment("pair-back", GREEN, status={"conditions": denied, "observedGeneration": 2})]
    assert snapshot(deployments=works, pods=[]).workload("pair-back", GREEN).problem == ""


def test_a_replica_set_that_cannot_be_made_is_told_though_the_spec_is_not_seen() -> None:
    """A quota of ``count/replicasets.apps``, or a webhook: then nothing has failed, and no spec was observed."""
    why = 'Failed to create new replica set "pair-back-green-7d9": replicasets.apps is forbidden: exceeded quota: q'
    stuck = [{"type": "Progressing", "status": "False", "reason": "ReplicaSetCreateError", "message": why}]
    works = [deployment("pair-back", GREEN, status={"conditions": stuck, "observedGeneration": 2})]
    assert snapshot(deployments=works, pods=[]).workload("pair-back", GREEN).problem == why


def test_a_paused_deployment_says_how_to_go_on() -> None:
    works = [deployment("pair-back", GREEN, paused=True)]
    assert "kubectl rollout resume" in snapshot(deployments=works).workload("pair-back", GREEN).problem


def test_a_slot_without_a_deployment_holds_nothing() -> None:
    work = snapshot(deployments=[deployment("pair-back", BLUE)]).workload("pair-back", GREEN)
    assert (work.image, work.replicas, work.pods) == (None, 0, ())


def test_the_next_stage_has_the_active_size_and_the_idle_settings() -> None:
    works = [deployment("pair-back", BLUE, replicas=5), deployment("pair-back", GREEN, replicas=1)]
    works[1]["spec"]["template"] = template("pair-back", GREEN, LEVEL="debug")
    wanted = snapshot(deployments=works).stage_of("pair-back")
    assert wanted.replicas == 5
    assert ("spec.containers.back.env.LEVEL", "debug") in wanted.template.settings


def test_the_port_of_a_pod_is_that_of_its_own_services_slice() -> None:
    mine = pod("pair-back", GREEN, 1)
    slices = [endpoint_slice("pair-back-green", mine, port=9000), endpoint_slice("pair-back", mine)]
    assert snapshot(slices=slices, pods=[mine]).workload("pair-back", GREEN).pods[0].address == "10.0.0.1:9000"
    assert snapshot(slices=[], pods=[mine]).workload("pair-back", GREEN).pods[0].address == ""


def test_without_a_service_of_its_own_nobody_counts_who_reaches_the_slot() -> None:
    assert snapshot(slices=[endpoint_slice("pair-back")]).workload("pair-back", GREEN).reachable is None


# What is said of pods: by their Events, and by their status as a whole.


def said(reason: str, message: str = "", *, at: int, number: int = 1, field: str = "") -> dict[str, Any]:
    """An Event of the pod of that number."""
    about = {"kind": "Pod", "uid": f"p-pair-back-green-{number}", "fieldPath": field}
    meta = {"name": f"e-{at}", "uid": f"e-{at}", "resourceVersion": str(at)}
    stamp = f"2026-01-01T00:00:{at:02d}Z"
    return {"metadata": meta, "reason": reason, "message": message, "involvedObject": about, "lastTimestamp": stamp}


def unready(*, sandbox: str = "", state: dict[str, Any] | None = None, started: bool = True, **spec: Any) -> Any:
    """A pod that is not ready; ``sandbox``: whether it is set up, as its condition says."""
    made = pod("pair-back", GREEN, 1, ready=False)
    conditions = [{"type": "PodReadyToStartContainers", "status": sandbox}] if sandbox else []
    made["status"]["conditions"] += conditions
    made["status"]["containerStatuses"][0].update(state=state or {"running": {}}, started=started)
    made["spec"] = spec
    return made


def seen(made: Any, *events: dict[str, Any]) -> Pod:
    found = replace(live(pods=[made]), events=tuple(map(event_of, events)))
    return compose(found, stack=STACK, at=Instant(5.0)).workload("pair-back", GREEN).pods[0]


CREATING = {"waiting": {"reason": "ContainerCreating"}}
MOUNT = said("FailedMount", 'secret "s" not found', at=3)


@pytest.mark.parametrize(
    ("made", "events", "expected"),
    [
        (unready(sandbox="False", state=CREATING), [MOUNT], "FailedMount"),
        (unready(sandbox="False", state=CREATING), [said("FailedAttachVolume", at=1), MOUNT], "FailedMount"),
        (unready(sandbox="False", state=CREATING), [MOUNT, said("Scheduled", at=4)], "FailedMount"),
        (unready(sandbox="False", state=CREATING), [said("NetworkNotReady", at=1)], "NetworkNotReady"),
        (unready(sandbox="True", state=CREATING), [MOUNT], ""),  # it is mounted by now, and an image is pulled
        (unready(sandbox="False"), [MOUNT], ""),  # it has run
        (unready(state=CREATING), [MOUNT], "FailedMount"),  # a kubelet that does not say
        (unready(state=CREATING), [MOUNT, said("Pulling", at=4)], ""),
        (unready(sandbox="False", state=CREATING), [said("FailedMount", at=1, number=2)], ""),  # another pod's
        (unready(sandbox="True"), [said("NodeNotReady", at=4)], "NodeNotReady"),
        (unready(sandbox="True"), [said("NodeNotReady", at=4), said("SandboxChanged", at=5)], ""),  # it is back
        (pod("pair-back", GREEN, 1), [said("NodeNotReady", at=4)], ""),  # it is ready
        (unready(sandbox="True"), [said("FailedKillPod", at=4)], ""),
        (unready(), [], ""),
    ],
)
def test_what_keeps_a_pod_from_starting(made: Any, events: list[dict[str, Any]], expected: str) -> None:
    trouble = seen(made, *events).trouble
    assert (trouble.reason if trouble is not None else "") == expected


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [("NodeNotReady", "SandboxChanged", ""), ("Unhealthy", "NodeNotReady", "NodeNotReady")],
    ids=["it is back", "it is gone"],
)
def test_what_was_said_last_is_what_was_written_last(first: str, second: str, expected: str) -> None:
    """A node whose clock is wrong: by the clocks, what its kubelet says and what is said of it stand the wrong way."""
    events = [said(first, at=8), said(second, at=9)]
    events[0]["lastTimestamp"] = "2026-01-01T00:05:00Z"
    trouble = seen(unready(sandbox="True"), *events).trouble
    assert (trouble.reason if trouble is not None else "") == expected


def test_a_node_that_is_not_set_up_is_told_and_no_cause() -> None:
    """Until the limit: its network plugin may be on its way."""
    words = "network is not ready: cni plugin not initialized"
    made = unready(sandbox="False", state=CREATING)
    single = live(pods=[made], deployments=[deployment("pair-back", GREEN, replicas=1)])
    found = replace(single, events=(event_of(said("NetworkNotReady", words, at=1)),))
    first = dated(compose(found, stack=STACK, at=Instant(5.0)), before=None)
    verdict = judge(replace(first, at=Instant(999.0)), GREEN, revision="")
    assert isinstance(verdict, Progressing)
    assert verdict.wants[0] == f"pair-back 0/1 ready ({words})"


def nowhere(reason: str = "Unschedulable", **status: Any) -> Any:
    conditions = [{"type": "PodScheduled", "status": "False", "reason": reason, "message": "0/2 nodes"}]
    return pod(
        "pair-back", GREEN, 1, ready=False, status={"conditions": conditions, "containerStatuses": None, **status}
    )


@pytest.mark.parametrize(
    ("made", "events", "expected"),
    [
        (nowhere(), [], ""),
        (nowhere(), [said("FailedScheduling", at=1)], ""),
        (nowhere(), [said("TriggeredScaleUp", at=1)], "an autoscaler makes a node"),
        (nowhere(), [said("Nominated", at=1)], "an autoscaler makes a node"),
        (nowhere(), [said("TriggeredScaleUp", at=1), said("NotTriggerScaleUp", at=2)], ""),
        (nowhere(), [said("NotTriggerScaleUp", at=1), said("TriggeredScaleUp", at=2)], "an autoscaler makes a node"),
        (nowhere(nominatedNodeName="n1"), [], "the scheduler makes room on n1"),
        (nowhere("SchedulingGated"), [], "its scheduling gates are not open yet"),
        (nowhere("SchedulerError"), [], "the scheduler had an error, and tries again"),
        (unready(), [said("TriggeredScaleUp", at=1)], ""),  # it has its place
    ],
)
def test_who_promises_a_place(made: Any, events: list[dict[str, Any]], expected: str) -> None:
    assert seen(made, *events).promised == expected


def placeless(number: int, *, slot: Slot = GREEN, service: str = "pair-back") -> Any:
    made = pod(service, slot, number, ready=False)
    made["status"].update(nowhere()["status"], podIP="")
    return made


def promises(made: list[Any], *events: dict[str, Any]) -> list[str]:
    found = replace(live(pods=made), events=tuple(map(event_of, events)))
    works = compose(found, stack=STACK, at=Instant(5.0)).workloads
    return [each.promised for work in works for each in work.pods]


def test_a_node_that_is_made_for_one_pod_of_a_slot_may_be_the_others_as_well() -> None:
    """An autoscaler is silent about pods that fit on a node that it makes already (autoscaler #5938)."""
    node, up = "an autoscaler makes a node", said("TriggeredScaleUp", at=1)
    both = [placeless(1), placeless(2, service="pair-front")]
    assert promises(both, up) == [node, node]
    assert promises(both) == ["", ""]
    no = said("NotTriggerScaleUp", at=2, number=2)
    no["involvedObject"]["uid"] = "p-pair-front-green-2"
    assert promises(both, up, no) == [node, ""]
    assert promises([placeless(1), placeless(2, slot=BLUE)], up) == ["", node]
    placed = [pod("pair-back", GREEN, 1, ready=False), placeless(2)]
    assert promises(placed, up) == ["", ""]


def test_a_pod_that_no_scheduler_has_looked_at_is_promised_nothing_and_dooms_nobody() -> None:
    """A ``schedulerName`` that nobody answers to, or a scheduler that is away: its status says nothing at all."""
    found = seen(pod("pair-back", GREEN, 1, ready=False, status={"conditions": None, "containerStatuses": None}))
    assert (found.unplaced, found.promised) == ("no scheduler has looked at it yet",) * 2
    given = pod("pair-back", GREEN, 1, ready=False, status={"conditions": None, "containerStatuses": None})
    given["spec"] = {"nodeName": "n1"}
    assert seen(given).unplaced == ""


def test_what_a_readiness_gate_waits_for_is_told() -> None:
    gate = 'the status of pod readiness gate "target-health.elbv2.k8s.aws/x" is not "True", but False'
    made = pod("pair-back", GREEN, 1)
    made["status"]["conditions"] = [
        {"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady", "message": gate},
        {"type": "PodScheduled", "status": "True"},
    ]
    verdict = judge(snapshot(pods=[made]), GREEN, revision="")
    assert isinstance(verdict, Progressing)
    assert verdict.wants[0] == f"pair-back 0/2 ready ({gate})"


KILLED = said("Killing", "Container back failed startup probe, will be restarted", at=4)
ALIVE = said("Killing", "Container back failed liveness probe, will be restarted", at=5)
HOOK = said("FailedPostStartHook", "PostStartHook failed", at=7, field="spec.containers{back}")
OTHER = said("Killing", "Container side failed startup probe, will be restarted", at=6)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([HOOK], "postStart"),
        ([KILLED, HOOK], "postStart"),
        ([said("FailedPostStartHook", "PostStartHook failed", at=7, field="spec.containers{side}")], ""),
        ([], ""),
        ([KILLED], "startup"),
        ([KILLED, ALIVE], "liveness"),
        ([OTHER], ""),
        ([said("Killing", at=1)], ""),
    ],
)
def test_for_which_probe_a_container_is_ended(events: list[dict[str, Any]], expected: str) -> None:
    assert seen(unready(), *events).containers[0].condemned == expected


BACK = "spec.containers{back}"
REFUSED = said("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", at=1, field=BACK)
BEGINS = said("Unhealthy", 'Startup probe failed: Get "http://10.0.0.1/": connection refused', at=1, field=BACK)


@pytest.mark.parametrize(
    ("made", "events", "expected"),
    [
        (unready(), [], "not ready yet"),
        (unready(started=False), [], "starting up"),
        (unready(), [REFUSED], "readiness: HTTP probe failed with statuscode: 503"),
        (unready(started=False), [BEGINS], 'startup: Get "http://10.0.0.1/": connection refused'),
        (unready(), [BEGINS], "not ready yet"),  # that is over
        (unready(state=CREATING), [REFUSED], ""),
        (pod("pair-back", GREEN, 1), [REFUSED], ""),
    ],
)
def test_how_a_probe_fails(made: Any, events: list[dict[str, Any]], expected: str) -> None:
    assert seen(made, *events).containers[0].failing == expected


def test_the_windows_of_a_containers_own_probes() -> None:
    startup = {"periodSeconds": 3, "failureThreshold": 30, "initialDelaySeconds": 2}
    spec = [{"name": "back", "startupProbe": startup, "readinessProbe": {"httpGet": {"path": "/"}}}]
    assert seen(unready(containers=spec)).containers[0].windows == Windows(startup=93.0, readiness=31.0)
    assert seen(unready(containers=[{"name": "back"}])).containers[0].windows == Windows()


def test_pods_that_failed_as_a_whole_are_the_workloads_loss() -> None:
    def over(number: int, release: str = "r-2", **status: Any) -> Any:
        at = {"creationTimestamp": f"2026-01-01T00:00:0{number}Z"}
        made = pod("pair-back", GREEN, number, release=release, status={"phase": "Failed", **status})
        return {**made, "metadata": {**made["metadata"], **at}}

    works = [deployment("pair-back", GREEN, template=template("pair-back", GREEN, release="r-2"))]
    evicted = over(2, reason="Evicted", message="low on memory; token=canary")
    pods = [evicted, over(1), over(3, release="r-1"), over(4, phase="Succeeded")]
    work = snapshot(deployments=works, pods=pods).workload("pair-back", GREEN)
    assert work.lost == (
        Lost(pod="pair-back-green-1", reason="Failed"),
        Lost(pod="pair-back-green-2", reason="Evicted", message="low on memory; token=***"),
    )
    assert work.pods == ()


@pytest.mark.parametrize(
    ("reason", "observed", "expected"),
    [("ProgressDeadlineExceeded", 3, 60.0), ("ProgressDeadlineExceeded", 2, None), ("ReplicaSetUpdated", 3, None)],
)
def test_a_deadline_of_the_deployment_is_told_of_its_newest_spec(
    reason: str, observed: int, expected: float | None
) -> None:
    conditions = [{"type": "Progressing", "status": "False", "reason": reason}]
    status = {"conditions": conditions, "observedGeneration": observed}
    works = [deployment("pair-back", GREEN, status=status, progressDeadlineSeconds=60)]
    assert snapshot(deployments=works).workload("pair-back", GREEN).overdue == expected


def test_what_a_service_needs() -> None:
    assert [work.needs for work in snapshot().slot_workloads(GREEN)] == [(), ("pair-back",)]


def _second_family(first: dict[str, Any]) -> dict[str, Any]:
    """The slice of the same endpoints with their IPv6 addresses, as a Service with both families has one."""
    second = copy.deepcopy(first)
    second["metadata"].update(name=first["metadata"]["name"] + "6", uid=first["metadata"]["uid"] + "6")
    second["addressType"] = "IPv6"
    for number, each in enumerate(second["endpoints"], 1):
        each["addresses"] = [f"fd00::{number}"]
    return second


def test_a_pod_with_addresses_of_both_families_is_one_pod() -> None:
    one = [endpoint_slice(name, pod(app, GREEN, 1)) for app in STACK.names for name in (app, f"{app}-green")]
    both = [*one, *map(_second_family, one)]
    found = snapshot(serving=GREEN, slices=both)
    assert not routed(found, GREEN, at_least=SIZES)
    assert routed(found, GREEN, at_least=tuple((name, 1) for name in STACK.names))
    assert found.workload("pair-back", GREEN).reachable == 1


def test_a_pod_is_ready_for_users_when_it_is_in_both_families() -> None:
    first = [endpoint_slice(name, pod(name, GREEN, 1)) for name in STACK.names]
    late = list(map(_second_family, first))
    for each in late:
        each["endpoints"][0]["conditions"] = {"ready": False}
    found = snapshot(serving=GREEN, slices=[*first, *late])
    assert not routed(found, GREEN, at_least=tuple((name, 1) for name in STACK.names))


def test_an_endpoint_that_is_no_pod_at_all_keeps_a_switch_from_having_arrived() -> None:
    slices = [endpoint_slice(name, *(pod(name, BLUE, number) for number in (1, 2))) for name in STACK.names]
    assert routed(snapshot(slices=slices), BLUE, at_least=SIZES)
    slices[0]["endpoints"].append({"addresses": ["192.0.2.7"]})  # of a slice that a person has written
    assert not routed(snapshot(slices=slices), BLUE, at_least=SIZES)


def test_the_windows_of_a_sidecar_are_known_as_well() -> None:
    made = pod("pair-back", GREEN, 1, ready=False)
    made["spec"] = {
        "initContainers": [{"name": "mesh", "restartPolicy": "Always", "startupProbe": {"periodSeconds": 2}}]
    }
    starting = {"name": "mesh", "state": {"running": {}}, "started": False, "ready": False}
    made["status"]["initContainerStatuses"] = [starting]
    found = snapshot(pods=[made]).workload("pair-back", GREEN).pods[0].containers[0]
    assert (found.name, found.windows) == ("mesh", Windows(startup=7, readiness=None))
