"""Ending a slot, as far as no cluster is needed for it: for how long its pods are waited for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.kubernetes_adapter.asking_kit import by_path
from tests.kubernetes_adapter.objects_kit import STACK, deployment, live, template
from tests.kubernetes_transport.kit import RecordingClock, serving
from tests.kubernetes_transport.server import listing, reply

from bluegreen.domain.errors import DeadlineExceeded
from bluegreen.domain.release import RunKind
from bluegreen.domain.stack import Instant, Service, Slot, Stack
from bluegreen.pipeline.deploy import stage_limit
from bluegreen.platforms.kubernetes.looking import Sight
from bluegreen.platforms.kubernetes.slots import Slots
from bluegreen.ports import Grip, Purpose
from bluegreen.testing import Rehearsal

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluegreen.platforms.kubernetes.live import Live

GRIP = Grip(purpose=Purpose(kind=RunKind.RELEASE, run="r-1", who="ann"), fence="r-1/1")
LIMIT = Instant(2000.0)


def nobody_is_there(slot: Slot, until: Instant) -> None:
    """No user is on the slot."""
    del slot, until


@pytest.mark.parametrize(("grace", "waited"), [(300, 310.0), (30, 70.0), (None, 70.0)], ids=str)
def test_pods_are_given_up_when_their_own_grace_is_over(grace: int | None, waited: float) -> None:
    """A pod that goes on serving for as long as it may is no pod of a dead node: what it needs has to stay."""
    pods = template("pair-front", Slot.GREEN)
    pods["spec"]["terminationGracePeriodSeconds"] = grace
    clock, waits = RecordingClock(), list[float]()

    def wait_for(done: Callable[[Live], bool], *, grip: Grip, until: Instant) -> None:
        assert grip is GRIP
        if done(live(slices=[])):
            return  # no route leads to the slot
        waits.append(until - clock.now())
        raise DeadlineExceeded("it does not go")

    paths = {
        "/apis/apps/v1/namespaces/shop/deployments/pair-front-green": reply(
            deployment("pair-front", Slot.GREEN, template=pods)
        )
    }
    with serving(clock, *[by_path(paths)] * 5) as (_, api):
        sight = Sight(api, stack=STACK, namespace="shop")
        slots = Slots(
            api, stack=STACK, namespace="shop", clock=clock, sight=sight, wait_for=wait_for, leave=nobody_is_there
        )
        assert slots.end(Slot.GREEN, order=["pair-front"], grip=GRIP, until=LIMIT).services == ("pair-front",)
    assert waits == [waited]


def test_what_kept_the_version_before_from_making_pods_is_waited_out() -> None:
    """A Deployment repeats its old ReplicaSets' failure until they have followed. It would doom the next version."""
    failed = [{"type": "ReplicaFailure", "status": "True", "message": 'violates PodSecurity "restricted:latest"'}]
    full = deployment("pair-front", Slot.GREEN, replicas=2, status={"conditions": failed, "replicas": 0})
    empty = deployment("pair-front", Slot.GREEN, replicas=0, status={"conditions": failed})
    paused = deployment("pair-front", Slot.GREEN, replicas=0, status={"conditions": failed}, paused=True)
    followed = deployment("pair-front", Slot.GREEN, replicas=0)
    clock, found = RecordingClock(), list[bool]()

    def wait_for(done: Callable[[Live], bool], *, grip: Grip, until: Instant) -> None:
        assert (grip, until <= LIMIT) == (GRIP, True)
        found.extend(done(live(slices=[], pods=[], deployments=[each])) for each in (empty, paused, followed))

    path = "/apis/apps/v1/namespaces/shop/deployments/pair-front-green"
    steps = [
        by_path({path: reply(full)}),
        by_path({path: reply(empty)}),
        by_path({"/api/v1/namespaces/shop/pods": reply(listing(1))}),
    ]
    with serving(clock, *steps) as (_, api):
        sight = Sight(api, stack=STACK, namespace="shop")
        slots = Slots(
            api, stack=STACK, namespace="shop", clock=clock, sight=sight, wait_for=wait_for, leave=nobody_is_there
        )
        slots.end(Slot.GREEN, order=["pair-front"], grip=GRIP, until=LIMIT)
    unrouted, gone = found[:3], found[3:]
    assert (unrouted, gone) == ([True] * 3, [False, True, True])


def test_a_dead_node_with_pods_of_every_service_holds_up_no_release() -> None:
    """Each of them is given up 10 s after its grace; the stage has the time for that, however many they are."""
    services = tuple(Service(name=f"s-{number}", image="s", port=80) for number in range(8))
    tools = replace(Rehearsal().tools(), stack=Stack(name="many", services=services))
    assert stage_limit(tools) > sum(service.grace + 10 for service in services)
