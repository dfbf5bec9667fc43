"""Objects as the API server sends them, made from what a test has to say."""

from __future__ import annotations

import copy
from typing import Any

from bluegreen.domain.stack import Need, Probe, Probes, Service, Slot, Stack
from bluegreen.platforms.kubernetes.live import Live
from bluegreen.platforms.kubernetes.objects import deployment_of, pod_of, service_of, slice_of

PROBE = Probe(path="/health")
PROBES = Probes(startup=PROBE, readiness=PROBE, liveness=PROBE)
STACK = Stack(
    name="pair",
    services=(
        Service(name="pair-back", image="pair/back", port=8000, probes=PROBES, container="back"),
        Service(
            name="pair-front",
            image="pair/front",
            port=8080,
            probes=PROBES,
            container="front",
            needs=(Need(service="pair-back", variable="BACK_URL"),),
        ),
    ),
)


def template(service: str, slot: Slot, *, image: str = "", release: str = "", **env: str) -> dict[str, Any]:
    """A pod template of the service in the slot."""
    name = service.removeprefix("pair-")
    variables = {"SLOT": str(slot), "BACK_URL": f"http://pair-back-{slot}:8000", **env}
    return {
        "metadata": {
            "labels": {"app": service, "slot": str(slot)},
            "annotations": {"bluegreen.dev/release": release} if release else None,
        },
        "spec": {
            "containers": [
                {
                    "name": name,
                    "image": image or f"pair/{name}:v1",
                    "env": [{"name": key, "value": value} for key, value in variables.items()],
                    "ports": [{"name": "http", "containerPort": 8000}],
                }
            ],
            "terminationGracePeriodSeconds": 60,
        },
    }


def deployment(service: str, slot: Slot, **changes: Any) -> dict[str, Any]:
    """A Deployment that has settled. ``changes``: ``template``, ``replicas``, ``status``, ``paused``."""
    replicas = changes.pop("replicas", 2)
    status = {"observedGeneration": 3, **dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), replicas)}
    status.update(changes.pop("status", {}))
    pod_template = changes.pop("template", None) or template(service, slot)
    return {
        "metadata": {
            "name": f"{service}-{slot}",
            "uid": f"d-{service}-{slot}",
            "generation": 3,
            "labels": {"app": service, "slot": str(slot)},
        },
        "spec": {"replicas": replicas, "template": pod_template, **changes},
        "status": status,
    }


def pod(service: str, slot: Slot, number: int, *, release: str = "", ready: bool = True, **changes: Any) -> Any:
    """A pod that runs. ``changes``: ``status`` and ``metadata`` are merged."""
    name = service.removeprefix("pair-")
    status = {
        "phase": "Running",
        "podIP": f"10.0.0.{number}",
        "conditions": [{"type": "Ready", "status": str(ready)}, {"type": "PodScheduled", "status": "True"}],
        "containerStatuses": [
            {
                "name": name,
                "imageID": "sha256:1",
                "ready": ready,
                "started": True,
                "state": {"running": {}},
            }
        ],
    }
    return {
        "metadata": {
            "name": f"{service}-{slot}-{number}",
            "uid": f"p-{service}-{slot}-{number}",
            "labels": {"app": service, "slot": str(slot)},
            "annotations": {"bluegreen.dev/release": release} if release else None,
            **changes.pop("metadata", {}),
        },
        "status": {**status, **changes.pop("status", {})},
    }


def service(name: str, slot: Slot | None, *, target: str | int = "http", **annotations: str) -> dict[str, Any]:
    """A Service; without a slot it selects by the app alone."""
    app = name.removesuffix("-blue").removesuffix("-green")
    selector = {"app": app} if slot is None else {"app": app, "slot": str(slot)}
    return {
        "metadata": {
            "name": name,
            "uid": f"s-{name}",
            "resourceVersion": "7",
            "annotations": {key.replace("_", "/", 1): value for key, value in annotations.items()},
            "managedFields": [
                {"manager": "helm", "operation": "Update", "time": "2026-01-01T00:00:00Z"},
                {"manager": "kubectl-patch", "operation": "Update", "time": "2026-01-02T00:00:00Z"},
            ],
        },
        "spec": {"selector": selector, "ports": [{"port": 8000, "targetPort": target}]},
    }


def endpoint_slice(name: str, *pods: Any, ready: bool = True, port: int = 8000) -> dict[str, Any]:
    """The endpoints of a Service: these pods."""
    return {
        "metadata": {"name": f"{name}-x", "uid": f"e-{name}", "labels": {"kubernetes.io/service-name": name}},
        "endpoints": [
            {
                "addresses": [one["status"]["podIP"]],
                "conditions": {"ready": ready},
                "targetRef": {"kind": "Pod", "name": one["metadata"]["name"]},
            }
            for one in pods
        ],
        "ports": [{"name": "http", "port": port}] if port else None,
    }


def live(*, serving: Slot | None = Slot.BLUE, **changes: Any) -> Live:
    """A stack whose users are on ``serving``, all of it ready.

    ``changes``: ``deployments``, ``pods``, ``services``, ``slices`` in place of the usual ones.
    """
    names = STACK.names
    pods = [pod(name, slot, number) for name in names for slot in Slot for number in (1, 2)]
    services = [service(name, serving) for name in names]
    services += [service(f"{name}-{slot}", slot) for name in names for slot in Slot]
    by_name = {name: [one for one in pods if one["metadata"]["labels"]["app"] == name] for name in names}
    slices = [endpoint_slice(name, *_of(by_name[name], serving or Slot.BLUE)) for name in names]
    slices += [endpoint_slice(f"{name}-{slot}", *_of(by_name[name], slot)) for name in names for slot in Slot]
    found = {
        "services": services,
        "slices": slices,
        "deployments": [deployment(name, slot) for name in names for slot in Slot],
        "pods": pods,
        **changes,
    }
    copied = copy.deepcopy(found)
    return Live(
        services=tuple(map(service_of, copied["services"])),
        slices=tuple(map(slice_of, copied["slices"])),
        deployments=tuple(map(deployment_of, copied["deployments"])),
        pods=tuple(map(pod_of, copied["pods"])),
    )


def _of(pods: list[Any], slot: Slot) -> list[Any]:
    return [one for one in pods if one["metadata"]["labels"]["slot"] == str(slot)]
