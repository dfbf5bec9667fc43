"""The API server hangs, and a node is cut off, while releases are in their phases: users lose nothing that is ours.

One outage for several stacks, each in another phase when it begins: a release that has been told to stage, one that
waits for its pods, one at its switch, one in its window. Not run on a cluster that others use.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import pytest
from testbed.faults import frozen, unplugged
from tests.kubernetes.kit import OTHER, deploy_words, fresh, place, serving_tag, whole
from tests.testbed.helpers import fetch

from cluster_harness import wait_until
from harness import SETTLE, Counts, Rates

if TYPE_CHECKING:
    from collections.abc import Callable

    from testbed.cluster import Cluster
    from tests.kubernetes.conftest import StartLoad

    from cluster_harness import ClusterStack, Told

pytestmark = [pytest.mark.cluster, pytest.mark.soak, pytest.mark.long, pytest.mark.timeout(1200)]

CALM = Rates(new=2, keepalive=8, slow=1, post=1, stream=1, websocket=2, post_connections=0)
"""From each of two nodes, on each of six stacks: more would ask for more than two processors have."""
WINDOWS = {"deploy": "3", "validate": "3", "switch": "3", "observe": "40", "retire": "0"}
"""Seconds of each release's window; the one in its window when the outage begins is still in it when it ends."""
SHORT = {"deploy": {0}, "validate": {70}, "switch": {0}, "observe": {0}, "retire": {0}}
"""Five seconds without an answer are no reason to give up. The version in `validate` is never ready, so it waits."""
LONG = {"deploy": {0, 1, 6, 70}, "validate": {1, 6, 70}, "switch": {0, 3, 5}, "observe": {0, 3, 5}, "retire": {0}}
"""A minute may end a release, but only as its phase allows: before the switch users saw nothing of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InPhase:
    """A release that is in a phase."""

    phase: str
    stack: ClusterStack
    before: str
    tag: str
    told: Told


def begin(stack: ClusterStack, phase: str) -> InPhase:
    """Start a release that will be in the phase soon."""
    fault = "never-ready" if phase == "validate" else ""
    tag, before = fresh(stack, fault=fault), serving_tag(stack)
    words = ("--scale-down-old",) if phase == "retire" else ()
    told = stack.told(*deploy_words(tag, "--validation-time", WINDOWS[phase], "--health-retries", "5", *words))
    return InPhase(phase=phase, stack=stack, before=before, tag=tag, told=told)


@pytest.mark.parametrize(
    ("seconds", "ends"),
    [pytest.param(5, SHORT, id="5"), pytest.param(60, LONG, id="60")],
)
def test_the_api_server_hangs_in_each_phase(
    seconds: int,
    ends: dict[str, set[int]],
    breakable: Cluster,
    make: Callable[[str], ClusterStack],
    start_load: StartLoad,
) -> None:
    phases = list(WINDOWS)
    stacks = [make(f"hang-{phase}") for phase in phases]
    control = start_load(make("hang-control"), rates=CALM, backend=None)
    loads = [start_load(stack, rates=CALM, backend=None) for stack in stacks]
    with ExitStack() as ending:
        runs = [begin(stack, phase) for stack, phase in zip(stacks, phases, strict=True)]
        for run in runs:
            ending.callback(run.told.kill)
        for run in sorted(runs, key=lambda run: run.phase == "switch"):
            run.told.reach("phase_began", limit=240, phase=run.phase)
        with frozen(breakable, "kube-apiserver"):
            time.sleep(seconds)  # the outage
        wait_until(breakable.api.ready, what="the API server to answer again", limit=30)
        codes = {run.phase: run.told.end(limit=300) for run in runs}
    for run in runs:
        assert codes[run.phase] in ends[run.phase], f"{run.phase}: {run.told.shown()}"
        next_command_ends_it(run)
    counts = {phase: load.stop() for phase, load in zip(phases, loads, strict=True)}
    alone = control.stop()
    failed = {phase: each.failed for phase, each in counts.items()}
    print(f"{seconds} s: {codes}, failed {failed}; where nothing was released {alone.failed} of {alone.requests}")
    assert not alone.failed, alone.told()
    assert not any(failed.values()), Counts.together(list(counts.values())).told()


def next_command_ends_it(run: InPhase) -> None:
    """Whatever came of the release: users are on one good version, and a further release works."""
    good = fresh(run.stack)
    run.stack.must(*deploy_words(good))
    assert serving_tag(run.stack) == good
    whole(run.stack)


def proxies_have_heard(stack: ClusterStack) -> None:
    """Wait until each node sends users where the API says: its proxy hears of a Service that is made now.

    A node is Ready when its kubelet has reported. Its proxy has a connection of its own, which may need longer to come
    back; until then it sends users to pods of before the cut, and no release can know.
    """
    stack.kubectl("expose", "deployment/alfred-backend-blue", "--name=news", "--port=80", "--target-port=8000")
    url = f"http://news.{stack.namespace}.svc/health"
    for node in stack.cluster.nodes:
        heard = partial(fetch, stack.cluster, url, at=node.client)
        wait_until(lambda heard=heard: heard() != "", what=f"news on {node.name}", limit=120)  # type: ignore[misc]


def test_a_node_is_cut_off_in_the_window(
    breakable: Cluster, make: Callable[[str], ClusterStack], start_load: StartLoad
) -> None:
    """Pods on it are lost to everybody else for as long as that lasts, whatever releases do: users' losses are told.

    What is ours: the release ends, says what it saw, and leaves users on one slot; afterwards all is as before.
    """
    stack = make("cut-off")
    old, tag = stack.selector(), fresh(stack)
    control = start_load(stack, rates=CALM, backend=None)
    told = stack.told(*deploy_words(tag, "--validation-time", "20"))
    try:
        told.reach("phase_began", phase="observe")
        before = control.stop()
        during = start_load(stack, rates=CALM, backend=None)
        time.sleep(SETTLE)  # the load has looked its names up by then
        with unplugged(breakable, breakable.nodes[-1].name):
            code = told.end(limit=300)
            where = stack.selector()
            lost = during.stop()
    finally:
        told.kill()
    print(f"exit {code}, {told.summary.get('outcome')}; while it was cut off: {lost.document['columns']}")
    assert before.failed == 0, before.told()
    assert code in {0, 3, 5}, told.shown()
    assert where in {old, OTHER[old]}
    wait_until(lambda: all(node.ready for node in breakable.api.nodes()), what="both nodes to be Ready", limit=120)
    stack.wait_ready()
    proxies_have_heard(stack)
    after = start_load(stack, rates=CALM, backend=None)
    stack.must(*deploy_words(fresh(stack)))
    whole(stack)
    counts = after.stop()
    assert counts.failed == 0, counts.told()
    assert place(stack)["unfinished"] is None
