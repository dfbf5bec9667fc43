"""What the tests of the example share: processes that are waited for, and clients that repeat nothing."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import ExitStack

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "alfred"
START_LIMIT = 20.0
END_LIMIT = 20.0
"""Seconds; far above what it takes, for machines that are busy with something else."""


def eventually(condition: Callable[[], bool], what: str, *, limit: float = START_LIMIT) -> None:
    """Wait until ``condition`` holds; fails the test after ``limit`` seconds and says what was waited for."""
    deadline = time.monotonic() + limit
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {limit:g} s still not: {what}")
        time.sleep(0.01)


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer."""

    status: int
    headers: Mapping[str, str]
    """Names in small letters."""
    body: str
    seconds: float

    @property
    def who(self) -> tuple[str, str]:
        return self.headers["x-slot"], self.headers["x-version"]

    @property
    def closes(self) -> bool:
        return self.headers.get("connection") == "close"


class Client:
    """One connection that is kept until the server announces its end, and then opened again, openly.

    A connection that ends without a word, or an answer that is cut short, raises.
    """

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=START_LIMIT)
        self._connection.auto_open = 0

    @property
    def connected(self) -> bool:
        return self._connection.sock is not None

    def ask(self, path: str, *, method: str = "GET", body: bytes | None = None) -> Answer:
        began = time.perf_counter()
        if not self.connected:
            self._connection.connect()
        self._connection.request(method, path, body=body)
        response = self._connection.getresponse()
        text = response.read().decode()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, text, time.perf_counter() - began)

    def closed_by_server(self) -> bool:
        """Whether the server ends this idle connection; waits for it."""
        return self.connected and self._connection.sock.recv(1) == b""

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextlib.contextmanager
def begun_stream(port: int, path: str) -> Iterator[BinaryIO]:
    """A stream whose first line has come; the rest can be read, and leaving ends its connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=START_LIMIT) as raw, raw.makefile("rb") as lines:
        raw.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        while b'"chunk": 1' not in lines.readline():
            pass
        yield lines


class RawWebSocket:
    """A WebSocket client that plays only the part of the protocol that the test tells it to."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=START_LIMIT)
        self._socket.sendall(
            b"GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self._socket.recv(1)
        assert head.startswith(b"HTTP/1.1 101 ")

    def send_text(self, text: bytes) -> None:
        """A text of 126 to 65535 bytes, masked with zeros, which leave it as it is."""
        self._socket.sendall(b"\x81\xfe" + struct.pack("!H", len(text)) + bytes(4) + text)

    def send_close(self, code: int) -> None:
        self._socket.sendall(b"\x88\x82" + bytes(4) + struct.pack("!H", code))

    def receive(self, *, limit: float = START_LIMIT) -> bytes:
        """What comes next; empty at the end. Raises TimeoutError if nothing does."""
        self._socket.settimeout(limit)
        return self._socket.recv(65_536)

    def clog(self) -> None:
        """Send and never read, until the server can neither send nor receive."""
        self._socket.settimeout(0.5)
        with contextlib.suppress(TimeoutError):
            while True:
                self.send_text(b"x" * 65_535)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


class Running:
    """A started service."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self._log = log
        with log.open("wb") as stream:
            self.process = subprocess.Popen(command, env={**os.environ, **env}, stderr=stream, stdout=stream)

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def port(self) -> int:
        """The port it listens on, of those that were free; waits for it."""
        eventually(lambda: self._listens() is not None or self.process.poll() is not None, "it listens")
        port = self._listens()
        assert port is not None, f"it ended instead: {self.log}"
        return port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, *, method: str = "GET", body: bytes | None = None) -> Answer:
        """Over a connection of its own."""
        with Client(self.port) as client:
            return client.ask(path, method=method, body=body)

    def count(self, name: str, **labels: str) -> float:
        """The value of one series now."""
        return self.counts()[name, tuple(sorted(labels.items()))]

    def by_status(self, name: str = "alfred_gateway_requests_total") -> dict[str, float]:
        """What it has answered, all methods together."""
        found: dict[str, float] = {}
        for (series, labels), value in self.counts().items():
            if series == name:
                status = dict(labels)["status"]
                found[status] = found.get(status, 0.0) + value
        return found

    def counts(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """All series now, by name and labels."""
        families = text_string_to_metric_families(self.ask("/metrics").body)
        samples = [sample for family in families for sample in family.samples]
        return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for sample in samples}

    def wait_for_requests(self, number: int) -> None:
        """Wait until the gateway is answering that many requests, no more and no less."""
        name = "alfred_gateway_requests_in_flight"
        eventually(lambda: self.count(name) == number, f"{number} requests are in flight")

    def terminate(self) -> None:
        """Send SIGTERM and wait until it has been noticed."""
        self.process.send_signal(signal.SIGTERM)
        eventually(lambda: "was told to go" in self.log, "it says that it was told to go")

    def exit_status(self, *, limit: float = END_LIMIT) -> int:
        """Wait for its end."""
        return self.process.wait(limit)

    def stop(self) -> None:
        """Kill it if it lives. Whatever was done to it, it must not have been surprised."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(END_LIMIT)
        assert "Traceback" not in self.log, self.log

    def _listens(self) -> int | None:
        found = re.search(r"listens on http://127\.0\.0\.1:(\d+)\n", self.log)
        return int(found[1]) if found else None


@dataclass(frozen=True, slots=True)
class Stack:
    backend: Running
    gateway: Running


class Launcher:
    """Starts services on free ports, with a short lame duck unless told."""

    def __init__(self, logs: Path, ending: ExitStack) -> None:
        self._logs = logs
        self._ending = ending
        self._started = 0

    def run(self, command: Sequence[str], env: Mapping[str, str]) -> Running:
        self._started += 1
        running = Running(command, env, self._logs / f"{self._started}.log")
        self._ending.callback(running.stop)
        return running

    def service(self, service: str, **env: str) -> Running:
        """Start one and do not wait for it."""
        usual = {"PORT": "0", "SLOT": "blue", "VERSION": "v1", "LAME_DUCK_SECONDS": "0.3", "ALFRED_FAULT": ""}
        command = [sys.executable, "-m", f"alfred.{service}"]
        return self.run(command, {"PYTHONPATH": str(EXAMPLE), **usual, **env})

    def gateway(self, backend: Running, **env: str) -> Running:
        return self.service("gateway", BACKEND_URL=backend.url, **env)

    def stack(self, **env: str) -> Stack:
        """A gateway with a good backend; ``env`` is the gateway's. Waits until it is ready."""
        backend = self.service("backend")
        gateway = self.gateway(backend, **env)
        eventually(lambda: gateway.ask("/ready").status == 200, "the gateway is ready")
        return Stack(backend, gateway)
