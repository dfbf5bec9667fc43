"""Cases of Argo Rollouts' and Flagger's own blue-green suites and issues, under load of every kind on both nodes.

Each is named for where it comes from. Theirs assert states; these assert that users lost nothing, too. The first is
the control: the same load, and nothing happens.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import pytest
from tests.kubernetes.kit import (
    OTHER,
    Selectors,
    deploy_words,
    deploying,
    fresh,
    idle,
    place,
    ready,
    serving_tag,
    sizes,
    tags,
    warm,
    whole,
)

from cluster_harness import PORTS, SERVICES, Deaths, wait_until
from harness import SETTLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.kubernetes.conftest import StartLoad

    from cluster_harness import ClusterLoad, ClusterStack, Death
    from harness import Counts

pytestmark = [pytest.mark.cluster, pytest.mark.soak]

FULL = {"alfred-backend": 2, "alfred-gateway": 2}


@pytest.fixture(autouse=True)
def left_whole(shared: ClusterStack) -> Iterator[None]:
    """Each case finds and leaves both slots warm."""
    yield
    whole(shared)


def ended(load: ClusterLoad) -> Counts:
    """The load's result, after some seconds more of it."""
    time.sleep(SETTLE)  # the load's length: what comes late must still be counted
    return load.stop()


def nothing_failed(load: ClusterLoad) -> Counts:
    counts = ended(load)
    assert counts.requests > 0
    assert counts.failed == 0, counts.told()
    assert counts.column("lost_to_crash") == 0, counts.told()
    return counts


def versions(counts: Counts) -> set[str]:
    return {str(row["version"]) for _, row in counts.versions()}


def test_control_without_a_switch(shared: ClusterStack, start_load: StartLoad) -> None:
    load = start_load(shared)
    time.sleep(10)  # the run's length
    counts = nothing_failed(load)
    assert versions(counts) == {serving_tag(shared)}


def test_argo_blue_green_update(shared: ClusterStack, start_load: StartLoad) -> None:
    """functional TestBlueGreenUpdate: both slots at full size, the new one active; here, and one order of switches."""
    before, tag = shared.selector(), fresh(shared)
    load = start_load(shared)
    done = shared.must(*deploy_words(tag), output="json")
    counts = nothing_failed(load)
    (routed,) = [event for event in done.events if event["event"] == "routed"]
    assert (routed["slot"], routed["services"]) == (OTHER[before], ["alfred-backend", "alfred-gateway"])
    assert serving_tag(shared) == tag
    assert ready(shared, before) == ready(shared, OTHER[before]) == FULL
    assert tag in versions(counts)


@pytest.mark.long
def test_argo_exceed_progress_deadline_abort(shared: ClusterStack, start_load: StartLoad) -> None:
    """functional TestBlueGreenExceedProgressDeadlineAbort, 4c "bad image": Argo still waits after 100 s."""
    before = place(shared)
    load = start_load(shared)
    with deploying(shared, "no-such-tag") as told:
        code = told.end()
    nothing_failed(load)
    assert code == 1, told.shown()
    assert "no-such-tag" in json.dumps(told.events)
    (diagnosed,) = [event for event in told.events if event["event"] == "diagnosed"]
    assert "ImagePull" in json.dumps(diagnosed["cause"]), diagnosed
    waited = told.moment("diagnosed") - told.moment_of("phase_began", phase="validate")
    assert waited < 10e9, f"told after {waited / 1e9:.1f} s"
    assert place(shared) == before


@pytest.mark.long
def test_argo_pre_promotion_fail_then_fix(shared: ClusterStack, start_load: StartLoad) -> None:
    """analysis TestBlueGreenPrePromotionFail: users never see the bad version; the fix is released at once."""
    bad, good = fresh(shared, fault="error-page"), fresh(shared)
    before = place(shared)
    load = start_load(shared, bad=[bad])
    shared.must(*deploy_words(bad), code=1)
    assert place(shared) == before
    shared.must(*deploy_words(good))
    counts = nothing_failed(load)
    assert bad not in versions(counts)
    assert serving_tag(shared) == good


