"""What the contract stands on in a cluster: a namespace with a small stack in both slots, and who may release it.

The account has the rights of the one list, and no others: so the contract holds with them.
"""

from __future__ import annotations

import base64
import json
import tempfile
import uuid
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.places import API_ADDRESS, API_PORT
from testbed.pythonimage import PythonProgram, build
from tests.contract.bench import Make
from tests.testbed.helpers import HERE as TESTBED
from tests.testbed.helpers import eventually, tell

from bluegreen.domain.image import ImageReference
from bluegreen.domain.stack import MetricNames, Need, Probe, Probes, Service, Slot, Stack
from bluegreen.platforms.kubernetes.rights import POSTING, RIGHTS, rules

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from testbed.cluster import Cluster

    from bluegreen.platforms.kubernetes.rights import Rule

PORT = 8000
REPLICAS = 2
ACCOUNT = "releases"
BEHAVIOURS = {Make.GOOD: "", Make.CANNOT_START: "cannot-start", Make.NEVER_READY: "never-ready"}

_PROGRAM = Path(__file__).parent / "programs"
_NO_REQUIREMENTS = TESTBED / "programs" / "no-requirements.lock"
_WRITES = {"create", "patch", "delete"}

Manifest = dict[str, Any]


def stack() -> Stack:
    """The gateway needs the backend, and has metrics."""
    probes = Probes(
        startup=Probe(path="/healthz", period=1, failures=30),
        readiness=Probe(path="/ready", period=1),
        liveness=Probe(path="/healthz", period=10),
    )
    backend = Service(
        name="demo-backend", image="contract/backend:good", port=PORT, probes=probes, replicas=REPLICAS, grace=5
    )
    gateway = Service(
        name="demo-gateway",
        image="contract/gateway:good",
        port=PORT,
        probes=probes,
        replicas=REPLICAS,
        needs=(Need(service="demo-backend", variable="BACKEND_URL"),),
        metrics=MetricNames(requests="demo_requests_total", overhead="demo_overhead_ms"),
        grace=5,
    )
    return Stack(name="demo", services=(backend, gateway))


def image(service: str, make: Make) -> ImageReference:
    """The image of a service that is made so."""
    return ImageReference.parse(f"contract/{service.removeprefix('demo-')}:{make}")


