"""The run is killed at any instant; the stack serves, and the next command knows what to do.

Three stacks side by side, each with load and a seed of its own. The points are spread over all phases: a phase in turn,
then an instant within it by chance. Every point is printed with its seed.
"""

from __future__ import annotations

import os
import random
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from testbed.faults import slow_api
from tests.kubernetes.kit import OTHER, Selectors, deploy_words, fresh, serving_tag, tags, whole

from harness import Counts, Rates

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.cluster import Cluster
    from tests.kubernetes.conftest import StartLoad

    from cluster_harness import ClusterStack

pytestmark = [pytest.mark.cluster, pytest.mark.soak]

POINTS = int(os.environ.get("KILLS", "7"))
"""KILLS=50 is the long form."""
SEED = 20_261_124
STACKS = 3
LONG = {"detect": 0.4, "deploy": 6.0, "validate": 4.0, "switch": 0.6, "observe": 3.0, "retire": 12.0, "rollback": 0.3}
"""About how many seconds each lasts here; the instant is drawn from all of it."""
CALM = Rates(new=4, keepalive=8, slow=1, post=4, stream=1, websocket=4)


@pytest.mark.timeout(3600)
def test_killed_at_seeded_points_over_all_phases(make: Callable[[str], ClusterStack], start_load: StartLoad) -> None:
    stacks = [make(f"kills-{number}") for number in range(STACKS)]
    loads = [start_load(stack, rates=CALM, backend=None) for stack in stacks]
    with ThreadPoolExecutor(STACKS) as pool:
        kills = [
            pool.submit(kill_and_go_on, stack, seed=SEED + number, points=_share(number))
            for number, stack in enumerate(stacks)
        ]
        for kill in kills:
            kill.result()
    counts = Counts.together([load.stop() for load in loads])
    print(f"{POINTS} kills, {counts.requests} requests, {counts.failed} failed")
    assert counts.failed == 0, counts.told()
    assert counts.column("lost_to_crash") == 0, counts.told()


def _share(number: int) -> list[str]:
    """The phases in which this stack's runs are killed."""
    phases = [list(LONG)[point % len(LONG)] for point in range(POINTS)]
    return phases[number::STACKS]


def kill_and_go_on(stack: ClusterStack, *, seed: int, points: list[str]) -> None:
    """Kill a run in each of these phases, and have the next command end what is left."""
    chance = random.Random(seed)
    for number, phase in enumerate(points):
        instant = chance.uniform(0.0, LONG[phase])
        follow = chance.choice([_deploy_next, _roll_back_next, _look_and_roll_back_next])
        print(f"seed {seed}, kill {number}: {phase} + {instant:.3f} s, then {follow.__name__}", flush=True)
        before = serving_tag(stack)
        tag = fresh(stack)
        if phase == "rollback":
            _kill(stack, "rollback", "--to", OTHER[stack.selector()], after=instant)
        else:
            _kill_in(stack, tag, phase, after=instant)
        follow(stack, tag, before)
        assert stack.status()["unfinished"] is None
    stack.must(*deploy_words(fresh(stack)))
    whole(stack)


def _kill_in(stack: ClusterStack, tag: str, phase: str, *, after: float) -> None:
    words = ("--scale-down-old",) if phase == "retire" else ()
    told = stack.told(*deploy_words(tag, *words))
    try:
        if phase != "detect":
            told.reach("phase_began", phase=phase)
        time.sleep(after)  # the seeded instant
    finally:
        told.kill()


def _kill(stack: ClusterStack, *words: str, after: float) -> None:
    process = stack.start(*words, stdout=-3, stderr=-3)
    time.sleep(after)  # the seeded instant
    process.send_signal(signal.SIGKILL)
    process.wait()


def _deploy_next(stack: ClusterStack, tag: str, _before: str) -> None:
    """The same deploy again ends what was left and does what was wanted."""
    stack.must(*deploy_words(tag))
    assert serving_tag(stack) == tag


def _roll_back_next(stack: ClusterStack, tag: str, before: str) -> None:
    """Users end on one version that was good, which is never the one that nobody has watched."""
    done = stack.run("rollback")
    assert done.code in {0, 5}, f"{done.out}\n{done.err}"
    if done.code == 5:  # it says that there is no way back to trust, and leaves users where they are
        stack.must(*deploy_words(tag))
    assert len(tags(stack, stack.selector())) == 1, (before, done.out)


def _look_and_roll_back_next(stack: ClusterStack, tag: str, before: str) -> None:
    """The look itself must work, whatever was left."""
    status = stack.status()
    assert status["serving"] in OTHER or status["unfinished"] is not None
    _roll_back_next(stack, tag, before)


@pytest.mark.parametrize("verb", ["deploy", "rollback"])
def test_killed_between_the_two_services(
    verb: str, breakable: Cluster, make: Callable[[str], ClusterStack], start_load: StartLoad
) -> None:
    """4c "tool killed between switching backend and gateway": the next command brings users to one slot."""
    stack = make("between")
    old, tag = stack.selector(), fresh(stack)
    load = start_load(stack)
    with Selectors(stack) as selectors, slow_api(breakable, milliseconds=300):
        told = stack.told(*deploy_words(tag))
        selectors.wait("backend", {OTHER[old]})
        told.kill()  # its write to the other Service is 300 ms away
    assert (stack.selected("backend"), stack.selected("gateway")) == (OTHER[old], old)
    status = stack.status()
    assert status["split"]
    assert status["unfinished"] is not None
    if verb == "deploy":
        stack.must(*deploy_words(tag))
        assert serving_tag(stack) == tag
    else:
        stack.must("rollback")
        assert stack.selector() == old
    counts = load.stop()
    assert counts.failed == 0, counts.told()
    assert stack.status()["unfinished"] is None
