"""One set of tests, every platform: a bench for each. Add one by adding its factory to BENCHES."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.contract.bench import let_go
from tests.contract.fake_bench import FakeBench
from tests.contract.local_bench import local_bench

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.contract.bench import Bench


@contextmanager
def fake() -> Iterator[FakeBench]:
    """The shipped fakes."""
    yield FakeBench()


BENCHES: dict[str, Callable[[], AbstractContextManager[Bench]]] = {"fake": fake, "local": local_bench}
"""By name. A real platform's entry carries a mark: ``pytest.param`` is made of it in ``bench``."""

MARKS: dict[str, tuple[pytest.MarkDecorator, ...]] = {"local": (pytest.mark.local, pytest.mark.slow)}


def _param(name: str) -> object:
    return pytest.param(name, marks=MARKS.get(name, ()))


@pytest.fixture(params=[_param(name) for name in BENCHES])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """The bench of one platform, cleared away afterwards."""
    with BENCHES[request.param]() as made:
        yield made
        let_go()
