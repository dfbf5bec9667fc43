"""What the tests on the cluster share: stacks that release quickly, where users are, versions by the dozen."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from cluster_harness import QUICK as QUICK
from cluster_harness import SERVICES, SLOTS, Told, end_watch, wait_until
from harness import images_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_harness import ClusterStack

WINDOW = ("--validation-time", "3")
OTHER = {"blue": "green", "green": "blue"}

_NUMBERS = itertools.count(1)


def fresh(stack: ClusterStack, *, fault: str = "", service: str = "gateway") -> str:
    """A version that was never there before; its images are in the registry."""
    tag = f"{stack.namespace}-{next(_NUMBERS)}"
    stack.image(tag, fault=fault, service=service)
    return tag


def deploy_words(tag: str, *words: str) -> tuple[str, ...]:
    """A release of both services, with a short window unless told."""
    window = () if "--validation-time" in words else WINDOW
    return ("deploy", *images_of(tag), *window, *words)


@contextmanager
def deploying(stack: ClusterStack, tag: str, *words: str) -> Iterator[Told]:
    """A deploy that runs; what a failing test has left of it is ended."""
    told = stack.told(*deploy_words(tag, *words))
    try:
        yield told
    finally:
        if told.process.poll() is None:
            told.kill()


@contextmanager
def standing_still(told: Told) -> Iterator[None]:
    """The command stays where it is, in the phase that it has told, however long a busy machine needs for the block."""
    told.process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        told.process.send_signal(signal.SIGCONT)


def place(stack: ClusterStack) -> dict[str, Any]:
    """Where users are, and what each slot holds, as ``status`` says it; ``whole`` waits until all of it is ready."""
    status = stack.standing()
    kept = {name: status[name] for name in ("serving", "split", "slots", "unfinished")}
    assert kept["split"] == "", status
    assert kept["serving"] == stack.selector(), status
    return kept


def idle(stack: ClusterStack) -> str:
    """The slot without users."""
    return OTHER[stack.selector()]


def tags(stack: ClusterStack, slot: str) -> set[str]:
    """The versions that the slot's Deployments ask for."""
    return {stack.tag(service, slot) for service in SERVICES}


def ready(stack: ClusterStack, slot: str) -> dict[str, int]:
    """How many ready pods each service has in the slot, from its Deployments."""
    found = stack.get("deployments", "-l", f"slot={slot}")["items"]
    return {item["metadata"]["labels"]["app"]: item["status"].get("readyReplicas", 0) for item in found}


def sizes(stack: ClusterStack, slot: str) -> dict[str, int]:
    """How many pods each Deployment of the slot asks for."""
    found = stack.get("deployments", "-l", f"slot={slot}")["items"]
    return {item["metadata"]["labels"]["app"]: item["spec"]["replicas"] for item in found}


def whole(stack: ClusterStack, *, pods: int = 2) -> None:
    """Assert that one slot serves, both are warm, nothing is unfinished; pods that were asked for may still come."""
    found = place(stack)
    assert found["unfinished"] is None, found
    for slot in SLOTS:
        warm(stack, slot, pods=pods)
    wait_until(lambda: stack.routed(found["serving"]), what="all endpoints in the slot that serves", limit=60)


def warm(stack: ClusterStack, slot: str, *, pods: int = 2) -> None:
    """Wait until the slot has so many ready pods of each service."""
    wanted = {f"alfred-{service}": pods for service in SERVICES}
    wait_until(lambda: ready(stack, slot) == wanted, what=f"{slot} of {stack.namespace} to be warm", limit=120)


def serving_tag(stack: ClusterStack) -> str:
    """The one version that users get."""
    (tag,) = tags(stack, stack.selector())
    return tag


def point(stack: ClusterStack, slot: str, *services: str) -> None:
    """A person's lines of the specification: kubectl patch svc, for both Services or for those named."""
    patch = json.dumps({"spec": {"selector": {"slot": slot}}})
    for service in services or SERVICES:
        stack.kubectl("patch", "svc", f"alfred-{service}", "-p", patch)


def shares_the_cluster() -> bool:
    """Whether others use this cluster too, so that it must not be broken: the one of ``make cluster-up``."""
    return os.environ.get("TESTBED_SHARED") == "1"


class Selectors:
    """Watches where the users' Services point; sees a change within milliseconds of the API server."""

    def __init__(self, stack: ClusterStack) -> None:
        """Begin, and come back once the Services are seen."""
        path = '{.metadata.name} {.spec.selector.slot}{"\\n"}'
        words = ["kubectl", "-n", stack.namespace, "get", "services", "-w", "-o", f"jsonpath={path}"]
        self._process = subprocess.Popen(
            stack.cluster.command(words), env=stack.environment(), stdout=subprocess.PIPE, text=True
        )
        self._slots: dict[str, str] = {}
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        for service in SERVICES:
            self.wait(service, set(SLOTS), limit=60)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            name, _, slot = line.strip().partition(" ")
            with self._changed:
                self._slots[name] = slot
                self._changed.notify_all()

    def wait(self, service: str, slots: set[str], *, limit: float = 120) -> None:
        """Return as soon as the users' Service points at one of these slots. Fails at the limit."""
        name = f"alfred-{service}"
        with self._changed:
            assert self._changed.wait_for(lambda: self._slots.get(name) in slots, limit), f"{name}: {self._slots}"

    def __enter__(self) -> Self:
        """Watching already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        end_watch(self._process, self._reader)
