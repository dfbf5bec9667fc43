"""Whole stacks on this machine, through the command line only, with users as load."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness import Load, LocalStack, Rates

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from harness import StartLoad

LOAD_LIMIT = 1500.0
"""Seconds after which any load of these tests stops by itself."""


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[LocalStack]:
    """A stack that runs v1 in both slots; ended with everything that it left."""
    stack = LocalStack(tmp_path / "alfred")
    stack.image("v1")
    try:
        stack.up("v1")
        yield stack
    finally:
        stack.run("down", "--purge")


@pytest.fixture
def start_load(tmp_path: Path) -> Iterator[StartLoad]:
    """Starts users of every kind; what a failing test left running is ended."""
    started: list[Load] = []

    def start(stack: LocalStack, *, bad: Sequence[str] = (), rates: Rates | None = None) -> Load:
        result = tmp_path / f"load-{len(started)}.json"
        load = Load(stack.users(), result=result, seconds=LOAD_LIMIT, bad=bad, rates=rates)
        started.append(load)
        return load

    yield start
    for load in started:
        load.kill()
