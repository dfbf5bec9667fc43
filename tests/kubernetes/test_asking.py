"""Asking pods and explaining failures on a real cluster: what its API server and kubelets really answer."""

from __future__ import annotations

import shlex
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.kubernetes.talker_kit import CANARY, CLOCK, Talkers, talkers

from bluegreen.domain.cause import Cause
from bluegreen.domain.errors import DeadlineExceeded, PlatformError
from bluegreen.domain.reading import Gap
from bluegreen.domain.snapshot import Pod, Snapshot, Workload
from bluegreen.domain.stack import HttpCheck, MetricNames, Probe, Probes, Service, Slot, Stack, after
from bluegreen.metrics.scrape import ScrapeMetrics
from bluegreen.platforms.kubernetes.asking import Asking
from bluegreen.platforms.kubernetes.diagnose import diagnose, tails
from bluegreen.platforms.kubernetes.objects import service_of
from bluegreen.platforms.kubernetes.resources import PODS, SERVICES
from bluegreen.ports import Check, Through

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from testbed.cluster import Cluster as Testbed

    from bluegreen.domain.stack import Instant
    from bluegreen.platforms.kubernetes.cluster import Cluster
    from bluegreen.ports import CheckResult, Diagnosis

pytestmark = pytest.mark.cluster

PROBES = Probes(startup=Probe(path="/"), readiness=Probe(path="/ready"), liveness=Probe(path="/"))
NAMES = MetricNames(requests="hits_total", duration="took_ms")
STACK = Stack(
    name="talk",
    services=(
        Service(name="talker", image="talker", port=80, probes=PROBES, metrics=NAMES),
        Service(name="deaf", image="talker", port=80, probes=PROBES),
    ),
)


@pytest.fixture(scope="module")
def talk(cluster: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Talkers]:
    with talkers(cluster, tmp_path_factory.mktemp("talker")) as made:
        yield made


def soon(seconds: float = 10.0) -> Instant:
    return after(CLOCK.now(), seconds)


@contextmanager
def asking(talk: Talkers, *, direct: bool = False, cluster: Cluster | None = None) -> Iterator[Asking]:
    one = Asking(cluster or talk.admin, namespace=talk.namespace, stack=STACK, clock=CLOCK, direct=direct)
    with talk.testbed.within(), closing(one):
        yield one


def pod(talk: Talkers, name: str) -> Pod:
    """Of the service that is asked about, whatever it is in truth."""
    found = talk.pods().get(name)
    address = f"{found.address}:8000" if found is not None and found.address else ""
    return Pod(name=name, service="talker", slot=Slot.GREEN, revision="r", ready=True, address=address)


def check(
    path: str = "/health", *, through: Through = Through.PODS, service: str = "talker", timeout: float = 5.0
) -> Check:
    wanted = HttpCheck(name="c", service=service, path=path, timeout=timeout)
    return Check(check=wanted, slot=Slot.GREEN, through=through)


def made(talk: Talkers, one: Asking, asked: Check, *names: str) -> Sequence[CheckResult]:
    with talk.api() as api:
        listing = api.list(SERVICES.all(talk.namespace), until=soon())
    services = [service_of(item) for item in listing.items]
    pods = [replace(pod(talk, name), address=pod(talk, name).address or ":8000") for name in names]
    return one.check([asked], pods=pods, services=services, until=soon())


STATES = [
    ("good", "/health", True, "answered 200"),
    ("good", "/500", False, "answered 500, not 200"),
    ("good", "/403", False, "answered 403, not 200"),
    ("good", "/404", False, "answered 404, not 200"),
    ("good", "/429", False, "answered 429, not 200"),
    ("good", "/redirect", False, "answered 302, not 200"),
    ("good", "/status", False, "answered 503, not 200"),
    ("good", "/closes", None, "error trying to reach service: EOF (503)"),
    ("good", "/garbage", None, "malformed HTTP"),
    ("good", "/cut", None, "the server closed the connection"),
    ("unready", "/health", True, "answered 200"),
    ("unready", "/ready", False, "answered 503, not 200"),
    ("deaf", "/health", None, "connection refused (503)"),
    ("crashing", "/health", None, "connection refused (503)"),
    ("imageless", "/health", None, "(503)"),
    ("unplaced", "/health", None, "address not allowed (400)"),
    ("nobody", "/health", None, 'pods "nobody" not found (404)'),
]


