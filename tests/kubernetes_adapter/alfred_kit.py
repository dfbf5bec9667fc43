"""The Alfred stack as the API server would show it: whole objects, in which a test changes what it is about."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from bluegreen.appfile import load_app
from bluegreen.domain.stack import Slot
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.live import Live
from bluegreen.platforms.kubernetes.objects import deployment_of, pod_of, scaler_of, service_of, slice_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bluegreen.domain.stack import Stack
    from bluegreen.platforms.kubernetes.objects import Deployment, Scaler

Object = dict[str, Any]

BLUE, GREEN = Slot.BLUE, Slot.GREEN
BACKEND, GATEWAY = "alfred-backend", "alfred-gateway"
CANARY = "canary-7f3a9"
"""Part of every secret that is planted: it must never be shown."""


def alfred() -> Stack:
    """The shipped stack."""
    return load_app().stack


def meta(name: str, *, labels: dict[str, str] | None = None, **fields: Any) -> Object:
    return {
        "name": name,
        "namespace": "alfred",
        "uid": f"uid-{name}",
        "resourceVersion": "7",
        "labels": labels or {},
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": f'{{"token":"{CANARY}"}}'},
        **fields,
    }


def deployment(service: str, slot: Slot, *, replicas: int = 2) -> Object:
    """As the chart makes it, rolled out."""
    labels = {"app": service, "slot": str(slot)}
    return {
        "metadata": meta(names.workload(service, slot), labels=labels, generation=3),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod_spec(service, slot)},
        },
        "status": {
            "observedGeneration": 3,
            "replicas": replicas,
            "updatedReplicas": replicas,
            "readyReplicas": replicas,
            "availableReplicas": replicas,
        },
    }


def pod_spec(service: str, slot: Slot) -> Object:
    port = 8000 if service == BACKEND else 8080
    probe = {"httpGet": {"path": "/health", "port": port}}
    variables = [{"name": "DB_PASSWORD", "value": CANARY}]
    if service == GATEWAY:
        variables.append({"name": "BACKEND_URL", "value": f"http://alfred-backend-{slot}:8000"})
    return {
        "terminationGracePeriodSeconds": 60,
        "containers": [
            {
                "name": service.removeprefix("alfred-"),
                "image": f"{service.replace('-', 'ai/')}:v1",
                "env": variables,
                "resources": {"requests": {"cpu": "250m", "memory": "64Mi"}},
                "readinessProbe": probe,
                "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
            }
        ],
    }


def service(name: str, *, app: str, slot: Slot) -> Object:
    return {
        "metadata": meta(name, labels={"app": app}),
        "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.9", "selector": {"app": app, "slot": str(slot)}},
    }


def budget(name: str) -> Object:
    return {
        "metadata": meta(names.budget(name)),
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": name, "slot": "blue"}}},
    }


def scaler(target: str, *, least: int = 2, most: int = 10, annotations: dict[str, str] | None = None) -> Object:
    made = meta(f"{target}-hpa")
    made["annotations"] = annotations or {}
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": target}
    return {"metadata": made, "spec": {"scaleTargetRef": reference, "minReplicas": least, "maxReplicas": most}}


class Namespace:
    """All objects of a good stack: blue serves. Change what a test is about, then take the views."""

    def __init__(self) -> None:
        self.services = {name: service(name, app=name, slot=BLUE) for name in (BACKEND, GATEWAY)}
        self.deployments: dict[str, Object] = {}
        for name in (BACKEND, GATEWAY):
            for slot in Slot:
                own = names.workload(name, slot)
                self.services[own] = service(own, app=name, slot=slot)
                self.deployments[own] = deployment(name, slot)
        self.budgets = {names.budget(name): budget(name) for name in (BACKEND, GATEWAY)}
        self.scalers: list[Object] = []
        self.pods: list[Object] = []
        self.slices: list[Object] = []

    def change(self, name: str, change: Callable[[Object], object]) -> Namespace:
        """Let a function change a Deployment."""
        change(self.deployments[name])
        return self

    def container(self, name: str) -> Object:
        """The first container of a Deployment."""
        return self.spec(name)["containers"][0]  # type: ignore[no-any-return]

    def spec(self, name: str) -> Object:
        """The pod template's spec of a Deployment."""
        return self.deployments[name]["spec"]["template"]["spec"]  # type: ignore[no-any-return]

    @property
    def live(self) -> Live:
        return Live(
            services=tuple(map(service_of, copied(self.services.values()))),
            deployments=tuple(map(deployment_of, copied(self.deployments.values()))),
            slices=tuple(map(slice_of, copied(self.slices))),
            pods=tuple(map(pod_of, copied(self.pods))),
        )


def copied(objects: Iterable[Object]) -> list[Object]:
    """Views keep parts of what they were made of."""
    return copy.deepcopy(list(objects))


def view(made: Object) -> Deployment:
    return deployment_of(made)


def scaler_view(made: Object) -> Scaler:
    return scaler_of(made)
