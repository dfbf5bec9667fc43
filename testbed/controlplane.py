"""The control plane: a switch without an uplink, etcd, the API server, controllers, scheduler and the registry.

The API server has upstream's defaults: no admission plugin is added or taken away. Said explicitly is only what
has no default (addresses, keys), who may do what (Node and RBAC), and the audit log.
"""

import json
from collections.abc import Sequence

from testbed.daemons import Daemon, Launcher
from testbed.places import (
    API_ADDRESS,
    API_PORT,
    CONTROL_PLANE,
    POD_RANGES,
    REGISTRY_PORT,
    SERVICE_RANGE,
    Node,
    Places,
)
from testbed.spaces import Space

BRIDGE = "br0"
_ETCD = "http://127.0.0.1:2379"
# Without these, the controllers' 20 calls a second make them need 6 s before their first work.
_EAGER = ["--leader-elect=false", "--kube-api-qps=500", "--kube-api-burst=1000"]


def lay_switch(space: Space) -> None:
    """The bridge that joins the nodes, and the control plane's address on it."""
    space.script(
        f"""
        ip link add {BRIDGE} address 02:74:62:00:00:01 type bridge
        ip addr add {API_ADDRESS}/24 dev {BRIDGE}
        ip link set {BRIDGE} up
        echo 0 >/proc/sys/net/bridge/bridge-nf-call-iptables
        """
    )


def plug_in(space: Space, node: Node, node_space: Space) -> None:
    """A cable from the switch to the node. Both ends are made where they belong: none is ever the machine's."""
    space.script(
        f"""
        ip link add {node.name} netns {space.keeper} type veth peer name eth0 netns {node_space.keeper}
        ip link set {node.name} master {BRIDGE} up
        ip route add {node.pod_range} via {node.address}
        """
    )


def route_services(space: Space, through: Node) -> None:
    """Service addresses from the control plane's network, which has no kube-proxy: a node rewrites them."""
    space.script(f"ip route add {SERVICE_RANGE} via {through.address}")


def start_servers(space: Space, *, places: Places, launcher: Launcher) -> list[Daemon]:
    """etcd, the API server, which waits for it, and the registry."""
    home = places.of(CONTROL_PLANE)
    home.mkdir(parents=True, exist_ok=True)
    _write_audit_policy(places)
    _write_registry_config(places)
    servers = places.servers
    return [
        launcher.start(space, "etcd", [servers / "etcd", *_etcd(places)]),
        launcher.start(space, "kube-apiserver", [servers / "kube-apiserver", *_api_server(places)]),
        launcher.start(space, "docker-registry", ["docker-registry", "serve", home / "registry.json"]),
    ]


def start_controllers(space: Space, *, places: Places, launcher: Launcher) -> list[Daemon]:
    """Controllers and scheduler, once the API server answers: they give up on one that takes longer than 10 s."""
    servers = places.servers
    return [
        launcher.start(space, "kube-controller-manager", [servers / "kube-controller-manager", *_controllers(places)]),
        launcher.start(space, "kube-scheduler", [servers / "kube-scheduler", *_scheduler(places)]),
    ]


def _etcd(places: Places) -> Sequence[str]:
    """Not synced to disk: what a power cut would lose, `down` removes anyway."""
    return [
        f"--data-dir={places.of(CONTROL_PLANE) / 'etcd'}",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def _api_server(places: Places) -> Sequence[str]:
    pki, home = places.pki, places.of(CONTROL_PLANE)
    return [
        f"--etcd-servers={_ETCD}",
        f"--advertise-address={API_ADDRESS}",
        f"--secure-port={API_PORT}",
        f"--tls-cert-file={pki / 'api.crt'}",
        f"--tls-private-key-file={pki / 'api.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--token-auth-file={pki / 'tokens.csv'}",
        "--authorization-mode=Node,RBAC",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        f"--service-account-key-file={pki / 'sa.pub'}",
        "--allow-privileged=true",
        f"--kubelet-client-certificate={pki / 'api.crt'}",
        f"--kubelet-client-key={pki / 'api.key'}",
        # The nodes' names are known to no DNS: logs, exec and port-forward go to their addresses.
        "--kubelet-preferred-address-types=InternalIP",
        f"--audit-policy-file={home / 'audit-policy.json'}",
        f"--audit-log-path={places.audit_log}",
        "--audit-log-maxsize=10000",  # MB: one file from start to end; by default it begins anew after 100
    ]


def _controllers(places: Places) -> Sequence[str]:
    """A node may be silent for 120 s instead of 50: after a minute without an API server all of them have been.

    Then Kubernetes takes the pods of every node out of every Service until it hears of the node again. What users lose
    by that, 1 % in a measured case, would hide what they lose by whatever else a test is about.
    """
    pki = places.pki
    return [
        f"--kubeconfig={places.kubeconfig('controllers')}",
        f"--service-account-private-key-file={pki / 'sa.key'}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--cluster-cidr={POD_RANGES}",
        "--use-service-account-credentials=true",
        "--allocate-node-cidrs=false",
        "--node-monitor-grace-period=120s",
        *_EAGER,
    ]


def _scheduler(places: Places) -> Sequence[str]:
    return [f"--kubeconfig={places.kubeconfig('scheduler')}", *_EAGER]


def _write_audit_policy(places: Places) -> None:
    """Every call once, when it is done: who, what, which answer; no bodies, so no secrets."""
    policy = {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived", "ResponseStarted"],
        "rules": [{"level": "Metadata"}],
    }
    (places.of(CONTROL_PLANE) / "audit-policy.json").write_text(json.dumps(policy))


def _write_registry_config(places: Places) -> None:
    home = places.of(CONTROL_PLANE)
    storage = {"filesystem": {"rootdirectory": str(home / "registry")}, "delete": {"enabled": True}}
    config = {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": storage,
        "http": {"addr": f":{REGISTRY_PORT}"},  # also on this machine's own address, for the way of `flaky_registry`
    }
    (home / "registry.json").write_text(json.dumps(config))
