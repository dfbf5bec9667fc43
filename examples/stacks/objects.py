"""The Kubernetes objects of three stacks that are not Alfred, as JSON for ``kubectl apply``.

    python examples/stacks/objects.py market v1 | kubectl apply -n market -f -

Each keeps to a convention of its own, and none to ours: names, labels, what the slot is called, ports by name or
number, sidecars, probes. Their app files are beside this one.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from typing import Any

IMAGE = "docker.io/stacks/relay"
Object = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service of a stack."""

    name: str
    users: str = ""
    """The Service that users call; empty: it is called like the service."""
    needs: str = ""
    port: int = 80
    target: str | int = "http"
    replicas: int = 2
    deployment: str = "{name}-{side}"
    preview: str = "{name}-{side}"
    probes: tuple[str, ...] = ("readinessProbe", "livenessProbe", "startupProbe")
    tcp: bool = False
    sidecars: bool = False

    @property
    def called(self) -> str:
        """The Service that users call."""
        return self.users or self.name


@dataclass(frozen=True, kw_only=True)
class Stack:
    """A stack, and how it tells its slots."""

    name: str
    services: tuple[Service, ...]
    app: str
    """The label that says which service it is."""
    slot: str
    """The label that says which slot."""
    sides: tuple[str, str]
    """What it says: of blue, and of green."""
    more: dict[str, str] = field(default_factory=dict)

    def labels(self, service: Service, side: str) -> dict[str, str]:
        """What the pods carry, and the Services select."""
        return {self.app: service.name, **self.more, self.slot: side}

    def service(self, name: str) -> Service:
        """The service of that name."""
        return next(each for each in self.services if each.name == name)


STACKS = {
    "pages": Stack(
        name="pages",
        app="app.kubernetes.io/name",
        slot="edition",
        sides=("first", "second"),
        services=(
            Service(
                name="pages",
                users="www",
                port=8000,
                deployment="web-{side}-edition",
                preview="www-{side}",
                probes=("readinessProbe",),
                tcp=True,
            ),
        ),
    ),
    "market": Stack(
        name="market",
        app="app.kubernetes.io/name",
        slot="market.example/lane",
        sides=("even", "odd"),
        more={"app.kubernetes.io/part-of": "market"},
        services=(
            Service(name="ledger", replicas=1),
            Service(name="stock", needs="ledger", replicas=1),
            Service(name="prices", needs="stock", replicas=1, sidecars=True),
            Service(name="catalog", needs="prices", replicas=1),
            Service(name="front", needs="catalog", port=8088, deployment="lane-{side}-front"),
        ),
    ),
    "forum": Stack(
        name="forum",
        app="app",
        slot="track",
        sides=("green", "blue"),
        services=(
            Service(name="threads", target="rpc", preview="threads-on-{side}"),
            Service(name="talk", needs="threads", port=8080, target=8080, probes=("readinessProbe", "livenessProbe")),
        ),
    ),
}


def objects(stack: Stack, version: str) -> list[Object]:
    """All of them; the first side serves."""
    found: list[Object] = []
    for service in stack.services:
        found += [_service(stack, service, service.called, stack.sides[0]), _budget(stack, service)]
        for side in stack.sides:
            preview = service.preview.format(name=service.name, side=side)
            found += [_service(stack, service, preview, side), _deployment(stack, service, side, version)]
    return found


def _service(stack: Stack, service: Service, name: str, side: str) -> Object:
    port = {"name": "web", "port": service.port, "targetPort": service.target}
    spec = {"selector": stack.labels(service, side), "ports": [port]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


def _budget(stack: Stack, service: Service) -> Object:
    chosen = {"matchLabels": stack.labels(service, stack.sides[0])}
    spec = {"minAvailable": 1, "selector": chosen}
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": f"keep-{service.name}"},
        "spec": spec,
    }


def _deployment(stack: Stack, service: Service, side: str, version: str) -> Object:
    labels = stack.labels(service, side)
    pods = {"metadata": {"labels": labels}, "spec": _pods(stack, service, side, version)}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": service.deployment.format(name=service.name, side=side)},
        "spec": {"replicas": service.replicas, "selector": {"matchLabels": labels}, "template": pods},
    }


def _pods(stack: Stack, service: Service, side: str, version: str) -> Object:
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": stack.labels(service, side)},
    }
    found: Object = {
        "terminationGracePeriodSeconds": 30,
        "topologySpreadConstraints": [spread],
        "containers": [_main(stack, service, side, version)],
    }
    if service.sidecars:
        found["initContainers"] = [
            _beside("seed", version, mode="init"),
            {**_beside("mesh", version, mode="sidecar"), "restartPolicy": "Always"},
        ]
        found["containers"].insert(0, _beside("log", version, mode="sidecar"))
    return found


def _main(stack: Stack, service: Service, side: str, version: str) -> Object:
    slot = ("blue", "green")[_blue_first(stack).index(side)]
    env = {"NAME": service.name, "SIDE": side, "SLOT": slot, "DUCK": "3"}
    if service.needs:
        needed = stack.service(service.needs)
        env["NEXT"] = f"http://{needed.preview.format(name=needed.name, side=side)}:{needed.port}"
    port = {"name": service.target if isinstance(service.target, str) else "main", "containerPort": 8080}
    probe = {"tcpSocket": {"port": 8080}} if service.tcp else {"httpGet": {"path": "/ready", "port": 8080}}
    alive = {"httpGet": {"path": "/live", "port": 8080}, "periodSeconds": 10}
    asked = {
        "readinessProbe": {**probe, "periodSeconds": 1},
        "livenessProbe": alive,
        "startupProbe": {**alive, "periodSeconds": 1, "failureThreshold": 60},
    }
    return {
        "name": "main",
        "image": f"{IMAGE}:{version}",
        "env": [{"name": name, "value": value} for name, value in env.items()],
        "ports": [port],
        "lifecycle": {"preStop": {"sleep": {"seconds": 2}}},
        **{name: asked[name] for name in service.probes},
    }


def _blue_first(stack: Stack) -> list[str]:
    """blue and green are what they say; of others the first by the alphabet is blue."""
    return sorted(stack.sides)


def _beside(name: str, version: str, *, mode: str) -> Object:
    return {"name": name, "image": f"{IMAGE}:{version}", "env": [{"name": "MODE", "value": mode}]}


def main() -> None:
    """Write the objects of the stack named, at the version named."""
    if len(sys.argv) != 3 or sys.argv[1] not in STACKS:
        sys.exit(f"usage: objects.py {{{','.join(STACKS)}}} VERSION")
    items = objects(STACKS[sys.argv[1]], sys.argv[2])
    print(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))


if __name__ == "__main__":
    main()
