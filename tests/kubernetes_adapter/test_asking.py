"""Asking pods and Services through a scripted API server: each fault is told for what it is, in virtual time."""

from __future__ import annotations

import json
import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from tests.kubernetes_adapter.asking_kit import (
    NAMES,
    PODS,
    SERVICES,
    SHOP,
    STACK,
    asking,
    check,
    entered,
    kube_service,
    no_right,
    pod,
    refused,
    says,
)
from tests.kubernetes_transport.kit import RecordingClock, cluster_at
from tests.kubernetes_transport.server import (
    Conversation,
    Step,
    hang_up,
    head,
    page,
    raw,
    reply,
    reset,
    silence,
    silence_while,
    status_body,
)

from bluegreen.domain.errors import DeadlineExceeded, Interrupted, PlatformError
from bluegreen.domain.reading import Gap
from bluegreen.domain.snapshot import Snapshot, Workload
from bluegreen.domain.stack import Instant, Slot
from bluegreen.metrics.scrape import ScrapeMetrics
from bluegreen.platforms.kubernetes import objects
from bluegreen.platforms.kubernetes.asking import Asking
from bluegreen.platforms.kubernetes.fanout import AT_ONCE
from bluegreen.platforms.kubernetes.transport import LARGEST_TEXT
from bluegreen.ports import CheckResult, Through

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.domain.reading import Reading

LIMIT = Instant(30.0)
A, B = f"{PODS}a:8000/proxy/health", f"{PODS}b:8000/proxy/health"


def outcome(results: Sequence[CheckResult]) -> list[tuple[bool | None, str]]:
    return [(result.passed, result.detail) for result in results]


# --- whom ---------------------------------------------------------------------------------------------------------


def test_each_pod_of_the_slot_that_stays_is_asked_in_order(clock: RecordingClock) -> None:
    pods = [pod("b"), pod("a"), pod("old", terminating=True), pod("other", slot=Slot.BLUE)]
    with asking(clock, {A: says(200), B: says(404)}) as (server, one):
        results = one.check([check()], pods=pods, services=SHOP, until=LIMIT)
    assert outcome(results) == [(False, "b: answered 404, not 200: 'fine'"), (True, "a: answered 200")]
    assert {result.answered_by for result in results} == {Slot.GREEN}
    assert {heard.path for heard in server.heard} == {A, B}


def test_checks_are_answered_in_the_order_asked(clock: RecordingClock) -> None:
    preview = f"{SERVICES}web-green:80/proxy/health"
    checks = [check(Through.PREVIEW, name="first"), check(Through.ENTRY, name="second"), check(name="third")]
    with asking(clock, {A: says(200), preview: says(200)}) as (_, one):
        results = one.check(checks, pods=[pod("a")], services=SHOP, until=LIMIT)
        assert one.check([], pods=[], services=SHOP, until=LIMIT) == ()
    assert [result.check for result in results] == checks
    assert outcome(results) == [
        (True, "web-green: answered 200"),
        (None, "web for users: not reachable: the address that users call cannot be reached from here"),
        (True, "a: answered 200"),
    ]


def test_users_address_is_never_asked_for_through_the_api_server(clock: RecordingClock) -> None:
    with asking(clock, {}) as (server, one):
        one.check([check(Through.ENTRY)], pods=[pod("a")], services=SHOP, until=LIMIT)
    assert server.heard == []


def test_a_slot_without_pods_and_one_without_its_service(clock: RecordingClock) -> None:
    with asking(clock, {}) as (_, one):
        results = one.check([check(), check(Through.PREVIEW)], pods=[], services=(), until=LIMIT)
    assert outcome(results) == [
        (None, "web in green: not reachable: it has no pod"),
        (None, "web-green: not reachable: there is no Service web-green"),
    ]
    assert [result.answered_by for result in results] == [None, None]
    assert [result.absent for result in results] == [False, True]


def test_ports(clock: RecordingClock) -> None:
    """A pod's is in its address, else as the app file has it; a Service's as the app file has it, else its first."""
    paths = [f"{PODS}a:80/proxy/health", f"{SERVICES}web-green:9000/proxy/health"]
    with asking(clock, dict.fromkeys(paths, says(200))) as (_, one):
        results = one.check(
            [check(), check(Through.PREVIEW)],
            pods=[pod("a", address="")],
            services=[kube_service("web-green", port=9000)],
            until=LIMIT,
        )
    assert [result.passed for result in results] == [True, True]


