"""What the data plane's tests stand on: small real servers as replicas, a real Envoy, and a bounded load that counts.

A replica answers ``slot name`` and does a few things on request; its death is a closed listener and reset connections,
as a killed process leaves them.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bluegreen.clock import SystemClock
from bluegreen.domain.stack import Slot, after
from bluegreen.platforms.local.dataplane import DataPlane, Front
from bluegreen.platforms.local.envoy import ADDRESS, SLOT_HEADER
from bluegreen.platforms.local.envoy_run import clean_up, living

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from bluegreen.platforms.local.dataplane import PlaneCounters

SERVICE = "backend"
CLOCK = SystemClock()
BLUE, GREEN = Slot.BLUE, Slot.GREEN


def eventually(condition: Callable[[], object], what: str, *, limit: float = 60.0) -> None:
    """Wait until the condition holds; fail by its name at the limit."""
    until = time.monotonic() + limit
    while not condition():
        assert time.monotonic() < until, f"not within {limit} s: {what}"
        time.sleep(0.005)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on now, all different.

    Not the system's own choice: those are also given to outgoing connections, before we come to listen.
    """
    with contextlib.ExitStack() as stack:
        return [_hold_free_port(stack) for _ in range(count)]


def _hold_free_port(stack: contextlib.ExitStack) -> int:
    for port in random.SystemRandom().sample(range(15_000, 32_000), 100):
        each = stack.enter_context(socket.socket())
        with contextlib.suppress(OSError):
            each.bind((ADDRESS, port))
            return port
    raise AssertionError("no free port among a hundred")


# --- replicas ---------------------------------------------------------------------------------------------------