def test_argo_post_promotion_fail(shared: ClusterStack, start_load: StartLoad) -> None:
    """analysis TestBlueGreenPostPromotionFail: active goes to the new version and back; 4c "green ready then 500s"."""
    bad, before = fresh(shared, fault="errors=10"), place(shared)
    load = start_load(shared, bad=[bad])
    done = shared.must(*deploy_words(bad, "--validation-time", "8"), code=3, output="json")
    counts = nothing_failed(load)
    assert counts.column("answered_badly") > 0
    (back,) = [event for event in done.events if event["event"] == "came_back"]
    assert back["slot"] == before["serving"]
    assert place(shared) == before


@pytest.mark.long
def test_argo_abort_and_update(shared: ClusterStack, start_load: StartLoad) -> None:
    """analysis TestBlueGreenAbortAndUpdate: revision 2 fails, revision 3 passes; what failed is no way back."""
    bad, good = fresh(shared, fault="errors=100"), fresh(shared)
    first = serving_tag(shared)
    load = start_load(shared, bad=[bad])
    shared.must(*deploy_words(bad), code=1)
    shared.must(*deploy_words(good))
    assert serving_tag(shared) == good
    shared.must("rollback")
    nothing_failed(load)
    assert serving_tag(shared) == first


@pytest.mark.long
def test_argo_scale_down_on_abort(shared: ClusterStack, start_load: StartLoad) -> None:
    """functional TestBlueGreenScaleDownOnAbort: aborted while it waits. Argo ends the preview; here it is warm."""
    never, before = fresh(shared, fault="never-ready"), place(shared)
    load = start_load(shared)
    with deploying(shared, never) as told:
        told.reach("phase_began", phase="validate")
        told.process.send_signal(signal.SIGINT)
        code = told.end()
    nothing_failed(load)
    assert code == 130, told.shown()
    assert place(shared) == before


@pytest.mark.long
def test_argo_fast_rollback_without_analysis(shared: ClusterStack, start_load: StartLoad) -> None:
    """analysis TestBlueGreenAnalysis, the second half: back to the old version at once, with nothing run again."""
    first, tag = serving_tag(shared), fresh(shared)
    load = start_load(shared)
    shared.must(*deploy_words(tag))
    done = shared.must("rollback", output="json")
    assert shared.routed(idle(shared)) is False
    nothing_failed(load)
    assert serving_tag(shared) == first
    assert not [event for event in done.events if event["event"] in {"checked", "observed", "phase_began"}]


def test_argo_gap_pods_crash_after_the_switch(shared: ClusterStack, start_load: StartLoad, tmp_path: Path) -> None:
    """4c "green pods crash after the switch": the release itself brings users back, and asks nothing of the dead."""
    bad, before = fresh(shared, fault="crash-after=24"), place(shared)
    crashes = tmp_path / "crashes.jsonl"
    load = start_load(shared, crashes=crashes)
    with Deaths(shared) as deaths, deploying(shared, bad, "--validation-time", "40") as told:
        code = told.end()
        seen = deaths.stop()
    assert code == 3, told.shown()
    since = [death for death in seen if death.moment_ns + SECOND_NS > told.moment("routed")]
    dying = Dying.of(since, slot=OTHER[before["serving"]], version=bad, back=told.moment("came_back"))
    dying.write(crashes)
    counts = ended(load)
    assert counts.failed == 0, counts.told()
    print(f"lost to the crash: {counts.column('lost_to_crash')}, in {dying}")
    assert place(shared) == before


SECOND_NS = 1_000_000_000
LATE_NS = 2 * SECOND_NS
"""A node may learn of a route up to 1.1 s after the API, and a refused connection takes its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dying:
    """When something of a version was dying, for the load generator."""

    start_ns: int
    end_ns: int
    slot: str
    version: str

    @classmethod
    def of(cls, deaths: Sequence[Death], *, slot: str, version: str, back: int) -> Dying:
        """From the first death in the slot (known to the second) until users were back everywhere."""
        began = min(death.moment_ns for death in deaths if death.slot == slot)
        return cls(start_ns=began, end_ns=back + LATE_NS, slot=slot, version=version)

    def write(self, path: Path) -> None:
        """The one line of the load generator's file. Behind a Service no proxy accepts connections for the dead."""
        path.write_text(json.dumps({**asdict(self), "bare": True}))

    def __str__(self) -> str:
        return f"{(self.end_ns - self.start_ns) / 1e9:.1f} s"


