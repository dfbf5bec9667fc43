"""Both disruption budgets against the eviction API itself, in every phase: what serves is protected.

Asked by dry runs, which the API server judges as it judges evictions and which end no pod; and by a drain that is real
and never tires, from before a release to after it, under load.
"""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes.kit import OTHER, deploying, fresh, place, serving_tag, standing_still, whole

from cluster_harness import wait_until
from harness import SETTLE

if TYPE_CHECKING:
    from tests.kubernetes.conftest import StartLoad

    from cluster_harness import ClusterStack

pytestmark = [pytest.mark.cluster, pytest.mark.soak]

SERVICES = ("alfred-backend", "alfred-gateway")


def evict(stack: ClusterStack, pod: str, *, real: bool = False) -> bool:
    """Whether the API server lets the pod be evicted. Any other refusal than a budget's fails the test."""
    options = {} if real else {"deleteOptions": {"dryRun": ["All"]}}
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": stack.namespace}}
    path = f"/api/v1/namespaces/{stack.namespace}/pods/{pod}/eviction"
    done = stack.cluster.run(["kubectl", "create", "--raw", path, "-f", "-"], stdin=json.dumps({**body, **options}))
    if done.returncode:
        assert "TooManyRequests" in done.stderr or "NotFound" in done.stderr, done.stderr
    return done.returncode == 0


def pods(stack: ClusterStack, service: str, slot: str) -> list[str]:
    """The ready pods that are not ending."""
    found = stack.get("pods", "-l", f"app={service},slot={slot}")["items"]
    living = [item for item in found if "deletionTimestamp" not in item["metadata"]]
    return [item["metadata"]["name"] for item in living if _is_ready(item["status"])]


def _is_ready(status: dict[str, Any]) -> bool:
    return any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions", []))


def may_go(stack: ClusterStack, slot: str) -> dict[str, int]:
    """Of how many pods of the slot, each asked for by itself, the API server would let go."""
    return {service: sum(evict(stack, pod) for pod in pods(stack, service, slot)) for service in SERVICES}


def budgets_have_settled(stack: ClusterStack) -> bool:
    """Whether the disruption controller has seen each budget as it is now."""
    found = stack.get("poddisruptionbudgets")["items"]
    return all(item["status"].get("observedGeneration") == item["metadata"]["generation"] for item in found)


def settled(stack: ClusterStack) -> None:
    wait_until(lambda: budgets_have_settled(stack), what="the budgets to be seen by their controller", limit=60)


NOBODY = {"alfred-backend": 0, "alfred-gateway": 0}
AT_THE_MINIMUM = {"alfred-backend": 2, "alfred-gateway": 0}
"""Of two backends each may go, not both at once; the two gateways are the minimum."""
ALL = {"alfred-backend": 2, "alfred-gateway": 2}


def test_the_slot_that_serves_is_protected_at_its_minimum(shared: ClusterStack) -> None:
    serving = shared.selector()
    settled(shared)
    assert may_go(shared, serving) == AT_THE_MINIMUM
    assert may_go(shared, OTHER[serving]) == ALL


@pytest.mark.parametrize("phase", ["deploy", "validate"])
def test_before_the_switch_the_old_slot_is_protected(phase: str, shared: ClusterStack) -> None:
    serving = shared.selector()
    with deploying(shared, fresh(shared)) as told:
        told.reach("phase_began", phase=phase)
        with standing_still(told):
            assert may_go(shared, serving) == AT_THE_MINIMUM
        assert told.end() == 0, told.shown()


def test_from_the_switch_to_the_end_of_the_window_both_slots_are_protected(shared: ClusterStack) -> None:
    old = shared.selector()
    with deploying(shared, fresh(shared), "--validation-time", "40") as told:  # long enough for a dozen questions
        told.reach("routed")
        settled(shared)
        assert may_go(shared, OTHER[old]) == NOBODY
        assert may_go(shared, old) == NOBODY
        assert told.end() == 0, told.shown()
    settled(shared)
    assert may_go(shared, OTHER[old]) == AT_THE_MINIMUM
    assert may_go(shared, old) == ALL


def test_while_the_old_slot_is_ended_the_new_one_is_protected(shared: ClusterStack) -> None:
    old = shared.selector()
    with deploying(shared, fresh(shared), "--scale-down-old") as told:
        told.reach("phase_began", phase="retire")
        settled(shared)
        assert may_go(shared, OTHER[old]) == NOBODY
        assert told.end() == 0, told.shown()
    settled(shared)
    assert may_go(shared, OTHER[old]) == AT_THE_MINIMUM
    shared.must("rollback", "--cold")  # both slots are warm again


def test_after_a_rollback_by_hand_the_budgets_follow(shared: ClusterStack) -> None:
    old = shared.selector()
    with deploying(shared, fresh(shared)) as told:
        assert told.end() == 0, told.shown()
    shared.must("rollback")
    settled(shared)
    assert may_go(shared, old) == AT_THE_MINIMUM
    assert may_go(shared, OTHER[old]) == ALL


class Drain:
    """Evicts what serves, whenever it is let, as a person with a node to empty does."""

    def __init__(self, stack: ClusterStack) -> None:
        """Begin."""
        self.tried = 0
        self.evicted = 0
        self._stack = stack
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._drain)
        self._thread.start()

    def _drain(self) -> None:
        while not self._over.wait(0.2):
            serving = self._stack.selected("gateway")
            for service in SERVICES:
                for pod in pods(self._stack, service, serving):
                    self.tried += 1
                    self.evicted += evict(self._stack, pod, real=True)

    def stop(self) -> None:
        """End it."""
        self._over.set()
        self._thread.join(60)


def test_a_drain_that_never_tires_costs_no_user_anything(shared: ClusterStack, start_load: StartLoad) -> None:
    tag = fresh(shared)
    load = start_load(shared)
    time.sleep(SETTLE)
    drain = Drain(shared)
    try:
        with deploying(shared, tag, "--validation-time", "8") as told:
            code = told.end()
    finally:
        drain.stop()
    time.sleep(SETTLE)
    counts = load.stop()
    print(f"{drain.tried} evictions tried, {drain.evicted} allowed")
    assert code == 0, told.shown()
    assert drain.tried > drain.evicted > 0
    assert counts.failed == 0, counts.told()
    assert serving_tag(shared) == tag
    whole(shared)
    assert place(shared)["unfinished"] is None
