"""What users and probes of a good stack are answered, and by whom the answers say they come."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest
from tests.examples.kit import Client, begun_stream, eventually
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

if TYPE_CHECKING:
    from tests.examples.kit import Launcher, Stack

pytestmark = pytest.mark.slow

BLUE = ("blue", "v1")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 200),
        ("/api/work", 200),
        ("/api/slow?seconds=0", 200),
        ("/api/stream?chunks=2&interval=0", 200),
        ("/healthz", 200),
        ("/ready", 200),
        ("/metrics", 200),
        ("/api/slow?seconds=11", 400),
        ("/api/slow?seconds=nan", 400),
        ("/api/stream?chunks=0", 400),
        ("/api/stream?chunks=1000&interval=1", 400),
        ("/api/nothing", 404),
        ("/ws", 404),
    ],
)
def test_every_answer_names_slot_and_version(stack: Stack, path: str, status: int) -> None:
    answer = stack.gateway.ask(path)
    assert (answer.status, answer.who) == (status, BLUE)


@pytest.mark.parametrize("path", ["/api/work", "/api/slow?seconds=0", "/api/stream?chunks=1", "/api/slow?seconds=x"])
def test_an_answer_that_the_backend_took_part_in_names_the_backend_too(stack: Stack, path: str) -> None:
    headers = stack.gateway.ask(path).headers
    assert (headers["x-backend-slot"], headers["x-backend-version"]) == BLUE


def test_an_answer_without_the_backend_does_not_name_it(stack: Stack) -> None:
    assert "x-backend-slot" not in stack.gateway.ask("/").headers


def test_even_bytes_that_are_no_request_are_answered_in_ones_own_name(stack: Stack) -> None:
    with socket.create_connection(("127.0.0.1", stack.gateway.port), timeout=5) as raw, raw.makefile("rb") as lines:
        raw.sendall(b"no request\r\n\r\n")
        answer = lines.read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"x-slot: blue\r\nx-version: v1\r\n" in answer


def test_work_is_done_by_the_backend_for_get_and_post(stack: Stack) -> None:
    got, posted = stack.gateway.ask("/api/work"), stack.gateway.ask("/api/work", method="POST", body=b"12345")
    for answer, received in ((got, 0), (posted, 5)):
        content = json.loads(answer.body)
        assert content["service"] == "gateway"
        assert content["backend"] == {"service": "backend", "slot": "blue", "version": "v1", "received": received}


def test_other_methods_and_too_large_bodies_are_refused(stack: Stack) -> None:
    assert stack.gateway.ask("/api/work", method="DELETE").status == 405
    assert stack.gateway.ask("/api/work", method="POST", body=b"x" * 65_536).status == 200
    assert stack.gateway.ask("/api/work", method="POST", body=b"x" * 65_537).status == 413


def test_a_stream_comes_through_whole_and_says_that_its_connection_ends(stack: Stack) -> None:
    answer = stack.gateway.ask("/api/stream?chunks=4&interval=0.01")
    assert [json.loads(line)["chunk"] for line in answer.body.splitlines()] == [1, 2, 3, 4]
    assert answer.closes


def test_a_stream_comes_line_by_line_and_ends_with_its_client(stack: Stack) -> None:
    with begun_stream(stack.gateway.port, "/api/stream?chunks=2&interval=9"):
        assert stack.gateway.count("alfred_gateway_requests_in_flight") == 1
    eventually(
        lambda: stack.gateway.count("alfred_gateway_requests_in_flight") == 0, "it sees that its client left", limit=5
    )
    eventually(
        lambda: stack.backend.count("alfred_backend_requests_in_flight") == 0, "the backend is let go, too", limit=5
    )


def test_ordinary_connections_are_kept(stack: Stack) -> None:
    with Client(stack.gateway.port) as client:
        assert not any(client.ask("/api/work").closes for _ in range(3))
        assert client.connected


def test_small_answers_do_not_wait_for_each_others_acknowledgement(stack: Stack) -> None:
    with Client(stack.gateway.port) as client:
        took = [client.ask("/api/work").seconds for _ in range(21)]
    # A busy machine slows down some of them, the algorithm every one but the first.
    assert min(took[5:]) < 0.035, "40 ms and more: Nagle's algorithm is on, at the gateway or the backend"


def test_a_websocket_is_answered_in_slot_and_version(stack: Stack) -> None:
    with connect(f"ws://127.0.0.1:{stack.gateway.port}/ws") as websocket:
        assert websocket.response is not None
        assert websocket.response.headers["x-slot"] == "blue"
        for sent in ("hello", "and ünïcode"):
            websocket.send(sent)
            assert json.loads(websocket.recv()) == {"echo": sent, "slot": "blue", "version": "v1"}
        assert stack.gateway.count("alfred_gateway_websockets_open") == 1
    eventually(lambda: stack.gateway.count("alfred_gateway_websockets_open") == 0, "the WebSocket is gone")


def test_a_websocket_elsewhere_is_refused_in_ones_own_name(stack: Stack) -> None:
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{stack.gateway.port}/elsewhere")
    assert refused.value.response.status_code == 404
    assert refused.value.response.headers["x-slot"] == "blue"


def test_a_backend_of_another_slot_is_not_hidden(launch: Launcher) -> None:
    backend = launch.service("backend", SLOT="green", VERSION="v2")
    answer = launch.gateway(backend).ask("/api/work")
    assert answer.who == BLUE
    assert (answer.headers["x-backend-slot"], answer.headers["x-backend-version"]) == ("green", "v2")


def test_without_its_backend_a_gateway_lives_is_not_ready_and_says_502(launch: Launcher) -> None:
    stack = launch.stack()
    stack.backend.stop()
    answer = stack.gateway.ask("/api/work")
    assert (answer.status, answer.who) == (502, BLUE)
    assert "x-backend-slot" not in answer.headers
    assert stack.gateway.ask("/healthz").status == 200
    eventually(lambda: stack.gateway.ask("/ready").status == 503, "it is no longer ready")


def test_a_taken_port_is_told_in_one_line(stack: Stack, launch: Launcher) -> None:
    second = launch.service("backend", PORT=str(stack.backend.port))
    assert second.exit_status() == 2
    assert second.log.splitlines() == [
        f"alfred: cannot listen on 127.0.0.1:{stack.backend.port}: Address already in use; give another HOST or PORT"
    ]
