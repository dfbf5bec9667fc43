"""Starting, stopping, and everything that can come between; each counted against the machine as it was before."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from testbed.cgroups import Groups
from testbed.cluster import Cluster, find
from testbed.errors import TestbedError
from testbed.places import Places
from testbed.processes import send, wait_for
from testbed.start import Wish, up
from testbed.stop import down, leftovers
from tests.docs.kit import ROOT, commands
from tests.testbed import census
from tests.testbed.helpers import own_places, tell

pytestmark = pytest.mark.cluster

BARE = Wish(prometheus=False)


@pytest.fixture
def places(possible: None) -> Iterator[Places]:
    """A cluster of its own name; whatever a failing test leaves of it is removed."""
    mine = own_places(census.OWN)
    yield mine
    down(mine, tell=tell)


def expect_nothing_left(places: Places, *, before: census.Census) -> None:
    """A namespace ends a moment after its last process; the kernel takes it down in its own time."""
    assert leftovers(places) == []
    try:
        wait_for(lambda: not census.take().only_here(before), what="the machine as before", limit=60)
    except TestbedError:
        pytest.fail("left: " + "; ".join(census.take().only_here(before)))


def begin(*words: str, places: Places) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "testbed", "--name", places.name, *words]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_up_and_down_leave_nothing(places: Places) -> None:
    before = census.take()
    cluster = up(places, BARE, tell=tell)
    assert find(places) is not None
    assert resident(cluster) < 1024, "a cluster is small before anybody has used it"
    down(places, tell=tell)
    expect_nothing_left(places, before=before)


def resident(cluster: Cluster) -> int:
    """MiB of its own programs."""
    own = [("cp",), *((node.name, "sys") for node in cluster.nodes)]
    return sum(cluster.groups.memory(*group).resident for group in own)


def test_the_pages_commands_do_what_it_says(places: Places) -> None:
    """Those of docs/testbed.md, on a cluster of another name: the page's own may be somebody's."""
    archive = ROOT / "backend.tar"
    named = {**os.environ, "CLUSTER": places.name, "PYTHON": sys.executable}
    start, pods, end, image, push = (command.text for command in commands(ROOT / "docs/testbed.md"))

    def said(command: str) -> str:
        own = command.replace("python -m testbed", f"{sys.executable} -m testbed --name {places.name}")
        done = subprocess.run(["sh", "-ec", own], cwd=ROOT, env=named, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout + done.stderr

    try:
        assert "Ready after" in said(start)
        assert "kube-system" in said(pods)
        said(image)
        assert "alfredai/backend:v2.1.0" in said(push)
    finally:
        archive.unlink(missing_ok=True)
    said(end)
    assert find(places) is None


def test_starting_twice_and_stopping_twice_are_harmless(places: Places) -> None:
    first = up(places, BARE, tell=tell)
    second = up(places, BARE, tell=tell)
    assert first.spaces == second.spaces
    down(places, tell=tell)
    lines: list[str] = []
    down(places, tell=lines.append)
    assert lines == ["the cluster is down already"]


def test_two_starts_at_once_give_one_cluster(places: Places) -> None:
    both = [begin("up", "--without-prometheus", places=places) for _ in range(2)]
    assert [process.wait(timeout=300) for process in both] == [0, 0]
    cluster = find(places)
    assert cluster is not None
    assert cluster.api.ready()


def test_nothing_is_left_after_everything_was_killed(places: Places) -> None:
    before = census.take()
    cluster = up(places, BARE, tell=tell)
    send(signal.SIGKILL, cluster.groups.pids())
    down(places, tell=tell)
    expect_nothing_left(places, before=before)


def test_a_cluster_that_lost_a_node_is_started_again(places: Places) -> None:
    first = up(places, BARE, tell=tell)
    send(signal.SIGKILL, [first.space("n2").keeper])
    second = up(places, BARE, tell=tell)
    assert second.space("cp").keeper != first.space("cp").keeper
    assert second.api.ready_nodes() == {"n1", "n2"}


@pytest.mark.parametrize("after", [0.1, 0.4, 1.0, 2.5])
def test_nothing_is_left_of_a_start_that_was_killed(places: Places, after: float) -> None:
    """At four moments counted from the first process: a start goes through namespaces, keys, servers and images."""
    before = census.take()
    process = begin("up", "--without-prometheus", places=places)
    wait_for(Groups(places.cgroup).pids, what="the first process", limit=30, pause=0.005)
    time.sleep(after)
    process.kill()
    process.wait()
    down(places, tell=tell)
    expect_nothing_left(places, before=before)


def test_a_start_that_is_ended_politely_cleans_up_itself(places: Places) -> None:
    before = census.take()
    process = begin("up", "--without-prometheus", places=places)
    wait_for(lambda: (places.logs / "n1.kubelet.log").exists(), what="the first kubelet", limit=120, pause=0.005)
    process.terminate()
    assert process.wait(timeout=120) == 130
    expect_nothing_left(places, before=before)


def test_what_runs_inside_ends_with_the_cluster(places: Places) -> None:
    before = census.take()
    up(places, BARE, tell=tell)
    inside = [begin("exec", "--at", at, "--", "sleep", "1000", places=places) for at in ("cp", "c1")]
    cluster = find(places)
    assert cluster is not None
    wait_for(lambda: len(cluster.groups.pids("clients")) >= 2, what="both commands", limit=60)
    down(places, tell=tell)
    assert [process.wait(timeout=60) for process in inside] == [-signal.SIGKILL] * 2
    expect_nothing_left(places, before=before)


def test_a_start_that_fails_half_way_says_why_and_leaves_nothing(places: Places, tmp_path: Path) -> None:
    """With a registry that ends at once: the nodes are there by then."""
    before = census.take()
    broken = replace(places, cache=_cache_with_broken_registry(places.cache, tmp_path))
    with pytest.raises(TestbedError) as caught:
        up(broken, BARE, tell=tell)
    assert "cp: docker-registry ended at once" in str(caught.value)
    assert "no space left on device" in str(caught.value)
    expect_nothing_left(broken, before=before)


def _cache_with_broken_registry(cache: Path, folder: Path) -> Path:
    (folder / "programs").symlink_to(cache / "programs")
    for packages in (cache / "debian").iterdir():
        copy = folder / "debian" / packages.name
        (copy / "usr").mkdir(parents=True)
        for name in ("lib", "sbin"):
            if (packages / "usr" / name).exists():
                (copy / "usr" / name).symlink_to(packages / "usr" / name)
        (copy / "usr" / "bin").mkdir()
        for program in (packages / "usr" / "bin").iterdir():
            (copy / "usr" / "bin" / program.name).symlink_to(program)
    for registry in folder.glob("debian/*/usr/bin/docker-registry"):
        registry.unlink()
        registry.write_text("#!/bin/sh\necho 'panic: no space left on device' >&2\nexit 2\n")
        registry.chmod(0o755)
    return folder


@pytest.mark.soak
@pytest.mark.long
def test_ten_times_up_and_down_leave_nothing(places: Places) -> None:
    before = census.take()
    for _ in range(10):
        up(places, BARE, tell=tell)
        down(places, tell=tell)
        expect_nothing_left(places, before=before)