def test_outage_new_pods_dead_and_not_placeable(shared: ClusterStack, start_load: StartLoad, tmp_path: Path) -> None:
    """The outage that was measured with Argo: `abort` left users on dead pods for good, and ended the healthy old ones.

    A quota stands for nodes that take no pods: the dead ones are not replaced. The way back needs none of them.
    """
    old, tag = shared.selector(), fresh(shared)
    new = OTHER[old]
    shared.must(*deploy_words(tag))
    generations = generations_of(shared, old)
    crashes = tmp_path / "crashes.jsonl"
    load = start_load(shared, bad=[tag], crashes=crashes)  # bad: a gateway whose backend dies first says so itself
    time.sleep(SETTLE)
    with no_more_pods(shared):
        doomed = addresses(shared, new)
        died = time.time_ns()
        shared.kubectl("delete", "pods", "-l", f"slot={new}", "--grace-period=0", "--force")
        wait_until(lambda: set(ready(shared, new).values()) == {0}, what=f"no ready pod in {new}", limit=60)
        with Selectors(shared) as selectors:
            began = time.monotonic()
            process = shared.start("rollback")
            for service in SERVICES:
                selectors.wait(service, {old}, limit=60)
            took = time.monotonic() - began
        wait_until(lambda: shared.routed(old), what="all endpoints to be the old slot's", limit=60)
        code = process.wait(120)
        until_nobody_listens(shared, doomed)  # the kubelet may let what it ends live on for some seconds
        back = time.time_ns()
        time.sleep(SETTLE)  # users are served meanwhile, and the old slot is left alone
        assert ready(shared, old) == FULL
        assert generations_of(shared, old) == generations
    Dying(start_ns=died, end_ns=back + LATE_NS, slot=new, version=tag).write(crashes)
    counts = ended(load)
    assert code == 0
    assert counts.failed == 0, counts.told()
    print(f"routed back after {took:.2f} s, the start of the process among them")
    warm(shared, new)


@contextmanager
def no_more_pods(stack: ClusterStack) -> Iterator[None]:
    """As long as it lasts, the namespace gets no pod that it does not have."""
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": {"pods": "1"}}}
    stack.kubectl("apply", "-f", "-", stdin=json.dumps(quota))
    wait_until(lambda: "used" in stack.get("resourcequota", "full")["status"], what="the quota in force", limit=60)
    try:
        yield
    finally:
        stack.kubectl("delete", "resourcequota", "full")
        # Its controller tries again ever more rarely; a change of the ReplicaSet makes it look at once.
        stack.kubectl("annotate", "replicasets", "--all", "tests/look=now", "--overwrite")


def addresses(stack: ClusterStack, slot: str) -> list[str]:
    """Where the slot's pods listen, as host:port."""
    pods = stack.get("pods", "-l", f"slot={slot}")["items"]
    ports = {f"alfred-{service}": port for service, port in PORTS.items()}
    return [f"{pod['status']['podIP']}:{ports[pod['metadata']['labels']['app']]}" for pod in pods]


_UNTIL_NOBODY_LISTENS = """
import socket, sys, time
limit = time.monotonic() + 50
for host, port in (word.split(":") for word in sys.argv[1:]):
    while time.monotonic() < limit:
        try:
            socket.create_connection((host, int(port)), timeout=0.5).close()
        except OSError:
            break
        time.sleep(0.05)
    else:
        sys.exit(f"{host}:{port} still listens after 50 s")
"""


def until_nobody_listens(stack: ClusterStack, places: Sequence[str]) -> None:
    """Wait, 50 s at most, until none of the addresses takes a connection from a node's client any more."""
    words = [sys.executable, "-c", _UNTIL_NOBODY_LISTENS, *places]
    done = stack.cluster.run(words, at=stack.cluster.nodes[0].client)
    assert done.returncode == 0, done.stderr


def generations_of(stack: ClusterStack, slot: str) -> dict[str, int]:
    """Which writes the slot's Deployments have had: the same numbers, nobody has changed them."""
    found = stack.get("deployments", "-l", f"slot={slot}")["items"]
    return {item["metadata"]["name"]: item["metadata"]["generation"] for item in found}


