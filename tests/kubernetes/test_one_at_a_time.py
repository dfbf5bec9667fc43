"""The lock as people meet it: two deploys at once, a run that was killed, a rollback in the middle of a deploy."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes.kit import deploy_words, deploying, fresh, place, serving_tag, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cluster_harness import ClusterStack

pytestmark = pytest.mark.cluster

LASTS = 15.0
"""Seconds after which the lock of a silent one is free."""
APART = 3.0
"""Seconds: looks at the lock that are further apart prove nothing of the time between."""
GIVES_UP = 20.0
"""Seconds after which nobody waits for a sign of life any more."""


@pytest.fixture(autouse=True)
def left_whole(shared: ClusterStack) -> Iterator[None]:
    """Each test finds and leaves both slots warm."""
    yield
    whole(shared)


def lease(stack: ClusterStack) -> dict[str, Any]:
    found: dict[str, Any] = stack.get("lease", "bluegreen-alfred")
    return found


def test_of_two_deploys_at_once_one_goes_on_and_the_other_is_told_by_whom(shared: ClusterStack) -> None:
    tag = fresh(shared)
    with deploying(shared, tag) as first:
        run = first.reach("planned")["plan"]["release"]
        assert lease(shared)["spec"]["holderIdentity"].startswith(f"{run}/")
        second = shared.run(*deploy_words(tag), output="json")
        assert first.end() == 0, first.shown()
    assert second.code == 4, second.out + second.err
    assert f"release {run} by " in second.out + second.err
    assert serving_tag(shared) == tag
    assert "holderIdentity" not in lease(shared)["spec"]


def test_a_killed_deploys_lock_is_free_by_itself_and_the_wait_is_told(shared: ClusterStack) -> None:
    before, tag = place(shared)["serving"], fresh(shared)
    with deploying(shared, tag) as first:
        run = first.reach("planned")["plan"]["release"]
        first.reach("phase_began", phase="deploy")
        first.kill()
    with deploying(shared, tag) as second:
        assert second.end() == 0, second.shown()
    waits = [event for event in second.events if event["event"] == "waiting" and "sign of life" in str(event["wants"])]
    assert waits, second.shown()
    assert all(f"release {run} by " in wait["wants"][0] for wait in waits)
    assert LASTS - APART <= waits[-1]["waited"] <= GIVES_UP
    notes = " ".join(event["text"] for event in second.events if event["event"] == "note")
    assert "the lock is free" in notes
    assert f"{run} never ended" in notes
    assert place(shared)["serving"] != before
    assert serving_tag(shared) == tag


def test_a_frozen_deploy_that_wakes_after_its_lock_was_taken_changes_nothing(shared: ClusterStack) -> None:
    tag, later = fresh(shared), fresh(shared)
    with deploying(shared, tag) as first:
        first.reach("phase_began", phase="deploy")
        first.process.send_signal(signal.SIGSTOP)
        second = shared.must(*deploy_words(later), output="json")
        after = place(shared)
        first.process.send_signal(signal.SIGCONT)
        code = first.end()
    assert "the lock is free" in second.out
    assert code == 5, first.shown()
    assert "took over from" in json.dumps(first.events), first.shown()
    assert place(shared) == after
    assert serving_tag(shared) == later


def test_a_rollback_waits_for_nobody_and_the_deploy_that_lost_the_lock_yields(shared: ClusterStack) -> None:
    before, tag = place(shared)["serving"], fresh(shared)
    with deploying(shared, tag, "--validation-time", "60") as first:
        first.reach("routed")
        rollback = shared.must("rollback", output="json")
        code = first.end(limit=45)  # its window would last longer
    assert code in {3, 5}, first.shown()
    assert place(shared)["serving"] == before
    told = json.dumps(first.events)
    assert "took over" in told or "rolled back" in told, first.shown()
    assert "sign of life" not in rollback.out
