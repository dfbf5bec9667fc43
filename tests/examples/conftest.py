"""The tests of the shipped example: its real processes, started one by one, over real sockets."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.examples.kit import EXAMPLE, Launcher, Stack

if TYPE_CHECKING:
    from collections.abc import Iterator

sys.path.insert(0, str(EXAMPLE))


@pytest.fixture
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    """Start services; whatever of them is still alive at the end of the test is killed."""
    with ExitStack() as ending:
        yield Launcher(tmp_path_factory.mktemp("logs"), ending)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A good gateway with its backend, for tests that leave no trace in it."""
    with ExitStack() as ending:
        yield Launcher(tmp_path_factory.mktemp("logs"), ending).stack()


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    """Threads for clients that wait."""
    with ThreadPoolExecutor(16) as pool:
        yield pool
