"""The cluster that the tests run on, and what they deploy there.

Where no cluster can run, its tests are skipped with the reason: not run, which is not passed. With
REQUIRE_CLUSTER=1, as in CI, not run is a failure.
"""

import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from testbed.cluster import Cluster
from testbed.errors import Unavailable
from testbed.pythonimage import PythonProgram, build
from testbed.start import Wish, prepare, up
from testbed.stop import down
from tests.testbed.helpers import GREETER, HERE, eventually, fetch, not_run, own_places, tell

_MANIFEST = (HERE / "greeter.yaml").read_text()


_FIRST_BUILD = 3600  # seconds; what a slow machine may take for it, on top of a test's own time


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever of these comes first builds the cluster's programs, if they are not in the cache yet."""
    for item in items:
        if item.get_closest_marker("cluster"):
            item.add_marker(pytest.mark.timeout(_FIRST_BUILD))


@pytest.fixture(scope="session")
def possible(pytestconfig: pytest.Config) -> None:
    """That a cluster can run here, with all that it is made of; how far a first build is can be seen as it goes."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def tell_at_once(line: str) -> None:
        with capture.global_and_fixture_disabled():
            tell(line)

    try:
        prepare(own_places("suite"), Wish(), tell=tell_at_once)
    except Unavailable as error:
        not_run(error)


@pytest.fixture(scope="session")
def cluster(possible: None) -> Iterator[Cluster]:
    """Two nodes with DNS and Prometheus, for the whole run."""
    places = own_places("suite")
    running = up(places, Wish(), tell=tell)
    yield running
    down(places, tell=tell)


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
