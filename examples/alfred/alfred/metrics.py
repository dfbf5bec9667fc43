"""What a process counts, in the names that the pipeline's specification gives.

Decides names, units (milliseconds) and buckets. Every method and status that can occur exists from the start, at 0: a
series that appears only with its first error has no rate before it. When something is counted is the business of
``measured``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

if TYPE_CHECKING:
    from collections.abc import Callable

    from alfred.settings import Service

STATUSES = (200, 400, 404, 405, 413, 499, 500, 502, 503, 504)
"""What users can be answered. 499 is a client that went away before it had sent its whole request."""
METHODS = ("GET", "HEAD", "POST", "other")
"""A client may send any word for a method; what is unusual is counted together."""
PROBES = ("/healthz", "/ready", "/health", "/metrics")
BUCKETS_MS = (1, 2, 5, 10, 25, 50, 75, 100, 150, 250, 500, 1000, 2500, 5000, 10_000)
"""Close around 150 ms, the limit that the specification sets for what the gateway adds."""

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4

disable_created_metrics()  # type: ignore[no-untyped-call]  # its package forgot the annotation


class Metrics:
    """The counters of one process, in a registry of their own."""

    def __init__(self, service: Service) -> None:
        """Make all of them, at 0."""
        self._prefix = f"alfred_{service}"
        self.registry = CollectorRegistry()
        requests = self._counter("requests", "Requests answered, without probes and WebSockets", ["method", "status"])
        self._requests = {
            (method, status): requests.labels(method, str(status)) for method in METHODS for status in STATUSES
        }
        self._duration = self.histogram("request_duration_ms", "From the request's first byte read to its last written")
        self._probes = self._counter("probe_requests", "Requests of probes and scrapes", ["path", "status"])
        self._in_flight = self.gauge("requests_in_flight", "Requests being answered now, without probes")

    def render(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(self.registry)

    def request_begins(self) -> None:
        """A request is in flight from now on."""
        self._in_flight.inc()

    def request_ended(self, *, method: str, status: int, duration_ms: float) -> None:
        """Count a request; to be called exactly once for each that began."""
        self._in_flight.dec()
        self._requests[method if method in METHODS else "other", status].inc()
        self._duration.observe(duration_ms)

    def begin_again(self) -> None:
        """Let the counts of requests start from 0, as in a process that replaces its worker. A fault does that."""
        for requests in self._requests.values():
            requests.reset()

    def probe_ended(self, *, path: str, status: int) -> None:
        """Count a probe or a scrape, which no rate of the users' requests must contain."""
        self._probes.labels(path, str(status)).inc()

    def histogram(self, name: str, text: str) -> Histogram:
        """A further histogram of this process, in milliseconds."""
        return Histogram(f"{self._prefix}_{name}", text, registry=self.registry, buckets=BUCKETS_MS)

    def gauge(self, name: str, text: str, *, read: Callable[[], float] | None = None) -> Gauge:
        """A further gauge of this process; ``read`` is asked at each scrape."""
        gauge = Gauge(f"{self._prefix}_{name}", text, registry=self.registry)
        if read is not None:
            gauge.set_function(read)
        return gauge

    def _counter(self, name: str, text: str, labels: list[str]) -> Counter:
        return Counter(f"{self._prefix}_{name}", text, labels, registry=self.registry)


class GatewayMetrics(Metrics):
    """The same, with the share of the time that the gateway itself is answerable for."""

    def __init__(self, service: Service) -> None:
        """Make all of them, at 0."""
        super().__init__(service)
        self._upstream = self.histogram("upstream_duration_ms", "Time spent waiting for the backend, streams left out")
        self._overhead = self.histogram("overhead_ms", "What the gateway adds to the backend's time, streams left out")

    def split(self, *, duration_ms: float, upstream_ms: float | None) -> None:
        """Tell the parts of a request that is not long-lived; ``upstream_ms`` is None if no backend was called."""
        if upstream_ms is not None:
            self._upstream.observe(upstream_ms)
        self._overhead.observe(max(0.0, duration_ms - (upstream_ms or 0.0)))
