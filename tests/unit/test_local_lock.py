"""The lock and the fence: one writer at a time, freed by the kernel, taken over by a rollback."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bluegreen.clock import SystemClock
from bluegreen.domain.errors import HeldBy, LostLock, PlatformError
from bluegreen.domain.release import RunKind
from bluegreen.domain.stack import Instant, after
from bluegreen.platforms.local.fence import Fence, FenceFile
from bluegreen.platforms.local.layout import Layout
from bluegreen.platforms.local.lock import LocalLock
from bluegreen.ports import Purpose
from bluegreen.testing import FakeClock

if TYPE_CHECKING:
    from pathlib import Path

CLOCK = SystemClock()

HOLDER = """
import sys; from pathlib import Path
from bluegreen.clock import SystemClock
from bluegreen.domain.release import RunKind
from bluegreen.platforms.local.layout import Layout; from bluegreen.platforms.local.lock import LocalLock
from bluegreen.ports import Purpose
clock = SystemClock()
lock = LocalLock(Layout(Path(sys.argv[1])), clock=clock)
lock.take(Purpose(kind=RunKind.RELEASE, run="r-other", who="bob"), until=clock.now())
print("taken", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(tmp_path / "state")
    found.state.mkdir()
    return found


def purpose(run: str, kind: RunKind = RunKind.RELEASE) -> Purpose:
    return Purpose(kind=kind, run=run, who="ann")


def soon(seconds: float = 0.0) -> Instant:
    return after(CLOCK.now(), seconds)


def fence_of(layout: Layout) -> FenceFile:
    return FenceFile(layout.fence, clock=CLOCK)


def test_a_second_one_is_told_who_holds_it_and_waits_to_its_limit(layout: Layout) -> None:
    clock = FakeClock()
    first, second = LocalLock(layout, clock=clock), LocalLock(layout, clock=clock)
    first.take(purpose("r-1"), until=clock.now())

    with pytest.raises(HeldBy, match="release r-1 by ann") as refused:
        second.take(purpose("r-2"), until=Instant(0.2))

    assert clock.now() == 0.2
    assert refused.value.holder.startswith("release r-1 by ann")
    assert refused.value.exit_code == 4


def test_it_is_free_again_after_its_release(layout: Layout) -> None:
    first, second = LocalLock(layout, clock=CLOCK), LocalLock(layout, clock=CLOCK)
    grip = first.take(purpose("r-1"), until=soon())
    first.release(grip)
    first.release(grip)

    newer = second.take(purpose("r-2"), until=soon())

    with pytest.raises(LostLock), fence_of(layout).held(grip):
        pytest.fail("the old grip may not write")
    with fence_of(layout).held(newer):
        pass
    second.release(newer)


@pytest.mark.slow
def test_the_kernel_frees_the_lock_of_a_killed_process(layout: Layout) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(layout.state)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "taken\n"
        lock = LocalLock(layout, clock=CLOCK)
        with pytest.raises(HeldBy, match="release r-other by bob"):
            lock.take(purpose("r-2"), until=soon())
        holder.kill()
        holder.wait(timeout=10)

        grip = lock.take(purpose("r-2"), until=soon())
        lock.release(grip)


def test_a_rollback_takes_over_at_once_and_the_first_loses_its_next_write(layout: Layout) -> None:
    clock = FakeClock()
    running, rollback = LocalLock(layout, clock=clock), LocalLock(layout, clock=clock)
    grip = running.take(purpose("r-1"), until=clock.now())

    newer = rollback.preempt(purpose("rb-1", RunKind.ROLLBACK))

    assert clock.now() == 0.0, "it has waited"
    with pytest.raises(LostLock, match="rollback rb-1 by ann") as lost, fence_of(layout).held(grip):
        pytest.fail("the old grip may not write")
    assert lost.value.taken_by.startswith("rollback rb-1 by ann")
    with fence_of(layout).held(newer):
        pass
    running.release(grip)
    rollback.release(newer)


def test_nobody_takes_a_turn_while_a_rollback_is_under_way(layout: Layout) -> None:
    rollback, second, other = (LocalLock(layout, clock=CLOCK) for _ in range(3))
    first_grip = rollback.preempt(purpose("rb-1", RunKind.ROLLBACK))
    second_grip = second.preempt(purpose("rb-2", RunKind.ROLLBACK))
    with pytest.raises(HeldBy, match="rollback rb-2"):
        other.take(purpose("r-2"), until=soon())
    rollback.release(first_grip)
    with pytest.raises(HeldBy, match="rollback rb-2"):
        other.take(purpose("r-2"), until=soon())
    second.release(second_grip)

    other.release(other.take(purpose("r-2"), until=soon()))


def test_a_frozen_writer_does_not_keep_a_rollback_waiting(layout: Layout) -> None:
    fence = fence_of(layout)
    lock, rollback = LocalLock(layout, clock=CLOCK), LocalLock(layout, clock=CLOCK)
    grip = lock.take(purpose("r-1"), until=soon())
    began = CLOCK.now()
    with fence.held(grip):
        newer = rollback.preempt(purpose("rb-1", RunKind.ROLLBACK))
        with fence.held(newer):
            pass

    assert CLOCK.now() - began < 20, "the writer is frozen for good"
    lock.release(grip)
    rollback.release(newer)


def test_a_fence_is_read_whole_or_not_at_all(layout: Layout) -> None:
    fence = fence_of(layout)
    assert fence.read() is None
    fence.write(Fence(id="abc", by="x" * 2000 + "\nsecond line"))
    found = fence.read()
    assert found is not None
    assert found.id == "abc"
    assert "\n" not in found.by
    record = bytearray(layout.fence.read_bytes())
    record[:3] = b"xyz"
    layout.fence.write_bytes(record)

    assert fence.read() is None


def test_without_a_folder_it_is_said(tmp_path: Path) -> None:
    lock = LocalLock(Layout(tmp_path / "nowhere"), clock=CLOCK)

    with pytest.raises(PlatformError, match=r"the lock .* cannot be taken: No such file or directory"):
        lock.take(purpose("r-1"), until=soon())
