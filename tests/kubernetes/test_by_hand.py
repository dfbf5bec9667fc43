"""A person's two lines of kubectl in each phase of a release, and exactly between its own two writes.

Toward the slot that serves they change nothing, and nobody can see them. Toward the other one they are a fact: noticed,
recorded with who wrote, never written over.
"""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest
from testbed.faults import slow_api
from tests.kubernetes.kit import (
    OTHER,
    Selectors,
    deploy_words,
    deploying,
    fresh,
    point,
    serving_tag,
    sizes,
    standing_still,
    whole,
)

from cluster_harness import wait_until
from harness import images_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.cluster import Cluster
    from tests.kubernetes.conftest import StartLoad

    from cluster_harness import ClusterStack

pytestmark = [pytest.mark.cluster, pytest.mark.soak]

SOON = 45.0
"""Seconds from a person's lines to the end of a run that has noticed them; what is left of its window is longer."""
WRITER = "kubectl-patch"


@pytest.fixture(autouse=True)
def left_whole(shared: ClusterStack) -> Iterator[None]:
    """Each test finds and leaves both slots warm."""
    yield
    whole(shared)


LONG = pytest.mark.long


@pytest.mark.parametrize("phase", [pytest.param("deploy", marks=LONG), "validate", pytest.param("observe", marks=LONG)])
def test_toward_the_slot_that_serves_they_are_harmless(phase: str, shared: ClusterStack) -> None:
    before, tag = shared.selector(), fresh(shared)
    with deploying(shared, tag) as told:
        told.reach("phase_began", phase=phase)
        with standing_still(told):
            point(shared, OTHER[before] if phase == "observe" else before)
        assert told.end() == 0, told.shown()
    assert (shared.selector(), serving_tag(shared)) == (OTHER[before], tag)


def test_a_switch_ahead_of_time_is_held_for_a_person(shared: ClusterStack) -> None:
    before = shared.selector()
    with deploying(shared, fresh(shared, fault="never-ready")) as told:
        told.reach("phase_began", phase="validate")
        point(shared, OTHER[before])
        code = told.end(limit=60)
    assert code == 5, told.shown()
    assert WRITER in json.dumps(told.events), told.shown()
    assert shared.selector() == OTHER[before], "it is left where the person has put it"
    shared.must("rollback", "--to", before)
    assert shared.selector() == before
    shared.must(*deploy_words(fresh(shared)))  # over what was left for the person who decides


def test_in_the_window_they_are_a_way_back_that_is_not_repaired(shared: ClusterStack, start_load: StartLoad) -> None:
    before, tag = shared.selector(), fresh(shared)
    load = start_load(shared)
    with deploying(shared, tag, "--validation-time", "60") as told:
        told.reach("phase_began", phase="observe")
        point(shared, before)
        code = told.end(limit=SOON)
    counts = load.stop()
    assert code in {3, 5}, told.shown()  # 5: it looked between the two lines
    assert WRITER in json.dumps(told.events), told.shown()
    assert shared.selector() == before
    assert counts.failed == 0, counts.told()


def test_what_is_left_of_a_slot_that_is_ended_is_not_touched(shared: ClusterStack) -> None:
    """Its gateway is gone; then a person sends the backend's users back to it."""
    old = shared.selector()
    with deploying(shared, fresh(shared), "--scale-down-old") as told:
        told.reach("phase_began", phase="retire")
        wait_until(lambda: sizes(shared, old)["alfred-gateway"] == 0, what="the gateway to be ended", limit=90)
        point(shared, old, "backend")
        code = told.end(limit=90)
    assert code == 5, told.shown()
    assert sizes(shared, old)["alfred-backend"] == 2
    shared.must("rollback", "--to", OTHER[old])
    shared.must(*deploy_words(fresh(shared)))


def test_after_a_release_they_are_told_by_status_and_by_the_next_plan(shared: ClusterStack) -> None:
    before, tag = shared.selector(), fresh(shared)
    shared.must(*deploy_words(tag))
    assert shared.status()["moved"] == ""
    point(shared, before)
    moved = shared.status()["moved"]
    assert f"left users on {OTHER[before]}, and somebody has moved them to {before}" in moved
    assert WRITER in moved
    told = shared.told("deploy", *images_of(tag), "--dry-run")
    assert told.end() == 0, told.shown()
    assert moved in told.reach("planned")["plan"]["notes"]


def test_exactly_between_our_two_writes(breakable: Cluster, shared: ClusterStack, start_load: StartLoad) -> None:
    """Ours to the gateway comes after it, and is taken back: users are on one slot, the person's."""
    old, tag = shared.selector(), fresh(shared)
    load = start_load(shared)
    with (
        Selectors(shared) as selectors,
        slow_api(breakable, milliseconds=300),
        deploying(shared, tag) as told,
    ):
        selectors.wait("backend", {OTHER[old]})
        told.process.send_signal(signal.SIGSTOP)  # its write to the other Service is 300 ms away
        assert shared.selected("gateway") == old
        point(shared, old, "backend")
        told.process.send_signal(signal.SIGCONT)
        code = told.end()
    counts = load.stop()
    assert code == 3, told.shown()
    assert WRITER in json.dumps(told.events), told.shown()
    assert (shared.selected("backend"), shared.selected("gateway")) == (old, old)
    assert counts.failed == 0, counts.told()
