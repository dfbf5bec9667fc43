"""The agent's stream, read: what a frozen agent and one of another version cost a command."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from bluegreen.clock import SystemClock
from bluegreen.platforms.local.frame import Frame, line_of
from bluegreen.platforms.local.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CLOCK = SystemClock()
NOTHING = Frame(pods=())

pytestmark = pytest.mark.timeout(10)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.sock"


@pytest.fixture
def agent(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen(1)
        yield listening


def test_an_agent_that_is_frozen_and_besieged_is_no_agent(agent: socket.socket, path: Path) -> None:
    """Each command that has asked it stays in its queue; the one for which there is no room must not wait for it."""
    watches = [Watch(path, clock=CLOCK) for _ in range(5)]
    try:
        assert [watch.newest(timeout=0.01) for watch in watches] == [None] * 5
    finally:
        for watch in watches:
            watch.close()


@pytest.mark.parametrize("line", [b"{}\n", b"no JSON\n", b'{"pods": [{"name": 1}]}\n', b"\xff\n"])
def test_an_agent_that_speaks_otherwise_is_no_agent(agent: socket.socket, path: Path, line: bytes) -> None:
    """One of an earlier version goes on until the next ``up``."""
    watch = Watch(path, clock=CLOCK)
    try:
        assert watch.newest(timeout=0.01) is None
        with agent.accept()[0] as telling:
            telling.sendall(line)
            assert watch.newest(timeout=1) is None
    finally:
        watch.close()


def test_the_newest_of_whole_frames_is_told(agent: socket.socket, path: Path) -> None:
    watch = Watch(path, clock=CLOCK)
    try:
        assert watch.newest(timeout=0.01) is None
        with agent.accept()[0] as telling:
            telling.sendall(line_of(NOTHING) + b'{"half')
            assert watch.newest(timeout=1) == NOTHING
    finally:
        watch.close()
