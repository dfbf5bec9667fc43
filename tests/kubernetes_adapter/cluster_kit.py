"""An API server that shows one namespace, answers reviews from a Role, and takes writes as a dry run only."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.kubernetes_adapter.alfred_kit import Namespace, Object, alfred
from tests.kubernetes_adapter.authority_kit import Reviewer
from tests.kubernetes_transport.kit import PACE, RecordingClock, cluster_at
from tests.kubernetes_transport.server import ScriptedServer, refuse, reply

from bluegreen.domain.image import ImageReference
from bluegreen.domain.plan import Options, make_plan
from bluegreen.domain.stack import Instant
from bluegreen.platforms.kubernetes.platform import KubernetesPlatform
from bluegreen.platforms.kubernetes.rights import RIGHTS, rules
from bluegreen.platforms.kubernetes.transport import Api

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.kubernetes_transport.server import Conversation, Step

    from bluegreen.ports import Finding

LIMIT = Instant(60.0)
INSIDE = "/namespaces/alfred/"


def node(name: str, *, cpu: str = "4", memory: str = "8Gi", pods: str = "110", **spec: Any) -> Object:
    return {
        "metadata": {"name": name, "uid": f"uid-{name}", "labels": {"kubernetes.io/hostname": name}},
        "spec": spec,
        "status": {
            "allocatable": {"cpu": cpu, "memory": memory, "pods": pods},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


class Served:
    """What the server shows. A test changes it before it asks."""

    def __init__(self, there: Namespace | None = None) -> None:
        self.there = there or Namespace()
        self.stack = alfred()
        self.version: Object = {"major": "1", "minor": "34"}
        self.phase = "Active"
        self.nodes = [node("n1"), node("n2")]
        self.pods: list[Object] = []
        """Of all namespaces."""
        self.quotas: list[Object] = []
        self.templates: dict[str, Object] = {}
        self.reviewer = Reviewer(
            rules([right for right in RIGHTS if not right.everywhere], stack=alfred(), namespace="alfred"),
            rules([right for right in RIGHTS if right.everywhere], stack=alfred(), namespace="alfred"),
        )
        self.instead: dict[str, list[Step]] = {}
        """By method and end of the path: what is answered, once each, instead of what would be."""
        self.written: list[tuple[str, object]] = []
        self.clock = RecordingClock()

    def step(self, conversation: Conversation) -> None:
        heard = conversation.heard
        for place, steps in self.instead.items():
            method, _, end = place.partition(" ")
            if steps and heard.method == method and heard.path.endswith(end):
                steps.pop(0)(conversation)
                return
        if heard.method == "POST" and self.reviewer.answer(conversation):
            return
        if heard.method == "GET":
            self._shown(heard.path)(conversation)
            return
        assert heard.query.get("dryRun") == "All", f"{heard.method} {heard.target} would write"
        self.written.append((heard.path.rpartition("/")[2], heard.json))
        reply({"kind": "Whatever"}, status=201 if heard.method == "POST" else 200)(conversation)

    def _shown(self, path: str) -> Step:
        single: dict[str, Object] = {
            "/version": self.version,
            "/api/v1/namespaces/alfred": {"metadata": {"name": "alfred"}, "status": {"phase": self.phase}},
            **{f"/api/v1{INSIDE}services/{name}": one for name, one in self.there.services.items()},
            **{f"/apis/apps/v1{INSIDE}deployments/{name}": one for name, one in self.there.deployments.items()},
            **{f"/api/v1{INSIDE}podtemplates/{name}": one for name, one in self.templates.items()},
        }
        several: dict[str, Sequence[Object]] = {
            "/api/v1/nodes": self.nodes,
            "/api/v1/pods": self.pods,
            f"/api/v1{INSIDE}resourcequotas": self.quotas,
            f"/api/v1{INSIDE}configmaps": [],
            f"/api/v1{INSIDE}services": list(self.there.services.values()),
            f"/api/v1{INSIDE}pods": self.there.pods,
            f"/api/v1{INSIDE}podtemplates": list(self.templates.values()),
            f"/apis/apps/v1{INSIDE}deployments": list(self.there.deployments.values()),
            f"/apis/apps/v1{INSIDE}replicasets": [],
            f"/apis/discovery.k8s.io/v1{INSIDE}endpointslices": self.there.slices,
            f"/apis/policy/v1{INSIDE}poddisruptionbudgets": list(self.there.budgets.values()),
            f"/apis/autoscaling/v2{INSIDE}horizontalpodautoscalers": self.there.scalers,
        }
        if path in single:
            return reply(single[path])
        if path in several:
            return reply({"metadata": {"resourceVersion": "9"}, "items": list(several[path])})
        return refuse(404, "NotFound", f'"{path}" not found')

    @contextmanager
    def platform(self, *, direct: bool = False, doubts: tuple[Finding, ...] = ()) -> Iterator[KubernetesPlatform]:
        """The platform over it."""
        with ScriptedServer(*[self.step] * 500) as server:
            cluster = cluster_at(server.port)
            with (
                Api(cluster, clock=self.clock, pace=PACE) as api,
                KubernetesPlatform(
                    cluster,
                    api=api,
                    stack=self.stack,
                    namespace="alfred",
                    clock=self.clock,
                    direct=direct,
                    plans=True,
                    doubts=doubts,
                ) as platform,
            ):
                yield platform

    def findings(self, *, tag: str = "v2", direct: bool = False, doubts: tuple[Finding, ...] = ()) -> Sequence[Finding]:
        """What the preflight finds against a release of both services."""
        with self.platform(direct=direct, doubts=doubts) as platform:
            images = {name: ImageReference.parse(f"{name.replace('-', 'ai/')}:{tag}") for name in alfred().names}
            snapshot = platform.snapshot(until=LIMIT)
            plan = make_plan(snapshot, stack=alfred(), images=images, options=Options(), release="r-1")
            return platform.preflight(plan, until=LIMIT)
