"""What Envoy is told of a stack that comes back."""

from __future__ import annotations

import json
from pathlib import Path

from bluegreen.domain.image import ImageReference
from bluegreen.domain.plan import SlotSpec, WorkloadSpec
from bluegreen.domain.stack import Probe, Probes, Service, Slot, Stack
from bluegreen.platforms.local.envoy import bootstrap_text
from bluegreen.platforms.local.fronts import chosen
from bluegreen.platforms.local.store import Record, SlotRecord
from bluegreen.platforms.local.template import Seal, template_of


def stack(path: str) -> Stack:
    probe = Probe(path="/health", period=5)
    probes = Probes(startup=probe, readiness=Probe(path=path, period=5), liveness=probe)
    return Stack(name="shop", services=(Service(name="web", image="shop/web:v1", port=0, probes=probes),))


def held(slot: Slot, path: str) -> SlotRecord:
    template = template_of(stack(path).service("web"), seal=Seal(key=b"key"))
    work = WorkloadSpec(service="web", image=ImageReference.parse("shop/web:v1"), replicas=1, template=template)
    return SlotRecord(spec=SlotSpec(slot=slot, revision="r-1", workloads=(work,)), ended=False)


def asked(before: Record | None) -> dict[str, str]:
    fronts = chosen(stack("/new"), wanted={"web": 0}, before=before)
    text = bootstrap_text(fronts, endpoints=Path("/eds"), routes=Path("/rds"), admin=Path("/admin"))
    clusters = json.loads(text)["static_resources"]["clusters"]
    return {
        cluster["name"]: cluster["health_checks"][0]["http_health_check"]["path"]
        for cluster in clusters
        if "health_checks" in cluster
    }


def test_each_slot_is_asked_the_path_of_the_version_that_it_holds() -> None:
    """A newer app file must not keep the version that serves from coming back after a reboot."""
    fronts = chosen(stack("/old"), wanted={"web": 0}, before=None)
    slots = (held(Slot.BLUE, "/old"), held(Slot.GREEN, "/new"))
    before = Record(stack=stack("/old"), images=Path("/images"), fronts=fronts, slots=slots, replicas=())

    assert asked(before) == {
        "web/blue": "/old",
        "web/blue/preview": "/old",
        "web/green": "/new",
        "web/green/preview": "/new",
    }
    assert set(asked(None).values()) == {"/new"}


def test_a_stack_that_comes_back_as_it_was_has_the_same_fronts() -> None:
    fronts = chosen(stack("/old"), wanted={"web": 0}, before=None)
    before = Record(
        stack=stack("/old"), images=Path("/images"), fronts=fronts, slots=(held(Slot.BLUE, "/old"),), replicas=()
    )
    assert chosen(stack("/old"), wanted={"web": 0}, before=before) == fronts