@pytest.mark.parametrize(
    "mine",
    [{"name": "http", "port": 8000}, {"name": "app", "port": 8000, "targetPort": "web"}],
    ids=["of the same name", "of the same target"],
)
def test_of_several_ports_of_a_slots_own_service_the_one_that_users_call_is_asked(
    mine: dict[str, object], clock: RecordingClock
) -> None:
    def offering(name: str, *ports: dict[str, object]) -> objects.Service:
        return objects.service_of({"metadata": {"name": name}, "spec": {"clusterIP": "10.96.0.1", "ports": [*ports]}})

    users = offering("web", {"name": "http", "port": 80, "targetPort": "web"})
    own = offering("web-green", {"name": "metrics", "port": 9090, "targetPort": "metrics"}, mine)
    answers = {f"{SERVICES}web-green:{port}/proxy/health": says(200 if port == 8000 else 404) for port in (8000, 9090)}
    with asking(clock, answers) as (_, one):
        (result,) = one.check([check(Through.PREVIEW)], pods=[], services=[users, own], until=LIMIT)
    assert result.detail == "web-green: answered 200"


@pytest.mark.parametrize(("said", "by"), [("blue", Slot.BLUE), ("green", Slot.GREEN), ("red", Slot.GREEN)])
def test_the_slot_that_answered_is_the_apps_word_else_the_one_asked(said: str, by: Slot, clock: RecordingClock) -> None:
    with asking(clock, {A: says(200, X_Slot=said)}) as (_, one):
        (result,) = one.check([check()], pods=[pod("a")], services=SHOP, until=LIMIT)
    assert result.answered_by is by


# --- faults -------------------------------------------------------------------------------------------------------

LOOKALIKE = status_body(503, "ServiceUnavailable", "not ours")
BROKEN = "get pods/proxy a:8000 in shop: "

