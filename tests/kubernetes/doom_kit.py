"""Slots that are made bad in one way each, and how long it takes until that is known with its cause.

What is timed is the product's own wait: the pipeline's phase over the Kubernetes platform, from the first sight of a
pod of the slot (of its Deployment, where there never is one that lives) to the verdict with what explains it.
"""

from __future__ import annotations

import hashlib
import json
import threading
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from testbed.pythonimage import PythonProgram, build
from testbed.registry import parse_name
from tests.testbed.helpers import HERE as TESTBED_TESTS
from tests.testbed.helpers import tell

from bluegreen.clock import SystemClock
from bluegreen.domain.events import Diagnosed
from bluegreen.domain.health import SlotDoomed
from bluegreen.domain.stack import Probe, Probes, Service, Slot, Stack
from bluegreen.pipeline.validate import wait_until_ready
from bluegreen.platforms.kubernetes.kubeconfig import load_cluster
from bluegreen.platforms.kubernetes.platform import KubernetesPlatform
from bluegreen.platforms.kubernetes.transport import Api
from bluegreen.ports import never
from bluegreen.testing.rehearsal import Rehearsal
from testbed import oci

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.cluster import Cluster as Testbed

    from bluegreen.domain.cause import Cause
    from bluegreen.domain.events import Event
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import Instant, Seconds
    from bluegreen.pipeline.tools import Tools
    from bluegreen.ports import Diagnosis

HERE = Path(__file__).parent
PROGRAM = HERE / "programs" / "doomed" / "__main__.py"
TAG = hashlib.sha256(PROGRAM.read_bytes()).hexdigest()[:12]
IMAGE = f"docker.io/alfredai/doomed:{TAG}"
FOREIGN_IMAGE = f"docker.io/alfredai/doomed:foreign-{TAG}"
"""Its configuration says that it is for other processors."""
FOREIGN_PROGRAM = f"docker.io/alfredai/doomed:binary-{TAG}"
"""It is for these processors, by its configuration only."""
REVISION = "r-1"
GREEN = Slot.GREEN

Manifest = dict[str, Any]

_PROBES = Probes(startup=Probe(path="/health"), readiness=Probe(path="/ready"), liveness=Probe(path="/health"))


@dataclass(frozen=True, kw_only=True)
class Doom:
    """One way of being bad. ``container``, ``spec``, ``deployment``: what differs from a good Deployment."""

    name: str
    reason: str
    at_once: bool = False
    """Kubernetes itself knows it as soon as it has looked."""
    env: dict[str, str] = field(default_factory=dict)
    container: Manifest = field(default_factory=dict)
    spec: Manifest = field(default_factory=dict)
    deployment: Manifest = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    full: bool = False
    """In the namespace whose quota has no room."""
    waits: bool = False
    """Beside a service of the slot that is still starting, so that the slot is never whole."""
    limit: Seconds = 60.0


@dataclass(frozen=True, kw_only=True)
class Told:
    """What came of it."""

    doom: Doom
    cause: Cause
    took: Seconds


def deployment(
    name: str, *, env: dict[str, str], container: Manifest, spec: Manifest, labels: dict[str, str], replicas: int = 2
) -> Manifest:
    """Of the green slot, with pods that run the program."""
    own = {"app": name, "slot": "green"}
    usual = {
        "name": "main",
        "image": IMAGE,
        "env": [{"name": key, "value": value} for key, value in env.items()],
        "readinessProbe": {"httpGet": {"path": "/ready", "port": 8000}, "periodSeconds": 1, "failureThreshold": 2},
    }
    pod = {"terminationGracePeriodSeconds": 1, "containers": [usual | container], **spec}
    meta = {"labels": own | labels, "annotations": {"bluegreen.dev/release": REVISION}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"{name}-green", "labels": own},
        "spec": {"replicas": replicas, "selector": {"matchLabels": own}, "template": {"metadata": meta, "spec": pod}},
    }


