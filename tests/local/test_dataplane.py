"""Routes through a real Envoy: what users see while they are switched, and what is counted."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
from tests.local.dataplane_kit import BLUE, CLOCK, GREEN, SERVICE, Load, Stage, ask, eventually, stage

from bluegreen.domain.errors import PlatformError
from bluegreen.domain.stack import after
from bluegreen.platforms.local.dataplane import RouteConflict
from bluegreen.platforms.local.envoy import ADDRESS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bluegreen.domain.stack import Slot

pytestmark = [pytest.mark.local, pytest.mark.slow]


@pytest.fixture
def envoy() -> Iterator[Stage]:
    with stage() as made:
        yield made


def test_before_the_first_route_users_are_told_and_previews_answer(envoy: Stage) -> None:
    assert ask(envoy.public).status == 503
    assert "no slot is active" in ask(envoy.public).body
    assert envoy.plane.read_route(SERVICE).slot is None
    for port, slot in ((envoy.blue, BLUE), (envoy.green, GREEN)):
        answers = [ask(port) for _ in range(6)]
        assert {(answer.status, answer.slot, answer.body.split()[0]) for answer in answers} == {(200, slot, slot)}


@pytest.mark.parametrize("with_fallback", [False, True], ids=["plain", "aggregate"])
def test_twenty_switches_under_load_lose_nothing(envoy: Stage, with_fallback: bool) -> None:  # noqa: FBT001
    envoy.switch(BLUE)
    with Load(envoy.public) as load:
        for to in [GREEN, BLUE] * 10:
            envoy.switch(to, fallback=to.other if with_fallback else None)
            load.more(30)
    assert load.failed == []
    assert load.answers[BLUE] > 100
    assert load.answers[GREEN] > 100


def test_after_the_switch_is_applied_no_request_goes_to_the_old_slot(envoy: Stage) -> None:
    envoy.switch(BLUE)
    for to in [GREEN, BLUE] * 5:
        envoy.switch(to, fallback=to.other)
        before = envoy.counters(to.other).requests
        assert {ask(envoy.public).slot for _ in range(10)} == {to}
        assert envoy.counters(to.other).requests == before


def test_a_route_that_somebody_else_changed_is_not_overwritten(envoy: Stage) -> None:
    envoy.switch(BLUE)
    judged = envoy.plane.read_route(SERVICE)
    envoy.switch(GREEN, plane=envoy.another_plane())
    with pytest.raises(RouteConflict) as conflict:
        envoy.plane.write_route(SERVICE, to=BLUE, fallback=None, fence="late", expect=judged.version)
    assert conflict.value.found == envoy.plane.read_route(SERVICE)
    assert conflict.value.found.slot is GREEN
    with pytest.raises(RouteConflict):
        envoy.plane.write_route(SERVICE, to=BLUE, fallback=None, fence="first", expect=None)
    assert ask(envoy.public).slot is not None
    assert ask(envoy.public).slot == GREEN


def test_of_writers_at_the_same_time_exactly_one_wins(envoy: Stage) -> None:
    envoy.switch(BLUE)
    judged = envoy.plane.read_route(SERVICE)

    def write(number: int) -> bool:
        plane = envoy.another_plane()
        try:
            plane.write_route(SERVICE, to=GREEN, fallback=None, fence=f"w{number}", expect=judged.version)
        except RouteConflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(8))) == 1


def test_a_request_under_way_is_finished_by_the_old_slot_and_seen_until_then(envoy: Stage) -> None:
    envoy.switch(BLUE)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(ask, envoy.public, "/hold", timeout=20)
        eventually(lambda: envoy.counters(BLUE).in_flight == 1, "one request in flight")
        envoy.switch(GREEN, fallback=BLUE)
        assert ask(envoy.public).slot == GREEN
        assert envoy.counters(BLUE).in_flight == 1
        for replica in envoy.replicas[BLUE]:
            replica.let_go()
        assert slow.result(20).slot == BLUE
    eventually(lambda: envoy.counters(BLUE).in_flight == 0, "blue is drained")


def test_a_preview_request_is_in_flight_but_no_users_request(envoy: Stage) -> None:
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(ask, envoy.blue, "/hold", timeout=20)
        eventually(lambda: envoy.counters(BLUE).in_flight == 1, "one request in flight")
        for replica in envoy.replicas[BLUE]:
            replica.let_go()
        assert slow.result(20).slot == BLUE
    assert envoy.counters(BLUE).requests == 0


def test_a_stream_survives_switches_and_the_removal_of_its_replica(envoy: Stage) -> None:
    envoy.switch(BLUE)
    with ThreadPoolExecutor(1) as pool:
        stream = pool.submit(ask, envoy.public, "/stream", timeout=20)
        eventually(lambda: envoy.counters(BLUE).in_flight == 1, "the stream is open")
        envoy.switch(GREEN, fallback=BLUE)
        envoy.plane.set_endpoints(SERVICE, BLUE, ())
        eventually(lambda: envoy.counters(BLUE).members == 0, "blue is empty")
        for replica in envoy.replicas[BLUE]:
            replica.let_go()
        answer = stream.result(20)
    assert (answer.slot, answer.body) == (BLUE, "blueblue")


def test_a_websocket_stays_where_it_is_and_new_ones_go_to_the_new_slot(envoy: Stage) -> None:
    envoy.switch(BLUE)
    with _websocket(envoy.public) as old:
        assert _echo(old) == b"blue:hello"
        envoy.switch(GREEN, fallback=BLUE)
        with _websocket(envoy.public) as new:
            assert _echo(new) == b"green:hello"
            assert _echo(old) == b"blue:hello"
            assert envoy.counters(BLUE).in_flight == envoy.counters(GREEN).in_flight == 1
    eventually(lambda: envoy.counters(BLUE).in_flight == 0, "the WebSocket's end is seen")


def _websocket(port: int) -> socket.socket:
    opened = socket.create_connection((ADDRESS, port), timeout=10)
    opened.sendall(b"GET /socket HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += opened.recv(1)
    assert head.startswith(b"HTTP/1.1 101"), head
    return opened


def _echo(opened: socket.socket) -> bytes:
    opened.sendall(b"hello")
    return opened.recv(100)


@pytest.mark.parametrize("fallback", [None, GREEN], ids=["plain", "aggregate"])
def test_a_forged_slot_header_is_replaced(envoy: Stage, fallback: Slot | None) -> None:
    envoy.switch(BLUE, fallback=fallback)
    assert ask(envoy.public, "/forged").slot == BLUE


def test_when_the_new_slot_dies_users_fall_back_and_the_old_slot_counts_them(envoy: Stage) -> None:
    envoy.switch(BLUE)
    envoy.switch(GREEN, fallback=BLUE)
    before = envoy.counters(BLUE).requests
    with Load(envoy.public) as load:
        load.more(50)
        assert envoy.counters(BLUE).requests == before
        for replica in envoy.replicas[GREEN]:
            replica.die()
        eventually(lambda: load.answers[BLUE] > 50, "users are answered by blue")
    assert len(load.failed) <= 6, load.failed  # the requests that were on a connection when it was reset
    assert envoy.counters(BLUE).requests - before >= load.answers[BLUE]


def test_when_one_of_two_replicas_dies_its_twin_takes_all(envoy: Stage) -> None:
    envoy.switch(BLUE)
    envoy.switch(GREEN, fallback=BLUE)
    before = envoy.counters(BLUE).requests
    with Load(envoy.public) as load:
        load.more(50)
        envoy.replicas[GREEN][0].die()
        load.more(200)
        envoy.wait_healthy(GREEN, 1)
        load.more(50)
    assert len(load.failed) <= 3, load.failed
    assert envoy.counters(BLUE).requests == before


TIMES = 15
"""By chance, one in five would have been sent to the other slot."""


def test_a_busy_twin_takes_the_first_requests_after_a_death_too() -> None:
    """The dead one has the fewest requests of all, so the balancing prefers it."""
    for _ in range(TIMES):
        with stage() as envoy, ThreadPoolExecutor(6) as pool:
            dead, twin = envoy.replicas[GREEN]
            envoy.plane.set_endpoints(SERVICE, GREEN, [twin.port])
            envoy.wait_healthy(GREEN, 1)
            envoy.switch(BLUE)
            envoy.switch(GREEN, fallback=BLUE)
            under_way = [pool.submit(ask, envoy.public, "/hold", timeout=60) for _ in range(6)]
            assert all(twin.held.acquire(timeout=30) for _ in under_way)
            envoy.plane.set_endpoints(SERVICE, GREEN, [dead.port, twin.port])
            envoy.wait_healthy(GREEN, 2)
            dead.die()
            assert {ask(envoy.public).slot for _ in range(4)} == {GREEN}
            twin.let_go()
            assert {each.result().slot for each in under_way} == {GREEN}


def test_half_a_second_in_which_a_slot_accepts_nobody_sends_nobody_to_the_old_one(envoy: Stage) -> None:
    envoy.switch(BLUE)
    envoy.switch(GREEN, fallback=BLUE)
    before = envoy.counters(BLUE).requests
    for replica in envoy.replicas[GREEN]:
        replica.pause(0.5)
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: ask(envoy.public), range(20)))
    assert {(answer.status, answer.slot) for answer in answers} == {(200, GREEN)}
    assert envoy.counters(BLUE).requests == before


def test_a_slot_that_answers_500_is_left_for_the_old_one_and_stays_out(envoy: Stage) -> None:
    envoy.switch(BLUE)
    envoy.switch(GREEN, fallback=BLUE)
    for replica in envoy.replicas[GREEN]:
        replica.status = 500
    eventually(lambda: ask(envoy.public).slot == BLUE, "both replicas of green are ejected")
    assert {ask(envoy.public).slot for _ in range(10)} == {BLUE}
    assert envoy.counters(GREEN).healthy == 0
    assert ask(envoy.green).status == 500  # the slot's own address shows what it really says


def test_without_a_fallback_a_slot_that_fails_its_checks_is_tried_anyhow(envoy: Stage) -> None:
    envoy.switch(BLUE)
    for replica in envoy.replicas[BLUE]:
        replica.ready = False
    envoy.wait_healthy(BLUE, 0)
    assert {ask(envoy.public).status for _ in range(10)} == {200}


def test_with_a_fallback_a_slot_that_fails_its_checks_is_not_tried(envoy: Stage) -> None:
    envoy.switch(BLUE)
    envoy.switch(GREEN, fallback=BLUE)
    for replica in envoy.replicas[GREEN]:
        replica.ready = False
    envoy.wait_healthy(GREEN, 0)
    assert {ask(envoy.public).slot for _ in range(10)} == {BLUE}


def test_an_empty_slot_is_counted_as_empty_and_falls_back(envoy: Stage) -> None:
    envoy.plane.set_endpoints(SERVICE, GREEN, ())
    eventually(lambda: envoy.counters(GREEN).members == 0, "green is empty")
    assert envoy.plane.endpoints(SERVICE, GREEN) == ()
    envoy.switch(GREEN, fallback=BLUE)
    assert ask(envoy.public).slot == BLUE


def test_new_ports_are_taken_and_the_old_ones_left(envoy: Stage) -> None:
    envoy.switch(BLUE)
    only = envoy.replicas[BLUE][1].port
    envoy.plane.set_endpoints(SERVICE, BLUE, [only])
    eventually(lambda: envoy.counters(BLUE).members == 1, "one replica is left")
    assert {ask(envoy.public).body for _ in range(10)} == {f"blue {only}"}


def test_a_route_that_envoy_refuses_is_told_in_its_words_and_taken_back() -> None:
    made = Stage()
    bootstrap = made.state / "envoy" / "bootstrap.json"
    bootstrap.write_text(bootstrap.read_text().replace(f"{SERVICE}/to-green", f"{SERVICE}/gone"))
    try:
        made.start()
        made.switch(BLUE)
        before = made.plane.read_route(SERVICE)
        with pytest.raises(PlatformError, match="unknown cluster 'backend/to-green'") as refused:
            made.switch(GREEN, fallback=BLUE)
        assert str(made.state / "logs" / "envoy.log") in refused.value.mend
        assert made.plane.read_route(SERVICE) == before
        assert ask(made.public).slot == BLUE
        made.switch(GREEN)
        assert ask(made.public).slot == GREEN
    finally:
        made.close()


def test_a_user_cannot_order_retries_by_headers(envoy: Stage) -> None:
    envoy.switch(BLUE)
    for replica in envoy.replicas[BLUE]:
        replica.status = 500
    before = envoy.counters(BLUE).requests
    orders = {"x-envoy-retry-on": "5xx", "x-envoy-max-retries": "3"}
    assert ask(envoy.public, method="POST", headers=orders).status == 500
    assert envoy.counters(BLUE).requests - before == 1


def test_the_public_address_speaks_clear_text_http2_too(envoy: Stage) -> None:
    with socket.create_connection((ADDRESS, envoy.public), timeout=10) as opened:
        opened.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0]))
        assert opened.recv(9)[3] == 4, "the first frame is not SETTINGS"


def test_waiting_for_a_route_that_never_comes_ends_at_the_deadline(envoy: Stage) -> None:
    envoy.switch(BLUE)
    start = CLOCK.now()
    with pytest.raises(Exception, match="has not taken") as late:
        envoy.plane.wait_applied(SERVICE, "no such version", clock=CLOCK, until=after(start, 0.2))
    assert type(late.value).__name__ == "DeadlineExceeded"
    assert 0.2 <= CLOCK.now() - start < 20


def test_the_admin_socket_is_private_and_a_silent_envoy_is_said(envoy: Stage) -> None:
    admin = envoy.state / "envoy.sock"
    assert admin.stat().st_mode & 0o777 == 0o600
    admin.unlink()
    assert not envoy.plane.answering()
    with pytest.raises(PlatformError, match="admin socket"):
        envoy.plane.counters(timeout=1)
