"""The chart put over what serves, changed and taken away, with users of every kind on every node.

The commands are those of docs/helm.md, from its text.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from testbed.start import need_tools
from tests.kubernetes.chart_docs import Reader, blocks, counted
from tests.kubernetes.chart_kit import CHART, HELMS, NEWEST_AND_LONG_ALL, SERVICES, SLOTS
from tests.kubernetes.kit import deploying, fresh, standing_still
from tests.testbed.helpers import fetch, tell

from cluster_harness import PORTS, QUICK, READY_LIMIT, ClusterStack, wait_until
from harness import Rates

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.cluster import Cluster
    from tests.kubernetes.conftest import StartLoad

pytestmark = [pytest.mark.cluster, pytest.mark.soak]

TAG = "chart"
FEW = Rates(new=6, keepalive=12, slow=1, post=5, stream=1, websocket=4)
"""Of each node's users, while eight pods start at once: two cores of a test machine do not do both at full rate."""
KNOWN = 5.0
"""Seconds until every node knows of a switch, as the page says."""
PROBES = {"backend": ("/health", "/health"), "gateway": ("/healthz", "/ready")}


@pytest.fixture(params=NEWEST_AND_LONG_ALL)
def empty(cluster: Cluster, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ClusterStack]:
    """A namespace with nothing in it, and one of both Helms."""
    need_tools(cluster, list(HELMS), tell=tell)
    stack = ClusterStack(cluster, namespace=f"chart-{uuid.uuid4().hex[:6]}", folder=tmp_path, helm=request.param)
    stack.image(TAG)
    cluster.kubectl("create", "namespace", stack.namespace)
    yield stack
    stack.remove()


@pytest.fixture
def serving(empty: ClusterStack) -> ClusterStack:
    """The chart, both slots serving."""
    empty.install(TAG, *QUICK)
    return empty


# --- day 0 ------------------------------------------------------------------------------------------------------


def plain(stack: ClusterStack) -> None:
    """Alfred as it may run before: a Deployment and a Service for each, which know of no slot."""
    items = [item for name in SERVICES for item in _plain(stack, name)]
    stack.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    for name in SERVICES:
        stack.kubectl("rollout", "status", f"deployment/alfred-{name}", f"--timeout={READY_LIMIT:.0f}s")
    for node in stack.cluster.nodes:
        for name in SERVICES:
            answers = partial(fetch, stack.cluster, f"{stack.users(name)}/api/work", at=node.client)
            wait_until(lambda answers=answers: bool(answers()), what=f"{name} for {node.client}", limit=READY_LIMIT)  # type: ignore[misc]


