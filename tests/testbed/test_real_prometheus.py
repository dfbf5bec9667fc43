"""Readings from a real Prometheus server, Debian's, that scrapes two small pages on this machine each second."""

from __future__ import annotations

import http.server
import json
import socket
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from testbed.debian import prometheus
from testbed.errors import Unavailable
from testbed.places import default_places
from tests.testbed.helpers import not_run, tell

from bluegreen.clock import SystemClock
from bluegreen.domain.snapshot import Pod, Snapshot, Workload
from bluegreen.domain.stack import Instant, MetricNames, Probe, Probes, Prometheus, Service, Slot, Stack, after
from bluegreen.metrics.prometheus import PrometheusMetrics
from bluegreen.metrics.prometheus_server import Server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bluegreen.domain.reading import Reading

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

CLOCK = SystemClock()
PROBES = Probes(startup=Probe(path="/"), readiness=Probe(path="/"), liveness=Probe(path="/"))
NAMES = MetricNames(requests="hits_total", overhead="added_ms")
STACK = Stack(name="shop", services=(Service(name="web", image="web", port=1, probes=PROBES, metrics=NAMES),))
PODS = ("web-1", "web-2")


class Page(http.server.BaseHTTPRequestHandler):
    """What a pod has counted."""

    server: Target

    def do_GET(self) -> None:
        """All of it, or 500 when it is broken."""
        self.send_response(500 if self.server.broken else 200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        self.wfile.write(self.server.page())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


class Target(http.server.ThreadingHTTPServer):
    """One pod's page."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.good, self.bad, self.broken = 7, 0, False

    def page(self) -> bytes:
        total = self.good + self.bad
        return (
            "# TYPE hits_total counter\n"
            f'hits_total{{status="200",method="GET"}} {self.good}\n'
            f'hits_total{{status="500",method="POST"}} {self.bad}\n'
            "# TYPE added_ms histogram\n"
            f'added_ms_bucket{{le="150"}} {total}\nadded_ms_bucket{{le="+Inf"}} {total}\n'
            f"added_ms_sum {total}\nadded_ms_count {total}\n"
        ).encode()


@contextmanager
def target() -> Iterator[Target]:
    with Target() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    """One that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def settings(targets: dict[str, Target]) -> str:
    """JSON is YAML."""
    found = [
        {"targets": [f"127.0.0.1:{each.server_address[1]}"], "labels": {"pod": name, "namespace": "shop"}}
        for name, each in targets.items()
    ]
    jobs = [{"job_name": "pods", "static_configs": found}]
    return json.dumps({"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": jobs})


@contextmanager
def scraping(folder: Path, targets: dict[str, Target]) -> Iterator[str]:
    """The server's URL."""
    try:
        program = prometheus(into=default_places().cache / "debian", tell=tell)
    except Unavailable as error:
        not_run(error)
    (folder / "prometheus.yml").write_text(settings(targets))
    address = f"127.0.0.1:{free_port()}"
    words = [f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([program, *words, f"--web.listen-address={address}"], stderr=log, stdout=log)
    try:
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(20)


def is_whole(reading: Reading) -> bool:
    return not reading.gaps


def whys(reading: Reading) -> list[tuple[str, str]]:
    return [(gap.pod, gap.why) for gap in reading.gaps]


def read(metrics: PrometheusMetrics, *, wanted: Callable[[Reading], bool] = is_whole, within: float = 60.0) -> Reading:
    """All that was counted until now, as it is wanted; when so many seconds have passed the reading that there is."""
    now = CLOCK.now()
    pods = tuple(Pod(name=name, service="web", slot=Slot.GREEN, revision="r", ready=True) for name in PODS)
    work = Workload(service="web", slot=Slot.GREEN, image=None, replicas=2, pods=pods)
    seen = Snapshot(at=Instant(0.0), routes=(), workloads=(work,))
    while True:
        reading = metrics.read(seen, until=after(CLOCK.now(), 5.0))
        if (wanted(reading) and (reading.gaps or reading.at >= now)) or CLOCK.now() > now + within:
            return reading
        CLOCK.wait(until=after(CLOCK.now(), 0.2))


def test_a_real_server_is_read_as_it_is(tmp_path: Path) -> None:
    with target() as one, target() as two, scraping(tmp_path, {"web-1": one, "web-2": two}) as url:
        source = Prometheus(url=url, pod_label="pod")
        metrics = PrometheusMetrics(STACK, source, Server(source, {}), clock=CLOCK, namespace="shop")
        first = read(metrics)
        assert first.gaps == ()
        assert [(each.pod, each.answers) for each in first.pods] == [(name, ((200, 7), (500, 0))) for name in PODS]
        one.good, one.bad = 107, 3
        second = read(metrics)
        assert second.pods[0].answers == ((200, 107), (500, 3))
        assert [part.name for part in second.pods[0].parts] == ["GET", "POST"]
        assert second.pods[0].latency is not None
        assert second.pods[0].latency.count == 110
        assert 1.1 <= read(metrics).lag <= 4.0, "scraped each second, as a busy machine comes to it"
        one.broken = True
        failed = [("web-1", "Prometheus could not scrape it at its last try")]
        third = read(metrics, wanted=lambda reading: whys(reading) == failed)
        assert whys(third) == failed
        assert [each.pod for each in third.pods] == ["web-2"]
    gone = metrics.read(Snapshot(at=Instant(0.0), routes=(), workloads=()), until=after(CLOCK.now(), 1.0))
    assert gone.gaps == ()
    assert {gap.why for gap in read(metrics, within=0.0).gaps} == {"Prometheus cannot be reached: connection refused"}
