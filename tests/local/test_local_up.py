"""``up`` and ``down`` with real processes: from nothing, again, after every kind of death, and without a trace."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.local.local_kit import (
    BACKEND,
    BLUE,
    GATEWAY,
    GREEN,
    Local,
    Users,
    all_ready,
    eventually,
    get,
    local,
    moves,
    seen,
    soon,
    taken,
    wait_for,
)

from bluegreen.domain.errors import HeldBy, NotStarted, PlatformError, ReleaseFailed, UsageError
from bluegreen.domain.events import Event, Note
from bluegreen.platforms.local import envoy_run, processes
from bluegreen.platforms.local.addresses import Ports, bindable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bluegreen.domain.snapshot import Snapshot, Workload

pytestmark = [pytest.mark.local, pytest.mark.slow]


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Local]:
    with local(tmp_path) as found:
        yield found


def shared_memory(stack: Local) -> Path:
    """What the stack's Envoy has in shared memory; other stacks may have theirs."""
    base = (stack.layout.state / "envoy" / "base-id").read_text().strip()
    return Path(f"/dev/shm/envoy_shared_memory_{base}0")


def wait_for_both(stack: Local) -> None:
    """Wait for the idle slot, too, which ``up`` does not."""
    with stack.open() as platform:
        wait_for(platform, "both slots are ready", all_ready)


def switch_to_green(stack: Local) -> None:
    with stack.open() as platform, taken(stack.lock()) as grip:
        before = wait_for(platform, "green is ready", all_ready)
        platform.route(moves(before, GREEN, fallback=BLUE), grip=grip, until=soon(5))


def test_up_serves_both_services_in_both_slots(fresh: Local) -> None:
    found = fresh.up()

    assert found.active is BLUE
    assert not found.already
    for front in found.fronts:
        assert get(front.public_port) == (200, "blue v1")
        assert get(dict(front.preview_ports)[BLUE]) == (200, "blue v1")


def test_up_again_does_nothing_and_keeps_the_ports(fresh: Local) -> None:
    first = fresh.up()
    wait_for_both(fresh)
    before = fresh.processes()

    again = fresh.up()

    assert again.already
    assert again.fronts == first.fronts
    assert fresh.processes() == before


def test_down_leaves_no_process_socket_port_or_shared_memory(fresh: Local) -> None:
    found = fresh.up()
    wait_for_both(fresh)
    living = fresh.processes()
    memory = shared_memory(fresh)
    assert memory.exists() == Path("/dev/shm").is_dir()
    assert len(set(living)) == 12  # eight replicas, Envoy and its shell, agent, supervisord

    assert fresh.down()

    assert [process for process in living if process.alive()] == []
    assert not fresh.layout.runtime.exists()
    assert all(bindable(port) for front in found.fronts for port in [front.public_port])
    assert not memory.exists()
    assert fresh.layout.database.exists()


def test_down_with_purge_leaves_no_folder(fresh: Local) -> None:
    fresh.up()

    assert fresh.down(purge=True)

    assert not fresh.layout.state.exists()


def test_down_of_nothing_is_no_error(fresh: Local) -> None:
    assert not fresh.down()


def test_down_then_up_comes_back_on_the_slot_that_was_active(fresh: Local) -> None:
    first = fresh.up()
    switch_to_green(fresh)
    fresh.down()

    again = fresh.up()

    assert again.active is GREEN
    assert again.fronts == first.fronts
    assert get(again.fronts[0].public_port) == (200, "green v1")


def test_everything_killed_comes_back_on_the_slot_that_was_active(fresh: Local) -> None:
    fresh.up()
    switch_to_green(fresh)
    fresh.kill_all()

    again = fresh.up()

    assert again.active is GREEN
    assert get(again.fronts[1].public_port) == (200, "green v1")


def test_a_reboot_that_empties_the_folder_of_sockets_is_no_obstacle(fresh: Local) -> None:
    fresh.up()
    fresh.kill_all()
    for path in fresh.layout.runtime.iterdir():
        path.unlink()
    fresh.layout.runtime.rmdir()

    assert fresh.up().active is BLUE


def test_supervisord_killed_and_up_again_loses_no_request(fresh: Local) -> None:
    found = fresh.up()
    port = found.fronts[1].public_port
    with Users(port) as users:
        eventually("users are answered", lambda: users.answers.get("blue v1", 0) > 20)
        orphans = fresh.processes()
        fresh.supervisord().signal(signal.SIGKILL)
        eventually("more users are answered by orphans", lambda: users.answers.get("blue v1", 0) > 60)
        fresh.up()
        served = users.answers["blue v1"]
        eventually("users are answered by new replicas", lambda: users.answers["blue v1"] > served + 40)

    assert users.lost == []
    replicas = [process for process in orphans if process not in fresh.processes()]
    assert len(replicas) >= 9  # eight replicas and the agent; Envoy drains for a while yet
    with fresh.open() as platform:
        wait_for(platform, "all are ready", lambda now: all(work.ready == 2 for work in now.workloads))