def service(name: str) -> Manifest:
    """The users' Service; users are on the other slot."""
    spec = {"selector": {"app": name, "slot": "blue"}, "ports": [{"port": 80, "targetPort": 8000}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


class Watched:
    """The platform, as the pipeline's wait uses it; remembers when the Deployment and a pod were there first."""

    def __init__(self, platform: KubernetesPlatform) -> None:
        self._platform = platform
        self._made: Instant | None = None
        self._pod: Instant | None = None

    @property
    def began(self) -> Instant:
        """Since when there was a pod; a Deployment, where there was none."""
        began = self._pod if self._pod is not None else self._made
        assert began is not None
        return began

    def changes(self, *, until: Instant, again: Callable[[], Instant | None] = never) -> Iterator[Snapshot]:
        for live in self._platform.changes(until=until, again=again):
            work = live.slot_workloads(GREEN)[0]
            if self._made is None and work.image is not None:
                self._made = live.at
            if self._pod is None and work.pods:
                self._pod = live.at
            yield live

    def diagnose(self, cause: Cause, *, until: Instant) -> Diagnosis:
        return self._platform.diagnose(cause, until=until)


class Grounds:
    """Two namespaces of the cluster, one of them full."""

    def __init__(self, cluster: Testbed) -> None:
        self.cluster = cluster
        self.name = f"dooms-{uuid.uuid4().hex[:6]}"
        self.full = f"{self.name}-full"

    def kubectl(self, *words: str, stdin: str | None = None, namespace: str = "") -> str:
        return self.cluster.kubectl("-n", namespace or self.name, *words, stdin=stdin)

    def apply(self, *manifests: Manifest, namespace: str = "") -> None:
        listed = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
        self.kubectl("apply", "-f", "-", stdin=listed, namespace=namespace)

    def make(self, folder: Path) -> None:
        push_images(self.cluster, folder)
        for namespace in (self.name, self.full):
            self.cluster.kubectl("create", "namespace", namespace)
        quota = {"metadata": {"name": "full"}, "spec": {"hard": {"pods": "0"}}}
        self.apply({"apiVersion": "v1", "kind": "ResourceQuota", **quota}, namespace=self.full)
        self.apply({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "there"}, "data": {"key": "1"}})
        self.apply(*_policy(self.name))

    def remove(self) -> None:
        self.cluster.kubectl("delete", "namespace", self.name, self.full, "--wait=false")
        for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
            self.cluster.kubectl("delete", kind, self.name, "--ignore-not-found")

    def is_refused(self) -> bool:
        """Whether the policy is in force: it takes the API server a moment."""
        made = deployment("probe", env={}, container={}, spec={}, labels={"deny": "yes"})
        pod = {"apiVersion": "v1", "kind": "Pod", **made["spec"]["template"]}
        pod["metadata"] = {**pod["metadata"], "name": "probe"}
        kubectl = str(self.cluster.places.tools / "kubectl")
        words = [kubectl, "-n", self.name, "create", "--dry-run=server", "-f", "-"]
        return self.cluster.run(words, stdin=json.dumps(pod)).returncode != 0

    # --- one slot ---------------------------------------------------------------------------------------------------

    def told(self, doom: Doom, *, then: Callable[[], None] = lambda: None) -> Told:
        """Make it, and ``then`` what else belongs to it; wait as a release does, and take what it says."""
        namespace = self.full if doom.full else self.name
        names = [doom.name, *([f"{doom.name}-waits"] if doom.waits else [])]
        self.apply(*map(service, names), namespace=namespace)
        made = [_manifest(doom), *([_waiting(f"{doom.name}-waits")] if doom.waits else [])]

        def make() -> None:
            self.apply(*made, namespace=namespace)
            then()

        making = threading.Thread(target=make)
        try:
            with self.waiting(names, namespace=namespace) as (tools, watched, events):
                making.start()
                cause = _doomed(tools, limit=doom.limit)
            at = next(at for at, event in events if isinstance(event, Diagnosed))
            return Told(doom=doom, cause=cause, took=at - watched.began)
        finally:
            making.join()
            listed = [f"{name}-green" for name in names]
            self.kubectl("delete", "deployment", *listed, "--wait=false", namespace=namespace)

    @contextmanager
    def waiting(
        self, names: list[str], *, namespace: str = ""
    ) -> Iterator[tuple[Tools, Watched, list[tuple[Instant, Event]]]]:
        """What a release waits with, over the services of these names, and what it will have told when."""
        services = tuple(Service(name=name, image=f"team/{name}", port=80, probes=_PROBES) for name in names)
        stack = Stack(name=names[0], services=services)
        cluster, clock = load_cluster(self.cluster.environment()), SystemClock()
        events: list[tuple[Instant, Event]] = []
        with self.cluster.within(), Api(cluster, clock=clock) as api:
            where = namespace or self.name
            with KubernetesPlatform(cluster, api=api, stack=stack, namespace=where, clock=clock) as platform:
                watched = Watched(platform)
                fakes = Rehearsal(stack).tools()
                tools = replace(
                    fakes,
                    platform=watched,  # type: ignore[arg-type]  # all of it that a wait uses
                    clock=clock,
                    emit=lambda event: events.append((clock.now(), event)),
                )
                yield tools, watched, events


def _doomed(tools: Tools, *, limit: Seconds) -> Cause:
    try:
        wait_until_ready(tools, GREEN, revision=REVISION, limit=limit)
    except SlotDoomed as doomed:
        return doomed.cause
    raise AssertionError("it became ready")


def _manifest(doom: Doom) -> Manifest:
    made = deployment(doom.name, env=doom.env, container=doom.container, spec=doom.spec, labels=doom.labels)
    made["spec"].update(doom.deployment)
    return made


def _waiting(name: str) -> Manifest:
    """A service that starts for minutes."""
    probe = {"httpGet": {"path": "/ready", "port": 8000}, "periodSeconds": 1, "failureThreshold": 300}
    return deployment(name, env={"MODE": "sick"}, container={"startupProbe": probe}, spec={}, labels={}, replicas=1)


def _policy(name: str) -> tuple[Manifest, Manifest]:
    """No pod with the label ``deny`` in the namespace of this name."""
    kind = {"apiVersion": "admissionregistration.k8s.io/v1"}
    rules = [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
    here = {"matchLabels": {"kubernetes.io/metadata.name": name}}
    policy = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": rules, "namespaceSelector": here},
        "validations": [
            {"expression": "!('deny' in object.metadata.labels)", "message": "pods that are to be denied are"}
        ],
    }
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": {"namespaceSelector": here}}
    meta = {"metadata": {"name": name}}
    return (
        {**kind, "kind": "ValidatingAdmissionPolicy", **meta, "spec": policy},
        {**kind, "kind": "ValidatingAdmissionPolicyBinding", **meta, "spec": binding},
    )


# --- images -------------------------------------------------------------------------------------------------------


def push_images(cluster: Testbed, folder: Path) -> None:
    """The program, and what is for other processors."""
    archive = folder / "doomed.tar"
    requirements = TESTBED_TESTS / "programs" / "no-requirements.lock"
    program = PythonProgram(requirements=requirements, tree=HERE / "programs", module="doomed", env={})
    build(program, name=IMAGE, archive=archive, cache=cluster.places.cache, tell=tell)
    cluster.load_image(archive)
    cluster.registry.push(_foreign_image(folder), parse_name(FOREIGN_IMAGE))
    cluster.registry.push(_foreign_program(folder), parse_name(FOREIGN_PROGRAM))


def push_another(cluster: Testbed, tag: str) -> str:
    """The program under another tag, which no node has yet; its name."""
    name = f"docker.io/alfredai/doomed:{tag}"
    registry = cluster.registry
    registry.push_manifest(registry.manifest(parse_name(IMAGE)), parse_name(name))
    return name


def _foreign_program(folder: Path) -> oci.Image:
    """An executable that no Linux here takes: it has no magic number."""
    program = folder / "run"
    program.write_bytes(b"\x00foreign")
    program.chmod(0o755)
    layer = oci.write_layer(folder, lambda files: files.file("run", program))
    return oci.make_image(folder, layers=[layer], settings=oci.Settings(entrypoint=["/run"]))


def _foreign_image(folder: Path) -> oci.Image:
    """The same image by another configuration."""
    made = _foreign_program(folder)
    config = json.loads(made.config.path.read_text()) | {"architecture": "s390x"}
    foreign = folder / "foreign-config"
    foreign.write_text(json.dumps(config))
    manifest = json.loads(made.manifest.path.read_text())
    blob = oci.blob_of(foreign)
    manifest["config"].update(digest=blob.digest, size=blob.size)
    path = folder / "foreign-manifest"
    path.write_text(json.dumps(manifest))
    return oci.Image(layers=made.layers, config=blob, manifest=oci.blob_of(path))
