"""What the testbed's tests share: whose cluster it is, how to ask in it, what to wait for."""

import os
import sys
from collections.abc import Callable
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
    print(line)  # noqa: T201


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


def eventually(look: Callable[[], T], *, what: str, limit: float = 20) -> T:
    """The first result that says something. Fails with `what` after `limit` seconds."""
    try:
        return wait_for(lambda: look() or None, what=what, limit=limit, pause=0.1)
    except TestbedError as error:
        pytest.fail(str(error))
