"""The generator counts exactly what a server did on purpose, and a second, independent client counts the same."""

from __future__ import annotations

import random
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import pytest
from tests.load.misbehaving import IDLE_DEEDS, Deed, Handshake, Server, WsDeed
from tests.load.simple_client import HttpWitness, WebSocketWitness

from bluegreen.load import Break, Kind, KindPlan, LoadPlan, LoadResult, run

if TYPE_CHECKING:
    from collections.abc import Iterable

TIME_LIMIT = 1.0
RATE = 25.0
"""Of requests on a kept connection: 40 ms in which a server's end of it is seen, also on a busy machine."""

CAUSES = {
    Deed.RIGHT: "none",
    Deed.RIGHT_CHUNKED: "none",
    Deed.ANNOUNCED_CLOSE: "none",
    Deed.CLOSE_WHEN_IDLE: "none",
    Deed.RESET_WHEN_IDLE: "none",
    Deed.RESET_AT_ONCE: "reset_before_first_byte",
    Deed.CLOSE_AT_ONCE: "reset_before_first_byte",
    Deed.HALF_HEAD: "truncated",
    Deed.SHORT_BODY: "truncated",
    Deed.SHORT_CHUNKS: "truncated",
    Deed.NO_LENGTH: "truncated",
    Deed.RESET_IN_HEAD: "reset_after_first_byte",
    Deed.RESET_IN_BODY: "reset_after_first_byte",
    Deed.STATUS_500: "wrong_status",
    Deed.ERROR_PAGE: "wrong_body",
    Deed.GARBAGE: "malformed",
    Deed.HANG: "timeout",
    Deed.HANG_IN_BODY: "timeout",
}
"""What a client that keeps its eyes open must say of each deed."""

WS_CAUSES = {
    WsDeed.ECHO: "none",
    WsDeed.WRONG_ECHO: "wrong_body",
    WsDeed.CLOSE_1001: "ws_closed 1001",
    WsDeed.CLOSE_1011: "ws_closed 1011",
    WsDeed.CLOSE_1012: "ws_closed 1012",
    WsDeed.DROP: "ws_closed 1006",
    WsDeed.ECHO_THEN_1011: "none",
    WsDeed.ECHO_THEN_1012: "none",
    WsDeed.ECHO_THEN_DROP: "none",
}
LOST_BETWEEN = {WsDeed.ECHO_THEN_1011: "ws_closed 1011", WsDeed.ECHO_THEN_DROP: "ws_closed 1006"}


SEED = 4
Done = TypeVar("Done", Deed, WsDeed)


def script_of(deeds: Iterable[Done], *, times: int) -> list[Done]:
    """Every deed that often, in an order that is random and the same each time."""
    script = [deed for deed in deeds for _ in range(times)]
    random.Random(SEED).shuffle(script)
    return script


def plan_for(server: Server, kind: Kind, *, connections: int, requests: int, rate: float) -> LoadPlan:
    plan = KindPlan(
        kind=kind,
        rate=rate,
        connections=connections,
        path="/",
        timeout=TIME_LIMIT,
        contains="right" * (kind != "websocket"),
    )
    return LoadPlan(url=server.url, duration=requests / rate, kinds=(plan,))


def counted(result: LoadResult) -> Counter[str]:
    """How often each cause was met, close codes apart."""
    return Counter(f"{record.cause} {record.code or ''}".strip() for record in result.records)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Kind.KEEPALIVE, Kind.POST, Kind.STREAM, Kind.SLOW])
def test_each_fault_on_a_kept_connection_is_counted_once_by_cause(kind: Kind) -> None:
    script = script_of(CAUSES, times=2)
    stale = sum(deed in IDLE_DEEDS for deed in script)
    hanging = sum(deed in (Deed.HANG, Deed.HANG_IN_BODY) for deed in script) * TIME_LIMIT
    requests = len(script) + stale + 30 + round(hanging * RATE)  # meanwhile others are asked on a second connection
    with Server(script) as server, Server(script) as twin:
        witness = HttpWitness(twin.port, keep=True, contains=b"right", timeout=TIME_LIMIT, post=kind is Kind.POST)
        with ThreadPoolExecutor() as pool:
            other = pool.submit(witness.ask, requests)
            result = run(plan_for(server, kind, connections=1, requests=requests, rate=RATE))
        witnessed = other.result()
    assert not server.script, "the run was too short for the script"
    expected = Counter(CAUSES[deed] for deed in script) + Counter({"reset_before_first_byte": stale})
    expected["none"] += requests - expected.total()
    assert counted(result) == expected
    assert witnessed == expected
    assert server.requests == requests - stale, "a request more is a repeated one"
    assert result.columns.total == requests
    assert result.columns.failed == requests - expected["none"]
    assert result.columns.ok == expected["none"]
    connections = result.run.connections[kind]
    assert (connections.broke_idle, connections.announced) == (stale, 2)


@pytest.mark.slow
def test_each_fault_on_new_connections_is_counted_once_by_cause() -> None:
    deeds = {deed: cause for deed, cause in CAUSES.items() if deed not in IDLE_DEEDS}
    script = script_of(deeds, times=2)
    with Server(script) as server, Server(script) as twin:
        witness = HttpWitness(twin.port, keep=False, contains=b"right", timeout=TIME_LIMIT)
        with ThreadPoolExecutor() as pool:
            other = pool.submit(witness.ask, len(script))
            result = run(plan_for(server, Kind.NEW, connections=0, requests=len(script), rate=50.0))
        witnessed = other.result()
    expected = Counter(CAUSES[deed] for deed in script)
    assert counted(result) == witnessed == expected
    assert server.connections == len(script), "a connection more than requests is a repeated request"
    assert result.tables.breaks == {
        Break.FRESH_EOF: sum(
            server.done[deed] for deed in ("close_at_once", "half_head", "short_body", "short_chunks", "no_length")
        ),
        Break.FRESH_RESET: sum(server.done[deed] for deed in ("reset_at_once", "reset_in_head", "reset_in_body")),
        Break.STALE_EOF: 0,
        Break.STALE_RESET: 0,
    }


