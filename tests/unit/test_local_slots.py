"""What a stage writes, before anything is started: with no supervisord, and nothing that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.unit.layout_kit import layout_in

from bluegreen.clock import SystemClock
from bluegreen.domain.errors import NotStarted
from bluegreen.domain.image import ImageReference
from bluegreen.domain.plan import SlotSpec, WorkloadSpec
from bluegreen.domain.release import RunKind
from bluegreen.domain.stack import Probe, Probes, Service, Slot, Stack, after
from bluegreen.platforms.local.envoy import Front
from bluegreen.platforms.local.layout import Layout
from bluegreen.platforms.local.lock import LocalLock
from bluegreen.platforms.local.platform import LocalPlatform
from bluegreen.platforms.local.store import create_store
from bluegreen.platforms.local.template import template_of
from bluegreen.ports import Purpose

if TYPE_CHECKING:
    from pathlib import Path

CLOCK = SystemClock()
PROBE = Probe(path="/ready", period=5)
FRONT = Front(
    service="web", public_port=30_000, preview_ports=((Slot.BLUE, 30_001), (Slot.GREEN, 30_002)), health_path="/ready"
)


def stack(**environment: str) -> Stack:
    web = Service(
        name="web",
        image="shop/web:v1",
        port=0,
        probes=Probes(startup=PROBE, readiness=PROBE, liveness=PROBE),
        environment=tuple(environment.items()),
    )
    return Stack(name="shop", services=(web,))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return layout_in(tmp_path)


def test_a_release_brings_the_secrets_of_its_own_app_file(layout: Layout, tmp_path: Path) -> None:
    """A token that was changed in the app file since ``up``: the mark in the plan must stand for something."""
    newer = stack(API_TOKEN="second")
    with create_store(layout) as store:
        store.write_stack(stack(API_TOKEN="first"), images=tmp_path, fronts=(FRONT,))
        platform = LocalPlatform(layout, store, clock=CLOCK, stack=newer)
        platform.plane.prepare()
        template = template_of(newer.service("web"), seal=store.seal())
        image = ImageReference.parse("shop/web:v1")
        work = WorkloadSpec(service="web", image=image, replicas=1, template=template)
        want = SlotSpec(slot=Slot.GREEN, revision="r-1", workloads=(work,))
        grip = LocalLock(layout, clock=CLOCK).take(
            Purpose(kind=RunKind.RELEASE, run="r-1", who="a test"), until=CLOCK.now()
        )
        with pytest.raises(NotStarted, match="supervisord does not run"):  # the very last step
            platform.stage(want, grip=grip, until=after(CLOCK.now(), 5))

    script = (layout.scripts / "web-green-0.sh").read_text()
    assert "API_TOKEN=second" in script