class Replica:
    """One HTTP/1.1 server in a thread of its own."""

    def __init__(self, slot: Slot) -> None:
        """Start it; it is ready at once."""
        self.slot = slot
        self.port = free_ports(1)[0]
        self.ready = True
        self.status = 200
        self.held = threading.Semaphore(0)
        """Released once for each request that hangs in ``/hold``."""
        self._loop = asyncio.new_event_loop()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._let_go = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self.listen()

    def _do(self, what: Callable[[], object]) -> None:
        """Run it in the loop's thread, and wait."""
        done = threading.Event()
        self._loop.call_soon_threadsafe(what)
        self._loop.call_soon_threadsafe(done.set)
        assert done.wait(5), "the replica's loop is stuck"

    def listen(self) -> None:
        """Listen on its port (again)."""
        starting = asyncio.start_server(self._serve, ADDRESS, self.port, backlog=5)  # as Python's own HTTP server
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(5)

    def pause(self, seconds: float) -> None:
        """Do nothing for so long, from now on."""
        self._loop.call_soon_threadsafe(time.sleep, seconds)

    def die(self) -> None:
        """Stop listening and reset every connection."""
        self._do(self._cut)

    def _cut(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        for writer in self._writers:
            writer.transport.abort()

    def let_go(self) -> None:
        """Finish the requests that hang in ``/hold`` or ``/stream``, and those to come."""
        self._do(self._let_go.set)

    def close(self) -> None:
        """End it for good."""
        self.die()
        asyncio.run_coroutine_threadsafe(self._finish(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _finish(self) -> None:
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            while await self._one(reader, writer):
                pass
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        path = head.split(" ", 2)[1]
        length = next((int(line[15:]) for line in head.split("\r\n") if line.startswith("content-length:")), 0)
        await reader.readexactly(length)
        if path == "/socket":
            return await self._echo(reader, writer)
        if path == "/stream":
            return await self._stream(writer)
        if path == "/hold":
            self.held.release()
            await self._let_go.wait()
        self._answer(path, writer)
        await writer.drain()
        return True

    def _answer(self, path: str, writer: asyncio.StreamWriter) -> None:
        status = self.status
        if path == "/ready":
            status = (503, 200)[self.ready]
        extra = f"{SLOT_HEADER}: forged\r\n" if path == "/forged" else ""
        body = f"{self.slot} {self.port}".encode()
        writer.write(f"HTTP/1.1 {status} x\r\n{extra}content-length: {len(body)}\r\n\r\n".encode() + body)

    async def _echo(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 101 x\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")
        while data := await reader.read(4096):
            writer.write(f"{self.slot}:".encode() + data)
            await writer.drain()
        return False

    async def _stream(self, writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 x\r\ntransfer-encoding: chunked\r\n\r\n")
        writer.write(f"{len(self.slot):x}\r\n{self.slot}\r\n".encode())
        await self._let_go.wait()
        writer.write(f"{len(self.slot):x}\r\n{self.slot}\r\n0\r\n\r\n".encode())
        await writer.drain()
        return True


# --- users ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer:
    """What a user got."""

    status: int
    slot: str | None
    """The header that the data plane sets."""
    body: str


def ask(
    port: int, path: str = "/", *, method: str = "GET", headers: Mapping[str, str] | None = None, timeout: float = 10.0
) -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(ADDRESS, port, timeout=timeout)
    try:
        return _ask_on(connection, path, method=method, headers=headers)
    finally:
        connection.close()


def _ask_on(
    connection: http.client.HTTPConnection, path: str, *, method: str, headers: Mapping[str, str] | None = None
) -> Answer:
    connection.request(method, path, body=b"x" if method == "POST" else None, headers=headers or {})
    response = connection.getresponse()
    return Answer(response.status, response.getheader(SLOT_HEADER), response.read().decode())


@dataclass
class Load:
    """Users at a bounded rate, until stopped or ``limit`` seconds: kept-alive GET, new connections, and POST."""

    port: int
    limit: float = 300.0
    pause: float = 0.004
    answers: Counter[str] = field(default_factory=Counter)
    """By slot, of the answers with status 200 whose header and body name the same slot."""
    failed: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        """Start the users."""
        kinds = (self._kept_alive, self._new_connection, self._posting)
        self._threads = [threading.Thread(target=self._repeat, args=(kind,)) for kind in kinds]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the users and wait for their last answers."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def sent(self) -> int:
        """Requests that came to an end."""
        with self._lock:
            return self.answers.total() + len(self.failed)

    def more(self, count: int) -> None:
        """Wait until so many more requests came to an end."""
        goal = self.sent + count
        eventually(lambda: self.sent >= goal, f"{count} more requests")

    def _repeat(self, kind: Callable[[], Iterator[Answer]]) -> None:
        until = time.monotonic() + self.limit
        source = kind()
        while not self._stop.is_set() and time.monotonic() < until:
            try:
                self._count(next(source))
            except (OSError, http.client.HTTPException) as error:
                with self._lock:
                    self.failed.append(repr(error))
                source = kind()
            self._stop.wait(self.pause)
        source.close()  # type: ignore[attr-defined]

    def _count(self, answer: Answer) -> None:
        right = answer.status == 200 and answer.slot is not None and answer.body.split()[0] == answer.slot
        with self._lock:
            if right:
                self.answers[answer.slot or ""] += 1
            else:
                self.failed.append(str(answer))

    def _kept_alive(self) -> Iterator[Answer]:
        with contextlib.closing(http.client.HTTPConnection(ADDRESS, self.port, timeout=10)) as connection:
            while True:
                yield _ask_on(connection, "/", method="GET")

    def _new_connection(self) -> Iterator[Answer]:
        while True:
            yield ask(self.port)

    def _posting(self) -> Iterator[Answer]:
        with contextlib.closing(http.client.HTTPConnection(ADDRESS, self.port, timeout=10)) as connection:
            while True:
                yield _ask_on(connection, "/", method="POST")


# --- Envoy ------------------------------------------------------------------------------------------------------


class Stage:
    """A state folder with a real Envoy in front of one service, two replicas a slot unless said otherwise."""

    def __init__(self, *, replicas: int = 2) -> None:
        """Start the replicas and write the files; ``start`` starts Envoy."""
        self.state = Path(tempfile.mkdtemp(prefix="bluegreen-"))
        (self.state / "logs").mkdir()
        self.replicas = {slot: [Replica(slot) for _ in range(replicas)] for slot in Slot}
        self.public, self.blue, self.green = free_ports(3)
        self.plane = self.another_plane()
        self.plane.prepare()
        for slot in Slot:
            self.plane.set_endpoints(SERVICE, slot, [replica.port for replica in self.replicas[slot]])
        self._processes: list[subprocess.Popen[bytes]] = []

    def another_plane(self) -> DataPlane:
        """A data plane over the same files, as another process would have it."""
        previews = ((BLUE, self.blue), (GREEN, self.green))
        front = Front(service=SERVICE, public_port=self.public, preview_ports=previews, health_path="/ready")
        return DataPlane(folder=self.state, admin=self.state / "envoy.sock", fronts=[front])

    def launch(self, *options: str) -> subprocess.Popen[bytes]:
        """Run the launcher once, as supervisord does."""
        line = [sys.executable, "-m", "bluegreen.platforms.local.envoy_run", *options, str(self.state)]
        with (self.state / "logs" / "envoy.log").open("ab") as log:
            process = subprocess.Popen(line, stdout=log, stderr=log, start_new_session=True)
        self._processes.append(process)
        return process

    def start(self) -> Self:
        """Launch Envoy and wait until it serves, and sees every replica as healthy."""
        self.launch()
        self.wait_answering()
        for slot, replicas in self.replicas.items():
            self.wait_healthy(slot, len(replicas))
        return self

    def wait_answering(self) -> None:
        """Wait until Envoy serves; what it said is part of the failure."""
        try:
            eventually(self.plane.answering, "Envoy answers")
        except AssertionError as error:
            said = (self.state / "logs" / "envoy.log").read_text()
            raise AssertionError(f"{error}; it said: {said[-2000:]}") from error

    def wait_healthy(self, slot: Slot, count: int) -> None:
        """Wait until Envoy counts so many healthy replicas in the slot."""
        eventually(lambda: self.counters(slot).healthy == count, f"{count} healthy in {slot}")

    def counters(self, slot: Slot) -> PlaneCounters:
        """The slot's counters now."""
        return next(each for each in self.plane.counters(timeout=5) if each.slot is slot)

    def switch(self, to: Slot, *, fallback: Slot | None = None, plane: DataPlane | None = None) -> None:
        """Write the route from what it is now, and wait until Envoy has it."""
        plane = plane or self.plane
        before = plane.read_route(SERVICE)
        expect = before.version if before.slot is not None else None
        written = plane.write_route(SERVICE, to=to, fallback=fallback, fence=f"to-{to}", expect=expect)
        plane.wait_applied(SERVICE, written.version, clock=CLOCK, until=after(CLOCK.now(), 60))

    def admin(self, path: str) -> str:
        """What the admin API answers, asked by a client that is not ours."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.state / "envoy.sock"))
            connection.sendall(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
            with connection.makefile("rb") as answer:
                return answer.read().decode()

    def close(self) -> None:
        """End everything, and leave nothing behind."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            _wait_or_kill(process)
        clean_up(self.state)
        for replicas in self.replicas.values():
            for replica in replicas:
                replica.close()
        shutil.rmtree(self.state)


def _wait_or_kill(process: subprocess.Popen[bytes]) -> None:
    """An Envoy whose predecessor dies while it takes over from it hears no signal for ten seconds."""
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


@contextlib.contextmanager
def stage(*, replicas: int = 2) -> Iterator[Stage]:
    """A stage with Envoy running, closed whatever happens."""
    made = Stage(replicas=replicas)
    try:
        yield made.start()
    finally:
        made.close()


def shared_memory() -> Sequence[str]:
    """Envoys' segments on this machine."""
    return [name for name in os.listdir("/dev/shm") if name.startswith("envoy_shared_memory")]  # noqa: PTH208


__all__ = [
    "BLUE",
    "CLOCK",
    "GREEN",
    "SERVICE",
    "Answer",
    "Load",
    "Replica",
    "Stage",
    "ask",
    "eventually",
    "living",
    "shared_memory",
    "stage",
]
