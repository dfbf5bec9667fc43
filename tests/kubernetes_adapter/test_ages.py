"""What a watch shows grows older while it shows something, and not while it has trouble."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kubernetes_adapter.cluster_kit import Served
from tests.kubernetes_transport.server import reply, reset
from tests.unit.domain_kit import pod, snapshot, workload

from bluegreen.domain.errors import Unseen
from bluegreen.domain.snapshot import Pod, Snapshot, Trouble, Waiting
from bluegreen.domain.stack import Instant
from bluegreen.domain.values import replace
from bluegreen.platforms.kubernetes.ages import Ages

if TYPE_CHECKING:
    from tests.kubernetes_transport.server import Conversation

STUCK = replace(
    pod(ready=False, state=Waiting(reason="ErrImagePull"), unplaced="no node"), trouble=Trouble(reason="FailedMount")
)


def looked(at: float) -> Snapshot:
    return snapshot(workload(STUCK, replicas=1, problem="quota"), at=at)


def dates(found: Snapshot) -> set[float | None]:
    (work,) = found.workloads
    one: Pod = work.pods[0]
    trouble = one.trouble.since if one.trouble is not None else None
    return {one.since, one.containers[0].since, trouble, work.problem_since}


def test_a_state_that_lasts_keeps_its_date() -> None:
    ages = Ages()
    assert [dates(ages.date(looked(at), blind=False)) for at in (1.0, 2.0, 9.0)] == [{1.0}, {1.0}, {1.0}]


def test_it_begins_anew_when_it_is_seen_again() -> None:
    ages = Ages()
    ages.date(looked(1.0), blind=False)
    ages.date(looked(30.0), blind=True)
    assert dates(ages.date(looked(50.0), blind=True)) == {50.0}
    assert dates(ages.date(looked(60.0), blind=False)) == {60.0}
    assert dates(ages.date(looked(90.0), blind=False)) == {60.0}


def test_a_connection_that_is_made_anew_at_once_hides_nothing() -> None:
    """A load balancer in front of the API server may end the quiet ones each minute."""
    ages = Ages()
    ages.date(looked(1.0), blind=False)
    for at in (60.0, 120.0):
        assert dates(ages.date(looked(at), blind=True)) == {1.0}
        assert dates(ages.date(looked(at + 1.0), blind=False)) == {1.0}


def test_what_was_ready_is_not_forgotten_meanwhile() -> None:
    ages = Ages()
    ages.date(snapshot(workload(pod(), replicas=1), at=1.0), blind=False)
    (work,) = ages.date(snapshot(workload(pod(ready=False), replicas=1), at=2.0), blind=True).workloads
    assert work.pods[0].was_ready


class Unwatched(Served):
    """It lists, and breaks every watch; each takes its time."""

    each = 0.0

    def step(self, conversation: Conversation) -> None:
        heard = conversation.heard
        if "watch" in heard.query:
            self.clock.skip(self.each)
            reset(conversation)
        elif heard.path.endswith(("/leases", "/events")):
            reply({"metadata": {"resourceVersion": "9"}, "items": []})(conversation)
        else:
            super().step(conversation)


def test_a_stack_that_cannot_be_watched_is_not_looked_at_again() -> None:
    """What is known of it is from before; the limit says why nothing more is."""
    served = Unwatched()
    with served.platform() as platform:
        told = platform.changes(until=Instant(100.0), again=lambda: Instant(50.0))
        assert next(iter(told)).at == 0.0
        served.each = 20.0
        with pytest.raises(Unseen, match="the cluster could not be watched"):
            next(iter(told))