class Ground:
    """One namespace of the cluster."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        """Nothing is made yet."""
        self.cluster = cluster
        self.namespace = namespace
        self.stack = stack()
        self.token = ""

    # --- making it ------------------------------------------------------------------------------------------------

    def make(self) -> None:
        """Push the images, start both slots, and wait until they are ready."""
        self._push_images()
        self.cluster.kubectl("create", "namespace", self.namespace)
        self.apply(*_account(self.namespace), *self._rights(writing_journals=True), *self._manifests())
        self.token = self.kubectl("create", "token", ACCOUNT, "--duration", "4h").strip()
        for name in self._deployments():
            self.kubectl("rollout", "status", f"deployment/{name}", "--timeout=120s")

    def remove(self) -> None:
        """End all of it; the namespace is gone a little later."""
        self.cluster.kubectl("delete", "namespace", self.namespace, "--wait=false", "--ignore-not-found")
        self.cluster.kubectl("delete", "clusterrole,clusterrolebinding", self.namespace, "--ignore-not-found")

    def _push_images(self) -> None:
        for service in self.stack.names:
            for make, behaviour in BEHAVIOURS.items():
                program = PythonProgram(
                    requirements=_NO_REQUIREMENTS, tree=_PROGRAM, module="demo", env={"BEHAVIOUR": behaviour}
                )
                with tempfile.TemporaryDirectory() as folder:
                    archive, name = Path(folder) / "image.tar", f"docker.io/{image(service, make)}"
                    build(program, name=name, archive=archive, cache=self.cluster.places.cache, tell=tell)
                    self.cluster.load_image(archive)

    def _manifests(self) -> list[Manifest]:
        return [each for service in self.stack.services for each in _service_manifests(service)]

    def _deployments(self) -> list[str]:
        return [f"{name}-{slot}" for name in self.stack.names for slot in Slot]

    def _rights(self, *, writing_journals: bool) -> list[Manifest]:
        own = rules(
            [right for right in RIGHTS + POSTING if not right.everywhere], stack=self.stack, namespace=self.namespace
        )
        wide = rules([right for right in RIGHTS if right.everywhere], stack=self.stack, namespace=self.namespace)
        kept = [_rule(each, without=set() if writing_journals else _WRITES) for each in own]
        return [
            {"apiVersion": RBAC, "kind": "Role", "metadata": {"name": ACCOUNT}, "rules": kept},
            {
                "apiVersion": RBAC,
                "kind": "ClusterRole",
                "metadata": {"name": self.namespace},
                "rules": list(map(_rule, wide)),
            },
        ]

    # --- using it -------------------------------------------------------------------------------------------------

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        """In the namespace, as the cluster's administrator."""
        return self.cluster.kubectl("-n", self.namespace, *words, stdin=stdin)

    def apply(self, *manifests: Manifest) -> None:
        """Make these so."""
        self.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests}))

    def kubeconfig(self) -> str:
        """The account's, as the content of KUBECONFIG."""
        authority = (self.cluster.places.pki / "ca.crt").read_text()
        return json.dumps(
            {
                "apiVersion": "v1",
                "kind": "Config",
                "current-context": "contract",
                "contexts": [{"name": "contract", "context": {"cluster": "testbed", "user": ACCOUNT}}],
                "clusters": [
                    {
                        "name": "testbed",
                        "cluster": {
                            "server": f"https://{API_ADDRESS}:{API_PORT}",
                            "certificate-authority-data": _base64(authority),
                        },
                    }
                ],
                "users": [{"name": ACCOUNT, "user": {"token": self.token}}],
            }
        )

    def users_of(self, service: str) -> tuple[str, str]:
        """Where users call it, by number, for the cluster's names do not resolve everywhere; and which slot answers."""
        spec = json.loads(self.kubectl("get", "service", service, "-o", "json"))["spec"]
        return f"http://{spec['clusterIP']}:{PORT}", spec["selector"]["slot"]

    def put_in_order(self) -> None:
        """Users on a slot whose pods are ready, and the lock free, whatever a test has left."""
        self.kubectl("delete", "lease", "bluegreen-demo", "--ignore-not-found")
        selected = self._selected()
        slot = selected.pop() if len(selected) == 1 else ""
        if not slot or not self._is_ready(slot):
            slot = next((str(each) for each in Slot if self._is_ready(each)), "")
            assert slot, "a test has left neither slot ready"
            for name in self.stack.names:
                self.kubectl("patch", "service", name, "-p", json.dumps({"spec": {"selector": {"slot": slot}}}))
        eventually(partial(self._is_at_rest, slot), what=f"{slot} at rest", limit=60)
        self._calm(str(Slot(slot).other))

    def _calm(self, slot: str) -> None:
        """End what would come and go while the next test looks: what cannot get ready, or is on its way out."""
        if not self._is_at_rest(slot):
            self.kubectl("scale", "deployments", "-l", f"slot={slot}", "--replicas=0")
            eventually(partial(self._is_at_rest, slot), what=f"no pod in {slot}", limit=60)

    def _is_at_rest(self, slot: str) -> bool:
        """Whether it has as many pods as it wants, all of them ready, and none that ends."""
        found = json.loads(self.kubectl("get", "deployments,pods", "-l", f"slot={slot}", "-o", "json"))["items"]
        wanted = sum(item["spec"]["replicas"] for item in found if item["kind"] == "Deployment")
        pods = [item for item in found if item["kind"] == "Pod"]
        return len(pods) == wanted and all(map(_serves, pods))

    def _selected(self) -> set[str]:
        found = json.loads(self.kubectl("get", "services", *self.stack.names, "-o", "json"))["items"]
        return {item["spec"]["selector"]["slot"] for item in found}

    def _is_ready(self, slot: str) -> bool:
        found = json.loads(self.kubectl("get", "deployments", "-l", f"slot={slot}", "-o", "json"))["items"]
        return all(item["status"].get("readyReplicas", 0) >= REPLICAS for item in found)

    @contextmanager
    def no_journals(self) -> Iterator[None]:
        """Nobody may write a ConfigMap, which the API server knows before the block begins."""
        self._let_write(allowed=False)
        try:
            yield
        finally:
            self._let_write(allowed=True)

    def _let_write(self, *, allowed: bool) -> None:
        self.apply(*self._rights(writing_journals=allowed))
        who = f"system:serviceaccount:{self.namespace}:{ACCOUNT}"
        expected = "yes" if allowed else "no"
        words = ("auth", "can-i", "patch", "configmaps", "--as", who)

        def is_so() -> bool:
            done = self.cluster.run([self.cluster.places.tools / "kubectl", "-n", self.namespace, *words])
            return done.stdout.strip() == expected

        eventually(is_so, what=f"the right to write ConfigMaps: {expected}")


