"""That each fault does what it says while it lasts, and is gone after it."""

import time
from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest
from testbed.cluster import Cluster
from testbed.daemons import find
from testbed.errors import TestbedError
from testbed.faults import broken_image, flaky_registry, frozen, missing_image, slow_api, unplugged
from testbed.places import API_ADDRESS, API_PORT, REGISTRY_PORT
from testbed.processes import state
from testbed.registry import parse_name
from testbed.spaces import connect
from tests.testbed.helpers import GREETER, eventually, fetch, pods

pytestmark = pytest.mark.cluster

SERVERS = [
    ("kubelet", "n1"),
    ("kube-proxy", "n2"),
    ("containerd", "n1"),
    ("kube-apiserver", "cp"),
    ("etcd", "cp"),
]


@pytest.fixture(autouse=True)
def whole_again(cluster: Cluster) -> Iterator[None]:
    """The next test begins with a cluster that has recovered."""
    yield
    eventually(cluster.api.ready, what="the API server to answer again")
    names = {node.name for node in cluster.nodes}
    eventually(lambda: cluster.api.ready_nodes() == names, what="the nodes to be Ready again")


@pytest.mark.parametrize(("program", "at"), SERVERS)
def test_a_frozen_server_is_stopped_and_goes_on(cluster: Cluster, program: str, at: str) -> None:
    pids = find(cluster.groups, space=at, program=program)
    with frozen(cluster, program, at=at):
        assert {state(pid) for pid in pids} == {"T"}
    assert "T" not in {state(pid) for pid in pids}


def test_a_frozen_api_server_takes_calls_and_answers_none(cluster: Cluster) -> None:
    with frozen(cluster, "kube-apiserver"):
        with connect(cluster.control_plane, API_ADDRESS, API_PORT, limit=2):
            pass  # the kernel still accepts
        assert not cluster.api.ready()
    assert eventually(cluster.api.ready, what="the API server to answer again")


def test_a_frozen_etcd_makes_the_api_server_not_ready(cluster: Cluster) -> None:
    with frozen(cluster, "etcd"):
        assert eventually(lambda: not cluster.api.ready(), what="an API server that says it is not ready")


def test_a_frozen_kubelet_starts_nothing_until_it_goes_on(cluster: Cluster, greeter: str, fresh_namespace: str) -> None:
    kubectl = partial(cluster.kubectl, "-n", fresh_namespace)
    overrides = '{"spec": {"nodeName": "n1"}}'
    with frozen(cluster, "kubelet", at="n1"):
        kubectl("run", "one", f"--image={GREETER}", f"--overrides={overrides}")
        with pytest.raises(TestbedError, match="timed out"):
            kubectl("wait", "--for=condition=Ready", "pod/one", "--timeout=3s")
    kubectl("wait", "--for=condition=Ready", "pod/one", "--timeout=90s")


def test_a_frozen_kube_proxy_keeps_sending_to_where_it_knew(
    cluster: Cluster, greeter: str, fresh_namespace: str
) -> None:
    """The one of the other node goes on: the nodes disagree, as they do in life for a second."""
    kubectl = partial(cluster.kubectl, "-n", fresh_namespace)
    kubectl("create", "deployment", "one", f"--image={GREETER}")
    kubectl("rollout", "status", "deployment/one", "--timeout=90s")
    url = f"http://one.{fresh_namespace}.svc/"
    with frozen(cluster, "kube-proxy", at="n1"):
        kubectl("expose", "deployment", "one", "--port=80", "--target-port=8000")
        assert eventually(partial(fetch, cluster, url, at="c2"), what="the new Service on n2")
        assert fetch(cluster, url, at="c1") == ""
    assert eventually(partial(fetch, cluster, url, at="c1"), what="the new Service on n1")


def test_an_unplugged_node_is_out_of_reach_and_comes_back(cluster: Cluster, greeter: str) -> None:
    (far,) = [pod for pod in pods(cluster, greeter) if pod.node == "n2"]
    url = f"http://{far.address}:8000/"
    assert eventually(partial(fetch, cluster, url, at="c1"), what="an answer from the other node")
    with unplugged(cluster, "n2"):
        assert fetch(cluster, url, at="c1") == ""
        assert eventually(partial(fetch, cluster, url, at="c2"), what="its own pods to see each other still")
    assert eventually(partial(fetch, cluster, url, at="c1"), what="n2 to be back")


