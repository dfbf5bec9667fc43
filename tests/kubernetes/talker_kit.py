"""Pods in every state that whoever asks can meet, in a namespace of its own, and clients of the adapter to ask them."""

from __future__ import annotations

import hashlib
import json
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from testbed.pythonimage import PythonProgram, build
from tests.testbed.helpers import HERE as TESTBED_TESTS
from tests.testbed.helpers import eventually, tell

from bluegreen.clock import SystemClock
from bluegreen.platforms.kubernetes.cluster import Identity
from bluegreen.platforms.kubernetes.credentials import Credentials, Fixed
from bluegreen.platforms.kubernetes.kubeconfig import load_cluster
from bluegreen.platforms.kubernetes.objects import pod_of
from bluegreen.platforms.kubernetes.transport import Api

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.cluster import Cluster as Testbed

    from bluegreen.platforms.kubernetes.cluster import Cluster
    from bluegreen.platforms.kubernetes.objects import Pod

HERE = Path(__file__).parent
PROGRAM = HERE / "programs" / "talker" / "__main__.py"
IMAGE = f"docker.io/alfredai/talker:{hashlib.sha256(PROGRAM.read_bytes()).hexdigest()[:12]}"
"""A node that has an image of this tag keeps it, so another program needs another one."""
CLOCK = SystemClock()
CANARY = "canary-4711"

RIGHTS = [{"apiGroups": [""], "resources": ["pods", "services"], "verbs": ["get", "list"]}]
"""Of the account that may look, and neither ask a pod nor read its log."""


def _pod(
    name: str,
    *,
    labels: dict[str, str],
    env: dict[str, str],
    container: dict[str, object] | None = None,
    **spec: object,
) -> dict[str, object]:
    """``container``, ``spec``: what differs from a pod that runs."""
    usual = {
        "name": "t",
        "image": IMAGE,
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8000}, "periodSeconds": 1},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {"terminationGracePeriodSeconds": 1, "containers": [usual | (container or {})], **spec},
    }


def _service(name: str, **selector: str) -> dict[str, object]:
    spec = {"selector": selector, "ports": [{"port": 80, "targetPort": 8000}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


GREEN = {"app": "talker", "slot": "green"}
SPECS = [
    _pod("good", labels=GREEN, env={"SLOT": "green", "SAY": f"password={CANARY}"}),
    _pod("unready", labels={"app": "talker", "slot": "blue"}, env={"READY": "0"}),
    _pod("deaf", labels={"app": "deaf", "slot": "green"}, env={"MODE": "deaf"}),
    _pod("crashing", labels={}, env={"MODE": "crashes", "SAY": f"token: {CANARY}"}),
    _pod("ended", labels={}, env={"MODE": "crashes"}, restartPolicy="Never"),
    _pod("imageless", labels={}, env={}, container={"image": "docker.io/alfredai/none:v1"}),
    _pod("misconfigured", labels={}, env={}, container={"envFrom": [{"configMapRef": {"name": "nobody"}}]}),
    _pod("unplaced", labels={}, env={}, nodeSelector={"no": "where"}),
    _service("talker", **GREEN),
    _service("talker-green", **GREEN),
    _service("talker-blue", app="talker", slot="blue"),
    _service("deaf-green", app="deaf", slot="green"),
    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "poor"}},
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "poor"},
        "rules": RIGHTS,
    },
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "poor"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "poor"},
        "subjects": [{"kind": "ServiceAccount", "name": "poor"}],
    },
]


def _state(pod: Pod) -> str:
    """In a word: what its container does, and how often it ended."""
    container = next(iter(pod.containers), None)
    if container is None:
        return "unplaced"
    if container.state.kind == "running":
        return "ready" if container.ready else "running"
    return container.state.reason


WANTED = {
    "good": {"ready"},
    "unready": {"running"},
    "deaf": {"running"},
    "crashing": {"CrashLoopBackOff"},
    "ended": {"Error"},
    "imageless": {"ErrImagePull", "ImagePullBackOff"},
    "misconfigured": {"CreateContainerConfigError"},
    "unplaced": {"unplaced"},
}


@dataclass(frozen=True)
class Talkers:
    """The namespace, and ways to ask in it."""

    testbed: Testbed
    namespace: str
    admin: Cluster
    poor: Cluster

    def kubectl(self, *words: str) -> str:
        return self.testbed.kubectl("-n", self.namespace, *words)

    @contextmanager
    def api(self, cluster: Cluster | None = None) -> Iterator[Api]:
        with self.testbed.within(), Api(cluster or self.admin, clock=CLOCK) as api:
            yield api

    def pods(self) -> dict[str, Pod]:
        found = [pod_of(item) for item in json.loads(self.kubectl("get", "pods", "-o", "json"))["items"]]
        return {pod.meta.name: pod for pod in found}


@contextmanager
def talkers(testbed: Testbed, folder: Path) -> Iterator[Talkers]:
    archive = folder / "talker.tar"
    requirements = TESTBED_TESTS / "programs" / "no-requirements.lock"
    program = PythonProgram(requirements=requirements, tree=HERE / "programs", module="talker", env={})
    build(program, name=IMAGE, archive=archive, cache=testbed.places.cache, tell=tell)
    testbed.load_image(archive)
    namespace = f"ask-{uuid.uuid4().hex[:6]}"
    testbed.kubectl("create", "namespace", namespace)
    try:
        yield _made(testbed, namespace)
    finally:
        testbed.kubectl("delete", "namespace", namespace, "--wait=false")


def _made(testbed: Testbed, namespace: str) -> Talkers:
    manifest = "\n---\n".join(json.dumps(spec) for spec in SPECS)
    testbed.kubectl("-n", namespace, "apply", "-f", "-", stdin=manifest)
    token = testbed.kubectl("-n", namespace, "create", "token", "poor").strip()
    admin = load_cluster(testbed.environment())
    poor = replace(admin, credentials=Credentials(Fixed(Identity(authorization=f"Bearer {token}"))))
    made = Talkers(testbed=testbed, namespace=namespace, admin=admin, poor=poor)
    eventually(lambda: _as_wanted(made), what="each pod in its state", limit=90)
    return made


def _as_wanted(made: Talkers) -> bool:
    states = {name: _state(pod) for name, pod in made.pods().items()}
    tell(str(states))
    return all(states.get(name) in wanted for name, wanted in WANTED.items())
