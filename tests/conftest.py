"""The cluster of every suite that needs one: one for the whole run, ended with it.

Where no cluster can run, its tests are skipped with the reason: not run, which is not passed. With
REQUIRE_CLUSTER=1, as in CI, not run is a failure. With TESTBED_SHARED=1 the cluster that `make cluster-up` has started
is used and left as it is; TESTBED_SHARED=NAME is the one that `python -m testbed --name NAME up` has started.
"""

import os
import signal
from collections.abc import Callable, Iterator

import pytest
from hypothesis import settings
from testbed.cluster import Cluster, need
from testbed.errors import Unavailable
from testbed.locks import exclusive
from testbed.places import default_places
from testbed.start import Wish, prepare, up
from testbed.stop import down
from tests.testbed.helpers import not_run, own_places, tell

_HANGUP = signal.getsignal(signal.SIGHUP)
_FIRST_BUILD = 3600  # seconds; what a slow machine may take for it, on top of a test's own time


def pytest_configure() -> None:
    """Let SIGINT mean what it means in a terminal, to the tests and to all that they start.

    What a shell without job control runs in the background ignores it, and hands that on.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


# The same examples each time, and each takes as long as a busy machine needs for it.
settings.register_profile("calm", deadline=None, derandomize=True)
settings.load_profile("calm")


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """What a command line that ran in this process has made of the signals is its own: Ctrl-C ends the tests."""
    yield
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, _HANGUP)


@pytest.hookimpl(trylast=True)  # after they were shuffled, which stays so within each part
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whichever of the cluster's comes first builds its programs, if they are not in the cache yet.

    What counts users' losses for minutes comes first on this machine and last on the cluster: the two streams of
    scripts/test share a few processors, and both at once would lose requests for want of them.
    """
    for item in items:
        if item.get_closest_marker("cluster"):
            item.add_marker(pytest.mark.timeout(_FIRST_BUILD))
    items.sort(key=_turn)


def _turn(item: pytest.Item) -> bool:
    soaks = item.get_closest_marker("soak") is not None
    return soaks if item.get_closest_marker("cluster") else not soaks


@pytest.fixture(scope="session")
def tell_at_once(pytestconfig: pytest.Config) -> Callable[[str], None]:
    """Shows a line as it comes, for what takes minutes."""
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")

    def tell_one(line: str) -> None:
        with capture.global_and_fixture_disabled():
            tell(line)

    return tell_one


@pytest.fixture(scope="session")
def possible(tell_at_once: Callable[[str], None]) -> None:
    """That a cluster can run here, with all that it is made of; how far a first build is can be seen as it goes."""
    try:
        prepare(own_places("suite"), Wish(), tell=tell_at_once)
    except Unavailable as error:
        not_run(error)


@pytest.fixture(scope="session")
def shared_name() -> str:
    """The name of a cluster that was there before this run, and is not to be ended by it; empty: there is none."""
    name = os.environ.get("TESTBED_SHARED", "")
    return "testbed" if name == "1" else name


@pytest.fixture(scope="session")
def cluster(possible: None, shared_name: str, tell_at_once: Callable[[str], None]) -> Iterator[Cluster]:
    """Two nodes with DNS and Prometheus, for the whole run; of two runs at once the second waits for the first."""
    if shared_name:
        yield need(default_places(shared_name))
        return
    places = own_places("suite")
    with exclusive(places.state.parent / f"{places.name}.tests", tell=tell_at_once):
        yield up(places, Wish(), tell=tell)
        down(places, tell=tell)
