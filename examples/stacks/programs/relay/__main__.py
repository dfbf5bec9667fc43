"""A service of any stack: says who it is, and who answered it when it asks the next one. Standard library only.

``MODE``: ``serve`` (usual); ``sidecar`` runs beside and answers nobody; ``init`` ends well at once. ``NEXT``: the
address of the service that it needs, in its own slot. ``SIDE`` and ``VERSION``: who it is. After SIGTERM it is a lame
duck for ``DUCK`` seconds: it answers on, each answer with ``Connection: close``, and then ends.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from urllib.parse import urlsplit

WHO: dict[str, object] = {"service": os.environ.get("NAME", "relay"), "side": os.environ.get("SIDE", ""), "next": None}
HEADERS = f"X-Slot: {os.environ.get('SLOT', '')}\r\nX-Version: {os.environ.get('VERSION', '')}\r\n"
NEXT = os.environ.get("NEXT", "")
NUMBERS: dict[str, str] = {}
LONGEST = 1 << 20


class Relay:
    """Answers until it is told to leave, and for a while after that."""

    def __init__(self) -> None:
        self.leaving = asyncio.Event()
        self.idle = asyncio.Event()
        self._open = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self._open += 1
        self.idle.clear()
        try:
            while await self._answer(reader, writer):
                pass
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError):
            pass  # whoever asked is gone, or speaks something else
        finally:
            writer.close()
            self._open -= 1
            if not self._open:
                self.idle.set()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection goes on."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        await reader.readexactly(_length(head))
        path = head.split(" ", 2)[1]
        status, said = await self._said(path)
        body = json.dumps(said).encode()
        close = self.leaving.is_set() or "connection: close" in head
        writer.write(
            f"HTTP/1.1 {status} -\r\n{HEADERS}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
            f"Connection: {'close' if close else 'keep-alive'}\r\n\r\n".encode()
            + body
        )
        await writer.drain()
        return not close

    async def _said(self, path: str) -> tuple[int, dict[str, object]]:
        if path.startswith("/live"):
            return 200, WHO
        if path.startswith("/ready"):
            return (503 if self.leaving.is_set() else 200), WHO
        if not NEXT:
            return 200, WHO
        try:
            return 200, {**WHO, "next": await asyncio.wait_for(_ask(NEXT), timeout=5)}
        except (OSError, EOFError, ValueError, TimeoutError) as error:
            return 502, {**WHO, "error": repr(error)}


async def _ask(address: str) -> object:
    """What the next one says; a connection for each question, so that a new slot's Service is met at once."""
    parts = urlsplit(address)
    reader, writer = await asyncio.open_connection(await _number_of(str(parts.hostname)), parts.port or 80)
    try:
        writer.write(f"GET /api/work HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        body = await reader.readexactly(_length(head))
    finally:
        writer.close()
    if " 200 " not in head.partition("\r\n")[0]:
        raise ValueError(head.partition("\r\n")[0])
    return json.loads(body)


async def _number_of(host: str) -> str:
    """The address of a Service, which stays: asked of the name server once, for its answers may take seconds."""
    if host not in NUMBERS:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, family=socket.AF_INET, type=socket.SOCK_STREAM)
        NUMBERS[host] = str(found[0][4][0])
    return NUMBERS[host]


def _length(head: str) -> int:
    found = next((line for line in head.split("\r\n") if line.startswith("content-length:")), "content-length: 0")
    return min(int(found.partition(":")[2]), LONGEST)


async def main() -> None:
    relay = Relay()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, relay.leaving.set)
    server = await asyncio.start_server(relay.serve, "0.0.0.0", int(os.environ.get("PORT", "8080")), backlog=1024)
    await relay.leaving.wait()
    await asyncio.sleep(float(os.environ.get("DUCK", "3")))
    server.close()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(relay.idle.wait(), timeout=10)


def rest() -> None:
    """Run beside, and leave when told."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    while True:
        signal.pause()


if __name__ == "__main__":
    match os.environ.get("MODE", "serve"):
        case "init":
            print("ready to begin", flush=True)
        case "sidecar":
            rest()
        case _:
            asyncio.run(main())
