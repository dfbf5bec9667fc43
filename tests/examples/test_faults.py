"""Each bad version behaves exactly as configured, as a real process, and its probes say what they should."""

from __future__ import annotations

from typing import TYPE_CHECKING

import psutil
import pytest
from tests.examples.kit import Client, eventually

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from tests.examples.kit import Launcher, Running

pytestmark = pytest.mark.slow

MB = 1024 * 1024


def statuses(service: Running, methods: list[str]) -> list[int]:
    with Client(service.port) as client:
        return [client.ask("/api/work", method=method).status for method in methods]


def failed(found: list[int]) -> list[int]:
    """The numbers of the requests that failed."""
    assert set(found) <= {200, 500}
    return [number for number, status in enumerate(found, start=1) if status == 500]


def probes(service: Running) -> list[int]:
    return [service.ask(path).status for path in ("/healthz", "/ready", "/metrics")]


def test_cannot_start_says_why_last_and_exits_3(launch: Launcher) -> None:
    gateway = launch.service("gateway", BACKEND_URL="http://127.0.0.1:1", ALFRED_FAULT="cannot-start")
    assert gateway.exit_status() == 3
    assert gateway.log.splitlines()[-1] == "alfred: cannot start: database schema is newer than this version"


def test_crash_after_serves_until_then_and_exits_7(launch: Launcher) -> None:
    backend = launch.service("backend", ALFRED_FAULT="crash-after=2")
    assert backend.ask("/health").status == 200
    assert backend.exit_status() == 7
    assert backend.log.splitlines()[-1] == "alfred: crashed after 2 s of life, as ALFRED_FAULT wants"


def test_never_ready_lives(launch: Launcher) -> None:
    gateway = launch.gateway(launch.service("backend"), ALFRED_FAULT="never-ready")
    assert probes(gateway) == [200, 503, 200]
    assert gateway.ask("/api/work").status == 200


def test_a_backend_that_is_never_ready_keeps_its_gateway_from_being_ready(launch: Launcher) -> None:
    backend = launch.service("backend", ALFRED_FAULT="never-ready")
    assert backend.ask("/health").status == 503
    assert launch.gateway(backend).ask("/ready").status == 503


@pytest.mark.parametrize(("percent", "numbers"), [(5, [20, 40, 60, 80, 100]), (1, [100]), (100, [*range(1, 101)])])
def test_errors_are_an_exact_share_spread_evenly(launch: Launcher, percent: int, numbers: list[int]) -> None:
    gateway = launch.stack(ALFRED_FAULT=f"errors={percent}").gateway
    assert failed(statuses(gateway, ["GET", "POST"] * 50)) == numbers
    assert gateway.by_status()["500"] == percent
    assert probes(gateway) == [200, 200, 200], "a version that fails its users can look healthy"


def test_post_errors_leave_get_alone(launch: Launcher) -> None:
    gateway = launch.stack(ALFRED_FAULT="post-errors=50").gateway
    assert failed(statuses(gateway, ["GET"] * 20)) == []
    assert failed(statuses(gateway, ["POST"] * 100)) == [*range(2, 101, 2)]


def test_errors_also_strike_streams_and_slow_requests(launch: Launcher) -> None:
    gateway = launch.stack(ALFRED_FAULT="errors=100").gateway
    assert gateway.ask("/api/stream").status == 500
    assert gateway.ask("/api/slow?seconds=9").status == 500
    assert gateway.ask("/").status == 200


def test_slow_is_the_gateways_own_overhead(launch: Launcher) -> None:
    gateway = launch.stack(ALFRED_FAULT="slow=1000").gateway
    assert gateway.ask("/api/work").seconds >= 1
    assert gateway.count("alfred_gateway_overhead_ms_sum") >= 1000
    assert gateway.count("alfred_gateway_upstream_duration_ms_sum") < 1000
    assert gateway.ask("/healthz").seconds < 1, "probes see nothing of it"


@pytest.mark.parametrize(("fault", "slow"), [("tail=2000@20", [5, 10]), ("tail=2000", [10])])
def test_tail_is_slow_only_there(launch: Launcher, fault: str, slow: list[int]) -> None:
    gateway = launch.stack(ALFRED_FAULT=fault).gateway
    with Client(gateway.port) as client:
        took = [client.ask("/api/work").seconds for _ in range(10)]
    assert [number for number, seconds in enumerate(took, start=1) if seconds >= 2] == slow


