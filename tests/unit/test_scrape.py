"""Scraping pods that are small real servers: good, bad, slow and absent ones, all at once under one deadline."""

from __future__ import annotations

import contextlib
import http.server
import threading
from typing import TYPE_CHECKING

import pytest

from bluegreen.clock import SystemClock
from bluegreen.domain.errors import DeadlineExceeded, Interrupted, PlatformError
from bluegreen.domain.reading import Arrivals, Gap, PodCounters, Reading
from bluegreen.domain.snapshot import Pod, Snapshot, Workload
from bluegreen.domain.stack import Instant, MetricNames, Probe, Probes, Service, Slot, Stack, after
from bluegreen.metrics.merged import DATA_PLANE, WithArrivals
from bluegreen.metrics.scrape import ScrapeMetrics
from bluegreen.ports import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

CLOCK = SystemClock()
PROBES = Probes(startup=Probe(path="/"), readiness=Probe(path="/"), liveness=Probe(path="/"))
NAMES = MetricNames(path="/m", requests="hits_total", duration="took_ms")
STACK = Stack(
    name="shop",
    services=(
        Service(name="plain", image="plain", port=1, probes=PROBES),
        Service(name="web", image="web", port=2, probes=PROBES, metrics=NAMES),
    ),
)
TIMES = b'took_ms_bucket{le="+Inf"} 3\n'
COUNTS = b'hits_total{status="200"} 3\n'


class Page(http.server.BaseHTTPRequestHandler):
    """Answers every path but the metrics one with 404."""

    server: Pages

    def do_GET(self) -> None:
        """The page, when the server lets it go."""
        self.server.let_go.wait(60)
        status = self.server.status if self.path == NAMES.path else 404
        self.send_response(status)
        if self.server.announced:
            self.send_header("Content-Length", str(self.server.announced))
        self.end_headers()
        self.wfile.write(self.server.page)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


