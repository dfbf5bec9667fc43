"""A slot is ended service by service, and before each one it is asked again whether users have come back to it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from tests.kubernetes_adapter.alfred_kit import BACKEND, GATEWAY, Namespace, alfred

from bluegreen.domain.errors import Held
from bluegreen.domain.release import RunKind
from bluegreen.domain.stack import Instant, Slot
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.slots import Slots
from bluegreen.ports import Grip, Purpose

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.kubernetes_transport.kit import RecordingClock

    from bluegreen.platforms.kubernetes.live import Live
    from bluegreen.platforms.kubernetes.looking import Sight
    from bluegreen.platforms.kubernetes.transport import Api

GREEN = Slot.GREEN
UNTIL = Instant(1000.0)
GRIP = Grip(purpose=Purpose(kind=RunKind.RELEASE, run="r-1", who="ann"), fence="r-1/1")


class Server:
    """Deployments as the API server has them; their pods are gone as soon as they are asked to go."""

    def __init__(self) -> None:
        self.there = Namespace()
        self.scaled: list[str] = []

    def get(self, path: str, *, until: Instant) -> Any:
        return self.there.deployments[path.rpartition("/")[2]]

    def json_patch(self, path: str, ops: Any, *, until: Instant) -> Any:
        name = path.rpartition("/")[2]
        self.scaled.append(name)
        self.there.deployments[name]["spec"]["replicas"] = ops[-1]["value"]
        return self.there.deployments[name]

    def list(self, path: str, *, labels: str, until: Instant) -> Any:
        return SimpleNamespace(items=())


def at_once(done: Callable[[Live], bool], *, grip: Grip, until: Instant) -> None:
    """What is waited for is there."""


def slots(server: Server, clock: RecordingClock, *, leave: Callable[[Slot, Instant], None]) -> Slots:
    return Slots(
        cast("Api", server),
        stack=alfred(),
        namespace="alfred",
        clock=clock,
        sight=cast("Sight", SimpleNamespace(wrote=lambda _kind, _version: None)),
        wait_for=at_once,
        leave=leave,
    )


def test_dependents_go_first(clock: RecordingClock) -> None:
    server = Server()
    ended = slots(server, clock, leave=lambda _slot, _until: None).end(
        GREEN, order=(GATEWAY, BACKEND), grip=GRIP, until=UNTIL
    )
    assert ended.services == (GATEWAY, BACKEND)
    assert server.scaled == [names.workload(GATEWAY, GREEN), names.workload(BACKEND, GREEN)]


def test_what_users_have_come_back_to_is_not_touched(clock: RecordingClock) -> None:
    """A person's line while the gateway drains, which may take a minute: the backend has users again."""
    server = Server()

    def leave(slot: Slot, _until: Instant) -> None:
        if server.scaled:
            raise Held(f"users of {BACKEND} are on {slot}: {slot} is not touched")

    with pytest.raises(Held, match="users of alfred-backend are on green"):
        slots(server, clock, leave=leave).end(GREEN, order=(GATEWAY, BACKEND), grip=GRIP, until=UNTIL)
    assert server.scaled == [names.workload(GATEWAY, GREEN)]