def test_an_error_page_counts_as_200(launch: Launcher) -> None:
    gateway = launch.stack(ALFRED_FAULT="error-page").gateway
    answer = gateway.ask("/api/work", method="POST", body=b"{}")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "Something went wrong" in answer.body
    assert gateway.by_status()["200"] == 1


def test_errors_for_kept_alive_clients_only(launch: Launcher) -> None:
    gateway = launch.stack(ALFRED_FAULT="kept-alive-errors=50").gateway
    assert [gateway.ask("/api/work").status for _ in range(4)] == [200] * 4, "a connection each"
    assert failed(statuses(gateway, ["GET"] * 9)) == [3, 5, 7, 9]


def test_an_error_page_may_come_with_the_users(launch: Launcher) -> None:
    gateway = launch.stack(ALFRED_FAULT="error-page-after=2").gateway
    bodies = [gateway.ask("/api/work").body for _ in range(4)]
    assert ["Something went wrong" in body for body in bodies] == [False, False, True, True]


def test_metrics_may_vanish_once_users_come(launch: Launcher) -> None:
    gateway = launch.stack(ALFRED_FAULT="metrics-gone=2").gateway
    found = []
    for _ in range(3):
        gateway.ask("/api/work")
        found.append(gateway.ask("/metrics").status)
    assert found == [200, 200, 404]


def test_counters_may_begin_again(launch: Launcher) -> None:
    gateway = launch.stack(ALFRED_FAULT="counters-reset=5").gateway
    statuses(gateway, ["GET"] * 7)
    assert gateway.by_status()["200"] == 3, "the fifth, which came after the reset, and two more"


def test_memory_grows_by_request_and_is_really_taken(launch: Launcher) -> None:
    gateway = launch.stack(ALFRED_FAULT="memory=20").gateway
    process = psutil.Process(gateway.process.pid)
    before = process.memory_info().rss
    statuses(gateway, ["GET"] * 5)
    assert 100 * MB <= process.memory_info().rss - before < 150 * MB


def test_faults_add_up(launch: Launcher) -> None:
    gateway = launch.stack(ALFRED_FAULT="errors=50, tail=2000@50").gateway
    with Client(gateway.port) as client:
        answers = [client.ask("/api/work") for _ in range(4)]
    assert [(answer.status, answer.seconds >= 2) for answer in answers] == [(200, False), (500, True)] * 2


def test_a_fault_of_the_backend_is_told_with_the_backends_name(launch: Launcher) -> None:
    backend = launch.service("backend", VERSION="v2", ALFRED_FAULT="errors=50")
    gateway = launch.gateway(backend)
    answers = [gateway.ask("/api/work") for _ in range(4)]
    assert [answer.status for answer in answers] == [200, 500, 200, 500]
    assert {answer.headers["x-backend-version"] for answer in answers} == {"v2"}


def test_an_error_page_of_the_backend_is_no_answer_for_a_gateway(launch: Launcher) -> None:
    gateway = launch.gateway(launch.service("backend", ALFRED_FAULT="error-page"))
    answer = gateway.ask("/api/work")
    assert answer.status == 502
    assert "no JSON object" in answer.body


def test_an_unknown_fault_is_refused_in_one_line(launch: Launcher) -> None:
    backend = launch.service("backend", ALFRED_FAULT="errors=5,eror-page")
    assert backend.exit_status() == 2
    (line,) = backend.log.splitlines()
    assert line.startswith("alfred: ALFRED_FAULT: there is no fault 'eror-page'; known are cannot-start,")


def test_a_backend_that_dies_in_use_shows_as_502_at_the_gateway(
    launch: Launcher, background: ThreadPoolExecutor
) -> None:
    stack = launch.stack()
    under_way = background.submit(stack.gateway.ask, "/api/slow?seconds=9")
    eventually(lambda: stack.backend.count("alfred_backend_requests_in_flight") == 1, "the backend is at work")
    stack.backend.stop()
    answer = under_way.result(10)
    assert answer.status == 502
    assert "the connection ended" in answer.body
