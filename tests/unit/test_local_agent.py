"""The agent of a stack of which nothing runs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from tests.unit.layout_kit import layout_in

from bluegreen.domain.stack import Service, Stack
from bluegreen.platforms.local.agent import Agent
from bluegreen.platforms.local.layout import Layout
from bluegreen.platforms.local.store import create_store, open_store

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(20)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = layout_in(tmp_path)
    with create_store(found) as store:
        stack = Stack(name="shop", services=(Service(name="web", image="shop/web:v1", port=8000),))
        store.write_stack(stack, images=tmp_path, fronts=())
    return found


async def until_it_listens(layout: Layout) -> None:
    async with asyncio.timeout(10):
        while not layout.agent.exists():  # noqa: ASYNC110 - no event tells of a file
            await asyncio.sleep(0.01)


async def end(running: asyncio.Task[None]) -> None:
    running.cancel()
    await asyncio.wait([running])


def test_one_that_ends_takes_its_socket_along(layout: Layout) -> None:
    async def come_and_go() -> None:
        with open_store(layout) as store:
            running = asyncio.create_task(Agent(layout, store).run())
            await until_it_listens(layout)
            await end(running)

    asyncio.run(come_and_go())
    assert not layout.agent.exists()


def test_one_that_ends_late_leaves_the_socket_of_the_next_one(layout: Layout) -> None:
    """An agent that was frozen when supervisord died: what it removed was what everybody listens to by now."""

    async def overlap() -> None:
        with open_store(layout) as store, open_store(layout) as other:
            late = asyncio.create_task(Agent(layout, store).run())
            await until_it_listens(layout)
            layout.agent.rename(layout.runtime / "of the late one")
            following = asyncio.create_task(Agent(layout, other).run())
            await until_it_listens(layout)
            await end(late)
            assert layout.agent.exists()
            await end(following)

    asyncio.run(overlap())
