"""Where everything lies: addresses inside the cluster, folders outside it.

All addresses exist in the cluster's own network namespaces only, so they need not be free on the machine.
"""

import os
from dataclasses import dataclass
from pathlib import Path

CONTROL_PLANE = "cp"
API_ADDRESS = "10.231.0.1"
API_PORT = 6443
API_URL = f"https://{API_ADDRESS}:{API_PORT}"
REGISTRY_PORT = 5000
REGISTRY_URL = f"http://{API_ADDRESS}:{REGISTRY_PORT}"
SERVICE_RANGE = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
DNS_ADDRESS = "10.96.0.10"
POD_RANGES = "10.244.0.0/16"
MAX_NODES = 9


@dataclass(frozen=True, slots=True)
class Node:
    """The addresses of the worker node of this number, counted from 1."""

    number: int

    @property
    def name(self) -> str:
        return f"n{self.number}"

    @property
    def client(self) -> str:
        """The name of the pod-like client beside the node's pods."""
        return f"c{self.number}"

    @property
    def address(self) -> str:
        return f"10.231.0.{10 + self.number}"

    @property
    def pod_range(self) -> str:
        return f"{self._pod_prefix}.0/24"

    @property
    def pod_gateway(self) -> str:
        return f"{self._pod_prefix}.1"

    @property
    def first_pod(self) -> str:
        return f"{self._pod_prefix}.10"

    @property
    def last_pod(self) -> str:
        return f"{self._pod_prefix}.240"

    @property
    def client_address(self) -> str:
        return f"{self._pod_prefix}.250"

    @property
    def bridge_mac(self) -> str:
        return f"02:74:62:00:01:{self.number:02x}"

    @property
    def _pod_prefix(self) -> str:
        return f"10.244.{self.number}"


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one cluster. Several clusters of different names can run side by side."""

    name: str
    state: Path
    cache: Path

    @property
    def cgroup(self) -> str:
        return f"kubernetes-{self.name}"

    @property
    def spaces(self) -> Path:
        """One file for each namespace: the id and start time of its first process."""
        return self.state / "spaces"

    @property
    def pki(self) -> Path:
        return self.state / "pki"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def servers(self) -> Path:
        """Links that give the one Kubernetes program its many names."""
        return self.state / "servers"

    @property
    def tools(self) -> Path:
        """kubectl, helm3 and helm4 for commands inside, as far as they are built."""
        return self.state / "tools"

    @property
    def resolv_conf(self) -> Path:
        return self.state / "resolv.conf"

    @property
    def ready(self) -> Path:
        """There when the start came to its end."""
        return self.state / "ready"

    @property
    def audit_log(self) -> Path:
        return self.state / CONTROL_PLANE / "audit.log"

    @property
    def lock(self) -> Path:
        return self.cache / f"{self.name}.lock"

    def of(self, space: str) -> Path:
        """The folder of the control plane or a node."""
        return self.state / space

    def kubeconfig(self, user: str = "admin") -> Path:
        return self.pki / f"{user}.kubeconfig"


def default_places(name: str = "testbed") -> Places:
    """State where an overlay filesystem can lie; binaries in the user's cache (XDG_CACHE_HOME)."""
    state = Path(os.environ.get("TESTBED_STATE", "/var/tmp/kubernetes-testbed"))  # noqa: S108  fixed, so that `down` finds it; made with mode 0700
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Places(name=name, state=state / name, cache=cache / "kubernetes-testbed")
