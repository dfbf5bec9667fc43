"""What is said of a plan before anything is written, on a machine where nothing runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.unit.layout_kit import layout_in

from bluegreen.clock import SystemClock
from bluegreen.domain.image import ImageReference
from bluegreen.domain.plan import Options, Plan, SlotSpec, WorkloadSpec
from bluegreen.domain.stack import Probe, Probes, Service, Slot, Stack, after
from bluegreen.platforms.local.envoy import Front
from bluegreen.platforms.local.platform import LocalPlatform
from bluegreen.platforms.local.store import create_store
from bluegreen.platforms.local.template import template_of
from bluegreen.ports import Finding, Severity

if TYPE_CHECKING:
    from pathlib import Path

CLOCK = SystemClock()
FRONT = Front(
    service="web", public_port=30_000, preview_ports=((Slot.BLUE, 30_001), (Slot.GREEN, 30_002)), health_path="/ready"
)


def stack(path: str) -> Stack:
    probe = Probe(path="/health", period=5)
    probes = Probes(startup=probe, readiness=Probe(path=path, period=5), liveness=probe)
    return Stack(name="shop", services=(Service(name="web", image="shop/web:v1", port=0, probes=probes),))


@pytest.mark.parametrize(("path", "warned"), [("/ready", False), ("/healthz?full=1", True)])
def test_a_readiness_path_that_envoy_does_not_ask_is_told(tmp_path: Path, path: str, *, warned: bool) -> None:
    """The new slot would be ready, and not known to the data plane until the limit."""
    layout, image = layout_in(tmp_path), ImageReference.parse("shop/web:v2")
    with create_store(layout) as store:
        store.write_stack(stack("/ready"), images=tmp_path, fronts=(FRONT,))
        newer = stack(path)
        template = template_of(newer.service("web"), seal=store.seal())
        work = WorkloadSpec(service="web", image=image, replicas=1, template=template)
        plan = Plan(
            release="r-1",
            stack="shop",
            active=Slot.BLUE,
            target=Slot.GREEN,
            changes=(),
            want=SlotSpec(slot=Slot.GREEN, revision="r-1", workloads=(work,)),
            previous=None,
            options=Options(),
        )
        platform = LocalPlatform(layout, store, clock=CLOCK, stack=newer)
        found = platform.preflight(plan, until=after(CLOCK.now(), 5))

    told = [finding for finding in found if finding.severity is Severity.WARN]
    assert told == [
        Finding(
            severity=Severity.WARN,
            text=f"the readiness path of web is {path}; Envoy goes on to ask /ready, as up was told",
            mend="let the new version answer /ready, too, else it is never known to the data plane",
        )
    ] * int(warned)
