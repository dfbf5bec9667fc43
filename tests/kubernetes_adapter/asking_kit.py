"""A stack of one service, its pods and Services, and an API server that answers each path in its own way."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from tests.kubernetes_transport.kit import PACE, RecordingClock, cluster_at
from tests.kubernetes_transport.server import Conversation, ScriptedServer, Step, page, refuse, silence

from bluegreen.domain.snapshot import Pod
from bluegreen.domain.stack import HttpCheck, MetricNames, Probe, Probes, Service, Slot, Stack
from bluegreen.platforms.kubernetes import objects
from bluegreen.platforms.kubernetes.asking import Asking
from bluegreen.ports import Check, Through

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAMES = MetricNames(path="/m", requests="hits_total", duration="took_ms")
PROBES = Probes(startup=Probe(path="/"), readiness=Probe(path="/"), liveness=Probe(path="/"))
STACK = Stack(name="shop", services=(Service(name="web", image="web", port=80, probes=PROBES, metrics=NAMES),))

PODS = "/api/v1/namespaces/shop/pods/"
SERVICES = "/api/v1/namespaces/shop/services/"
MANY = 1000
"""More requests than any test makes."""


def entered(entry: str) -> Stack:
    """The stack, with an address that users call from outside."""
    return replace(STACK, services=tuple(replace(service, entry=entry) for service in STACK.services))


def pod(name: str, *, slot: Slot = Slot.GREEN, address: str = "10.0.0.1:8000", terminating: bool = False) -> Pod:
    return Pod(name=name, service="web", slot=slot, revision="r", ready=True, address=address, terminating=terminating)


def kube_service(name: str, *, address: str = "10.96.0.1", port: int = 80) -> objects.Service:
    return objects.service_of(
        {"metadata": {"name": name}, "spec": {"clusterIP": address, "ports": [{"port": port, "targetPort": 8000}]}}
    )


SHOP = (kube_service("web"), kube_service("web-blue"), kube_service("web-green"))


def check(through: Through = Through.PODS, *, slot: Slot = Slot.GREEN, path: str = "/health", name: str = "c") -> Check:
    return Check(check=HttpCheck(name=name, service="web", path=path), slot=slot, through=through)


def says(status: int, text: str = "fine", **headers: str) -> Step:
    """A pod's answer, as the API server hands it on."""
    return page(status, text, kind="text/plain", Audit_Id="1", **headers)


def refused(code: int, reason: str, message: str) -> Step:
    """The API server's own."""
    return refuse(code, reason, message, Audit_Id="1")


def no_right(resource: str) -> Step:
    said = f'User "ci" cannot get resource "{resource}" in API group "" in the namespace "shop"'
    return refused(403, "Forbidden", said)


def by_path(answers: Mapping[str, Step]) -> Step:
    """The answer of the path; silence for a path that has none."""

    def step(conversation: Conversation) -> None:
        answers.get(conversation.heard.path, silence)(conversation)

    return step


@contextmanager
def asking(
    clock: RecordingClock,
    answers: Mapping[str, Step],
    *,
    direct: bool = False,
    workers: RecordingClock | None = None,
) -> Iterator[tuple[ScriptedServer, Asking]]:
    with (
        ScriptedServer(*[by_path(answers)] * MANY) as server,
        closing(
            Asking(
                cluster_at(server.port),
                namespace="shop",
                stack=STACK,
                clock=clock,
                direct=direct,
                workers=workers or clock,
                pace=PACE,
            )
        ) as one,
    ):
        yield server, one
