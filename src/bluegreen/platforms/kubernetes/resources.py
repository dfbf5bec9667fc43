"""Paths of the API, made from names. The only place that knows groups and versions."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind of object, as the API names it."""

    group_version: str
    plural: str

    def all(self, namespace: str) -> str:
        """The collection in a namespace; in an empty one: of the whole cluster, or of a kind without namespaces."""
        root = f"/api/{self.group_version}" if "/" not in self.group_version else f"/apis/{self.group_version}"
        place = f"/namespaces/{_part(namespace)}" if namespace else ""
        return f"{root}{place}/{self.plural}"

    def one(self, namespace: str, name: str, *, sub: str = "") -> str:
        """One object, or a part of it such as ``scale`` or ``log``."""
        below = f"/{sub}" if sub else ""
        return f"{self.all(namespace)}/{_part(name)}{below}"


NAMESPACES = Resource("v1", "namespaces")
NODES = Resource("v1", "nodes")
SERVICES = Resource("v1", "services")
PODS = Resource("v1", "pods")
CONFIG_MAPS = Resource("v1", "configmaps")
EVENTS = Resource("v1", "events")
QUOTAS = Resource("v1", "resourcequotas")
DEPLOYMENTS = Resource("apps/v1", "deployments")
REPLICA_SETS = Resource("apps/v1", "replicasets")
SLICES = Resource("discovery.k8s.io/v1", "endpointslices")
BUDGETS = Resource("policy/v1", "poddisruptionbudgets")
LEASES = Resource("coordination.k8s.io/v1", "leases")
SCALERS = Resource("autoscaling/v2", "horizontalpodautoscalers")
ACCESS_REVIEWS = Resource("authorization.k8s.io/v1", "selfsubjectaccessreviews")

VERSION = "/version"


def pod_path(namespace: str, pod: str, *, port: int, path: str) -> str:
    """By way of the API server to a pod. ``path``: as the pod is asked, query and all."""
    place = PODS.one(namespace, f"{pod}:{port}", sub="proxy")
    return f"{place}/{quote(path.lstrip('/'), safe=_PATH)}"


_PATH = "/?&=%:@!$'()*+,;~-._"


def _part(name: str) -> str:
    """One part of a path: whatever a name holds, it stays one part."""
    return quote(name, safe=":")
