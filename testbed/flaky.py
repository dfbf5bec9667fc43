"""A way to a server on which three of eight connections fail: `flaky_registry` runs it as a program.

    flaky.py PORT

It listens on a free port, which it prints, and passes connections on to PORT of this machine: of every eight the
sixth and the last are answered with 503 and the one between is reset: a node tries a second time by itself, and must
meet two in a row. None of them outlives its use. On SIGTERM it ends.

It imports nothing of the testbed, because it runs as a file of its own.
"""

import asyncio
import itertools
import socket
import struct
import sys
from contextlib import suppress

_CHUNK = 65536
_IDLE = 0.3  # seconds; a connection that carries nothing is closed then: a node that keeps one would meet no fault
_PATIENCE = 20  # times as long for the first of an answer, which a busy machine may make wait
_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
_RESET = struct.pack("ii", 1, 0)  # a lingering close of no time: the peer sees a reset


class Flaky:
    """The server behind, and how many connections there were."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._count = itertools.count(1)

    async def serve(self) -> None:
        """Listen until killed."""
        server = await asyncio.start_server(self._accept, "0.0.0.0", 0)
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await server.serve_forever()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            match next(self._count) % 8:
                case 6 | 0:
                    await reader.read(_CHUNK)
                    writer.write(_BUSY)
                    await writer.drain()
                case 7:
                    await reader.read(_CHUNK)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                case _:
                    await self._pass_on(reader, writer)
        writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        asked, answered = list[int](), list[int]()
        ways = {
            asyncio.create_task(_copy(reader, far_writer, asked)),
            asyncio.create_task(_copy(far_reader, writer, answered)),
        }
        silent = 0
        while ways and silent < (1 if answered else _PATIENCE):
            before = len(asked) + len(answered)
            _, ways = await asyncio.wait(ways, timeout=_IDLE)
            silent = 0 if len(asked) + len(answered) > before else silent + 1
        for way in ways:
            way.cancel()
        far_writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, chunks: list[int]) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            chunks.append(len(data))
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    asyncio.run(Flaky(int(sys.argv[1])).serve())
