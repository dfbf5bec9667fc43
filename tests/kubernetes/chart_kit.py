"""The chart in a namespace of its own, installed by one of both Helms, and what a release has made of it.

No pod of it runs unless a test says so: what Helm does to objects is seen in the objects. A release is made here with
plain kubectl, so that these tests judge the chart alone.
"""

from __future__ import annotations

import json
import uuid
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from testbed.errors import TestbedError
from testbed.start import need_tools
from tests.testbed.helpers import tell

from bluegreen.platforms.kubernetes import names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "tools" / "helm" / "alfred"
HELMS = ("helm3", "helm4")
NEWEST_AND_LONG_ALL = ("helm4", pytest.param("helm3", marks=pytest.mark.long))
SERVICES = ("backend", "gateway")
SLOTS = ("blue", "green")

NOWHERE = ("--set", "nodeSelector.place=nowhere")
"""No pod is placed."""
FIRST = tuple(word for name in SERVICES for word in ("--set", f"{name}.image=alfredai/{name}:v1"))
"""What a first install has to say."""

SETTING = "SETTING"
"""A variable of the pods that a test sets."""
CHANGED = tuple(word for name in SERVICES for word in ("--set", f"{name}.env.{SETTING}=new"))
"""A setting of the pods that is changed on the way."""
RUN = "20260101-000000-test"
FENCE = "a-fence-of-a-release"
NEW_SIZE = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotNow:
    """A slot's Deployment: what a release changes of it, and one setting of its pods that it does not change."""

    tag: str
    replicas: int
    release: str
    setting: str


NOTHING = SlotNow(tag="", replicas=0, release="", setting="")
"""No Deployment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceNow:
    """One service: where its users are, and what a release has made of the rest."""

    selector: str
    slot: str
    fence: str
    budget: str
    """What it covers and by how much, and what is remembered on it."""
    blue: SlotNow = NOTHING
    green: SlotNow = NOTHING


Now = dict[str, ServiceNow]

V1 = SlotNow(tag="v1", replicas=2, release="", setting="")
V2 = SlotNow(tag="v2", replicas=NEW_SIZE, release=RUN, setting="")


def installed() -> Now:
    """What a first install makes, with the specification's numbers."""
    return {
        name: ServiceNow(
            selector=_text({"app": f"alfred-{name}", "slot": "blue"}),
            slot="blue",
            fence="",
            budget=f"{least} of {_text({'matchLabels': {'app': f'alfred-{name}', 'slot': 'blue'}})}, marked ''",
            blue=V1,
            green=V1,
        )
        for name, least in (("backend", 1), ("gateway", 2))
    }


def _text(value: object) -> str:
    return json.dumps(value, sort_keys=True)


class Place:
    """The chart in one namespace."""

    def __init__(self, cluster: Cluster, *, namespace: str, helm: str) -> None:
        """Nothing is installed."""
        self.cluster = cluster
        self.namespace = namespace
        self.program = helm

    # --- commands -----------------------------------------------------------------------------------------------

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        """Its output. Raises TestbedError, with what it said, when it fails."""
        return self.cluster.kubectl("-n", self.namespace, *words, stdin=stdin)

    def helm(self, *words: str, program: str = "", limit: float = 60) -> str:
        """Its output. Raises TestbedError, with what it said, when it fails."""
        tool = self.cluster.places.tools / (program or self.program)
        done = self.cluster.run([tool, *words, "--namespace", self.namespace], limit=limit)
        if done.returncode:
            raise TestbedError(done.stderr)
        return done.stdout

    def install(self, *words: str, program: str = "") -> None:
        """Version v1 in both slots, without a pod."""
        self.helm("install", "alfred", str(CHART), *FIRST, *NOWHERE, *words, program=program)

    def upgrade(self, *words: str, program: str = "", limit: float = 60) -> str:
        """With the same values as before, and these."""
        return self.helm("upgrade", "alfred", str(CHART), *words, program=program, limit=limit)

    def tidy(self) -> None:
        """What the docs say after a refused rollback: Helm believes that it still goes on."""
        config = self.get("configmap/helm-rollback-would-move-users--see-docs-helm.md")
        program, *words = str(config["data"]["afterwards"]).split()
        assert (program, words[0], words[2:4]) == ("kubectl", "delete", ["-n", self.namespace])
        self.cluster.kubectl(*words)

    def template(self, *words: str) -> str:
        """The chart as text, with no pod placed."""
        return self.helm("template", "alfred", str(CHART), *NOWHERE, *words)

    def apply(self, manifest: str, *words: str) -> None:
        """Apply a rendering with kubectl."""
        self.kubectl("apply", "-f", "-", *words, stdin=manifest)

    def patch(self, kind: str, name: str, patch: object) -> None:
        """A merge patch."""
        self.kubectl("patch", kind, name, "--type=merge", "-p", json.dumps(patch))

    # --- what a release does ------------------------------------------------------------------------------------

    def release(self) -> None:
        """From blue/v1/2 to green/v2/5, up to the moment at which both slots are covered by the budgets."""
        for name in SERVICES:
            self.stage(name)
            self.switch(name, "green")
            self._cover_both(name)

    def stage(self, name: str) -> None:
        """Image, mark and size of green, and nothing else."""
        container = {"name": name, "image": f"alfredai/{name}:v2"}
        template = {"metadata": {"annotations": {names.RELEASE: RUN}}, "spec": {"containers": [container]}}
        patch = json.dumps({"spec": {"replicas": NEW_SIZE, "template": template}})
        self.kubectl("patch", "deployment", f"alfred-{name}-green", "-p", patch)

    def switch(self, name: str, slot: str) -> None:
        """Users to this slot, under a fence."""
        patch = {"metadata": {"annotations": {names.FENCE: FENCE}}, "spec": {"selector": {"slot": slot}}}
        self.patch("service", f"alfred-{name}", patch)

    def _cover_both(self, name: str) -> None:
        budget = f"alfred-{name}-pdb"
        least = self.get(f"poddisruptionbudget/{budget}")["spec"]["minAvailable"]
        patch = {
            "metadata": {"annotations": {names.MINIMUM: str(least)}},
            "spec": {"minAvailable": "100%", "selector": {"matchLabels": {"slot": None}}},
        }
        self.patch("poddisruptionbudget", budget, patch)

    def hold_lock(self, *, seconds_ago: float, holder: str | None = "r-1/a-fence") -> None:
        """The lock's Lease, as a run that renewed it so long ago has left it."""
        renewed = datetime.now(UTC) - timedelta(seconds=seconds_ago)
        spec = {
            "holderIdentity": holder,
            "leaseDurationSeconds": 15,
            "renewTime": renewed.isoformat(timespec="microseconds"),
        }
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "bluegreen-alfred"}}
        self.kubectl("apply", "-f", "-", stdin=json.dumps({**lease, "spec": spec}))

    def take_over(self) -> None:
        """What the pipeline makes when the chart leaves it to it: v1 in blue, v2 in green, users on green."""
        for name in SERVICES:
            chart = self.get(f"podtemplate/alfred-{name}")
            for slot in SLOTS:
                self.kubectl("create", "-f", "-", stdin=json.dumps(_deployment(chart, name, slot)))
            self.stage(name)
            labels = {"app": f"alfred-{name}", "slot": "green"}
            self.patch("service", f"alfred-{name}", {"spec": {"selector": labels}})
            self.switch(name, "green")
            budget = {"minAvailable": 1, "selector": {"matchLabels": labels}}
            self.patch("poddisruptionbudget", f"alfred-{name}-pdb", {"spec": budget})

    # --- what is there ------------------------------------------------------------------------------------------

    def get(self, *words: str) -> Any:
        """What ``kubectl get`` finds."""
        return json.loads(self.kubectl("get", *words, "-o", "json"))

    def now(self) -> Now:
        """All of it, as it means something."""
        items = self.get("services,deployments,poddisruptionbudgets")["items"]
        found = {(item["kind"], item["metadata"]["name"]): item for item in items}
        return {name: _service(found, f"alfred-{name}") for name in SERVICES}

    def left(self) -> set[str]:
        """Everything that a chart could have left, by kind and name."""
        kinds = "services,deployments,poddisruptionbudgets,podtemplates,configmaps,ingresses,roles,rolebindings"
        items = self.get(kinds)["items"]
        found = {f"{item['kind']}/{item['metadata']['name']}" for item in items}
        return found - {"ConfigMap/kube-root-ca.crt"}


