"""What a gateway counts: every request once, and each kind of it where it belongs."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest
from tests.examples.kit import begun_stream

if TYPE_CHECKING:
    from tests.examples.kit import Launcher

pytestmark = pytest.mark.slow

ALL_AT_ZERO = dict.fromkeys(("200", "400", "404", "405", "413", "499", "500", "502", "503", "504"), 0.0)


def test_every_status_exists_before_its_first_request(launch: Launcher) -> None:
    stack = launch.stack()
    assert stack.gateway.by_status() == ALL_AT_ZERO
    assert stack.backend.by_status("alfred_backend_requests_total") == ALL_AT_ZERO


def test_requests_are_counted_by_method_and_unusual_ones_together(launch: Launcher) -> None:
    gateway = launch.gateway(launch.service("backend"))
    for method in ("GET", "POST", "POST", "DELETE", "PATCH"):
        gateway.ask("/api/work", method=method)
    counts = {
        (labels["method"], labels["status"]): value
        for (name, pairs), value in gateway.counts().items()
        if name == "alfred_gateway_requests_total" and value and (labels := dict(pairs))
    }
    assert counts == {("GET", "200"): 1, ("POST", "200"): 2, ("other", "405"): 2}


def test_requests_are_counted_exactly_and_probes_apart(launch: Launcher) -> None:
    gateway = launch.gateway(launch.service("backend"))
    asked = ["/api/work"] * 7 + ["/api/slow?seconds=x"] * 2 + ["/nothing"] + ["/api/stream?chunks=2&interval=0"] * 3
    for path in ["/ready"] * 2 + asked + ["/healthz"] * 4:
        gateway.ask(path)
    for _ in range(5):
        gateway.ask("/api/work", method="POST", body=b"{}")
    counts = gateway.counts()
    assert gateway.by_status() == {**ALL_AT_ZERO, "200": 15, "400": 2, "404": 1}
    probes = {
        labels: value for (name, labels), value in counts.items() if name == "alfred_gateway_probe_requests_total"
    }
    assert probes == {
        (("path", "/healthz"), ("status", "200")): 4,
        (("path", "/ready"), ("status", "200")): 2,
    }
    assert counts["alfred_gateway_request_duration_ms_count", ()] == 18
    assert counts["alfred_gateway_overhead_ms_count", ()] == 18 - 3, "streams are left out"
    assert counts["alfred_gateway_upstream_duration_ms_count", ()] == 18 - 3 - 1, (
        "the backend was not asked for /nothing"
    )
    assert counts["alfred_gateway_requests_in_flight", ()] == 0


def test_scrapes_are_probes_too(launch: Launcher) -> None:
    backend = launch.service("backend")
    for _ in range(3):
        backend.counts()
    assert backend.count("alfred_backend_probe_requests_total", path="/metrics", status="200") == 3


def test_overhead_is_what_the_gateway_adds(launch: Launcher) -> None:
    gateway = launch.gateway(launch.service("backend"))
    gateway.ask("/api/slow?seconds=0.4")
    counts = gateway.counts()
    total = counts["alfred_gateway_request_duration_ms_sum", ()]
    upstream = counts["alfred_gateway_upstream_duration_ms_sum", ()]
    overhead = counts["alfred_gateway_overhead_ms_sum", ()]
    assert 400 <= upstream <= total
    assert overhead == pytest.approx(total - upstream)


def test_a_limit_of_150_ms_can_be_read_off(launch: Launcher) -> None:
    gateway = launch.service("gateway", BACKEND_URL="http://127.0.0.1:1")
    limits = {dict(labels)["le"] for name, labels in gateway.counts() if name == "alfred_gateway_overhead_ms_bucket"}
    assert {"5.0", "10.0", "25.0", "50.0", "100.0", "150.0", "250.0", "500.0", "1000.0", "2500.0"} <= limits
    assert {"5000.0", "10000.0", "+Inf"} <= limits


def test_a_client_that_leaves_while_it_sends_counts_once(launch: Launcher) -> None:
    gateway = launch.gateway(launch.service("backend"))
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=5) as raw:
        raw.sendall(b"POST /api/work HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        gateway.wait_for_requests(1)
    gateway.wait_for_requests(0)
    assert gateway.by_status() == {**ALL_AT_ZERO, "499": 1}


def test_a_stream_that_breaks_is_cut_off_and_counts_as_502(launch: Launcher) -> None:
    stack = launch.stack()
    with begun_stream(stack.gateway.port, "/api/stream?chunks=3&interval=9") as rest:
        stack.backend.stop()
        assert b"\r\n0\r\n" not in b"\r\n" + rest.read(), "a clean end would hide the break"
    assert stack.gateway.by_status() == {**ALL_AT_ZERO, "502": 1}