def test_a_log_out_that_removes_the_sockets_and_up_again_loses_no_request(fresh: Local) -> None:
    """Everything serves on, and nobody can ask supervisord, the agent or Envoy anything any more."""
    found = fresh.up()
    unreachable = fresh.supervisord()
    with Users(found.fronts[1].public_port) as users:
        eventually("users are answered", lambda: users.answers.get("blue v1", 0) > 20)
        shutil.rmtree(fresh.layout.runtime)
        fresh.up()
        served = users.answers["blue v1"]
        eventually("users are answered by new replicas", lambda: users.answers["blue v1"] > served + 40)

    assert users.lost == []
    assert not unreachable.alive()
    assert fresh.supervisord().alive()
    with fresh.open() as platform:
        wait_for(platform, "all are ready", lambda now: all(work.ready == 2 for work in now.workloads))


def test_down_ends_what_nobody_can_reach_any_more(fresh: Local) -> None:
    fresh.up()
    living = fresh.processes()
    shutil.rmtree(fresh.layout.runtime)

    assert fresh.down()

    assert [process for process in living if process.alive()] == []


def an_up_of_its_own(fresh: Local) -> subprocess.Popen[bytes]:
    """In a process that can be killed."""
    program = "import sys; from pathlib import Path; sys.path.insert(0, '.'); from tests.local.local_kit import *;"
    program += f"Local(layout=Layout(Path({str(fresh.layout.state)!r})), images=Path({str(fresh.images)!r}),"
    program += f" stack=stack(), ports={fresh.ports!r}).up()"
    return subprocess.Popen([sys.executable, "-c", program])