def _deployment(chart: Any, name: str, slot: str) -> Any:
    labels = {"app": f"alfred-{name}", "slot": slot}
    template = json.loads(json.dumps(chart["template"]).replace("__SLOT__", slot))
    template["metadata"]["labels"] = labels
    owner = {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "name": chart["metadata"]["name"],
        "uid": chart["metadata"]["uid"],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": f"alfred-{name}-{slot}", "labels": labels, "ownerReferences": [owner]},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
    }


def _service(found: dict[tuple[str, str], Any], name: str) -> ServiceNow:
    service = found["Service", name]
    selector = service["spec"].get("selector") or {}
    return ServiceNow(
        selector=_text(selector),
        slot=selector.get("slot", ""),
        fence=_mark(service, names.FENCE),
        budget=_budget(found["PodDisruptionBudget", f"{name}-pdb"]),
        blue=_slot(found.get(("Deployment", f"{name}-blue"))),
        green=_slot(found.get(("Deployment", f"{name}-green"))),
    )


def _budget(item: Any) -> str:
    assert item["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow"
    least, covers = item["spec"].get("minAvailable"), _text(item["spec"].get("selector"))
    return f"{least} of {covers}, marked {_mark(item, names.MINIMUM)!r}"


def _slot(item: Any) -> SlotNow:
    if item is None:
        return NOTHING
    (container,) = item["spec"]["template"]["spec"]["containers"]
    return SlotNow(
        tag=container["image"].rpartition(":")[2],
        replicas=item["spec"]["replicas"],
        release=_mark(item["spec"]["template"], names.RELEASE),
        setting={each["name"]: each.get("value", "") for each in container["env"]}.get(SETTING, ""),
    )


def _mark(item: Any, name: str) -> str:
    annotations: dict[str, str] = item["metadata"].get("annotations") or {}
    return annotations.get(name, "")


@contextmanager
def place(cluster: Cluster, helm: str, *, purpose: str) -> Iterator[Place]:
    """A namespace of its own, ended afterwards."""
    need_tools(cluster, list(HELMS), tell=tell)
    namespace = f"chart-{purpose}-{uuid.uuid4().hex[:6]}"
    cluster.kubectl("create", "namespace", namespace)
    try:
        yield Place(cluster, namespace=namespace, helm=helm)
    finally:
        cluster.kubectl("delete", "namespace", namespace, "--wait=false")


class Refusal:
    """A block in which a command is refused; ``text`` is what it said."""

    def __init__(self) -> None:
        """Nothing is refused so far."""
        self.text = ""

    def __enter__(self) -> Self:
        """The block."""
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        """Take the refusal; anything else is the test's."""
        if error is None:
            raise AssertionError("nothing was refused")
        if not isinstance(error, TestbedError):
            return False
        self.text = str(error)
        return True