RBAC = "rbac.authorization.k8s.io/v1"


def _serves(pod: Manifest) -> bool:
    conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", [])}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


def _account(namespace: str) -> list[Manifest]:
    subjects = [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT}},
        {
            "apiVersion": RBAC,
            "kind": "RoleBinding",
            "metadata": {"name": ACCOUNT},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ACCOUNT},
            "subjects": subjects,
        },
        {
            "apiVersion": RBAC,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": namespace},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": namespace},
            "subjects": subjects,
        },
    ]


def _rule(rule: Rule, *, without: set[str] | None = None) -> Manifest:
    verbs = [verb for verb in rule.verbs if rule.plural != "configmaps" or verb not in (without or set())]
    names: Sequence[str] = rule.objects
    return {
        "apiGroups": [rule.group],
        "resources": [rule.plural],
        "verbs": verbs,
        **({"resourceNames": list(names)} if names else {}),
    }


def _service_manifests(service: Service) -> list[Manifest]:
    slots = [each for slot in Slot for each in (_deployment(service, slot), _service(service, slot, own=True))]
    budget: Manifest = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": f"{service.name}-pdb"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": service.name, "slot": "blue"}}},
    }
    return [*slots, _service(service, Slot.BLUE, own=False), budget]


def _service(service: Service, slot: Slot, *, own: bool) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"{service.name}-{slot}" if own else service.name},
        "spec": {
            "selector": {"app": service.name, "slot": str(slot)},
            "ports": [{"port": PORT, "targetPort": PORT}],
        },
    }


def _deployment(service: Service, slot: Slot) -> Manifest:
    labels = {"app": service.name, "slot": str(slot)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{service.name}-{slot}", "labels": labels},
        "spec": {
            "replicas": service.replicas,
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "terminationGracePeriodSeconds": int(service.grace),
                    "enableServiceLinks": False,
                    "containers": [_container(service, slot)],
                },
            },
        },
    }


def _container(service: Service, slot: Slot) -> Manifest:
    environment = {"SLOT": str(slot)}
    for need in service.needs:
        environment[need.variable] = f"http://{need.service}-{slot}:{PORT}"
    return {
        "name": "main",
        "image": str(image(service.name, Make.GOOD)),
        "env": [{"name": name, "value": value} for name, value in environment.items()],
        "ports": [{"containerPort": PORT}],
        "startupProbe": _probe(service.probed.startup),
        "readinessProbe": _probe(service.probed.readiness),
        "livenessProbe": _probe(service.probed.liveness),
    }


def _probe(probe: Probe) -> Manifest:
    return {
        "httpGet": {"path": probe.path, "port": PORT},
        "periodSeconds": int(probe.period),
        "failureThreshold": probe.failures,
        "timeoutSeconds": 5,
    }


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@contextmanager
def ground_in(cluster: Cluster) -> Iterator[Ground]:
    """A fresh namespace, as long as the block lasts."""
    made = Ground(cluster, f"contract-{uuid.uuid4().hex[:6]}")
    try:
        made.make()
        yield made
    finally:
        made.remove()