def suspended_supervisord(starting: subprocess.Popen[bytes]) -> psutil.Process:
    """The one that it has just started, stopped as soon as it is seen: in a moment it would be a daemon."""
    caught: list[psutil.Process] = []

    def catch() -> bool:
        for child in psutil.Process(starting.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "supervisor.supervisord" in child.cmdline():
                    child.suspend()
                    caught.append(child)
        return bool(caught)

    eventually("supervisord is started", catch)
    (started,) = caught
    assert started.children() == [], "it is a daemon already"
    return started


def test_a_supervisord_that_a_killed_up_has_started_is_awaited(fresh: Local) -> None:
    """It was started, does not answer yet, and nobody has recorded it: the next one must not start another."""
    with an_up_of_its_own(fresh) as killed:
        started = suspended_supervisord(killed)
        killed.kill()
    with ThreadPoolExecutor() as pool:
        following = pool.submit(fresh.up)
        eventually("the next one says what it waits for", lambda: any(map(is_awaited, fresh.events)))
        started.resume()
        following.result(timeout=60)
    assert fresh.supervisord().alive()
    wait_for_both(fresh)


def is_awaited(event: Event) -> bool:
    return isinstance(event, Note) and "is awaited" in event.text


def test_up_killed_in_the_middle_of_a_recovery_is_finished_by_the_next(fresh: Local) -> None:
    fresh.up()
    replicas = [found for path in fresh.layout.pids.glob("demo-*") if (found := processes.recorded(path))]
    fresh.supervisord().signal(signal.SIGKILL)
    with an_up_of_its_own(fresh) as killed:
        eventually("the first one adopts orphans", lambda: any(fresh.layout.pids.glob("*.orphan-*")))
        killed.kill()

    fresh.up()

    assert [process for process in replicas if process.alive()] == []
    assert not list(fresh.layout.pids.glob("*.orphan-*"))


def test_envoy_killed_comes_back_by_itself(fresh: Local) -> None:
    port = fresh.up().fronts[0].public_port
    (running,) = envoy_run.living(fresh.layout.state)

    running.process.signal(signal.SIGKILL)

    def serves_again() -> bool:
        with contextlib.suppress(OSError):
            return get(port) == (200, "blue v1")
        return False

    eventually("a new Envoy serves", serves_again)


def test_the_agent_killed_comes_back_and_remembers_restarts(fresh: Local) -> None:
    fresh.up()
    with fresh.open() as platform:
        wait_for(platform, "all are ready", all_ready)
        victim = processes.recorded(fresh.layout.pids / f"{BACKEND}-green-0")
        assert victim is not None
        victim.signal(signal.SIGKILL)
        wait_for(platform, "it was restarted", lambda now: _back(now.workload(BACKEND, GREEN)))
        agent = processes.recorded(fresh.layout.pids / "agent")
        assert agent is not None
        agent.signal(signal.SIGKILL)

        eventually("a new agent listens", lambda: processes.recorded(fresh.layout.pids / "agent") not in {None, agent})
        for now in seen(platform, seconds=2):
            assert unasked(now) == [], "a new agent called a replica unready"
            assert now.workload(BACKEND, GREEN).pods[0].restarts == 1


def unasked(now: Snapshot) -> list[str]:
    """The replicas that are said not to be ready, though no probe of theirs has failed, as on a busy machine it may."""
    pods = [pod for work in now.workloads for pod in work.pods]
    assert len(pods) == 8
    return [pod.name for pod in pods if not (pod.ready or any(each.failing for each in pod.containers))]


def _back(work: Workload) -> bool:
    return work.ready == 2 and work.pods[0].restarts == 1


def test_what_up_found_ready_the_agent_does_not_call_unready(fresh: Local) -> None:
    fresh.up()
    with fresh.open() as platform:
        for now in seen(platform, seconds=2):
            assert not [name for name in unasked(now) if "-blue-" in name]


def test_two_at_once_are_refused_by_name(fresh: Local) -> None:
    fresh.up()
    with taken(fresh.lock(), run="r-1a2b"), pytest.raises(HeldBy, match="release r-1a2b by a test"):
        fresh.up()


def test_a_port_that_is_taken_is_named_with_who_holds_it(fresh: Local) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        fresh.ports[GATEWAY] = server.getsockname()[1]

        with pytest.raises(UsageError, match=rf"port {fresh.ports[GATEWAY]} of {GATEWAY} is taken") as refused:
            fresh.up()

    if sys.platform == "linux":
        assert f"(pid {os.getpid()})" in str(refused.value)
    assert not fresh.layout.state.exists()
    assert not fresh.layout.runtime.exists()


def test_chosen_ports_are_remembered_and_given_ones_are_used(fresh: Local) -> None:
    first = fresh.up().fronts
    fresh.down()
    fresh.ports.clear()
    assert fresh.up().fronts == first

    fresh.ports = {GATEWAY: Ports(set()).choose()}
    with pytest.raises(UsageError, match=f"{GATEWAY} is served on port {first[1].public_port} already"):
        fresh.up()
    fresh.down()
    assert fresh.up().fronts[1].public_port == fresh.ports[GATEWAY]


def test_one_port_for_two_services_is_refused(fresh: Local) -> None:
    port = Ports(set()).choose()
    fresh.ports = {BACKEND: port, GATEWAY: port}

    with pytest.raises(UsageError, match=f"{BACKEND} and {GATEWAY} both want port {port}"):
        fresh.up()


def test_a_missing_image_is_told_before_anything_is_started(fresh: Local) -> None:
    (fresh.images / "demo" / "gateway" / "v1" / "run").chmod(0o644)

    with pytest.raises(UsageError, match=r"demo/gateway:v1 not found as a program: .* is not executable"):
        fresh.up()

    assert not fresh.layout.state.exists()
    assert not fresh.layout.runtime.exists()


def test_replicas_that_crash_at_the_first_start_are_told_with_their_last_line(fresh: Local) -> None:
    (fresh.images / "demo" / "backend" / "v1" / "behaviour").write_text("cannot-start")

    with pytest.raises(ReleaseFailed, match="demo-backend in blue: crash loop, exit code 1: no such setting: DATABASE"):
        fresh.up()


def test_an_empty_database_is_a_start_that_was_killed(fresh: Local) -> None:
    fresh.layout.prepare()
    fresh.layout.database.touch()

    assert fresh.up().active is BLUE


@pytest.mark.parametrize("damage", ["no database", "rubbish", "newer", "cut"])
def test_a_damaged_state_folder_is_one_clear_error(fresh: Local, damage: str) -> None:
    fresh.up()
    fresh.down()
    database = fresh.layout.database
    match damage:
        case "no database":
            database.unlink()
        case "rubbish":
            database.write_bytes(b"no database at all" * 1000)
        case "newer":
            with contextlib.closing(sqlite3.connect(database)) as connection:
                connection.execute("PRAGMA user_version = 99")
        case "cut":
            os.truncate(database, 6000)

    for attempt in (fresh.up, fresh.open):
        with pytest.raises((PlatformError, UsageError)) as told:
            attempt()
        assert "\n" not in str(told.value)
        assert "state.db" in str(told.value)
        assert told.value.mend


def test_a_folder_with_other_peoples_files_is_left_alone(fresh: Local) -> None:
    fresh.layout.state.mkdir()
    (fresh.layout.state / "thesis.txt").write_text("ten years of work")

    with pytest.raises(UsageError, match=r"no state folder.*thesis\.txt"):
        fresh.up()


def test_nothing_started_is_said_so(fresh: Local) -> None:
    with pytest.raises(NotStarted):
        fresh.open()


def test_another_stack_is_refused(fresh: Local, tmp_path: Path) -> None:
    fresh.up()
    with local(tmp_path / "other") as other:
        other.layout = fresh.layout
        other.stack = type(other.stack)(name="else", services=other.stack.services)

        with pytest.raises(UsageError, match="holds the stack demo"):
            other.up()
        other.layout = type(other.layout)(tmp_path / "other" / "state")


def test_no_thread_is_left_behind(fresh: Local) -> None:
    before = set(threading.enumerate())  # in CI a command run by another test watches its parent to the end
    fresh.up()
    fresh.down()

    assert set(threading.enumerate()) <= before
