"""Alfred on the cluster, through command lines only, with users of every kind on both nodes."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Protocol

import pytest
from tests.kubernetes.kit import shares_the_cluster

from cluster_harness import BACKEND_RATES, GATEWAY_RATES, QUICK, ClusterLoad, ClusterStack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from testbed.cluster import Cluster

    from harness import Rates

LOAD_LIMIT = 900.0
"""Seconds after which any load of these tests stops by itself."""


class StartLoad(Protocol):
    """Starts users of every kind on every node."""

    def __call__(
        self,
        stack: ClusterStack,
        *,
        bad: Sequence[str] = (),
        crashes: Path | None = None,
        rates: Rates = GATEWAY_RATES,
        backend: Rates | None = BACKEND_RATES,
    ) -> ClusterLoad:
        """``bad``: versions whose wrong answers are their own. ``crashes``: says, by the end, when they were dying."""


def make_stack(cluster: Cluster, folder: Path, *, purpose: str, settings: Sequence[str] = QUICK) -> ClusterStack:
    """Alfred in a namespace of its own, serving."""
    stack = ClusterStack(cluster, namespace=f"{purpose}-{uuid.uuid4().hex[:6]}", folder=folder)
    try:
        stack.image(stack.namespace)
        stack.install(stack.namespace, *settings)
    except BaseException:
        stack.remove()
        raise
    return stack


@pytest.fixture(scope="module")
def shared(
    cluster: Cluster, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[ClusterStack]:
    """One quick stack for all tests of a file; each leaves it whole."""
    purpose = request.module.__name__.rpartition(".")[2].removeprefix("test_").replace("_", "-")
    stack = make_stack(cluster, tmp_path_factory.mktemp("alfred"), purpose=purpose)
    yield stack
    stack.remove()


@pytest.fixture
def make(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], ClusterStack]]:
    """Makes quick stacks of the test's own."""
    made: list[ClusterStack] = []

    def make_one(purpose: str) -> ClusterStack:
        made.append(make_stack(cluster, tmp_path_factory.mktemp(purpose), purpose=purpose))
        return made[-1]

    yield make_one
    for stack in made:
        stack.remove()


@pytest.fixture
def start_load() -> Iterator[StartLoad]:
    """Starts users of every kind; what a failing test left running is ended."""
    started: list[ClusterLoad] = []

    def start(
        stack: ClusterStack,
        *,
        bad: Sequence[str] = (),
        crashes: Path | None = None,
        rates: Rates = GATEWAY_RATES,
        backend: Rates | None = BACKEND_RATES,
    ) -> ClusterLoad:
        load = ClusterLoad(stack, bad=bad, seconds=LOAD_LIMIT, rates=rates, backend=backend, crashes=crashes)
        started.append(load)
        return load

    yield start
    for load in started:
        load.kill()


@pytest.fixture
def breakable(cluster: Cluster) -> Cluster:
    """The cluster, if it may be broken: not when others use it."""
    if shares_the_cluster():
        pytest.skip(
            "not run: others use this cluster. python -m testbed --name NAME up starts one for TESTBED_SHARED=NAME"
        )
    return cluster
