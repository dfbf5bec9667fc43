"""``down`` of a stack that has lost its supervisord, and what it says while it waits."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.unit.layout_kit import layout_in

from bluegreen.clock import SystemClock
from bluegreen.domain.events import Event, Waiting
from bluegreen.domain.image import ImageReference
from bluegreen.domain.plan import SlotSpec, WorkloadSpec
from bluegreen.domain.stack import Need, Probe, Probes, Service, Slot, Stack
from bluegreen.platforms.local import processes
from bluegreen.platforms.local.control import down
from bluegreen.platforms.local.layout import Layout
from bluegreen.platforms.local.store import Replica, create_store
from bluegreen.platforms.local.template import template_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROBE = Probe(path="/", period=5)
PROBES = Probes(startup=PROBE, readiness=PROBE, liveness=PROBE)
DATABASE = Service(name="db", image="shop/db:v1", port=8001, probes=PROBES, grace=20)
WEB = Service(
    name="web", image="shop/web:v1", port=8000, probes=PROBES, needs=(Need(service="db", variable="DB"),), grace=30
)
STACK = Stack(name="shop", services=(DATABASE, WEB))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = layout_in(tmp_path)
    with create_store(found) as store:
        store.write_stack(STACK, images=tmp_path, fronts=())
        works = tuple(
            WorkloadSpec(
                service=service.name,
                image=ImageReference.parse(service.image),
                replicas=1,
                template=template_of(service, seal=store.seal()),
            )
            for service in STACK.services
        )
        replicas = [
            Replica(program=f"{name}-blue-0", service=name, slot=Slot.BLUE, port=8000, revision="up", life="a")
            for name in STACK.names
        ]
        store.write_slot(SlotSpec(slot=Slot.BLUE, revision="up", workloads=works), replicas)
    return found


@pytest.fixture
def orphan(layout: Layout) -> Iterator[subprocess.Popen[bytes]]:
    """A replica without its supervisord."""
    program = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(program, start_new_session=True) as process:
        processes.record(layout.pids / "web-blue-0", process.pid)
        yield process
        process.kill()


def test_each_wait_of_down_says_for_what_and_how_long_at_most(layout: Layout, orphan: subprocess.Popen[bytes]) -> None:
    told: list[Event] = []

    assert down(layout=layout, clock=SystemClock(), emit=told.append, who="a test")

    assert orphan.wait(5) == -15
    assert told == [
        Waiting(wants=("the end of the replicas of web",), waited=0.0, left=40.0),
        Waiting(wants=("the end of the replicas of db",), waited=0.0, left=30.0),
        Waiting(wants=("the end of supervisord",), waited=0.0, left=20.0),
    ]
    assert not layout.runtime.exists()
    assert not layout.pids.exists()
