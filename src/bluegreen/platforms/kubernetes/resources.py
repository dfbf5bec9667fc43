"""Paths of the API, made from names. The only place that knows groups and versions."""

from __future__ import annotations

from urllib.parse import quote

from bluegreen.domain.values import dataclass


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
POD_TEMPLATES = Resource("v1", "podtemplates")
CONFIG_MAPS = Resource("v1", "configmaps")
EVENTS = Resource("v1", "events")
POD_TEMPLATES = Resource("v1", "podtemplates")
QUOTAS = Resource("v1", "resourcequotas")
DEPLOYMENTS = Resource("apps/v1", "deployments")
REPLICA_SETS = Resource("apps/v1", "replicasets")
SLICES = Resource("discovery.k8s.io/v1", "endpointslices")
BUDGETS = Resource("policy/v1", "poddisruptionbudgets")
LEASES = Resource("coordination.k8s.io/v1", "leases")
SCALERS = Resource("autoscaling/v2", "horizontalpodautoscalers")
ACCESS_REVIEWS = Resource("authorization.k8s.io/v1", "selfsubjectaccessreviews")
SELF_REVIEWS = Resource("authentication.k8s.io/v1", "selfsubjectreviews")
RULES_REVIEWS = Resource("authorization.k8s.io/v1", "selfsubjectrulesreviews")

VERSION = "/version"


def pod_path(namespace: str, pod: str, *, port: int, path: str) -> str:
    """By way of the API server to a pod. ``path``: as the pod is asked, query and all."""
    return _proxied(PODS, namespace, pod, port=port, path=path)


def service_path(namespace: str, service: str, *, port: int, path: str) -> str:
    """By way of the API server to a ready pod of a Service, which the API server picks itself: by its endpoints, not as
    users are routed. ``path``: as above.
    """
    return _proxied(SERVICES, namespace, service, port=port, path=path)


def _proxied(resource: Resource, namespace: str, name: str, *, port: int, path: str) -> str:
    # The slash after ``proxy`` is needed even before nothing: without it the API server redirects.
    return f"{resource.one(namespace, f'{name}:{port}', sub='proxy')}/{quote(path.lstrip('/'), safe=_PATH)}"


_PATH = "/?&=%:@!$'()*+,;~-._"


def _part(name: str) -> str:
    """One part of a path: whatever a name holds, it stays one part."""
    return quote(name, safe=":")
