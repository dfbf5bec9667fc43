"""A stack that is not Alfred, as the API server would show it: its own names, labels, slots and ports by name."""

from __future__ import annotations

import copy
from typing import Any

from bluegreen.domain.stack import Need, Probe, Probes, Service, Stack
from bluegreen.platforms.kubernetes.discovery import Objects
from bluegreen.platforms.kubernetes.live import Live
from bluegreen.platforms.kubernetes.objects import budget_of, deployment_of, pod_of, service_of

Object = dict[str, Any]

SLOTS = ("left", "right")
"""What the slot's label says; by the alphabet left is blue."""
KEY = "shop.example/side"
NAMESPACE = "shop"
PROBE = Probe(path="/live")
PROBES = Probes(startup=PROBE, readiness=PROBE, liveness=PROBE)


def shop(*services: Service, **fields: Any) -> Stack:
    """A stack whose users call the Service ``storefront`` at its port ``web``, which calls ``prices``."""
    return Stack(
        name="shop",
        services=services
        or (
            Service(name="prices", image="shop/prices", port=80, probes=PROBES, lame_duck=3, container="app"),
            Service(
                name="storefront",
                image="shop/storefront",
                port=0,
                port_name="web",
                probes=PROBES,
                lame_duck=3,
                container="app",
                needs=(Need(service="prices", variable="PRICES"),),
            ),
        ),
        **fields,
    )


def labels(app: str, side: str) -> dict[str, str]:
    """What its pods carry."""
    return {"app.kubernetes.io/name": app, KEY: side, "pod": "yes"}


def service(name: str, *, app: str, side: str, port: int = 80, **spec: Any) -> Object:
    """A Service that sends to one side."""
    return {
        "metadata": {"name": name, "uid": f"s-{name}", "resourceVersion": "7", "annotations": {}},
        "spec": {
            "type": "ClusterIP",
            "clusterIP": "10.96.0.7",
            "selector": {"app.kubernetes.io/name": app, KEY: side},
            "ports": [{"name": "web", "port": port, "targetPort": "http"}, {"name": "other", "port": 9}],
            **spec,
        },
    }


def deployment(name: str, *, app: str, side: str, replicas: int = 2) -> Object:
    """One that has settled, good in every way. Its own labels say nothing: its pods' do."""
    probe = {"httpGet": {"path": "/live", "port": "http"}, "periodSeconds": 5}
    app_container = {
        "name": "app",
        "image": f"shop/{app}:v1",
        "env": [{"name": "PRICES", "value": f"http://prices-{side}"}],
        "ports": [{"name": "http", "containerPort": 8080}],
        "startupProbe": {**probe, "periodSeconds": 3, "failureThreshold": 30},
        "readinessProbe": probe,
        "livenessProbe": {**probe, "periodSeconds": 10},
        "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
        "imagePullPolicy": "IfNotPresent",
    }
    return {
        "metadata": {"name": name, "uid": f"d-{name}", "generation": 3, "labels": {}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels(app, side)},
            "template": {
                "metadata": {"labels": labels(app, side)},
                "spec": {
                    "terminationGracePeriodSeconds": 60,
                    "containers": [app_container, {"name": "log", "image": "shop/log:v3"}],
                    "initContainers": [{"name": "proxy", "image": "shop/proxy:v1", "restartPolicy": "Always"}],
                    "topologySpreadConstraints": [{"maxSkew": 1}],
                },
            },
        },
        "status": {
            "observedGeneration": 3,
            **dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), replicas),
        },
    }


def pod(number: int, *, app: str, side: str, node: str) -> Object:
    """A ready one."""
    name = f"{app}-{side}-{number}"
    return {
        "metadata": {"name": name, "uid": f"p-{name}", "labels": labels(app, side)},
        "spec": {"nodeName": node},
        "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]},
    }


def budget(name: str, *, app: str, **spec: Any) -> Object:
    """It covers the left side."""
    chosen = {"matchLabels": {"app.kubernetes.io/name": app, KEY: "left"}}
    return {"metadata": {"name": name, "uid": f"b-{name}"}, "spec": {"minAvailable": 1, "selector": chosen, **spec}}


class Shop:
    """All objects of a good shop: left serves. Change what a test is about, then take the views."""

    def __init__(self) -> None:
        self.services: dict[str, Object] = {}
        self.deployments: dict[str, Object] = {}
        self.budgets: dict[str, Object] = {}
        self.pods: list[Object] = []
        for app in ("prices", "storefront"):
            self.services[app] = service(app, app=app, side="left")
            self.budgets[f"{app}-guard"] = budget(f"{app}-guard", app=app)
            for side in SLOTS:
                self.services[f"{app}-{side}"] = service(f"{app}-{side}", app=app, side=side)
                self.deployments[f"{app}-on-the-{side}"] = deployment(f"{app}-on-the-{side}", app=app, side=side)
                self.pods += [pod(number, app=app, side=side, node=f"n{number}") for number in (1, 2)]

    def spec(self, name: str) -> Object:
        """A Service's."""
        found: Object = self.services[name]["spec"]
        return found

    def template(self, name: str) -> Object:
        """The pods' spec of a Deployment."""
        found: Object = self.deployments[name]["spec"]["template"]["spec"]
        return found

    def container(self, name: str) -> Object:
        """The one that is released."""
        found: Object = self.template(name)["containers"][0]
        return found

    @property
    def objects(self) -> Objects:
        """What discovery reads."""
        there = copy.deepcopy((self.services, self.deployments, self.budgets))
        return Objects(
            services=tuple(map(service_of, there[0].values())),
            deployments=tuple(map(deployment_of, there[1].values())),
            budgets=tuple(map(budget_of, there[2].values())),
            namespace="shop",
        )

    def live(self, stack: Stack) -> Live:
        """What a platform sees of the stack."""
        there = self.objects
        marks = tuple(one.marks for one in stack.services if one.marks is not None)
        pods = tuple(map(pod_of, copy.deepcopy(self.pods)))
        return Live(
            services=tuple(there.services), slices=(), deployments=tuple(there.deployments), pods=pods, marks=marks
        )
