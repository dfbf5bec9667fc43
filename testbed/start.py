"""Starting a cluster: everything at once, then waiting for what must be true before anybody can use it.

Two starts at once become one after the other, and the second finds the first one's cluster. A start that fails
takes down what it had started, and says why with the last lines of the log that knows.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from testbed import controlplane, debian, images, pki, worker
from testbed.cgroups import Groups
from testbed.cluster import CLIENTS, Cluster, Mark, find, write_marks
from testbed.daemons import Daemon, Launcher, tail
from testbed.debian import Tell
from testbed.errors import TestbedError
from testbed.host import check_host, layers_by_overlay
from testbed.locks import exclusive
from testbed.places import CONTROL_PLANE, DNS_ADDRESS, MAX_NODES, Node, Places
from testbed.processes import wait_for
from testbed.programs import Programs
from testbed.spaces import Space, hold, hold_client, save
from testbed.stop import clear

MANIFESTS = Path(__file__).parent / "manifests"
_SERVERS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy")
_SHIPPED: tuple[str, ...] = ("pause", "coredns", "prometheus")
_TOOLS = ("kubectl", "helm3", "helm4")
_PROBED_NAME = "kubernetes.default.svc.cluster.local"
_LIMIT = 60.0  # seconds, for each thing waited for; each takes a tenth of it on two cores
# timeout:1, because a query sent before kube-proxy knows the DNS Service is lost, and glibc waits 5 s for it.
_RESOLV_CONF = f"""\
search default.svc.cluster.local svc.cluster.local cluster.local
nameserver {DNS_ADDRESS}
options ndots:5 timeout:1 attempts:3
"""


@dataclass(frozen=True, slots=True)
class Wish:
    """What kind of cluster is wanted."""

    nodes: int = 2
    prometheus: bool = True

    def programs(self) -> list[str]:
        """What has to be built for it."""
        needed = ["pause", "kube", "kubectl", "coredns"]
        if self.prometheus:
            needed.append("prometheus")
        return needed


def prepare(places: Places, wish: Wish, *, tell: Tell) -> None:
    """Download and build what `up` would, and start nothing. Raises Unavailable or TestbedError."""
    check_host()
    with exclusive(places.lock, tell=tell):
        _gather(places, wish, tell=tell)


def up(places: Places, wish: Wish, *, tell: Tell) -> Cluster:
    """The cluster of this name, started unless it is up. Raises Unavailable or TestbedError."""
    if not 1 <= wish.nodes <= MAX_NODES:
        raise TestbedError(f"{wish.nodes} nodes: a cluster has 1 to {MAX_NODES}")
    check_host()
    with exclusive(places.lock, tell=tell):
        running = _whole(places)
        if running is not None:
            tell(f"the cluster is up already, with {len(running.nodes)} nodes")
            return running
        materials = _gather(places, wish, tell=tell)
        clear(places)
        return _start(places, wish, materials, tell=tell)


def need_tools(cluster: Cluster, names: Sequence[str], *, tell: Tell) -> None:
    """Have helm3 or helm4 on the path of commands inside, built when missing."""
    programs = Programs(cluster.places.cache)
    programs.need(names, tell=tell)
    link_tools(cluster.places, programs)


def link_tools(places: Places, programs: Programs) -> None:
    """Put kubectl and the Helms that are built where commands inside find them."""
    places.tools.mkdir(parents=True, exist_ok=True)
    for name in _TOOLS:
        program = programs.have(name)
        link = places.tools / name
        if program is not None and not link.is_symlink():
            link.symlink_to(program)


@dataclass(frozen=True, slots=True)
class _Materials:
    """Everything that a start takes from the cache."""

    programs: Mapping[str, Path]
    archives: Mapping[str, Path]
    debian: Path

    @property
    def plugins(self) -> Path:
        """The network plugins that containerd runs."""
        return self.debian / "usr" / "lib" / "cni"


@dataclass(slots=True)
class _Start:
    """A start on its way."""

    places: Places
    materials: _Materials
    launcher: Launcher
    tell: Tell
    began: float = field(default_factory=time.monotonic)
    spaces: dict[str, Space] = field(default_factory=dict)
    daemons: list[Daemon] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)

    @property
    def cluster(self) -> Cluster:
        return Cluster(places=self.places, spaces=self.spaces)

    def keep(self, space: Space) -> Space:
        save(space, self.places.spaces)
        self.spaces[space.name] = space
        return space

    def mark(self, what: str) -> None:
        """Tell that something is true now, and how long after the start."""
        self.marks.append(Mark(what=what, seconds=round(time.monotonic() - self.began, 2)))
        self.tell(str(self.marks[-1]))

    def wait(self, look: Callable[[], bool], *, what: str, log: str) -> None:
        """Wait for a condition, or for a server's end; `log` is the one that knows why it does not come true."""

        def looked() -> bool:
            for daemon in self.daemons:
                daemon.check()
            return look()

        try:
            wait_for(looked, what=what, limit=_LIMIT)
        except TestbedError as error:
            if "\n" in str(error):
                raise
            lines = tail(self.places.logs / f"{log}.log")
            raise TestbedError(f"{error}; the last lines of {log}.log:\n{lines}") from error


def _gather(places: Places, wish: Wish, *, tell: Tell) -> _Materials:
    """Download and build what is missing; nothing of the cluster runs yet."""
    root = debian.node_programs(into=places.cache / "debian", tell=tell)
    programs = Programs(places.cache).need(wish.programs(), tell=tell)
    shipped = [name for name in _SHIPPED if name in programs]
    archives = {name: images.program_archive(programs[name], tell=tell) for name in shipped}
    return _Materials(programs=programs, archives=archives, debian=root)


