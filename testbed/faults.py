"""Faults for tests, each a `with` block that undoes itself at its end, however that comes.

    with frozen(cluster, "kubelet", at="n1"): ...
    with unplugged(cluster, "n2"): ...
    with slow_api(cluster, milliseconds=200): ...
    with missing_image(cluster, "docker.io/alfredai/backend:v9"): ...
    with broken_image(cluster, "docker.io/alfredai/backend:v9"): ...
    with flaky_registry(cluster): ...

Undone means that the fault is gone, not that the cluster has recovered: what to wait for is the test's to know.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from testbed import debian, flaky, relay
from testbed.cluster import Cluster
from testbed.controlplane import BRIDGE
from testbed.daemons import find, freeze, thaw
from testbed.errors import TestbedError
from testbed.oci import Image, Layer, Settings, blob_of, make_image
from testbed.places import API_ADDRESS, API_PORT, CONTROL_PLANE, REGISTRY_PORT
from testbed.processes import send, wait_for
from testbed.registry import Name, parse_name
from testbed.spaces import start

# Changes nothing and stays: once no rule needs the tracking of connections, the kernel ends it, and with it the
# connections that were redirected.
_TRACKING_RULE = "INPUT -m conntrack --ctstate INVALID -j ACCEPT"
_KEEP_TRACKING = f"iptables -w 5 -C {_TRACKING_RULE} 2>/dev/null || iptables -w 5 -A {_TRACKING_RULE}"

FREEZABLE = {
    "kubelet": "a node",
    "kube-proxy": "a node",
    "containerd": "a node",
    "kube-apiserver": CONTROL_PLANE,
    "kube-controller-manager": CONTROL_PLANE,
    "kube-scheduler": CONTROL_PLANE,
    "etcd": CONTROL_PLANE,
}


@contextlib.contextmanager
def frozen(cluster: Cluster, program: str, *, at: str = CONTROL_PLANE) -> Iterator[None]:
    """A server that hangs: its connections stay open and nobody answers. Raises TestbedError when it is not there."""
    pids = find(cluster.groups, space=at, program=program)
    if not pids:
        raise TestbedError(f"no {program} in {at}; it runs in {FREEZABLE.get(program, 'no space at all')}")
    try:
        freeze(pids)
        yield
    finally:
        thaw(pids)


@contextlib.contextmanager
def unplugged(cluster: Cluster, node: str) -> Iterator[None]:
    """A node whose cable is out: its own pods still see each other, and nobody else sees them."""
    cluster.space(node)
    cluster.control_plane.script(f"ip link set {node} down")
    try:
        yield
    finally:
        cluster.control_plane.script(f"ip link set {node} up")


@contextlib.contextmanager
def slow_api(cluster: Cluster, *, milliseconds: int) -> Iterator[None]:
    """Answers of the API server come so much later, on every connection that is opened within the block.

    Connections that were open before keep their speed; those opened within stay whole after its end, and are fast.
    """
    log = cluster.places.logs / "cp.slow-api.log"
    log.unlink(missing_ok=True)
    words = [sys.executable, relay.__file__, str(API_PORT), str(milliseconds)]
    command = cluster.control_plane.in_network(words)
    pid = start(command, name=CONTROL_PLANE, groups=cluster.groups, log=log)
    try:
        port = wait_for(lambda: _first_number(log), what="the slow way to the API server", limit=60)
        with _redirected(cluster, port):
            yield
    finally:
        send(signal.SIGTERM, [pid])


@contextlib.contextmanager
def missing_image(cluster: Cluster, name: str) -> Iterator[None]:
    """A tag that is not in the registry. If it was, it is again at the end, and other tags of the same content too."""
    registry, wanted = cluster.registry, parse_name(name)
    digest = registry.digest(wanted)
    if digest is None:
        yield
        return
    tags = [tag for tag in registry.tags(wanted.repository) if registry.digest(_tagged(wanted, tag)) == digest]
    manifest = registry.manifest(wanted)
    registry.remove(wanted)
    try:
        yield
    finally:
        for tag in tags:
            registry.push_manifest(manifest, _tagged(wanted, tag))


@contextlib.contextmanager
def broken_image(cluster: Cluster, name: str) -> Iterator[None]:
    """An image that can be downloaded and not unpacked: its layer is not the archive that the manifest calls it."""
    registry, wanted = cluster.registry, parse_name(name)
    if registry.digest(wanted) is not None:
        raise TestbedError(f"{name} is in the registry already; break a tag that is not")
    with tempfile.TemporaryDirectory() as scratch:
        registry.push(_broken(Path(scratch), salt=name), wanted)
    try:
        yield
    finally:
        registry.remove(wanted)


@contextlib.contextmanager
def flaky_registry(cluster: Cluster) -> Iterator[None]:
    """Of every eight connections to the registry the last three fail: by 503, by a reset, by 503."""
    log = cluster.places.logs / "cp.flaky-registry.log"
    log.unlink(missing_ok=True)
    words = [sys.executable, flaky.__file__, str(REGISTRY_PORT)]
    pid = start(cluster.control_plane.in_network(words), name=CONTROL_PLANE, groups=cluster.groups, log=log)
    try:
        port = wait_for(lambda: _first_number(log), what="the flaky way to the registry", limit=60)
        with _redirected(cluster, port, of=REGISTRY_PORT):
            yield
    finally:
        send(signal.SIGTERM, [pid])


@contextlib.contextmanager
def _redirected(cluster: Cluster, port: int, *, of: int = API_PORT) -> Iterator[None]:
    """New connections to this port of the control plane's address go to the other, its own too."""
    target = f"-p tcp -d {API_ADDRESS} --dport {of} -j REDIRECT --to-ports {port}"
    chains = [f"PREROUTING -i {BRIDGE} {target}", f"OUTPUT {target}"]
    appended = [f"iptables -w 5 -t nat -A {chain}" for chain in chains]
    deleted = [f"iptables -w 5 -t nat -D {chain}" for chain in chains]
    _run_script(cluster, [_KEEP_TRACKING, *appended])
    try:
        yield
    finally:
        _run_script(cluster, deleted)


def _run_script(cluster: Cluster, lines: list[str]) -> None:
    """Shell lines in the control plane, with iptables on the path; the first that fails ends them."""
    root = debian.node_programs(into=cluster.places.cache / "debian", tell=lambda _: None)
    done = subprocess.run(
        cluster.control_plane.inside(["sh", "-ec", "\n".join(lines)]),
        env=debian.environment(root, os.environ),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise TestbedError(f"iptables in the control plane: {done.stderr.strip()}")


def _broken(folder: Path, *, salt: str) -> Image:
    junk = folder / "junk"
    junk.write_bytes(b"this is no archive: " + salt.encode())
    layer = Layer(blob=blob_of(junk), content=blob_of(junk).digest)
    return make_image(folder, layers=[layer], settings=Settings(entrypoint=["/nothing"]))


def _tagged(name: Name, tag: str) -> Name:
    return Name(repository=name.repository, tag=tag)


def _first_number(log: Path) -> int | None:
    try:
        first = log.read_text().splitlines()[:1]
    except FileNotFoundError:
        return None
    if not first or not first[0].isdigit():
        return None
    return int(first[0])
