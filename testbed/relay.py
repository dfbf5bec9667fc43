"""A TCP relay that holds back each answer: the network of a far-away API server. `slow_api` runs it as a program.

    relay.py PORT MILLISECONDS

It listens on a free port, which it prints, and passes connections on to PORT of this machine. What the server
says reaches the client so many milliseconds later, in order; what the client says is passed on at once. On
SIGTERM it takes no more connections and delays no longer, and ends with the last connection it has.

It imports nothing of the testbed, because it runs as a file of its own.
"""

import asyncio
import signal
import sys
from contextlib import suppress

_CHUNK = 65536
_GRACE = 1  # second, for a connection that the kernel has taken and we have not; closing would reset it


class Relay:
    """The delay, which may change, and the connections there are."""

    def __init__(self, port: int, delay: float) -> None:
        self._port = port
        self._delay = delay
        self._closing = asyncio.Event()
        self._open: set[asyncio.Task[None]] = set()

    async def serve(self) -> None:
        """Listen until told to close, then wait for the connections that are left."""
        server = await asyncio.start_server(self._accept, "0.0.0.0", 0)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._close)
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await self._closing.wait()
        await asyncio.sleep(_GRACE)
        while self._open:
            await asyncio.wait(self._open)
        server.close()

    def _close(self) -> None:
        self._delay = 0
        self._closing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._open.add(task)
            task.add_done_callback(self._open.discard)
        with suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(reader, far_writer))
                both.create_task(self._hold_back(far_reader, writer))

    async def _hold_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A chunk waits on its own clock, so that a stream of many is late, not slow."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        clock = asyncio.get_running_loop().time

        async def read() -> None:
            data = b"more"
            while data:
                data = await _read(reader)
                await waiting.put((clock() + self._delay, data))

        async def write() -> None:
            while True:
                due, data = await waiting.get()
                await asyncio.sleep(due - clock())
                if not data:
                    return _end(writer)
                await _write(writer, data)

        async with asyncio.TaskGroup() as both:
            both.create_task(read())
            both.create_task(write())


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await _read(reader):
        await _write(writer, data)
    _end(writer)


async def _read(reader: asyncio.StreamReader) -> bytes:
    """A broken connection is one that has ended."""
    try:
        return await reader.read(_CHUNK)
    except OSError:
        return b""


async def _write(writer: asyncio.StreamWriter, data: bytes) -> None:
    with suppress(OSError):
        writer.write(data)
        await writer.drain()


def _end(writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        writer.close()


if __name__ == "__main__":
    asyncio.run(Relay(int(sys.argv[1]), int(sys.argv[2]) / 1000).serve())
