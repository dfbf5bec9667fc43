"""What users see when a part dies, and who brings it back. The figures stand in docs/faults.md."""

from __future__ import annotations

import os
import signal
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import psutil
import pytest

from harness import SETTLE, Counts, Rates, services

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness import LocalStack, StartLoad

pytestmark = [pytest.mark.local, pytest.mark.slow, pytest.mark.soak]

RECOVERY_LIMIT = 60.0


def processes(stack: LocalStack, word: str = "", *, environment: str = "") -> list[int]:
    """The processes of this stack, by a word of their command line and a setting of their environment."""
    found = [(process, _line(process), _settings(process)) for process in psutil.process_iter()]
    return [
        process.pid
        for process, line, settings in found
        if str(stack.folder) in f"{line} {settings} {_folder(process)}" and word in line and environment in settings
    ]


def _line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _settings(process: psutil.Process) -> str:
    try:
        return " ".join(f"{name}={value}" for name, value in process.environ().items())
    except psutil.Error:
        return ""


def _folder(process: psutil.Process) -> str:
    try:
        return process.cwd()
    except psutil.Error:
        return ""


def wait_until(condition: Callable[[], bool], *, what: str, limit: float = RECOVERY_LIMIT) -> float:
    """Seconds until the condition holds; fails at the limit."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < limit, f"{what}: not within {limit:g} s"
        time.sleep(0.05)
    return time.monotonic() - started


def replicas(stack: LocalStack, slot: str, service: str = "gateway") -> list[int]:
    return processes(stack, f"alfred.{service}", environment=f"SLOT={slot}")


def all_ready(stack: LocalStack) -> bool:
    return all(service["ready"] == service["replicas"] for service in services(stack.status()))


def answered(users: str) -> bool:
    """Whether somebody answers at the address that users call."""
    try:
        with urlopen(f"{users}/api/work", timeout=RECOVERY_LIMIT) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def told(name: str, counts: Counts, seconds: float) -> None:
    columns = counts.document["columns"]
    print(f"FAULT {name}: requests={counts.requests} failed={columns['failed']} back after {seconds:.1f} s")


def everybody(seconds: float) -> float:
    """Who calls in so many seconds and in two more: who finds nobody there is lost, and no more than those."""
    rates = Rates()
    a_second = rates.new + rates.keepalive + rates.slow + rates.post + rates.stream + rates.websocket
    return a_second * (seconds + 2.0)


def kill(pids: list[int]) -> None:
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


def run_fault(
    name: str, stack: LocalStack, start_load: StartLoad, *, fault: Callable[[], None], back: Callable[[], bool]
) -> tuple[Counts, float]:
    """What users lost, and the seconds until it was over."""
    load = start_load(stack)
    time.sleep(SETTLE)
    fault()
    seconds = wait_until(back, what=name)
    time.sleep(SETTLE)
    counts = load.stop()
    told(name, counts, seconds)
    return counts, seconds


def test_envoy_killed_comes_back_by_itself_on_the_same_slot(stack: LocalStack, start_load: StartLoad) -> None:
    first, users = processes(stack, "bootstrap.json"), stack.users()
    counts, seconds = run_fault(
        "envoy killed",
        stack,
        start_load,
        fault=lambda: kill(first),
        back=lambda: bool(set(processes(stack, "bootstrap.json")) - set(first)) and answered(users),
    )
    assert counts.failed < everybody(seconds), counts.told()


def test_supervisord_killed_users_notice_nothing_and_up_mends_it(stack: LocalStack, start_load: StartLoad) -> None:
    load = start_load(stack)
    time.sleep(SETTLE)
    kill(processes(stack, "supervisor.supervisord"))
    time.sleep(1)
    stack.must("up", "--app", str(stack.app))
    wait_until(lambda: all_ready(stack), what="all are ready")
    time.sleep(SETTLE)
    counts = load.stop()
    told("supervisord killed, then up", counts, 0.0)
    assert counts.failed == 0, counts.told()


def test_one_replica_of_the_active_slot_killed(stack: LocalStack, start_load: StartLoad) -> None:
    victim = replicas(stack, "blue")[:1]
    counts, _ = run_fault(
        "one replica of the active slot killed",
        stack,
        start_load,
        fault=lambda: kill(victim),
        back=lambda: len(set(replicas(stack, "blue")) - set(victim)) == 2 and all_ready(stack),
    )
    assert counts.failed < 40, counts.told()


def test_all_replicas_of_the_idle_slot_killed_users_notice_nothing(stack: LocalStack, start_load: StartLoad) -> None:
    victims = replicas(stack, "green")
    counts, _ = run_fault(
        "all replicas of the idle slot killed",
        stack,
        start_load,
        fault=lambda: kill(victims),
        back=lambda: not set(replicas(stack, "green")) & set(victims) and all_ready(stack),
    )
    assert counts.failed == 0, counts.told()


def test_all_replicas_of_the_active_slot_killed(stack: LocalStack, start_load: StartLoad) -> None:
    victims, users = replicas(stack, "blue"), stack.users()
    counts, seconds = run_fault(
        "all replicas of the active slot killed",
        stack,
        start_load,
        fault=lambda: kill(victims),
        back=lambda: not set(replicas(stack, "blue")) & set(victims) and all_ready(stack) and answered(users),
    )
    assert counts.failed < everybody(seconds), counts.told()


def test_everything_killed_up_brings_back_the_slot_that_was_active(stack: LocalStack) -> None:
    stack.image("v2")
    stack.deploy("v2", "--validation-time", "0")
    assert stack.status()["serving"] == "green"
    kill(processes(stack))
    stack.must("up", "--app", str(stack.app))
    assert stack.status()["serving"] == "green"
    wait_until(lambda: all_ready(stack), what="the idle slot is ready, too")


def test_down_leaves_nothing_behind(stack: LocalStack) -> None:
    shared = set(Path("/dev/shm").glob("envoy*"))
    stack.must("down", "--purge")
    assert processes(stack) == []
    assert not stack.state.exists()
    assert not {path for path in Path("/dev/shm").glob("envoy*") if path not in shared}