def _start(places: Places, wish: Wish, materials: _Materials, *, tell: Tell) -> Cluster:
    env = debian.environment(materials.debian, os.environ)
    launcher = Launcher(groups=Groups(places.cgroup), logs=places.logs, env=env)
    start = _Start(places=places, materials=materials, launcher=launcher, tell=tell)
    try:
        _furnish(places, materials)
        _start_everything(start, [Node(number) for number in range(1, wish.nodes + 1)])
        _wait_until_usable(start)
        write_marks(places, start.marks)
    except BaseException:
        clear(places)
        raise
    return start.cluster


def _furnish(places: Places, materials: _Materials) -> None:
    """The cluster's folder and control groups."""
    places.state.mkdir(parents=True, mode=0o700)
    places.servers.mkdir()
    for name in _SERVERS:
        (places.servers / name).symlink_to(materials.programs["kube"])
    places.resolv_conf.write_text(_RESOLV_CONF)
    link_tools(places, Programs(places.cache))
    Groups(places.cgroup).make(CLIENTS)


def _start_everything(start: _Start, nodes: Sequence[Node]) -> None:
    """The control plane and all nodes side by side, as far as they do not need each other."""
    with ThreadPoolExecutor(max_workers=len(nodes) + 2) as pool:
        keys = pool.submit(pki.make, start.places.pki, nodes)
        control_plane = start.keep(_hold(start, CONTROL_PLANE))
        controlplane.lay_switch(control_plane)
        keys.result()
        start.daemons += controlplane.start_servers(control_plane, places=start.places, launcher=start.launcher)
        begun = [pool.submit(_start_node, start, node, nodes) for node in nodes]
        begun.append(pool.submit(_push_own_images, start))
        _start_controllers(start)
        for part in begun:
            part.result()
        controlplane.route_services(control_plane, nodes[0])


def _start_controllers(start: _Start) -> None:
    start.wait(start.cluster.api.ready, what="the API server", log="cp.kube-apiserver")
    start.mark("API server ready")
    space = start.spaces[CONTROL_PLANE]
    start.daemons += controlplane.start_controllers(space, places=start.places, launcher=start.launcher)


def _start_node(start: _Start, node: Node, peers: Sequence[Node]) -> None:
    space = start.keep(_hold(start, node.name))
    controlplane.plug_in(start.spaces[CONTROL_PLANE], node, space)
    worker.lay_network(space, node, peers)
    places, launcher = start.places, start.launcher
    settings = worker.Settings(plugins=start.materials.plugins, snapshotter=_snapshotter(places))
    start.daemons.append(worker.start_runtime(space, node, places=places, launcher=launcher, settings=settings))
    _add_client(start, node, space)
    start.wait(partial(worker.runtime_answers, space), what=f"containerd on {node.name}", log=f"{node.name}.containerd")
    start.daemons += worker.start_agents(space, node, places=places, launcher=launcher)


def _add_client(start: _Start, node: Node, space: Space) -> None:
    pause, groups = start.materials.programs["pause"], start.launcher.groups
    log = start.places.logs / f"{node.client}.log"
    client = start.keep(hold_client(node.client, space, pause=pause, groups=groups, log=log))
    worker.plug_in_client(client, node, space)


def _snapshotter(places: Places) -> str:
    """How containerd stacks the layers of images: by copies where no overlay can lie."""
    if layers_by_overlay(places.state):
        return "overlayfs"
    return "native"


def _hold(start: _Start, name: str) -> Space:
    log = start.places.logs / f"{name}.log"
    return hold(name, pause=start.materials.programs["pause"], groups=start.launcher.groups, log=log)


def _push_own_images(start: _Start) -> None:
    registry = start.cluster.registry
    start.wait(registry.answers, what="the registry", log="cp.docker-registry")
    for archive in start.materials.archives.values():
        images.load(archive, registry, scratch=start.places.state)


def _wait_until_usable(start: _Start) -> None:
    cluster = start.cluster
    cluster.kubectl("create", "--validate=false", "-f", str(MANIFESTS / "dns.yaml"))
    start.wait(lambda: _all_ready(cluster), what="all nodes to be Ready", log="n1.kubelet")
    start.mark(f"{len(cluster.nodes)} nodes Ready")
    if "prometheus" in start.materials.programs:
        cluster.kubectl("create", "--validate=false", "-f", str(MANIFESTS / "prometheus.yaml"))
    for node in cluster.nodes:
        start.wait(partial(_resolves, cluster, at=node.client), what=f"DNS on {node.name}", log="n1.kubelet")
    start.mark("DNS answers on each node")
    if "prometheus" in start.materials.programs:
        cluster.kubectl("-n", "monitoring", "rollout", "status", "deployment/prometheus", "--timeout=60s")
        start.mark("Prometheus ready")


def _all_ready(cluster: Cluster) -> bool:
    return cluster.api.ready_nodes() == {node.name for node in cluster.nodes}


def _resolves(cluster: Cluster, *, at: str) -> bool:
    """Rolled out is not known to every kube-proxy, which gathers changes for up to a second: so each node is asked."""
    return cluster.run(["getent", "hosts", _PROBED_NAME], at=at).returncode == 0


def _whole(places: Places) -> Cluster | None:
    """The cluster, if it was started to the end, no node of it was killed, and it answers."""
    cluster = find(places)
    if cluster is None or not places.ready.exists():
        return None
    if len(cluster.spaces) < len(list(places.spaces.iterdir())) or not cluster.api.ready():
        return None
    return cluster
