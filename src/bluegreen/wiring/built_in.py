"""The built-in Alfred stack as values: a rollback need not read its app file, nor import a parser of YAML.

It is what ``appfile/alfred.yaml`` says; a test holds them equal.
"""

from __future__ import annotations

from bluegreen.domain.stack import Limits, MetricNames, Need, Probe, Probes, Service, Stack


def alfred() -> Stack:
    """The built-in stack."""
    backend = Service(
        name="alfred-backend",
        image="alfredai/backend:v1",
        port=8000,
        probes=_probes("/health", ready="/health"),
        replicas=2,
        container="backend",
        metrics=MetricNames(path="/metrics", requests="alfred_backend_requests_total", duration="", overhead=""),
        grace=60.0,
        lame_duck=3.0,
    )
    gateway = Service(
        name="alfred-gateway",
        image="alfredai/gateway:v1",
        port=8080,
        probes=_probes("/healthz", ready="/ready"),
        replicas=2,
        container="gateway",
        needs=(Need(service="alfred-backend", variable="BACKEND_URL"),),
        metrics=MetricNames(
            path="/metrics",
            requests="alfred_gateway_requests_total",
            duration="alfred_gateway_request_duration_ms",
            overhead="alfred_gateway_overhead_ms",
        ),
        grace=60.0,
        lame_duck=3.0,
    )
    return Stack(name="alfred", services=(backend, gateway), limits=Limits(error_share=0.01, p95_overhead_ms=150.0))


def _probes(alive: str, *, ready: str) -> Probes:
    return Probes(
        startup=Probe(path=alive, period=3.0, timeout=1.0, failures=30),
        readiness=Probe(path=ready, period=5.0, timeout=1.0, failures=3),
        liveness=Probe(path=alive, period=10.0, timeout=1.0, failures=3),
    )
