"""The stack that the project's other suites release: its images, its two slots, and a control run of load.

The control run is what a run with a switch is compared with: the same load on the same cluster, and nothing else
happens. Whatever fails here is the testbed's own.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from string import Template

import pytest
from testbed.cluster import Cluster
from testbed.pythonimage import PythonProgram, build
from tests.testbed.helpers import HERE, eventually, fetch, gone, pods, tell

pytestmark = pytest.mark.cluster

ROOT = HERE.parents[1]
NAMESPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "alfred"}}
URL = "http://alfred-gateway.alfred.svc:8080/api/work"
CLIENTS = ["--new", "20", "--keepalive", "50", "--slow", "2", "--post", "20", "--stream", "5", "--websocket", "20/4"]
CONTROL_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Service:
    """What differs between the two."""

    name: str
    port: int
    alive: str
    ready: str


SERVICES = (Service("backend", 8000, "/health", "/health"), Service("gateway", 8080, "/healthz", "/ready"))


def manifest() -> str:
    template = Template((HERE / "alfred.yaml").read_text())
    parts = [json.dumps(NAMESPACE)]
    for service in SERVICES:
        parts += [_slot(template, service, slot) for slot in ("blue", "green")]
        parts.append(json.dumps(_live_service(service)))
    return "\n---\n".join(parts)


def _slot(template: Template, service: Service, slot: str) -> str:
    return template.substitute(
        service=service.name, slot=slot, port=service.port, alive=service.alive, ready=service.ready
    )


def _live_service(service: Service) -> dict[str, object]:
    name = f"alfred-{service.name}"
    spec = {"selector": {"app": name, "slot": "blue"}, "ports": [{"port": service.port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "alfred"}, "spec": spec}


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> list[Path]:
    """The images of both services, in two versions each."""
    folder = tmp_path_factory.mktemp("alfred")
    found = []
    for service in SERVICES:
        for version in ("v2.1.0", "v2.2.0"):
            archive = folder / f"{service.name}-{version}.tar"
            program = PythonProgram(
                requirements=ROOT / "requirements" / "examples.lock",
                tree=ROOT / "examples" / "alfred",
                module=f"alfred.{service.name}",
                env={"HOST": "0.0.0.0", "VERSION": version},
            )
            name = f"docker.io/alfredai/{service.name}:{version}"
            build(program, name=name, archive=archive, cache=cluster.places.cache, tell=tell)
            found.append(archive)
    return found


@pytest.fixture(scope="module")
def started(cluster: Cluster, archives: list[Path]) -> Iterator[None]:
    """Both slots of both services, serving on each node."""
    gone(cluster)
    began = time.monotonic()
    for archive in archives:
        cluster.load_image(archive)
    cluster.kubectl("apply", "-f", "-", stdin=manifest())
    for service in SERVICES:
        for slot in ("blue", "green"):
            name = f"deployment/alfred-{service.name}-{slot}"
            cluster.kubectl("-n", "alfred", "rollout", "status", name, "--timeout=110s")
    for node in cluster.nodes:
        eventually(partial(fetch, cluster, URL, at=node.client), what=f"Alfred on {node.name}")
    tell(f"from images to answers: {time.monotonic() - began:.1f} s")  # 6 to 8 s on a quiet machine (docs/testbed.md)
    yield
    cluster.kubectl("delete", "namespace", "alfred", "--wait=false")


def test_two_slots_of_two_pods_each_serve_on_both_nodes(cluster: Cluster, started: None) -> None:
    found = pods(cluster, "alfred")
    assert len(found) == 8
    for service in SERVICES:
        for slot in ("blue", "green"):
            named = [pod.node for pod in found if pod.name.startswith(f"alfred-{service.name}-{slot}-")]
            assert sorted(named) == ["n1", "n2"]


def test_the_images_are_small_and_share_their_layers(archives: list[Path]) -> None:
    assert max(archive.stat().st_size for archive in archives) < 25_000_000
    listed = [subprocess.check_output(["tar", "-tf", archive], text=True).split() for archive in archives]
    blobs = [{name for name in names if name.startswith("blobs/")} for names in listed]
    assert len(set.intersection(*blobs)) == 2  # the base and the program; manifest and configuration differ


def test_every_answer_says_who_gave_it(cluster: Cluster, started: None) -> None:
    for at in ("cp", "c1", "c2"):
        answer = eventually(partial(fetch, cluster, URL, at=at), what=f"an answer at {at}")
        assert json.loads(answer)["version"] == "v2.1.0"


def test_pods_resolve_the_backends_service(cluster: Cluster, started: None) -> None:
    address = cluster.kubectl("-n", "alfred", "get", "service", "alfred-backend", "-o", "jsonpath={.spec.clusterIP}")
    script = "import socket; print(socket.gethostbyname('alfred-backend.alfred.svc'))"
    for pod in pods(cluster, "alfred"):
        command = ["exec", pod.name, "--", "/usr/bin/python3.11", "-c", script]
        assert cluster.kubectl("-n", "alfred", *command).strip() == address


def test_prometheus_has_alfreds_series_with_their_slots(cluster: Cluster, started: None) -> None:
    query = "http://prometheus.monitoring.svc:9090/api/v1/query?query=alfred_gateway_requests_total"

    def seen() -> bool:
        answer = fetch(cluster, query, at="c1")
        series = json.loads(answer)["data"]["result"] if answer else []
        return {(one["metric"]["slot"], one["metric"]["node"]) for one in series} >= {("blue", "n1"), ("blue", "n2")}

    assert eventually(seen, what="the gateway's series in Prometheus")


@pytest.mark.soak
def test_a_minute_of_every_kind_of_load_from_each_node_fails_nothing(
    cluster: Cluster, started: None, tmp_path: Path
) -> None:
    runs = {node.client: tmp_path / f"{node.client}.json" for node in cluster.nodes}
    env = {**cluster.environment(), "PYTHONPATH": str(ROOT / "src")}
    words = [sys.executable, "-m", "bluegreen.load", URL, "--duration", str(CONTROL_SECONDS), *CLIENTS]
    allowed = ["--allow", "alfred-gateway.alfred.svc", "--fail-on-loss"]
    commands = {at: cluster.command([*words, *allowed, "--json", report], at=at) for at, report in runs.items()}
    loads = {at: subprocess.Popen(command, env=env, cwd=ROOT) for at, command in commands.items()}
    codes = {at: load.wait(timeout=CONTROL_SECONDS + 60) for at, load in loads.items()}
    for at, report in runs.items():
        tell(f"control run from {at}: {report.read_text()}")
    assert codes == dict.fromkeys(runs, 0)
