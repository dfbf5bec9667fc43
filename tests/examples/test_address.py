"""Where a host is: who has an address never waits for the next one."""

from __future__ import annotations

import asyncio
import functools
from typing import TYPE_CHECKING

import pytest

from alfred.address import Address, look_up

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

LIMIT = 20
"""Seconds for a test, none of which waits for anything real."""


def in_a_loop(test: Callable[[], Coroutine[None, None, None]]) -> Callable[[], None]:
    @functools.wraps(test)
    def run() -> None:
        asyncio.run(asyncio.wait_for(test(), LIMIT))

    return run


class Names:
    """A resolver whose answers are given by the test: addresses, an error, or none until it is told to answer."""

    def __init__(self, *answers: tuple[str, ...] | OSError) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, host: str) -> tuple[str, ...]:
        assert host == "backend"
        self.asked += 1
        await self.may_answer.wait()
        answer = self.answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer


async def settle() -> None:
    """Let everything run that can."""
    for _ in range(5):
        await asyncio.sleep(0)


@in_a_loop
async def test_those_who_come_first_wait_for_one_lookup() -> None:
    names = Names(("10.0.0.1",))
    address = Address("backend", resolver=names)
    assert await asyncio.gather(*(address.all() for _ in range(3))) == [("10.0.0.1",)] * 3
    assert names.asked == 1


@in_a_loop
async def test_one_who_gives_up_takes_the_lookup_from_nobody() -> None:
    names = Names(("10.0.0.1",))
    names.may_answer.clear()
    address = Address("backend", resolver=names)
    impatient, patient = asyncio.create_task(address.all()), asyncio.create_task(address.all())
    await settle()
    impatient.cancel()
    await settle()
    names.may_answer.set()
    assert await patient == ("10.0.0.1",)
    assert names.asked == 1


@in_a_loop
async def test_who_has_an_address_does_not_wait_for_the_next() -> None:
    names = Names(("10.0.0.1",), ("10.0.0.2",), ("10.0.0.3",))
    address = Address("backend", resolver=names, fresh_seconds=0)
    await address.all()
    names.may_answer.clear()
    assert [await address.all() for _ in range(3)] == [("10.0.0.1",)] * 3
    await settle()
    assert names.asked == 2
    names.may_answer.set()
    await settle()
    assert await address.all() == ("10.0.0.2",)


@in_a_loop
async def test_a_lookup_that_fails_takes_no_address_away() -> None:
    names = Names(("10.0.0.1",), OSError("no such name"), ("10.0.0.2",), ("10.0.0.3",))
    address = Address("backend", resolver=names, fresh_seconds=0)
    await address.all()
    assert await address.all() == ("10.0.0.1",)
    await settle()
    assert await address.all() == ("10.0.0.1",)
    await settle()
    assert await address.all() == ("10.0.0.2",)


@in_a_loop
async def test_a_first_lookup_that_fails_is_an_error_and_the_next_is_made_anew() -> None:
    names = Names(OSError("no such name"), ("10.0.0.1",))
    address = Address("backend", resolver=names)
    with pytest.raises(OSError, match="no such name"):
        await address.all()
    assert await address.all() == ("10.0.0.1",)


@in_a_loop
async def test_an_address_in_doubt_is_looked_up_before_its_time() -> None:
    names = Names(("10.0.0.1",), ("10.0.0.2",))
    address = Address("backend", resolver=names, fresh_seconds=3600)
    await address.all()
    await address.all()
    assert names.asked == 1
    address.doubt()
    await address.all()
    await settle()
    assert await address.all() == ("10.0.0.2",)


@in_a_loop
async def test_a_real_name_has_each_address_once() -> None:
    found = await look_up("localhost")
    assert "127.0.0.1" in found
    assert len(set(found)) == len(found)