@pytest.mark.slow
def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next_one() -> None:
    with Server([Deed.RIGHT_TWICE]) as server:
        result = run(plan_for(server, Kind.KEEPALIVE, connections=1, requests=6, rate=20.0))
    assert counted(result) == {"none": 5, "malformed": 1}


@pytest.mark.slow
def test_each_end_of_a_websocket_is_counted_once_by_code() -> None:
    script = script_of(WS_CAUSES, times=2)
    messages = len(script) + 8
    with Server(script, always=WsDeed.ECHO) as server, Server(script, always=WsDeed.ECHO) as twin:
        result = run(plan_for(server, Kind.WEBSOCKET, connections=1, requests=messages, rate=40.0))
        witness = WebSocketWitness(twin.port, timeout=TIME_LIMIT)
        lost = Counter(LOST_BETWEEN[deed] for deed in script if deed in LOST_BETWEEN)
        witness.ask_until(messages + lost.total())
    assert not server.script, "the run was too short for the script"
    expected = Counter(WS_CAUSES[deed] for deed in script) + lost
    expected["none"] += messages + lost.total() - expected.total()
    assert witness.totals == expected
    assert counted(result) == _with_overtaken(expected, server)
    moved = sum(deed in (WsDeed.CLOSE_1001, WsDeed.CLOSE_1012, WsDeed.ECHO_THEN_1012) for deed in script)
    assert result.run.connections[Kind.WEBSOCKET].moved == witness.moved == moved
    assert result.run.connections[Kind.WEBSOCKET].closed_by_code == {1006: 4, 1011: 4}
    assert result.columns.failed == sum(
        count for cause, count in counted(result).items() if cause in ("wrong_body", "ws_closed 1006", "ws_closed 1011")
    )
    assert result.columns.moved == result.columns.total - result.columns.failed - result.columns.ok


def _with_overtaken(expected: Counter[str], server: Server) -> Counter[str]:
    """What changes when this machine stood still and a message was sent to a socket that was just ending."""
    changed = Counter(expected)
    for deed, messages in server.overtaken.items():
        changed[_END[deed]] += messages
        changed["none"] -= messages
    return changed


_END = {
    WsDeed.CLOSE_1001: "ws_closed 1001",
    WsDeed.CLOSE_1011: "ws_closed 1011",
    WsDeed.CLOSE_1012: "ws_closed 1012",
    WsDeed.DROP: "ws_closed 1006",
    WsDeed.ECHO_THEN_1011: "ws_closed 1011",
    WsDeed.ECHO_THEN_1012: "ws_closed 1012",
    WsDeed.ECHO_THEN_DROP: "ws_closed 1006",
}


@pytest.mark.slow
def test_each_refusal_of_a_websocket_is_counted_once() -> None:
    handshakes = list(Handshake)
    messages = len(handshakes) + 4
    with (
        Server(always=WsDeed.ECHO, handshakes=handshakes[1:]) as server,
        Server(always=WsDeed.ECHO, handshakes=handshakes[1:]) as twin,
    ):
        result = run(plan_for(server, Kind.WEBSOCKET, connections=1, requests=messages, rate=25.0))
        witness = WebSocketWitness(twin.port, timeout=TIME_LIMIT)
        witness.ask_until(messages)
    assert witness.totals["wrong_status"] == 1
    assert witness.totals["timeout"] == 1
    assert counted(result) == witness.totals


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Kind.NEW, Kind.KEEPALIVE, Kind.WEBSOCKET])
def test_a_closed_port_is_connect_refused_each_time(kind: Kind) -> None:
    with Server() as server:
        pass
    connections = int(kind is not Kind.NEW)
    result = run(plan_for(server, kind, connections=connections, requests=30, rate=100.0))
    assert counted(result) == {"connect_refused": 30}
    if kind is Kind.WEBSOCKET:
        witness = WebSocketWitness(server.port, timeout=TIME_LIMIT)
        witness.ask_until(30)
        assert witness.totals == {"connect_refused": 30}
    else:
        assert HttpWitness(server.port, keep=False, contains=b"", timeout=TIME_LIMIT).ask(30) == {"connect_refused": 30}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [Kind.NEW, Kind.WEBSOCKET])
def test_a_listener_that_takes_no_more_is_connect_timeout(kind: Kind) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = _fill(port)
        try:
            connections = int(kind is Kind.WEBSOCKET)
            plan = KindPlan(kind=kind, rate=50.0, connections=connections, timeout=TIME_LIMIT)
            result = run(LoadPlan(url=f"http://127.0.0.1:{port}/", duration=0.1, kinds=(plan,)))
        finally:
            for sock in waiting:
                sock.close()
    assert counted(result) == {"connect_timeout": 5}


def _fill(port: int) -> list[socket.socket]:
    """Connect until the listener's queue is full, which a connect that hangs shows."""
    waiting: list[socket.socket] = []
    for _ in range(64):
        sock = socket.socket()
        waiting.append(sock)
        sock.settimeout(0.1)
        try:
            sock.connect(("127.0.0.1", port))
        except TimeoutError:
            return waiting
    raise AssertionError("a listener with a queue of 0 took 64 connections")