FAULTS: dict[str, tuple[Step, bool | None, str]] = {
    "the pod's own 500": (says(500), False, "answered 500, not 200: 'fine'"),
    "the pod's own 403": (says(403), False, "answered 403, not 200: 'fine'"),
    "the pod's own 503": (says(503, "no endpoints"), False, "answered 503, not 200: 'no endpoints'"),
    "a redirect": (says(302, Location="/elsewhere"), False, "answered 302, not 200: 'fine'"),
    "a Status that is the pod's, as text": (
        page(503, str(LOOKALIKE), kind="text/plain", Audit_Id="1"),
        False,
        f"answered 503, not 200: {str(LOOKALIKE)[:79] + '…'!r}",
    ),
    "a Status that is the pod's, of another code": (
        reply(LOOKALIKE, status=500, Audit_Id="1"),
        False,
        f"answered 500, not 200: {json.dumps(LOOKALIKE)[:79] + '…'!r}",
    ),
    "a Status in a good answer": (reply(LOOKALIKE, status=200, Audit_Id="1"), True, "answered 200"),
    "refused behind the API server": (
        refused(503, "ServiceUnavailable", "error trying to reach service: connect: connection refused"),
        None,
        f"not reachable: {BROKEN}error trying to reach service: connect: connection refused (503)",
    ),
    "not placed": (
        refused(400, "BadRequest", "address not allowed"),
        None,
        f"not reachable: {BROKEN}address not allowed (400)",
    ),
    "gone": (refused(404, "NotFound", 'pods "a" not found'), None, f'not reachable: {BROKEN}pods "a" not found (404)'),
    "cut off": (
        raw(head(200, [("Content-Length", "9"), ("Audit-Id", "1")]) + b"half"),
        None,
        f"not reachable: {BROKEN}the answer was cut off",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_told_for_what_it_is(fault: str, clock: RecordingClock) -> None:
    answer, passed, detail = FAULTS[fault]
    with asking(clock, {A: answer}) as (server, one):
        (result,) = one.check([check()], pods=[pod("a")], services=SHOP, until=LIMIT)
    assert (result.passed, result.detail) == (passed, f"a: {detail}")
    assert result.missing_right == ""
    assert len(server.heard) == 1, "an answer is not asked for again"
    assert clock.waits == []


@pytest.mark.parametrize("code", [502, 504])
def test_what_a_gateway_before_the_api_server_says_is_not_the_pods(code: int, clock: RecordingClock) -> None:
    with asking(clock, {A: page(code, "<h1>Bad Gateway</h1>")}) as (server, one):
        (result,) = one.check([check()], pods=[pod("a")], services=SHOP, until=LIMIT)
    port = server.port
    said = f"{BROKEN}http://127.0.0.1:{port} answered {code}, and not as the Kubernetes API does"
    assert (result.passed, result.detail) == (None, f"a: not reachable: {said}")


def test_a_pod_that_hangs_takes_its_checks_time_and_no_more(clock: RecordingClock) -> None:
    hangs = silence_while(lambda: clock.skip(0.5))
    with asking(clock, {A: hangs, B: says(200)}) as (_, one):
        results = one.check([check()], pods=[pod("a"), pod("b")], services=SHOP, until=LIMIT)
        took = clock.now()
    assert outcome(results) == [(None, "a: not reachable: no answer within 5 s"), (True, "b: answered 200")]
    assert 5.0 <= took < LIMIT


def test_the_whole_ends_at_its_limit(clock: RecordingClock) -> None:
    hangs = silence_while(lambda: clock.skip(0.5))
    with asking(clock, {A: hangs}) as (_, one):
        (result,) = one.check([check()], pods=[pod("a")], services=SHOP, until=Instant(2.0))
        assert clock.now() >= 2.0
        with pytest.raises(DeadlineExceeded):
            one.check([check()], pods=[pod("a")], services=SHOP, until=Instant(2.0))
    assert result.passed is None


@pytest.mark.parametrize("fault", [reset, hang_up])
def test_an_api_server_that_breaks_off_is_asked_again_and_no_pod_is_to_blame(
    fault: Step, clock: RecordingClock
) -> None:
    with asking(clock, {A: fault}) as (server, one):
        (result,) = one.check([check()], pods=[pod("a")], services=SHOP, until=LIMIT)
    assert result.passed is None
    assert result.detail.startswith(f"a: not reachable: {BROKEN}")
    assert len(server.heard) == 2


def test_more_pods_than_threads_are_all_asked(clock: RecordingClock) -> None:
    pods = [pod(f"p{number}") for number in range(3 * AT_ONCE)]
    answers = {f"{PODS}{each.name}:8000/proxy/health": says(200) for each in pods}
    with asking(clock, answers) as (server, one):
        results = one.check([check()], pods=pods, services=SHOP, until=LIMIT)
    assert outcome(results) == [(True, f"{each.name}: answered 200") for each in pods]
    assert len({heard.connection for heard in server.heard}) <= AT_ONCE


def test_an_interrupt_ends_the_wait(clock: RecordingClock) -> None:
    def interrupted(conversation: Conversation) -> None:
        clock.interrupt()
        silence(conversation)

    with (
        asking(clock, {A: interrupted}, workers=RecordingClock()) as (_, one),
        pytest.raises(Interrupted),
    ):
        one.check([check()], pods=[pod("a")], services=SHOP, until=LIMIT)


# --- rights -------------------------------------------------------------------------------------------------------


def test_a_missing_right_is_said_once_a_check_and_named(clock: RecordingClock) -> None:
    preview = f"{SERVICES}web-green:80/proxy/health"
    answers = {A: no_right("pods/proxy"), B: no_right("pods/proxy"), preview: no_right("services/proxy")}
    checks = [check(), check(Through.PREVIEW)]
    with asking(clock, answers) as (_, one):
        results = one.check(checks, pods=[pod("a"), pod("b")], services=SHOP, until=LIMIT)
    assert outcome(results) == [
        (None, "not reachable: the account may not get pods/proxy in namespace shop (403)"),
        (None, "not reachable: the account may not get services/proxy in namespace shop (403)"),
    ]
    assert [result.missing_right for result in results] == ["get pods/proxy", "get services/proxy"]
    assert [result.check for result in results] == checks


# --- straight -----------------------------------------------------------------------------------------------------


def test_straight_to_addresses(clock: RecordingClock) -> None:
    """Here the server is the pod and the Services."""
    with asking(clock, {"/health": page(200, "", X_Slot="blue")}, direct=True) as (server, one):
        services = [kube_service(name, address="127.0.0.1", port=server.port) for name in ("web", "web-green")]
        ways = [check(Through.PODS), check(Through.PREVIEW), check(Through.ENTRY)]
        pods = [pod("a", address=f"127.0.0.1:{server.port}"), pod("b", address="")]
        results = one.check(ways, pods=pods, services=services, until=LIMIT)
    assert outcome(results) == [
        (True, "a: answered 200"),
        (None, "b: not reachable: it has no address yet"),
        (True, "web-green: answered 200"),
        (True, "web for users: answered 200"),
    ]
    assert [result.answered_by for result in results] == [Slot.BLUE, None, Slot.BLUE, Slot.BLUE]


def late(*steps: Step) -> Step:
    """One after the other."""
    left = iter(steps)
    return lambda conversation: next(left)(conversation)


def test_straight_to_a_service_whose_pods_its_node_does_not_know_yet(clock: RecordingClock) -> None:
    """Ready is not reachable: each node learns it by itself, up to a second later."""
    answers = late(reset, hang_up, page(200, ""))
    with asking(clock, {"/health": answers}, direct=True) as (server, one):
        services = [kube_service("web-green", address="127.0.0.1", port=server.port)]
        results = one.check([check(Through.PREVIEW)], pods=[], services=services, until=LIMIT)
    assert outcome(results) == [(True, "web-green: answered 200")]
    assert clock.waits == [0.1, 0.1]


def test_straight_to_a_service_without_pods_could_not_be_asked_for_two_seconds(clock: RecordingClock) -> None:
    with asking(clock, {"/health": reset}, direct=True) as (server, one):
        services = [kube_service("web-green", address="127.0.0.1", port=server.port)]
        (result,) = one.check([check(Through.PREVIEW)], pods=[], services=services, until=LIMIT)
    assert result.passed is None
    assert sum(clock.waits) == pytest.approx(2.0)


def test_of_users_address_only_the_app_can_tell_who_answered(clock: RecordingClock) -> None:
    with asking(clock, {"/health": page(200, "")}, direct=True) as (server, one):
        services = [kube_service("web", address="127.0.0.1", port=server.port)]
        (result,) = one.check([check(Through.ENTRY)], pods=[], services=services, until=LIMIT)
    assert (result.passed, result.answered_by) == (True, None)


@pytest.mark.parametrize("prefix", ["", "/shop", "/shop/"])
def test_users_address_of_the_app_file_is_asked_from_anywhere(prefix: str, clock: RecordingClock) -> None:
    path = f"{prefix.rstrip('/')}/health"
    with asking(clock, {path: page(200, "", X_Slot="green")}) as (server, _):
        stack = entered(f"http://127.0.0.1:{server.port}{prefix}")
        with closing(Asking(cluster_at(server.port), namespace="shop", stack=stack, clock=clock, workers=clock)) as one:
            (result,) = one.check([check(Through.ENTRY)], pods=[], services=SHOP, until=LIMIT)
    assert (result.passed, result.answered_by) == (True, Slot.GREEN)


@pytest.mark.parametrize("entry", ["http://", "http://127.0.0.1:none", "https://127.0.0.1:1"])
def test_users_address_that_cannot_be_asked_proves_nothing(entry: str, clock: RecordingClock) -> None:
    with closing(Asking(cluster_at(1), namespace="shop", stack=entered(entry), clock=clock, workers=clock)) as one:
        (result,) = one.check([check(Through.ENTRY)], pods=[], services=SHOP, until=LIMIT)
    assert (result.passed, result.answered_by) == (None, None)


@pytest.mark.parametrize("address", ["", "None"])
def test_straight_to_a_service_without_an_address(address: str, clock: RecordingClock) -> None:
    with asking(clock, {}, direct=True) as (_, one):
        services = [kube_service(name, address=address) for name in ("web", "web-green")]
        results = one.check([check(Through.PREVIEW), check(Through.ENTRY)], pods=[], services=services, until=LIMIT)
    assert [result.passed for result in results] == [None, None]


@pytest.mark.parametrize(
    "fault", [reset, hang_up, raw(b"SSH-2.0\r\n\r\n"), raw(head(200, [("Content-Length", "9")]) + b"half")]
)
def test_straight_a_pod_that_breaks_off_could_not_be_asked(fault: Step, clock: RecordingClock) -> None:
    with asking(clock, {"/health": fault}, direct=True) as (server, one):
        pods = [pod("a", address=f"127.0.0.1:{server.port}")]
        (result,) = one.check([check()], pods=pods, services=(), until=LIMIT)
    assert result.passed is None
    assert result.detail.startswith("a: not reachable: ")


# --- metrics ------------------------------------------------------------------------------------------------------

PAGE = 'hits_total{status="200"} 3\ntook_ms_bucket{le="+Inf"} 3\n'
A_PAGE, B_PAGE = f"{PODS}a:8000/proxy{NAMES.path}", f"{PODS}b:8000/proxy{NAMES.path}"


def read(one: Asking, clock: RecordingClock, *pods: str) -> Reading:
    work = Workload(
        service="web", slot=Slot.GREEN, image=None, replicas=2, pods=tuple(pod(name, address="") for name in pods)
    )
    snapshot = Snapshot(at=clock.now(), routes=(), workloads=(work,))
    metrics = ScrapeMetrics(STACK, clock=clock, page=lambda each, *rest: one.page(pod(each.name), *rest))
    return metrics.read(snapshot, until=LIMIT)


def test_pages_come_over_kept_connections(clock: RecordingClock) -> None:
    with asking(clock, {A_PAGE: says(200, PAGE), B_PAGE: says(200, PAGE)}) as (server, one):
        readings = [read(one, clock, "a", "b") for _ in range(10)]
    assert all([each.pod for each in reading.pods] == ["a", "b"] for reading in readings)
    assert all(reading.gaps == () for reading in readings)
    assert len(server.heard) == 20
    assert len({heard.connection for heard in server.heard}) <= 2


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (no_right("pods/proxy"), "the account may not get pods/proxy in namespace shop (403)"),
        (says(500), "GET /m answered 500"),
        (refused(503, "ServiceUnavailable", "x"), "get pods/proxy a:8000 in shop: x (503)"),
    ],
    ids=["right", "500", "503"],
)
def test_a_page_that_does_not_come_is_a_gap_with_its_reason(answer: Step, why: str, clock: RecordingClock) -> None:
    with asking(clock, {A_PAGE: answer, B_PAGE: says(200, PAGE)}) as (_, one):
        reading = read(one, clock, "a", "b")
    assert reading.gaps == (Gap(pod="a", slot=Slot.GREEN, why=why),)
    assert [each.pod for each in reading.pods] == ["b"]


