"""One set of tests, every platform: a bench for each. Add one by adding its factory to BENCHES."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.contract.bench import let_go
from tests.contract.fake_bench import FakeBench, ScrapedBench
from tests.contract.kubernetes_bench import kubernetes_bench
from tests.contract.kubernetes_ground import ground_in
from tests.contract.local_bench import local_bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from testbed.cluster import Cluster
    from tests.contract.bench import Bench
    from tests.contract.kubernetes_ground import Ground


@contextmanager
def fake(_: pytest.FixtureRequest) -> Iterator[FakeBench]:
    """The shipped fakes."""
    yield FakeBench()


@contextmanager
def fake_with_lease(_: pytest.FixtureRequest) -> Iterator[FakeBench]:
    """The shipped fakes, whose lock is judged by its renewals."""
    yield FakeBench(lasts=15.0)


@contextmanager
def fake_with_prometheus(_: pytest.FixtureRequest) -> Iterator[FakeBench]:
    """The shipped fakes, scraped by a Prometheus server."""
    yield ScrapedBench()


def local(_: pytest.FixtureRequest) -> AbstractContextManager[Bench]:
    """Processes on this machine."""
    return local_bench()


def kubernetes(request: pytest.FixtureRequest) -> AbstractContextManager[Bench]:
    """Pods in the suite's cluster."""
    return kubernetes_bench(request.getfixturevalue("ground"))


def kubernetes_direct(request: pytest.FixtureRequest) -> AbstractContextManager[Bench]:
    """The same, worked on from a place in the pods' network."""
    return kubernetes_bench(request.getfixturevalue("ground"), direct=True)


BENCHES: dict[str, Callable[[pytest.FixtureRequest], AbstractContextManager[Bench]]] = {
    "fake": fake,
    "fake-with-lease": fake_with_lease,
    "fake-with-prometheus": fake_with_prometheus,
    "local": local,
    "kubernetes": kubernetes,
    "kubernetes-direct": kubernetes_direct,
}
"""By name."""

ONLY = {
    "kubernetes-direct": {"test_checks", "test_metrics"},
    "fake-with-prometheus": {"test_metrics"},
}
"""Benches that differ from another one in some of the ports only: the test modules of these."""

MARKS: dict[str, tuple[pytest.MarkDecorator, ...]] = {
    "local": (pytest.mark.local, pytest.mark.slow),
    "kubernetes": (pytest.mark.cluster, pytest.mark.slow),
    "kubernetes-direct": (pytest.mark.cluster, pytest.mark.slow),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every test on every bench that it is for."""
    if "bench" in metafunc.fixturenames:
        module = metafunc.module.__name__.rpartition(".")[2]
        names = [name for name in BENCHES if module in ONLY.get(name, {module})]
        params = [pytest.param(name, marks=MARKS.get(name, ())) for name in names]
        metafunc.parametrize("bench", params, indirect=True)


@pytest.fixture(scope="session")
def ground(cluster: Cluster) -> Iterator[Ground]:
    """The namespace of all tests on Kubernetes."""
    with ground_in(cluster) as made:
        yield made


@pytest.fixture
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """The bench of one platform, cleared away afterwards."""
    with BENCHES[request.param](request) as made:
        yield made
        let_go()
