"""What the testbed's own tests deploy on the cluster, which is in the conftest above."""

import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from testbed.cluster import Cluster
from testbed.pythonimage import PythonProgram, build
from tests.testbed.helpers import GREETER, HERE, eventually, fetch, tell

_MANIFEST = (HERE / "greeter.yaml").read_text()


@pytest.fixture(scope="session")
def greeter_archive(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image of the program that the tests deploy."""
    archive = tmp_path_factory.mktemp("images") / "greeter.tar"
    program = PythonProgram(
        requirements=HERE / "programs" / "no-requirements.lock", tree=HERE / "programs", module="greeter", env={}
    )
    build(program, name=GREETER, archive=archive, cache=cluster.places.cache, tell=tell)
    return archive


@pytest.fixture(scope="session")
def greeter(cluster: Cluster, greeter_archive: Path) -> Iterator[str]:
    """A pod on each node behind the Service `greeter`; the namespace they are in."""
    cluster.load_image(greeter_archive)
    cluster.kubectl("apply", "-f", "-", stdin=_MANIFEST)
    cluster.kubectl("-n", "greet", "rollout", "status", "deployment/greeter", "--timeout=60s")
    for node in cluster.nodes:
        answers = partial(fetch, cluster, "http://greeter.greet.svc/", at=node.client)
        eventually(answers, what=f"the greeter to answer on {node.name}")
    yield "greet"
    cluster.kubectl("delete", "namespace", "greet", "--wait=false")


@pytest.fixture
def fresh_namespace(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[str]:
    """A namespace for one test."""
    test = request.node.name.split("[")[0].replace("_", "-")[:50].rstrip("-")
    name = f"{test}-{uuid.uuid4().hex[:8]}"
    cluster.kubectl("create", "namespace", name)
    yield name
    cluster.kubectl("delete", "namespace", name, "--wait=false")
