"""The Kubernetes platform at the bench: real pods in a real cluster, worked on by an account with the listed rights."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from testbed.places import CONTROL_PLANE
from tests.contract.kubernetes_ground import image

from bluegreen.clock import SystemClock
from bluegreen.metrics.scrape import ScrapeMetrics
from bluegreen.platforms.kubernetes.journal import KubernetesJournal
from bluegreen.platforms.kubernetes.kubeconfig import load_cluster
from bluegreen.platforms.kubernetes.lock import KubernetesLock
from bluegreen.platforms.kubernetes.platform import KubernetesPlatform
from bluegreen.platforms.kubernetes.transport import Api

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.contract.bench import Make
    from tests.contract.kubernetes_ground import Ground

    from bluegreen.domain.image import ImageReference
    from bluegreen.domain.stack import Seconds, Stack
    from bluegreen.platforms.kubernetes.cluster import Cluster
    from bluegreen.ports import Purpose

HOLDER = """
import os, sys
from bluegreen.clock import SystemClock
from bluegreen.domain.release import RunKind
from bluegreen.domain.stack import after
from bluegreen.platforms.kubernetes.kubeconfig import load_cluster
from bluegreen.platforms.kubernetes.lock import KubernetesLock
from bluegreen.platforms.kubernetes.transport import Api
from bluegreen.ports import Purpose
from tests.contract.kubernetes_ground import stack
clock, cluster = SystemClock(), load_cluster(os.environ)
lock = KubernetesLock(cluster, stack=stack(), namespace=sys.argv[1], clock=clock, api=Api(cluster, clock=clock))
lock.take(Purpose(kind=RunKind.RELEASE, run=sys.argv[2], who=sys.argv[3]), until=after(clock.now(), 5))
print("taken", flush=True)
sys.stdin.read()
"""

USERS = """
import sys, time, urllib.request
address, slot, requests = sys.argv[1], sys.argv[2], int(sys.argv[3])
def answered(path):
    with urllib.request.urlopen(address + path, timeout=5) as answer:
        return answer.headers["X-Slot"]
limit = time.monotonic() + 10
while {answered("/healthz") for _ in range(20)} != {slot}:  # no user's path: this node may follow a route a second late
    assert time.monotonic() < limit, f"{address} is not answered by {slot} alone within 10 s"
for _ in range(requests):
    answered("/")
"""


class KubernetesBench:
    """A bench of one namespace. It stands in the cluster's network; sessions belong to the thread that opened them."""

    evicts = True
    falls_back = False
    counts_users = False
    knows_images = False

    def __init__(self, ground: Ground, *, direct: bool) -> None:
        """Users are on a slot whose pods are ready. ``direct``: commands run where pods and Services can be reached."""
        self.clock = SystemClock()
        self.reaches_entry = direct
        self._ground = ground
        self._apis: list[Api] = []
        self._locks: list[KubernetesLock] = []
        self._platforms: list[KubernetesPlatform] = []
        self._others: list[threading.Thread] = []
        self._faults: list[BaseException] = []

    @property
    def stack(self) -> Stack:
        """As in Bench; so are all the others."""
        return self._ground.stack

    @cached_property
    def _cluster(self) -> Cluster:
        return load_cluster({"KUBECONFIG": self._ground.kubeconfig()})

    def close(self) -> None:
        for thread in self._others:
            thread.join()
        closable: list[KubernetesLock | KubernetesPlatform | Api] = [*self._locks, *self._platforms, *self._apis]
        for each in closable:
            each.close()
        if self._faults:
            raise self._faults[0]

    def _api(self) -> Api:
        self._apis.append(Api(self._cluster, clock=self.clock))
        return self._apis[-1]

    def lock(self) -> KubernetesLock:
        space = self._ground.namespace
        made = KubernetesLock(self._cluster, stack=self.stack, namespace=space, clock=self.clock, api=self._api())
        self._locks.append(made)
        return made

    def journal(self) -> KubernetesJournal:
        return KubernetesJournal(self._api(), stack=self.stack, namespace=self._ground.namespace, clock=self.clock)

    def platform(self) -> KubernetesPlatform:
        made = KubernetesPlatform(
            self._cluster,
            api=self._api(),
            stack=self.stack,
            namespace=self._ground.namespace,
            clock=self.clock,
            direct=self.reaches_entry,
            plans=True,
        )
        self._platforms.append(made)
        return made

    def metrics(self) -> ScrapeMetrics:
        return ScrapeMetrics(self.stack, clock=self.clock, page=self.platform().asking().page)

    def users(self, service: str, *, requests: int) -> None:
        words = [sys.executable, "-c", USERS, *self._ground.users_of(service), str(requests)]
        done = self._ground.cluster.run(words, at="c1")
        assert done.returncode == 0, done.stderr

    def image(self, service: str, make: Make) -> ImageReference:
        return image(service, make)

    def later(self, seconds: Seconds, action: Callable[[], object]) -> None:
        def act() -> None:
            try:
                action()
            except BaseException as fault:  # noqa: BLE001 - it is the test's, and raised when the bench is closed
                self._faults.append(fault)

        self._others.append(threading.Timer(seconds, act))
        self._others[-1].start()

    def interrupt(self) -> None:
        self.clock.interrupt("SIGINT")

    def dead_holder(self, purpose: Purpose) -> None:
        words = [sys.executable, "-c", HOLDER, self._ground.namespace, purpose.run, purpose.who]
        environment = {**os.environ, "KUBECONFIG": self._ground.kubeconfig(), "PYTHONPATH": os.pathsep.join(sys.path)}
        with subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "taken\n"
            holder.kill()

    @contextmanager
    def no_room(self) -> Iterator[None]:
        """The account may write no ConfigMap."""
        with self._ground.no_journals():
            yield


@contextmanager
def kubernetes_bench(ground: Ground, *, direct: bool = False) -> Iterator[KubernetesBench]:
    """One stack for all tests, put in order before each."""
    ground.put_in_order()
    with ground.cluster.within("c1" if direct else CONTROL_PLANE):
        bench = KubernetesBench(ground, direct=direct)
        try:
            yield bench
        finally:
            bench.close()
