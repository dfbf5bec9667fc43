"""The gateway's connections to a backend that misbehaves: what is reused, what is given up, what is never repeated."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from itertools import chain, cycle
from typing import TYPE_CHECKING

import pytest

from alfred.measured import Exchange, Trouble
from alfred.pool import Broken, Exhausted, Pool
from alfred.upstream import Upstream, read_whole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
LAST = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
LIMIT = 10.0


class Script:
    """A server that answers each request with the next of its answers as written, then with ``repeat``; None closes."""

    def __init__(self, *answers: bytes | None, repeat: bytes | None = None) -> None:
        self._answers = chain(answers, cycle([repeat]))
        self.requests: list[int] = []
        """For each request the number of the connection it came on."""
        self.connections = 0
        self.port = 0
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        number = self.connections
        self._writers.append(writer)
        try:
            while await self._answer(reader, writer, number):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> bool:
        await reader.readuntil(b"\r\n\r\n")
        self.requests.append(number)
        answer = next(self._answers)
        if answer is None:
            return False
        writer.write(answer)
        await writer.drain()
        return True

    def say(self, unasked: bytes) -> None:
        """Send bytes that nobody asked for, on every connection."""
        for writer in self._writers:
            writer.write(unasked)

    def hang_up(self) -> None:
        """End every connection."""
        for writer in self._writers:
            writer.close()


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[Script]:
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.port = server.sockets[0].getsockname()[1]
    try:
        yield script
    finally:
        script.hang_up()
        server.close()
        await server.wait_closed()


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = asyncio.get_running_loop().time() + LIMIT
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, f"after {LIMIT:g} s still not: {what}"
        await asyncio.sleep(0.005)


def run(script: Script, test: Callable[[Pool], Coroutine[None, None, None]], *, most: int = 10) -> None:
    async def body() -> None:
        async with asyncio.timeout(LIMIT), serving(script):
            pool = Pool("127.0.0.1", script.port, most=most)
            try:
                await test(pool)
            finally:
                pool.close()

    asyncio.run(body())


async def ask(pool: Pool) -> bytes:
    return await read_whole(await pool.send(GET))


def test_a_connection_is_used_again() -> None:
    script = Script(OK, CHUNKED, OK)

    async def test(pool: Pool) -> None:
        assert [await ask(pool) for _ in range(3)] == [b"ok"] * 3

    run(script, test)
    assert script.requests == [1, 1, 1]


def test_a_connection_that_is_said_to_end_is_not() -> None:
    script = Script(LAST, OK)

    async def test(pool: Pool) -> None:
        assert [await ask(pool), await ask(pool)] == [b"ok"] * 2

    run(script, test)
    assert script.requests == [1, 2]


def test_an_answer_that_comes_in_pieces_is_put_together() -> None:
    async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in CHUNKED:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    async def body() -> None:
        async with await asyncio.start_server(trickle, "127.0.0.1", 0) as server:
            pool = Pool("127.0.0.1", server.sockets[0].getsockname()[1])
            assert await ask(pool) == b"ok"
            pool.close()

    asyncio.run(body())


@pytest.mark.parametrize(
    ("answers", "why"),
    [
        ((None,), "the connection ended"),
        ((b"HTTP/1.1 200 OK\r\ncontent-le", None), "the connection ended"),
        ((b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nok", None), "the connection ended"),
        ((b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", None), "the connection ended"),
        ((b"HTTP/1.1 200 OK\r\n\r\nuntil the end", None), "the connection ended"),
        ((b"good morning\r\n\r\n",), "it is no HTTP"),
    ],
)
def test_an_answer_that_breaks_off_is_told_and_not_asked_for_again(answers: tuple[bytes | None, ...], why: str) -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.writelines(answer for answer in answers if answer)
        await writer.drain()
        writer.close()

    async def body() -> None:
        async with await asyncio.start_server(once, "127.0.0.1", 0) as server:
            pool = Pool("127.0.0.1", server.sockets[0].getsockname()[1])
            with pytest.raises(Broken, match=why):
                await ask(pool)
            pool.close()

    asked: list[bytes] = []
    asyncio.run(body())
    assert len(asked) == 1


@pytest.mark.parametrize("meanwhile", [Script.hang_up, lambda script: script.say(OK)], ids=["hangs up", "says more"])
def test_a_connection_that_ends_or_speaks_while_idle_is_not_used_again(meanwhile: Callable[[Script], None]) -> None:
    script = Script(OK, OK)

    async def test(pool: Pool) -> None:
        await ask(pool)
        assert pool.open == 1
        meanwhile(script)
        await until(lambda: pool.open == 0, "the connection is let go")
        assert await ask(pool) == b"ok"

    run(script, test)
    assert script.requests == [1, 2]


def test_an_answer_that_is_followed_by_more_than_was_asked_for_costs_its_connection() -> None:
    script = Script(OK + OK, OK)

    async def test(pool: Pool) -> None:
        assert [await ask(pool), await ask(pool)] == [b"ok"] * 2

    run(script, test)
    assert script.requests == [1, 2]


def test_an_answer_that_nobody_waits_for_costs_its_connection() -> None:
    script = Script(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", OK)

    async def test(pool: Pool) -> None:
        reply = await pool.send(GET)
        reply.close()
        assert await ask(pool) == b"ok"

    run(script, test)
    assert script.requests == [1, 2]


def test_requests_at_the_same_time_have_connections_of_their_own_up_to_the_limit() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"

    async def test(pool: Pool) -> None:
        replies = [await pool.send(GET) for _ in range(3)]
        with pytest.raises(Exhausted):
            await pool.send(GET)
        script.say(b"ok")
        assert [await reply.whole() for reply in replies] == [b"ok"] * 3
        assert await ask(pool) == b"ok"

    script = Script(head, head, head, OK)
    run(script, test, most=3)
    assert sorted(script.requests[:3]) == [1, 2, 3]
    assert script.connections == 3


def test_connections_that_are_no_longer_needed_are_let_go() -> None:
    head = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"

    async def test(script: Script) -> None:
        pool = Pool("127.0.0.1", script.port, idle_seconds=0.05)
        replies = [await pool.send(GET) for _ in range(3)]
        script.say(b"ok")
        assert [await reply.whole() for reply in replies] == [b"ok"] * 3
        assert pool.open == 3
        while pool.open > 1:
            assert await ask(pool) == b"ok"
        pool.close()

    async def body() -> None:
        async with asyncio.timeout(LIMIT), serving(Script(head, head, head, repeat=OK)) as script:
            await test(script)

    asyncio.run(body())


def test_a_backend_that_is_not_there_is_told() -> None:
    async def body() -> None:
        async with serving(Script()) as script:
            port = script.port
        with pytest.raises(Broken, match="no connection"):
            await ask(Pool("127.0.0.1", port))

    asyncio.run(body())


def trouble_of(script: Script, *, longest: float) -> Trouble:
    """What a user is told who asks the scripted backend."""

    async def body() -> Trouble:
        async with asyncio.timeout(LIMIT), serving(script):
            upstream = Upstream(f"http://127.0.0.1:{script.port}", longest=longest)
            with pytest.raises(Trouble) as raised:
                await upstream.ask(Exchange(), target=b"/")
            upstream.close()
            return raised.value

    return asyncio.run(body())


@pytest.mark.parametrize(
    ("answer", "status"),
    [(None, 502), (OK, 502), (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]", 502), (b"", 504)],
    ids=["breaks", "no JSON", "no object", "too late"],
)
def test_what_a_failing_backend_looks_like_to_a_user(answer: bytes | None, status: int) -> None:
    longest = 0.05 if status == 504 else LIMIT
    assert trouble_of(Script(answer), longest=longest).status == status
