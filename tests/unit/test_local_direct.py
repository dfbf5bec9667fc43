"""A look at replicas without the agent: what a slow answer, none and a refusal mean."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.unit.layout_kit import layout_in

from bluegreen.clock import SystemClock
from bluegreen.domain.errors import DeadlineExceeded
from bluegreen.domain.image import ImageReference
from bluegreen.domain.plan import SlotSpec, WorkloadSpec
from bluegreen.domain.snapshot import Running, Waiting
from bluegreen.domain.stack import Probe, Probes, Service, Slot, Stack, after
from bluegreen.platforms.local.direct import look
from bluegreen.platforms.local.envoy import Front
from bluegreen.platforms.local.layout import Layout
from bluegreen.platforms.local.platform import LocalPlatform
from bluegreen.platforms.local.store import Replica, create_store
from bluegreen.platforms.local.template import template_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bluegreen.domain.snapshot import Pod

CLOCK = SystemClock()


@contextmanager
def a_listener() -> Iterator[int]:
    """The port of a program that takes connections and does not answer."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def replica(port: int) -> Replica:
    return Replica(program="web-blue-0", service="web", slot=Slot.BLUE, port=port, revision="r-1", life="a")


def seen(port: int, *, limit: float, timeout: float = 1.0) -> Pod:
    before = set(threading.enumerate())
    probe = Probe(path="/", period=5, timeout=timeout)
    (pod,) = look([(replica(port), probe)], clock=CLOCK, until=after(CLOCK.now(), limit), tally={})
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    return pod


def test_a_look_whose_time_is_up_finds_nobody_ready_and_breaks_nothing() -> None:
    """As when a frozen agent was waited for until then."""
    with a_listener() as port:
        assert not seen(port, limit=-0.1).ready


def test_one_that_does_not_answer_in_time_is_not_ready_but_runs() -> None:
    """In the observation window a pod that does not run has crashed, and users are brought back."""
    with a_listener() as port:
        pod = seen(port, limit=2.0, timeout=0.05)
    assert not pod.ready
    assert pod.containers[0].state == Running()
    assert pod.containers[0].failing == "readiness: GET / did not answer within 0.05 s"


def test_one_where_nobody_listens_does_not_run() -> None:
    with a_listener() as port:
        pass
    pod = seen(port, limit=2.0)
    assert not pod.ready
    assert isinstance(pod.containers[0].state, Waiting)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return layout_in(tmp_path)


def test_a_look_that_the_deadline_cuts_short_tells_nothing(layout: Layout, tmp_path: Path) -> None:
    """The last moments of a watch are enough for no answer: the slot was called dead, a good release rolled back."""
    probe = Probe(path="/ready", period=5)
    web = Service(
        name="web", image="shop/web:v1", port=0, probes=Probes(startup=probe, readiness=probe, liveness=probe)
    )
    ports = ((Slot.BLUE, 30_001), (Slot.GREEN, 30_002))
    front = Front(service="web", public_port=30_000, preview_ports=ports, health_path="/ready")
    with create_store(layout) as store, a_listener() as port:
        store.write_stack(Stack(name="shop", services=(web,)), images=tmp_path, fronts=(front,))
        work = WorkloadSpec(
            service="web",
            image=ImageReference.parse("shop/web:v1"),
            replicas=1,
            template=template_of(web, seal=store.seal()),
        )
        store.write_slot(SlotSpec(slot=Slot.BLUE, revision="r-1", workloads=(work,)), (replica(port),))
        platform = LocalPlatform(layout, store, clock=CLOCK)
        platform.plane.prepare()
        with pytest.raises(DeadlineExceeded):
            platform.snapshot(until=after(CLOCK.now(), 0.1))
        with pytest.raises(DeadlineExceeded):
            next(platform.changes(until=after(CLOCK.now(), 0.1)))
