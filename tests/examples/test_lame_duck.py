"""The graceful end: nobody loses a request, and every connection is told that it ends."""

from __future__ import annotations

import signal
import struct
import threading
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from tests.examples.kit import END_LIMIT, Client, RawWebSocket, eventually
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor
    from typing import NoReturn

    from tests.examples.kit import Answer, Launcher, Running
    from websockets.sync.client import ClientConnection

pytestmark = pytest.mark.slow

GAP = 0.05
"""Seconds between two requests of a client."""


class Steady:
    """A client that asks every 50 ms over one connection, and goes where the traffic goes when it is told to leave."""

    def __init__(self, *, here: Running, there: Running, method: str) -> None:
        self._method = method
        self._client = Client(here.port)
        self._there = there.port
        self.answers: list[Answer] = []

    def run(self, until: threading.Event) -> None:
        """Ask until the event. Raises at the first request that is lost."""
        due = time.monotonic()
        while not until.wait(max(0.0, due - time.monotonic())):
            due += GAP
            answer = self._client.ask("/api/work", method=self._method, body=b"{}")
            self.answers.append(answer)
            if answer.closes:
                self._client.close()
                self._client = Client(self._there)

    def close(self) -> None:
        self._client.close()


def talk_on(websocket: ClientConnection) -> NoReturn:
    """Send and receive until it ends, which raises."""
    while True:
        websocket.send("again")
        websocket.recv()


def test_kept_alive_clients_lose_nothing_and_are_told(launch: Launcher, background: ThreadPoolExecutor) -> None:
    backend = launch.service("backend")
    blue = launch.gateway(backend, LAME_DUCK_SECONDS="3")  # in which each client asks, on a busy machine as well
    green = launch.gateway(backend, SLOT="green", VERSION="v2")
    over = threading.Event()
    with ExitStack() as ending:
        ending.callback(over.set)
        clients = [Steady(here=blue, there=green, method=method) for method in ["GET", "POST"] * 4]
        for client in clients:
            ending.callback(client.close)
        runs = [background.submit(client.run, over) for client in clients]
        eventually(lambda: all(len(client.answers) >= 5 for client in clients), "all clients ask steadily")
        blue.terminate()
        assert blue.exit_status() == 0
        over.set()
        for run in runs:
            run.result(END_LIMIT)
    for client in clients:
        assert {answer.status for answer in client.answers} == {200}
        blues = [answer for answer in client.answers if answer.who == ("blue", "v1")]
        assert [answer.closes for answer in blues] == [False] * (len(blues) - 1) + [True]
        assert client.answers[len(blues) :], "it went on in the other slot"


def test_while_leaving_it_lives_and_works_and_is_not_ready(launch: Launcher) -> None:
    stack = launch.stack(LAME_DUCK_SECONDS="20")
    stack.gateway.terminate()
    assert stack.gateway.ask("/api/slow?seconds=0.5").status == 200, "this keeps the rest from coming too early"
    answers = [stack.gateway.ask(path) for path in ("/healthz", "/ready", "/api/work", "/nothing", "/metrics")]
    assert [answer.status for answer in answers] == [200, 503, 200, 404, 200]
    assert all(answer.closes for answer in answers)


def test_a_leaving_backend_is_not_healthy_and_works(launch: Launcher) -> None:
    backend = launch.service("backend", LAME_DUCK_SECONDS="20")
    assert backend.ask("/health").status == 200
    backend.terminate()
    assert [backend.ask(path).status for path in ("/health", "/api/work")] == [503, 200]


@pytest.mark.parametrize("path", ["/api/slow?seconds=4", "/api/stream?chunks=5&interval=1"])
def test_what_is_in_flight_is_finished(launch: Launcher, background: ThreadPoolExecutor, path: str) -> None:
    gateway = launch.stack(LAME_DUCK_SECONDS="0.2").gateway
    under_way = background.submit(gateway.ask, path)
    gateway.wait_for_requests(1)
    gateway.terminate()
    answer = under_way.result(END_LIMIT)
    assert (answer.status, answer.closes) == (200, True)
    assert answer.seconds > 1, "it outlasted the lame duck"
    assert gateway.exit_status() == 0


def test_a_websocket_under_steady_use_is_told_to_come_again(launch: Launcher) -> None:
    gateway = launch.stack(LAME_DUCK_SECONDS="0.3").gateway
    with connect(f"ws://127.0.0.1:{gateway.port}/ws") as websocket:
        websocket.send("first")
        websocket.recv()
        gateway.terminate()
        with pytest.raises(ConnectionClosed) as closed:
            talk_on(websocket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert gateway.exit_status() == 0


def test_a_silent_websocket_is_told_too(launch: Launcher) -> None:
    gateway = launch.stack(LAME_DUCK_SECONDS="0").gateway
    with connect(f"ws://127.0.0.1:{gateway.port}/ws") as websocket:
        gateway.terminate()
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(timeout=10)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1012
    assert gateway.exit_status() == 0


def test_a_websocket_is_open_until_its_client_has_answered_the_close(launch: Launcher) -> None:
    gateway = launch.stack(LAME_DUCK_SECONDS="0").gateway
    with RawWebSocket(gateway.port) as websocket:
        gateway.terminate()
        close = websocket.receive()
        assert (close[0], struct.unpack("!H", close[2:4])) == (0x88, (1012,))
        with pytest.raises(TimeoutError):
            websocket.receive(limit=0.2)
        websocket.send_close(1012)
        assert websocket.receive() == b""
    assert gateway.exit_status() == 0


def test_a_websocket_client_that_reads_nothing_holds_up_nobody(launch: Launcher) -> None:
    gateway = launch.stack(LAME_DUCK_SECONDS="0").gateway
    with RawWebSocket(gateway.port) as clogged, RawWebSocket(gateway.port) as other:
        clogged.clog()
        gateway.terminate()
        assert other.receive()[2:4] == struct.pack("!H", 1012)
        assert gateway.exit_status(limit=10) == 0


def test_an_idle_connection_is_closed_at_the_end(launch: Launcher) -> None:
    gateway = launch.stack(LAME_DUCK_SECONDS="0.2").gateway
    with Client(gateway.port) as client:
        client.ask("/api/work")
        gateway.terminate()
        assert client.closed_by_server()
    assert gateway.exit_status() == 0


@pytest.mark.parametrize("second", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_it_sooner_and_as_gracefully(
    launch: Launcher, background: ThreadPoolExecutor, second: signal.Signals
) -> None:
    gateway = launch.stack(LAME_DUCK_SECONDS="50").gateway
    under_way: Future[Answer] = background.submit(gateway.ask, "/api/slow?seconds=3")
    gateway.wait_for_requests(1)
    gateway.terminate()
    gateway.process.send_signal(second)
    assert under_way.result(END_LIMIT).status == 200
    assert gateway.exit_status() == 0


def test_a_signal_before_the_first_request_ends_it_too(launch: Launcher) -> None:
    backend = launch.service("backend", LAME_DUCK_SECONDS="0")
    assert backend.port
    backend.terminate()
    assert backend.exit_status() == 0