@pytest.mark.parametrize(("name", "path", "passed", "detail"), STATES, ids=[f"{one[0]}{one[1]}" for one in STATES])
def test_through_the_api_server_each_state_is_told_for_what_it_is(
    name: str,
    path: str,
    passed: bool | None,  # noqa: FBT001 - the table's column
    detail: str,
    talk: Talkers,
) -> None:
    with asking(talk) as one:
        (result,) = made(talk, one, check(path), name)
    assert (result.passed, result.missing_right) == (passed, "")
    assert detail in result.detail


def test_a_pod_that_hangs_is_given_up_at_its_checks_limit(talk: Talkers) -> None:
    with asking(talk) as one:
        results = made(talk, one, check("/hangs", timeout=1.0), "good", "good")
    assert [(result.passed, result.detail) for result in results] == [
        (None, "good: not reachable: no answer within 1 s")
    ] * 2


def test_a_slots_own_service_and_users_service(talk: Talkers) -> None:
    with asking(talk) as one:
        (preview,) = made(talk, one, check(through=Through.PREVIEW))
        (deaf,) = made(talk, one, check(through=Through.PREVIEW, service="deaf"))
        (entry,) = made(talk, one, check(through=Through.ENTRY))
    assert (preview.passed, preview.answered_by) == (True, Slot.GREEN)
    assert (deaf.passed, deaf.answered_by) == (None, None)
    assert (entry.passed, entry.answered_by) == (None, None)


def test_a_slot_without_a_ready_pod_has_no_preview(talk: Talkers) -> None:
    blue = replace(check(through=Through.PREVIEW), slot=Slot.BLUE)
    with asking(talk) as one:
        (result,) = made(talk, one, blue)
    assert result.passed is None
    assert "no endpoints available for service" in result.detail


def test_straight_to_pods_and_services(talk: Talkers) -> None:
    with asking(talk, direct=True) as one:
        (at_pod,) = made(talk, one, check(), "good")
        (preview,) = made(talk, one, check(through=Through.PREVIEW))
        (entry,) = made(talk, one, check(through=Through.ENTRY))
        (deaf,) = made(talk, one, check(), "deaf")
    assert [result.passed for result in (at_pod, preview, entry, deaf)] == [True, True, True, None]
    assert [result.answered_by for result in (at_pod, preview, entry)] == [Slot.GREEN] * 3


def test_without_the_right_nothing_is_proven_and_the_right_is_named(talk: Talkers) -> None:
    with asking(talk, cluster=talk.poor) as one:
        (pods,) = made(talk, one, check(), "good", "deaf")
        (preview,) = made(talk, one, check(through=Through.PREVIEW))
        with pytest.raises(PlatformError, match="may not get pods/proxy"):
            one.page(pod(talk, "good"), "/metrics", 5.0)
    assert [(each.passed, each.missing_right) for each in (pods, preview)] == [
        (None, "get pods/proxy"),
        (None, "get services/proxy"),
    ]


def test_metrics_come_from_pods_that_answer_and_each_other_is_a_gap(talk: Talkers) -> None:
    pods = (pod(talk, "good"), pod(talk, "deaf"))
    work = Workload(service="talker", slot=Slot.GREEN, image=None, replicas=2, pods=pods)
    snapshot = Snapshot(at=CLOCK.now(), routes=(), workloads=(work,))
    with asking(talk) as one:
        metrics = ScrapeMetrics(STACK, clock=CLOCK, page=one.page)
        times = []
        for _ in range(20):
            began = CLOCK.now()
            reading = metrics.read(snapshot, until=soon())
            times.append(CLOCK.now() - began)
            assert [each.pod for each in reading.pods] == ["good"]
            assert [(gap.pod, gap.slot) for gap in reading.gaps] == [("deaf", Slot.GREEN)]
            assert isinstance(reading.gaps[0], Gap)
            assert "connection refused" in reading.gaps[0].why
    print(f"one scrape of two pods: first {times[0] * 1000:.1f} ms, then {sorted(times[1:])[9] * 1000:.1f} ms")