def _plain(stack: ClusterStack, name: str) -> Iterator[dict[str, Any]]:
    app, port = {"app": f"alfred-{name}"}, PORTS[name]
    alive, ready = PROBES[name]
    # The example wants a slot in its environment; here it is a name that it shows, and nothing else.
    variables = {"SLOT": "blue", "HOST": "0.0.0.0", "BACKEND_URL": f"http://alfred-backend:{PORTS['backend']}"}
    container = {
        "name": name,
        "image": f"alfredai/{name}:{TAG}",
        "env": [{"name": key, "value": value} for key, value in variables.items()],
        "readinessProbe": {"httpGet": {"path": ready, "port": port}, "periodSeconds": 1},
        "livenessProbe": {"httpGet": {"path": alive, "port": port}},
    }
    meta = {"name": f"alfred-{name}", "labels": app}
    template = {"metadata": {"labels": app}, "spec": {"terminationGracePeriodSeconds": 60, "containers": [container]}}
    spec = {"replicas": 2, "selector": {"matchLabels": app}, "template": template}
    yield {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec}
    ports = {"selector": app, "ports": [{"port": port}]}
    yield {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": ports}


def serving_pods(stack: ClusterStack) -> set[str]:
    """To what kind of pod every endpoint of both Services leads: to a slot's, or to a plain one."""
    pods = {pod["metadata"]["name"]: pod["metadata"]["labels"].get("slot", "") for pod in stack.get("pods")["items"]}
    found: set[str] = set()
    for name in SERVICES:
        for each in stack.get("endpointslices", "-l", f"kubernetes.io/service-name=alfred-{name}")["items"]:
            found |= {pods.get(end["targetRef"]["name"], "gone") for end in each.get("endpoints") or []}
    return found


def pause_until_known() -> None:
    """What the page asks of a person: nothing tells when a node's proxy has caught up."""
    time.sleep(KNOWN)


def test_day_0_loses_nobody_and_the_first_release_neither(empty: ClusterStack, start_load: StartLoad) -> None:
    stack, reader = empty, Reader(empty, tag=TAG)
    plain(stack)
    pin, install, move, tidy, _ = counted(blocks("Day 0"), [4, 5, 2, 1, 1])
    load = start_load(stack, rates=FEW)
    pause_until_known()
    refused = stack.cluster.run(["sh", "-ec", f"cd /; {_without_images(stack)}"], limit=60)
    assert "selects app=alfred-backend alone" in refused.stderr
    reader.do(pin)
    assert serving_pods(stack) == {"plain"}
    reader.do(install)
    assert serving_pods(stack) == {"plain"}
    reader.do(move)
    wait_until(partial(stack.routed, "blue"), what="users on blue", limit=60)
    pause_until_known()
    reader.do(tidy)
    wait_until(lambda: _plain_pods(stack) == 0, what="the plain pods to be gone", limit=120)
    stack.image(f"{TAG}-next")
    stack.deploy(f"{TAG}-next", "--validation-time", "3")
    assert stack.selector() == "green"
    counts = load.stop()
    assert counts.failed == 0, counts.told()
    assert counts.requests > 500


def _without_images(stack: ClusterStack) -> str:
    images = " ".join(f"--set {name}.image=alfredai/{name}:{TAG}" for name in SERVICES)
    return f"{stack.helm} install alfred {CHART} -n {stack.namespace} --take-ownership {images}"


def _plain_pods(stack: ClusterStack) -> int:
    return sum(pod["metadata"]["labels"].get("slot") not in SLOTS for pod in stack.get("pods")["items"])


# --- what serves is left alone ----------------------------------------------------------------------------------


def starts(stack: ClusterStack) -> dict[str, str]:
    """The pods of the slot that serves, each with its start."""
    found = stack.get("pods", "-l", f"slot={stack.selector()}")["items"]
    return {pod["metadata"]["name"]: pod["metadata"]["creationTimestamp"] for pod in found}


def test_an_upgrade_with_new_settings_starts_no_serving_pod_anew(serving: ClusterStack, start_load: StartLoad) -> None:
    stack, before = serving, starts(serving)
    load = start_load(stack)
    stack.run_helm("upgrade", "alfred", str(CHART), "--reuse-values", "--set", "backend.env.COLOUR=red", "--wait")
    stack.wait_ready()
    assert starts(stack) == before
    stack.image(f"{TAG}-next")
    stack.deploy(f"{TAG}-next", "--validation-time", "3")
    assert variables(stack, "green")["COLOUR"] == "red"
    assert "COLOUR" not in variables(stack, "blue")
    stack.run_helm("upgrade", "alfred", str(CHART), "--reuse-values")
    assert variables(stack, "blue")["COLOUR"] == "red"
    counts = load.stop()
    assert counts.failed == 0, counts.told()


def test_settings_of_the_pods_that_serve_can_be_changed_in_place(serving: ClusterStack, start_load: StartLoad) -> None:
    stack, before = serving, starts(serving)
    load = start_load(stack)
    words = ["--reuse-values", "--set", "backend.env.COLOUR=red", "--set", "applyToActive=true"]
    stack.run_helm("upgrade", "alfred", str(CHART), *words)
    stack.wait_ready()
    assert variables(stack, "blue")["COLOUR"] == "red"
    gone = {name for name in before if "backend" in name}
    wait_until(lambda: not gone & set(starts(stack)), what="the backend's former pods to be gone", limit=120)
    counts = load.stop()
    assert counts.failed == 0, counts.told()


def variables(stack: ClusterStack, slot: str) -> dict[str, str]:
    """The backend's variables in the slot."""
    found = stack.get(f"deployment/alfred-backend-{slot}")["spec"]["template"]["spec"]["containers"][0]
    return {each["name"]: each.get("value", "") for each in found["env"]}


def test_no_setting_is_changed_while_a_release_runs(serving: ClusterStack) -> None:
    stack, upgrade = serving, ["upgrade", "alfred", str(CHART), "--reuse-values", "--set", "backend.env.COLOUR=red"]
    with deploying(stack, fresh(stack)) as told:
        told.reach("phase_began", phase="validate")
        with standing_still(told), pytest.raises(AssertionError, match="a release of alfred is running"):
            stack.run_helm(*upgrade)
        assert told.end() == 0, told.shown()
    stack.run_helm(*upgrade)
    assert variables(stack, "blue")["COLOUR"] == "red"
    assert "COLOUR" not in variables(stack, "green")


# --- another owner ----------------------------------------------------------------------------------------------


def test_the_owner_is_changed_and_changed_back(serving: ClusterStack, start_load: StartLoad) -> None:
    stack, reader, before = serving, Reader(serving, tag=TAG), starts(serving)
    to_pipeline, to_chart = counted(blocks("Changing the owner"), [5, 5])
    load = start_load(stack)
    reader.do(to_pipeline)
    assert (stack.selector(), starts(stack)) == ("blue", before)
    stack.image(f"{TAG}-next")
    stack.deploy(f"{TAG}-next", "--validation-time", "3")
    before = starts(stack)
    reader.do(to_chart)
    assert (stack.selector(), starts(stack)) == ("green", before)
    stack.wait_ready()
    stack.must("rollback")
    assert stack.selector() == "blue"
    counts = load.stop()
    assert counts.failed == 0, counts.told()


# --- the end ----------------------------------------------------------------------------------------------------


def test_uninstalling_answers_what_is_under_way(serving: ClusterStack) -> None:
    stack = serving
    asked = [_ask_slowly(stack, at=node.client) for node in stack.cluster.nodes]
    wait_until(lambda: _under_way(stack) == EACH * len(asked), what="the slow requests to be under way", limit=9)
    Reader(stack, tag=TAG).do([line for block in blocks("Uninstalling") for line in block][:1])
    answers = [process.communicate(timeout=60) for process in asked]
    assert [out.split() for out, _ in answers] == [["200"] * EACH] * len(asked), answers
    kinds = "services,deployments,pods,poddisruptionbudgets"
    wait_until(lambda: stack.get(kinds)["items"] == [], what="nothing to be left", limit=180)


EACH = 4
"""Requests from a node, by one program: each program more is half a second in which the others' requests pass."""
_SLOWLY = """
import sys, urllib.request
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor() as pool:
    for one in pool.map(lambda url: urllib.request.urlopen(url, timeout=30), sys.argv[1:]):
        print(one.status)
"""
_PAGES = "import sys, urllib.request as u\nfor url in sys.argv[1:]: print(u.urlopen(url, timeout=2).read().decode())"


def _ask_slowly(stack: ClusterStack, *, at: str) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", _SLOWLY, *[f"{stack.users('gateway')}/api/slow?seconds=10"] * EACH]
    command = stack.cluster.command(words, at=at)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _under_way(stack: ClusterStack) -> int:
    """Requests that the gateways are answering now, by their own count."""
    pods = stack.get("pods", "-l", "app=alfred-gateway")["items"]
    pages = [f"http://{pod['status']['podIP']}:8080/metrics" for pod in pods]
    lines = stack.cluster.run([sys.executable, "-c", _PAGES, *pages], at="c1").stdout.splitlines()
    return sum(int(float(line.split()[1])) for line in lines if line.startswith("alfred_gateway_requests_in_flight"))