def test_a_page_that_is_late_is_a_gap(clock: RecordingClock) -> None:
    with asking(clock, {A_PAGE: silence_while(lambda: clock.skip(1))}) as (_, one):
        with pytest.raises(PlatformError, match="no answer within 5 s"):
            one.page(pod("a"), NAMES.path, 5.0)
        reading = read(one, clock, "a")
    assert [gap.pod for gap in reading.gaps] == ["a"]


def test_a_page_without_end_is_no_page(clock: RecordingClock) -> None:
    with (
        asking(clock, {A_PAGE: says(200, "x" * LARGEST_TEXT)}) as (_, one),
        pytest.raises(PlatformError, match="8 MiB"),
    ):
        one.page(pod("a"), NAMES.path, 5.0)


# --- the end ------------------------------------------------------------------------------------------------------


def test_closing_ends_what_is_under_way(clock: RecordingClock) -> None:
    asked = threading.Event()
    told: list[BaseException] = []

    def hangs(conversation: Conversation) -> None:
        asked.set()
        silence(conversation)

    def fetch(one: Asking) -> None:
        try:
            one.page(pod("a"), NAMES.path, 5.0)
        except PlatformError as error:
            told.append(error)

    with asking(clock, {A_PAGE: hangs}) as (_, one):
        thread = threading.Thread(target=fetch, args=(one,))
        thread.start()
        assert asked.wait(10), "the page was never asked for"
        one.close()
        thread.join(10)
    assert not thread.is_alive()
    assert [type(error) for error in told] == [PlatformError]