def test_argo_3437_selector_stripped_by_another_writer(shared: ClusterStack, start_load: StartLoad) -> None:
    """4c "selector stripped by another writer while waiting", A#3437: Argo skips its gates. Here nothing passes."""
    slow, before = fresh(shared, fault="never-ready"), place(shared)
    load = start_load(shared)
    with deploying(shared, slow) as told:
        told.reach("phase_began", phase="validate")
        strip = json.dumps([{"op": "remove", "path": "/spec/selector/slot"}])
        shared.kubectl("patch", "svc", "alfred-gateway", "--type", "json", "-p", strip)
        code = told.end()
    assert code == 5, told.shown()
    assert "alfred-gateway was moved to no slot" in json.dumps(told.events)
    assert shared.selected("backend") == before["serving"]
    assert shared.selected("gateway") == ""
    shared.must("rollback", "--to", before["serving"])
    counts = nothing_failed(load)
    assert slow not in versions(counts)
    assert shared.selector() == before["serving"]
    shared.must(*deploy_words(fresh(shared)))  # over what was left half staged for the person who decides


@pytest.mark.long
def test_argo_4200_scaled_while_it_releases(shared: ClusterStack, start_load: StartLoad) -> None:
    """4c "HPA doubles live replicas mid-release", A#4200, A#4302: neither a wedge nor fewer pods than before."""
    active, tag = shared.selector(), fresh(shared)
    load = start_load(shared)
    try:
        with deploying(shared, tag) as told:
            told.reach("phase_began", phase="validate")
            shared.kubectl("scale", f"deployment/alfred-gateway-{active}", "--replicas=4")
            code = told.end()
        nothing_failed(load)
        assert code == 0, told.shown()
        assert serving_tag(shared) == tag
        assert sizes(shared, active)["alfred-gateway"] == 4
    finally:
        for slot in OTHER:
            shared.kubectl("scale", f"deployment/alfred-gateway-{slot}", "--replicas=2")


@pytest.mark.long
def test_flagger_new_revision_while_the_first_is_watched(shared: ClusterStack, start_load: StartLoad) -> None:
    """TestScheduler_DeploymentNewRevisionReset, 4c "second release while first is in its watch": told who holds it."""
    first, second = fresh(shared), fresh(shared)
    load = start_load(shared)
    with deploying(shared, first, "--validation-time", "8") as told:
        told.reach("phase_began", phase="observe")
        refused = shared.must(*deploy_words(second), code=4)
        code = told.end()
    nothing_failed(load)
    assert code == 0, told.shown()
    assert told.summary["run"] in refused.err
    assert serving_tag(shared) == first


@pytest.mark.long
def test_two_deploys_at_once(shared: ClusterStack, start_load: StartLoad) -> None:
    """One wins and is released; the other is told so, and has written nothing."""
    contenders = {tag: shared.told(*deploy_words(tag)) for tag in (fresh(shared), fresh(shared))}
    load = start_load(shared)
    codes = {tag: told.end() for tag, told in contenders.items()}
    nothing_failed(load)
    assert sorted(codes.values()) == [0, 4], {tag: told.shown() for tag, told in contenders.items()}
    assert codes[serving_tag(shared)] == 0


@pytest.mark.long
def test_argo_rollback_after_the_old_slot_was_scaled_down(shared: ClusterStack, start_load: StartLoad) -> None:
    """duration TestBlueGreenDuration_RolledBack, 4c "rollback after old slot was scaled down": cold, and it says so."""
    old, first, tag = shared.selector(), serving_tag(shared), fresh(shared)
    load = start_load(shared)
    shared.must(*deploy_words(tag, "--scale-down-old"))
    assert sizes(shared, old) == dict.fromkeys(FULL, 0)
    refused = shared.must("rollback", code=5)
    assert "--cold" in refused.err + refused.out
    assert serving_tag(shared) == tag
    shared.must("rollback", "--cold")
    nothing_failed(load)
    assert (shared.selector(), serving_tag(shared)) == (old, first)
    assert ready(shared, old) == FULL


@pytest.mark.long
def test_argo_never_scale_down(shared: ClusterStack, start_load: StartLoad) -> None:
    """functional TestNeverScaleDown, A#2235: without --scale-down-old the old slot stays, long after the window."""
    old, first = shared.selector(), serving_tag(shared)
    load = start_load(shared)
    shared.must(*deploy_words(fresh(shared), "--validation-time", "0"))
    time.sleep(35)  # Argo's scaleDownDelaySeconds is 30
    nothing_failed(load)
    assert ready(shared, old) == FULL
    assert tags(shared, old) == {first}
