"""What the testbed's tests share: whose cluster it is, how to ask in it, what to wait for."""

import json
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest
from testbed.cluster import Cluster
from testbed.errors import TestbedError, Unavailable
from testbed.places import Places, default_places
from testbed.processes import wait_for

T = TypeVar("T")
HERE = Path(__file__).parent
GREETER = "docker.io/alfredai/greeter:v1"
_FETCH = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=2).read().decode(), end='')"


def tell(line: str) -> None:
    """Shown by pytest when a test fails."""
    print(line)


def own_places(purpose: str) -> Places:
    """A cluster of its own for each process of a parallel run."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    return default_places(f"{purpose}{worker}")


def not_run(error: Unavailable) -> NoReturn:
    """Skip, or fail where a cluster is required."""
    if os.environ.get("REQUIRE_CLUSTER") == "1":
        pytest.fail(f"REQUIRE_CLUSTER=1, and the cluster was not run: {error}", pytrace=False)
    pytest.skip(f"not run: {error}")


def fetch(cluster: Cluster, url: str, *, at: str) -> str:
    """The answer's text; empty when there is none within two seconds."""
    return cluster.run([sys.executable, "-c", _FETCH, url], at=at).stdout


def eventually(look: Callable[[], T], *, what: str, limit: float = 60) -> T:
    """The first result that says something. Fails with `what` after `limit` seconds."""
    try:
        return wait_for(lambda: look() or None, what=what, limit=limit, pause=0.1)
    except TestbedError as error:
        pytest.fail(str(error))


def gone(cluster: Cluster) -> None:
    """Wait until there is no namespace `alfred`: several suites have one, and one on its way out takes nothing new."""
    cluster.kubectl("wait", "--for=delete", "namespace/alfred", "--timeout=110s")


@dataclass(frozen=True, slots=True)
class Pod:
    """What the tests need to know of a pod."""

    name: str
    address: str
    node: str
    reason: str
    message: str


def pods(cluster: Cluster, namespace: str) -> list[Pod]:
    items = json.loads(cluster.kubectl("-n", namespace, "get", "pods", "-o", "json"))["items"]
    return [_parse_pod(item) for item in items]


def _parse_pod(item: dict[str, dict[str, object]]) -> Pod:
    status = json.loads(json.dumps(item["status"]))
    waiting = [one["state"].get("waiting", {}) for one in status.get("containerStatuses", [])]
    first: dict[str, str] = next(iter(waiting), {})
    return Pod(
        name=str(item["metadata"]["name"]),
        address=status.get("podIP", ""),
        node=str(item["spec"].get("nodeName", "")),
        reason=first.get("reason", ""),
        message=first.get("message", ""),
    )
