"""That the cluster is a Kubernetes like any other, in everything that a test may want of one."""

import json
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from testbed.cluster import Cluster
from testbed.errors import TestbedError
from testbed.places import API_ADDRESS, API_PORT, API_URL
from testbed.registry import parse_name
from tests.testbed.helpers import GREETER, Pod, eventually, fetch, pods

pytestmark = pytest.mark.cluster

_PYTHON = "/usr/bin/python3.11"
_FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode(), end='')"
_RESOLVE = "import sys, socket; print(socket.gethostbyname(sys.argv[1]))"


def in_pod(cluster: Cluster, namespace: str, pod: str, *words: str) -> str:
    return cluster.kubectl("-n", namespace, "exec", pod, "--", *words)


def test_pods_reach_each_other_on_their_own_node_and_on_the_other(cluster: Cluster, greeter: str) -> None:
    found = pods(cluster, greeter)
    assert {pod.node for pod in found} == {"n1", "n2"}
    for caller in found:
        for called in found:
            url = f"http://{called.address}:8000/"
            assert in_pod(cluster, greeter, caller.name, _PYTHON, "-c", _FETCH, url) == f"{called.name}\n"


def test_a_service_spreads_over_the_pods_of_both_nodes(cluster: Cluster, greeter: str) -> None:
    names = {f"{pod.name}\n" for pod in pods(cluster, greeter)}
    for at in ("c1", "c2", "cp"):
        seen: set[str] = set()
        for _ in range(40):
            seen.add(fetch(cluster, "http://greeter.greet.svc/", at=at))
            seen.discard("")  # none within two seconds
            if seen == names:
                break
        assert seen == names, f"from {at}"


def test_pods_reach_a_service_by_its_short_name(cluster: Cluster, greeter: str) -> None:
    names = {f"{pod.name}\n" for pod in pods(cluster, greeter)}
    for pod in pods(cluster, greeter):
        assert in_pod(cluster, greeter, pod.name, _PYTHON, "-c", _FETCH, "http://greeter.greet.svc/") in names
        assert in_pod(cluster, greeter, pod.name, _PYTHON, "-c", _FETCH, "http://greeter/") in names


@pytest.mark.parametrize("at", ["cp", "c1", "c2"])
def test_names_resolve(cluster: Cluster, greeter: str, at: str) -> None:
    address = cluster.kubectl("-n", greeter, "get", "service", "greeter", "-o", "jsonpath={.spec.clusterIP}")
    for name in ("greeter.greet", "greeter.greet.svc", "greeter.greet.svc.cluster.local"):
        assert cluster.run(["getent", "hosts", name], at=at).stdout.split()[0] == address


def test_a_name_outside_does_not_exist_and_that_is_said(cluster: Cluster, greeter: str) -> None:
    """By an answer: whoever got none says "Temporary failure in name resolution", after seconds."""
    told = cluster.run([sys.executable, "-c", _RESOLVE, "example.com"], at="c1").stderr
    assert "Name or service not known" in told
    pod = pods(cluster, greeter)[0]
    with pytest.raises(TestbedError, match="Name or service not known"):
        in_pod(cluster, greeter, pod.name, _PYTHON, "-c", _RESOLVE, "example.com")


def test_nothing_leads_out(cluster: Cluster) -> None:
    for at in ("cp", "n1", "n2"):
        done = cluster.run(["ip", "route", "show", "default"], at=at)
        assert (done.returncode, done.stdout) == (0, "")


def test_an_image_is_pulled_by_its_digest(cluster: Cluster, greeter: str, fresh_namespace: str) -> None:
    digest = cluster.registry.digest(parse_name(GREETER))
    image = f"docker.io/alfredai/greeter@{digest}"
    cluster.kubectl("-n", fresh_namespace, "create", "deployment", "one", f"--image={image}")
    cluster.kubectl("-n", fresh_namespace, "rollout", "status", "deployment/one", "--timeout=90s")
    shown = cluster.kubectl(
        "-n", fresh_namespace, "get", "pods", "-o", "jsonpath={.items[0].status.containerStatuses[0].imageID}"
    )
    assert shown == image


def test_a_missing_tag_is_told(cluster: Cluster, greeter: str, fresh_namespace: str) -> None:
    cluster.kubectl("-n", fresh_namespace, "create", "deployment", "one", "--image=alfredai/greeter:v404")

    def told() -> Pod | None:
        return next((pod for pod in pods(cluster, fresh_namespace) if pod.reason == "ErrImagePull"), None)

    pod = eventually(told, what="ErrImagePull", limit=60)
    assert pod is not None
    assert "not found" in pod.message


