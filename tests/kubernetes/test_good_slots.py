"""No false doom: a hundred good releases, with slow starts, one end in the first life, and a registry that is flaky."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from testbed.faults import flaky_registry
from tests.kubernetes.doom_kit import GREEN, REVISION, Grounds, deployment, push_another, service

from bluegreen.domain.events import Waiting
from bluegreen.pipeline.validate import wait_until_ready

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.cluster import Cluster as Testbed

    from bluegreen.domain.events import Event
    from bluegreen.domain.stack import Instant

pytestmark = [pytest.mark.cluster, pytest.mark.long]

RELEASES = 100
AT_ONCE = 10
LIMIT = 600.0
"""For one slot: what is looked for is a false doom, not a limit."""

SLOW = {"SLOW": "12"}
ONCE = {"MODE": "once"}
KINDS: tuple[dict[str, str], ...] = (SLOW, ONCE, {**SLOW, **ONCE}, {})
MARKS = {"volumeMounts": [{"name": "marks", "mountPath": "/marks"}]}
PATIENT = {"httpGet": {"path": "/health", "port": 8000}, "periodSeconds": 1, "failureThreshold": 30}


@pytest.fixture(scope="module")
def grounds(cluster: Testbed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grounds]:
    made = Grounds(cluster)
    try:
        made.make(tmp_path_factory.mktemp("good"))
        yield made
    finally:
        made.remove()


class Releases:
    """Makes good slots, several at a time, each under a tag that no node has."""

    def __init__(self, grounds: Grounds) -> None:
        self._grounds = grounds
        tags = {number: f"{grounds.name}-{number}" for number in range(1, RELEASES + 1)}
        self._images = {number: push_another(grounds.cluster, tag) for number, tag in tags.items()}
        self._lock = threading.Lock()
        self.met: Counter[str] = Counter()
        """What was met on the way, a slot each."""

    def warm(self) -> None:
        """Give every node what the images share. A registry that breaks three of eight never gives so many."""
        for node in self._grounds.cluster.nodes:
            name = f"warm-{node.name}"
            made = deployment(name, env={}, container={}, spec={"nodeName": node.name}, labels={}, replicas=1)
            self._grounds.apply(made)
            self._grounds.kubectl("rollout", "status", f"deployment/{name}-green", "--timeout=120s")

    def one(self, number: int) -> None:
        """Fails with what is told of a slot that is called doomed, or is not ready in time."""
        name, kind = f"good-{number}", KINDS[number % len(KINDS)]
        made = deployment(
            name,
            env=kind,
            container={"image": self._images[number], "startupProbe": PATIENT, **MARKS},
            spec={"volumes": [{"name": "marks", "emptyDir": {}}]},
            labels={},
        )
        self._grounds.apply(service(name), made)
        try:
            with self._grounds.waiting([name]) as (tools, _, events):
                wait_until_ready(tools, GREEN, revision=REVISION, limit=LIMIT)
            self._note(events, kind)
        finally:
            self._grounds.kubectl("delete", "deployment", f"{name}-green", "--wait=false")

    def _note(self, events: list[tuple[Instant, Event]], kind: dict[str, str]) -> None:
        wants = " ".join(want for _, event in events if isinstance(event, Waiting) for want in event.wants)
        with self._lock:
            self.met["ready"] += 1
            self.met["slow start"] += "SLOW" in kind
            self.met["started again"] += "was started again" in wants
            self.met["pull failed on the way"] += "ErrImagePull" in wants or "ImagePullBackOff" in wants


def test_a_hundred_good_releases_and_no_false_doom(
    cluster: Testbed, grounds: Grounds, pytestconfig: pytest.Config
) -> None:
    releases = Releases(grounds)
    releases.warm()
    with flaky_registry(cluster), ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(releases.one, range(1, RELEASES + 1)))
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print(f"\ngood releases={RELEASES} false dooms=0: {dict(releases.met)}")
    assert releases.met["ready"] == RELEASES
    assert releases.met["started again"] >= RELEASES / 3, "the faults were not met"
    assert releases.met["pull failed on the way"] >= RELEASES / 10, "the registry was not flaky"
