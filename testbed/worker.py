"""A worker node: containerd, kubelet and kube-proxy in a space of their own, a bridge for the pods, one client.

Nodes have no default route. A packet goes to another pod, a Service or the control plane, or nowhere.
"""

import json
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from testbed.daemons import Daemon, Launcher
from testbed.places import DNS_ADDRESS, POD_RANGES, REGISTRY_URL, SERVICE_RANGE, Node, Places
from testbed.spaces import Space

BRIDGE = "kbr0"
PAUSE_IMAGE = "docker.io/testbed/pause:1"
_CONTAINERD = """\
version = 2
root = "{home}/containerd"
state = "/run/containerd/state"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]
[grpc]
  address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  # Root in a container may lack the right to protect itself from the out-of-memory killer.
  restrict_oom_score_adj = true
  max_concurrent_downloads = 10
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{home}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "{home}/certs.d"
"""
# `server` too, so that a name which is missing here is never looked for at its real host.
_HOSTS = 'server = "{url}"\n[host."{url}"]\n  capabilities = ["pull", "resolve"]\n'


@dataclass(frozen=True, slots=True)
class Settings:
    """Where the network plugins lie, and how containerd stacks the layers of images."""

    plugins: Path
    snapshotter: str


def lay_network(space: Space, node: Node, peers: Sequence[Node]) -> None:
    """Addresses, the pods' bridge, and a route to each peer's pods."""
    routes = "\n".join(f"ip route add {peer.pod_range} via {peer.address}" for peer in peers if peer != node)
    # The bridge has an address of its own: it would take the lowest of its ports' and change as pods come and go.
    # Services may leave by any link: a node's own calls are routed before kube-proxy's rules rewrite them.
    space.script(
        f"""
        ip addr add {node.address}/24 dev eth0
        ip link set eth0 up
        ip link add {BRIDGE} address {node.bridge_mac} type bridge
        ip addr add {node.pod_gateway}/24 dev {BRIDGE}
        ip link set {BRIDGE} up
        ip route add {SERVICE_RANGE} dev eth0
        {routes}
        echo 1 >/proc/sys/net/ipv4/ip_forward
        echo 1 >/proc/sys/net/bridge/bridge-nf-call-iptables
        """
    )


def plug_in_client(client: Space, node: Node, node_space: Space) -> None:
    """A cable from the pods' bridge to the client, who has the network of a pod."""
    node_space.script(
        f"""
        ip link add {client.name} netns {node_space.keeper} type veth peer name eth0 netns {client.keeper}
        ip link set {client.name} master {BRIDGE} up
        """
    )
    client.script(
        f"""
        ip link set lo up
        ip addr add {node.client_address}/24 dev eth0
        ip link set eth0 up
        ip route add default via {node.pod_gateway}
        echo '1024 65000' >/proc/sys/net/ipv4/ip_local_port_range
        """
    )


def start_runtime(space: Space, node: Node, *, places: Places, launcher: Launcher, settings: Settings) -> Daemon:
    """containerd, in which the pods run; the end of a start that the kubelet has to wait for."""
    home = places.of(node.name)
    home.mkdir(parents=True, exist_ok=True)
    _write_network_config(home, node)
    _write_registry_hosts(home)
    (home / "containerd.toml").write_text(
        _CONTAINERD.format(home=home, pause=PAUSE_IMAGE, plugins=settings.plugins, snapshotter=settings.snapshotter)
    )
    return launcher.start(space, "containerd", ["containerd", "-c", home / "containerd.toml"])


def runtime_answers(space: Space) -> bool:
    """Whether containerd takes connections: a kubelet that finds none ends at once."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(f"/proc/{space.keeper}/root/run/containerd/containerd.sock")
        except OSError:
            return False
    return True


def start_agents(space: Space, node: Node, *, places: Places, launcher: Launcher) -> list[Daemon]:
    """kubelet and kube-proxy; they try again until the API server answers."""
    home = places.of(node.name)
    (home / "kubelet.json").write_text(json.dumps(_kubelet(places, node)))
    (home / "kube-proxy.json").write_text(json.dumps(_kube_proxy(places, node)))
    return [
        launcher.start(space, "kubelet", [places.servers / "kubelet", *_kubelet_flags(places, node)]),
        launcher.start(space, "kube-proxy", [places.servers / "kube-proxy", f"--config={home / 'kube-proxy.json'}"]),
    ]


def _write_network_config(home: Path, node: Node) -> None:
    pods = {"subnet": node.pod_range, "rangeStart": node.first_pod, "rangeEnd": node.last_pod}
    addresses = {
        "type": "host-local",
        "ranges": [[pods]],
        "routes": [{"dst": "0.0.0.0/0"}],
        "dataDir": str(home / "addresses"),
    }
    bridge = {"type": "bridge", "bridge": BRIDGE, "isGateway": True, "hairpinMode": True, "ipMasq": False}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    plugins = [{**bridge, "ipam": addresses}, ports]
    (home / "cni").mkdir(exist_ok=True)
    config = {"cniVersion": "1.0.0", "name": "testbed", "plugins": plugins}
    (home / "cni" / "10-testbed.conflist").write_text(json.dumps(config))


def _write_registry_hosts(home: Path) -> None:
    """`_default` means every host there is: docker.io/alfredai/backend comes from the cluster's registry too."""
    folder = home / "certs.d" / "_default"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "hosts.toml").write_text(_HOSTS.format(url=REGISTRY_URL))


def _kubelet_flags(places: Places, node: Node) -> list[str]:
    home = places.of(node.name)
    return [
        f"--config={home / 'kubelet.json'}",
        f"--kubeconfig={places.kubeconfig(node.name)}",
        f"--root-dir={home / 'kubelet'}",
        f"--cert-dir={home / 'kubelet' / 'pki'}",
        f"--hostname-override={node.name}",
        f"--node-ip={node.address}",
    ]


def _kubelet(places: Places, node: Node) -> dict[str, object]:
    home = places.of(node.name)
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(places.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": "cluster.local",
        "resolvConf": "",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{places.cgroup}/{node.name}",
        "failCgroupV1": False,
        "enforceNodeAllocatable": [],
        "failSwapOn": False,
        # The machine's disk is not the cluster's: nothing is evicted or collected because others fill it.
        "evictionHard": {"nodefs.available": "1%", "imagefs.available": "1%", "memory.available": "50Mi"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "serializeImagePulls": False,
        "podLogsDir": str(home / "pod-logs"),
        "volumePluginDir": str(home / "volume-plugins"),
    }


def _kube_proxy(places: Places, node: Node) -> dict[str, object]:
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "iptables",
        "clientConnection": {"kubeconfig": str(places.kubeconfig(f"proxy-{node.name}"))},
        "clusterCIDR": POD_RANGES,
        "hostnameOverride": node.name,
        # The machine's table of connections has the machine's size, and is not ours to change.
        "conntrack": {"maxPerCore": 0, "min": 0},
    }