def test_logs_exec_and_rollout_status_work(cluster: Cluster, greeter: str) -> None:
    pod = pods(cluster, greeter)[0]
    assert cluster.kubectl("-n", greeter, "logs", pod.name).startswith("greeting on port 8000\n")
    assert in_pod(cluster, greeter, pod.name, _PYTHON, "-c", "print(6 * 7)") == "42\n"
    assert "successfully rolled out" in cluster.kubectl("-n", greeter, "rollout", "status", "deployment/greeter")


def test_port_forward_works(cluster: Cluster, greeter: str) -> None:
    names = {f"{pod.name}\n" for pod in pods(cluster, greeter)}
    forward = cluster.control_plane.in_network(
        [cluster.places.tools / "kubectl", "-n", greeter, "port-forward", "service/greeter", "18000:80"]
    )
    with subprocess.Popen(forward, env=cluster.environment(), stdout=subprocess.DEVNULL) as process:
        try:
            answer = eventually(partial(fetch, cluster, "http://127.0.0.1:18000/", at="cp"), what="port-forward")
        finally:
            process.terminate()
    assert answer in names


def test_an_eviction_that_a_budget_forbids_is_refused(cluster: Cluster, greeter: str) -> None:
    pod = pods(cluster, greeter)[0]
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod.name, "namespace": greeter}}
    path = f"/api/v1/namespaces/{greeter}/pods/{pod.name}/eviction"

    def refused() -> bool:
        with pytest.raises(TestbedError, match=r"disruption budget") as caught:
            cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(body))
        return "violate" in str(caught.value)  # until then: the budget is "still being processed"

    assert eventually(refused, what="the budget to be known")
    assert pod.name in {one.name for one in pods(cluster, greeter)}


def test_a_token_without_rights_is_denied(cluster: Cluster, fresh_namespace: str) -> None:
    cluster.kubectl("-n", fresh_namespace, "create", "serviceaccount", "nobody")
    token = cluster.kubectl("-n", fresh_namespace, "create", "token", "nobody").strip()
    authority = str(cluster.places.pki / "ca.crt")
    stranger = ["--kubeconfig=/dev/null", f"--server={API_URL}", f"--certificate-authority={authority}"]
    with pytest.raises(TestbedError, match=r"forbidden: User .*:nobody"):
        cluster.kubectl(*stranger, f"--token={token}", "-n", fresh_namespace, "get", "pods")


def test_prometheus_has_the_pods_series(cluster: Cluster, greeter: str) -> None:
    wanted = {(pod.name, pod.node) for pod in pods(cluster, greeter)}

    def seen() -> bool:
        answer = fetch(cluster, "http://prometheus.monitoring.svc:9090/api/v1/query?query=greetings_total", at="c1")
        series = json.loads(answer)["data"]["result"] if answer else []
        return {
            (one["metric"]["pod"], one["metric"]["node"]) for one in series if one["metric"]["app"] == "greeter"
        } == wanted

    assert eventually(seen, what="both pods' series in Prometheus")


def test_the_audit_log_lists_calls(cluster: Cluster, fresh_namespace: str) -> None:
    with pytest.raises(TestbedError):
        cluster.kubectl("-n", fresh_namespace, "get", "configmap", "none-of-this-name")
    path = f"/api/v1/namespaces/{fresh_namespace}/configmaps/none-of-this-name"
    (entry,) = [one for one in cluster.audited() if one.path == path]
    assert (entry.user, entry.verb, entry.status) == ("admin", "get", 404)


def test_a_command_inside_keeps_its_code_and_its_output(cluster: Cluster) -> None:
    done = cluster.run(["sh", "-c", "cat; echo complaint >&2; exit 7"], stdin="said")
    assert (done.returncode, done.stdout, done.stderr) == (7, "said", "complaint\n")


def test_a_block_within_speaks_to_the_cluster_and_after_it_to_the_machine_again(cluster: Cluster) -> None:
    def reachable() -> bool:
        try:
            socket.create_connection((API_ADDRESS, API_PORT), timeout=2).close()
        except OSError:
            return False
        return True

    own = Path("/proc/thread-self/ns/net").readlink()
    with cluster.within():
        assert reachable()
        with ThreadPoolExecutor() as pool:
            assert pool.submit(reachable).result(), "threads of the block too"
    assert Path("/proc/thread-self/ns/net").readlink() == own


def test_kubectl_is_the_clusters_own_version(cluster: Cluster) -> None:
    versions = json.loads(cluster.run(["kubectl", "version", "-o", "json"]).stdout)
    assert versions["clientVersion"]["gitVersion"] == versions["serverVersion"]["gitVersion"]


def test_the_start_was_fast(cluster: Cluster) -> None:
    """Quiet it takes 3 s and 7 s (docs/testbed.md); beside the suites of the machine 7 s and 15 s were seen."""
    took = {mark.what: mark.seconds for mark in cluster.marks}
    assert took["2 nodes Ready"] <= 20
    assert took["DNS answers on each node"] <= 40