def _plain_answer(cluster: Cluster, *, at: str) -> float:
    """Seconds until the API server says, unencrypted, that it wants encryption: one round trip after the connection."""
    began = time.monotonic()
    with connect(cluster.space(at), API_ADDRESS, API_PORT, limit=5) as plain:
        plain.sendall(b"GET / HTTP/1.0\r\n\r\n")
        plain.settimeout(10)
        answer = plain.recv(100)
    assert answer.startswith(b"HTTP/1.0 400")
    return time.monotonic() - began


def test_a_flaky_registry_fails_three_connections_of_eight(cluster: Cluster) -> None:
    """For nodes, whose way to it comes over the bridge; afterwards it is whole."""
    with flaky_registry(cluster):
        assert Counter(_registry_answers(cluster, 8)) == {b"200": 5, b"503": 2, b"": 1}
    assert set(_registry_answers(cluster, 8)) == {b"200"}


def _registry_answers(cluster: Cluster, times: int) -> Iterator[bytes]:
    """The status that each of so many new connections from a node gets; empty: it was reset."""
    for _ in range(times):
        with connect(cluster.space("n1"), API_ADDRESS, REGISTRY_PORT, limit=5) as plain:
            plain.settimeout(10)
            plain.sendall(b"GET /v2/ HTTP/1.0\r\n\r\n")
            try:
                yield plain.recv(100)[9:12]
            except ConnectionResetError:
                yield b""


@pytest.mark.parametrize("at", ["cp", "c1"])
def test_a_slow_api_answers_so_much_later(cluster: Cluster, at: str) -> None:
    eventually(lambda: _plain_answer(cluster, at=at) < 1.5, what="an answer as fast as ever")
    with slow_api(cluster, milliseconds=1500):
        assert _plain_answer(cluster, at=at) >= 1.5
    eventually(lambda: _plain_answer(cluster, at=at) < 1.5, what="an answer as fast as before")


def test_a_connection_opened_while_the_api_was_slow_lives_on(cluster: Cluster) -> None:
    with slow_api(cluster, milliseconds=300):
        kept = connect(cluster.control_plane, API_ADDRESS, API_PORT, limit=5)
    with kept:
        kept.settimeout(30)
        kept.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert kept.recv(100).startswith(b"HTTP/1.0 400")


def test_two_slow_apis_do_not_meet(cluster: Cluster) -> None:
    """The second begins where the first has just ended, on a port of its own."""
    for milliseconds in (200, 500):
        with slow_api(cluster, milliseconds=milliseconds):
            fastest = min(_plain_answer(cluster, at="cp") for _ in range(5))  # this machine is slow now and then, too
            assert milliseconds / 1000 <= fastest < milliseconds / 1000 + 0.2


def test_a_missing_image_is_missing_and_comes_back(cluster: Cluster, greeter: str) -> None:
    name = parse_name(GREETER)
    before = cluster.registry.digest(name)
    assert before is not None
    with missing_image(cluster, GREETER):
        assert cluster.registry.digest(name) is None
    assert cluster.registry.digest(name) == before


def test_an_image_that_was_never_there_stays_away(cluster: Cluster) -> None:
    with missing_image(cluster, "docker.io/alfredai/never:v1"):
        assert cluster.registry.digest(parse_name("docker.io/alfredai/never:v1")) is None
    assert cluster.registry.digest(parse_name("docker.io/alfredai/never:v1")) is None


def test_a_broken_image_cannot_be_unpacked(cluster: Cluster, fresh_namespace: str) -> None:
    broken = "docker.io/alfredai/greeter:broken"
    with broken_image(cluster, broken):
        cluster.kubectl("-n", fresh_namespace, "run", "one", f"--image={broken}")

        def told() -> str:
            return next((pod.message for pod in pods(cluster, fresh_namespace) if pod.reason == "ErrImagePull"), "")

        assert "failed to extract layer" in eventually(told, what="ErrImagePull")
    assert cluster.registry.digest(parse_name(broken)) is None


def test_a_fault_is_undone_when_the_test_fails_within(cluster: Cluster) -> None:
    pids = find(cluster.groups, space="n1", program="kubelet")
    with pytest.raises(ZeroDivisionError), frozen(cluster, "kubelet", at="n1"):
        _ = 1 / 0
    assert "T" not in {state(pid) for pid in pids}


def test_a_server_that_is_not_there_cannot_be_frozen(cluster: Cluster) -> None:
    with pytest.raises(TestbedError, match="no etcd in n1; it runs in cp"), frozen(cluster, "etcd", at="n1"):
        pytest.fail("frozen")