class Pages(http.server.ThreadingHTTPServer):
    """One pod."""

    def __init__(self, page: bytes, *, status: int = 200, hangs: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.page = page
        self.status = status
        self.announced = 0
        self.let_go = threading.Event()
        if not hangs:
            self.let_go.set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that gave up is no news."""


@contextlib.contextmanager
def serving(page: bytes, *, status: int = 200, hangs: bool = False) -> Iterator[Pages]:
    with Pages(page, status=status, hangs=hangs) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.let_go.set()
            server.shutdown()
            thread.join()


def pod(name: str, address: str, *, service: str = "web", ready: bool = True) -> Pod:
    return Pod(name=name, service=service, slot=Slot.GREEN, revision="r", ready=ready, address=address)


def read(*pods: Pod, limit: float = 5.0) -> Reading:
    works = tuple(
        Workload(
            service=service,
            slot=Slot.GREEN,
            image=None,
            replicas=1,
            pods=tuple(each for each in pods if each.service == service),
        )
        for service in STACK.names
    )
    now = CLOCK.now()
    snapshot = Snapshot(at=now, routes=(), workloads=works)
    return ScrapeMetrics(STACK, clock=CLOCK).read(snapshot, until=after(now, limit))


def test_every_pod_with_metrics_is_read_ready_or_not() -> None:
    with serving(COUNTS + TIMES) as one, serving(COUNTS + TIMES) as two:
        reading = read(
            pod("a", one.address), pod("b", two.address, ready=False), pod("c", one.address, service="plain")
        )
    assert [(each.pod, each.answers) for each in reading.pods] == [("a", ((200, 3),)), ("b", ((200, 3),))]
    assert all(each.latency is not None and each.latency.count == 3 for each in reading.pods)
    assert reading.gaps == ()


def test_times_that_are_missing_are_a_gap_beside_the_answers() -> None:
    with serving(COUNTS) as one:
        reading = read(pod("a", one.address))
    assert reading.pods == (PodCounters(pod="a", service="web", slot=Slot.GREEN, answers=((200, 3),)),)
    assert reading.gaps == (Gap(pod="a", slot=Slot.GREEN, why="the metrics have no took_ms_bucket"),)


@pytest.mark.parametrize(
    ("page", "status", "why"),
    [
        (COUNTS, 503, "GET /m answered 503"),
        (b"\xff\xfe", 200, "not in Prometheus text format"),
        (b"", 200, "have no hits_total"),
        (b"x" * (8 * 1024 * 1024 + 2), 200, "larger than 8 MiB"),
    ],
)
def test_a_page_that_cannot_be_used_is_a_gap(page: bytes, status: int, why: str) -> None:
    with serving(page, status=status) as one:
        reading = read(pod("a", one.address))
    assert reading.pods == ()
    assert [gap.pod for gap in reading.gaps] == ["a"]
    assert why in reading.gaps[0].why


def test_a_page_that_is_cut_off_is_a_gap_even_where_it_can_be_read() -> None:
    """Its counters would seem to have lost users."""
    with serving(COUNTS) as one:
        one.announced = len(COUNTS) + 20
        reading = read(pod("a", one.address))
    assert reading.pods == ()
    assert [gap.why for gap in reading.gaps] == ["GET /m: the answer was cut off"]


def test_a_pod_that_is_gone_and_one_without_an_address_are_gaps() -> None:
    with serving(COUNTS) as closed:
        address = closed.address
    reading = read(pod("a", address), pod("b", ""))
    assert "GET /m failed" in reading.gaps[0].why
    assert reading.gaps[1].why == "it has no address that could be asked"


@pytest.mark.slow
def test_one_that_hangs_is_a_gap_at_the_deadline_and_holds_up_nobody() -> None:
    with serving(COUNTS, hangs=True) as stuck, serving(COUNTS + TIMES) as one:
        started = CLOCK.now()
        reading = read(pod("a", stuck.address), pod("b", one.address), limit=3.0)
        took = CLOCK.now() - started
    assert [each.pod for each in reading.pods] == ["b"]
    assert [gap.pod for gap in reading.gaps] == ["a"]
    assert took < 30


FORESEEN = Finding(severity=Severity.WARN, text="nothing will be counted")


class Fixed:
    """ports.Metrics that gives one reading."""

    def read(self, snapshot: Snapshot, *, until: Instant) -> Reading:
        return Reading(at=Instant(1.0), gaps=(Gap(pod="a", slot=Slot.BLUE, why="x"),))

    def foresee(self, snapshot: Snapshot, *, until: Instant) -> Sequence[Finding]:
        return (FORESEEN,)


NOTHING = Snapshot(at=Instant(0.0), routes=(), workloads=())


def test_arrivals_stand_beside_the_pods() -> None:
    arrivals = Arrivals(service="web", slot=Slot.BLUE, requests=5)
    reading = WithArrivals(Fixed(), lambda _: [arrivals]).read(NOTHING, until=Instant(2.0))
    assert reading.arrivals == (arrivals,)
    assert [gap.pod for gap in reading.gaps] == ["a"]
    assert WithArrivals(Fixed(), lambda _: [arrivals]).foresee(NOTHING, until=Instant(2.0)) == (FORESEEN,)


@pytest.mark.parametrize("error", [PlatformError("Envoy is away"), DeadlineExceeded("Envoy is away")])
def test_a_silent_data_plane_is_a_gap_in_both_slots(error: Exception) -> None:
    def silent(_: Instant) -> Sequence[Arrivals]:
        raise error

    reading = WithArrivals(Fixed(), silent).read(NOTHING, until=Instant(2.0))
    assert reading.arrivals == ()
    assert [(gap.pod, gap.slot, gap.why) for gap in reading.gaps[1:]] == [
        (DATA_PLANE, slot, "Envoy is away") for slot in Slot
    ]


def test_an_interrupt_is_no_gap() -> None:
    def stopped(_: Instant) -> Sequence[Arrivals]:
        raise Interrupted(signal="SIGINT")

    with pytest.raises(Interrupted):
        WithArrivals(Fixed(), stopped).read(NOTHING, until=Instant(2.0))