# --- diagnosing ---------------------------------------------------------------------------------------------------


def diagnosed(talk: Talkers, name: str, *, exit_code: int | None = None, cluster: Cluster | None = None) -> Diagnosis:
    cause = Cause(service="t", slot=Slot.GREEN, reason="x", pod=name, container="t", exit_code=exit_code)
    with talk.api(cluster) as api:
        return diagnose(cause, api=api, namespace=talk.namespace, until=soon())


def run_shown(talk: Talkers, command: str) -> str:
    """The command as a person copies it."""
    done = talk.testbed.run(["sh", "-c", command])
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout


def test_a_crash_shows_its_last_lines_and_the_command_that_shows_all(talk: Talkers) -> None:
    found = diagnosed(talk, "crashing", exit_code=3)
    assert found.log[:3] == ("started red", "token: ***", "cannot read the settings")
    assert found.event.startswith(("BackOff: ", "Unhealthy: "))  # its probe may have failed once before it ended
    assert found.where == f"kubectl logs -n {talk.namespace} crashing -c t --previous"
    assert CANARY in run_shown(talk, found.where)


def test_one_that_ended_for_good_has_no_earlier_life(talk: Talkers) -> None:
    found = diagnosed(talk, "ended", exit_code=3)
    assert "cannot read the settings" in found.log
    assert "cannot read the settings" in run_shown(talk, found.where)
    assert "--previous" not in shlex.split(found.where)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("imageless", "is waiting to start"),
        ("misconfigured", "is waiting to start: CreateContainerConfigError"),
        ("nobody", 'pods "nobody" not found'),
    ],
)
def test_one_that_never_ran_has_no_log_and_says_why(name: str, why: str, talk: Talkers) -> None:
    found = diagnosed(talk, name)
    assert found.log[0].startswith("(no log: ")
    assert why in found.log[0]
    assert found.where == f"kubectl describe -n {talk.namespace} pod/{name}"
    if name != "nobody":
        assert found.event
        assert name in run_shown(talk, found.where)


def test_one_that_has_no_place_is_explained_by_its_event(talk: Talkers) -> None:
    found = diagnosed(talk, "unplaced")
    assert found.log == ()
    assert found.event.startswith("FailedScheduling: ")


def test_one_that_runs_shows_what_it_says_now_and_no_secret(talk: Talkers) -> None:
    found = diagnosed(talk, "unready")
    assert found.log[0] == "started red"
    assert found.event.startswith("Unhealthy: Readiness probe failed")
    assert diagnosed(talk, "good").log[:2] == ("started red", "password=***")


def test_who_may_not_read_logs_is_told(talk: Talkers) -> None:
    found = diagnosed(talk, "crashing", exit_code=3, cluster=talk.poor)
    assert [line.partition(":")[0] for line in (*found.log, found.event)] == [
        "(its log cannot be read",
        "(its events cannot be read",
    ]
    assert "may not get pods/log" in found.log[0]
    assert "may not list events" in found.event


def test_tails(talk: Talkers) -> None:
    with talk.api() as api:
        found = tails(
            api, stack=STACK, namespace=talk.namespace, services=STACK.names, slot=None, lines=2, until=soon()
        )
    logs = {tail.where: tail.lines for tail in found}
    assert list(logs) == [f"kubectl logs -n {talk.namespace} {name} -c t" for name in ("unready", "good", "deaf")]
    assert logs[f"kubectl logs -n {talk.namespace} good -c t"] == ("started red", "password=***")


def test_no_time_is_said_and_nothing_raised(talk: Talkers) -> None:
    cause = Cause(service="t", slot=Slot.GREEN, reason="x", pod="good", container="t")
    with talk.api() as api:
        found = diagnose(cause, api=api, namespace=talk.namespace, until=soon(-1.0))
        with pytest.raises(DeadlineExceeded):
            api.get(PODS.one(talk.namespace, "good"), until=soon(-1.0))
    assert "no answer within the limit" in found.log[0]
