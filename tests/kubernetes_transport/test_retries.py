"""What is sent again and what is not: rows R1 to R4 of the client matrix, resets, outages, credentials that end."""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.kubernetes_transport.kit import PACE, RecordingClock, api_at, cluster_at, serving, wait_until
from tests.kubernetes_transport.server import (
    ScriptedServer,
    Step,
    hang_up,
    last,
    page,
    refuse,
    reply,
    reset,
    silence_while,
    thing,
)

from bluegreen.domain.errors import DeadlineExceeded, Interrupted
from bluegreen.domain.stack import Instant
from bluegreen.platforms.kubernetes.cluster import Identity
from bluegreen.platforms.kubernetes.errors import (
    AlreadyExists,
    Conflict,
    LostAnswer,
    MissingRight,
    NotFound,
    NotKubernetes,
    Refused,
    Unauthorized,
    Unreachable,
)
from bluegreen.platforms.kubernetes.resources import ACCESS_REVIEWS, CONFIG_MAPS, DEPLOYMENTS, SERVICES
from bluegreen.platforms.kubernetes.transport import Api

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluegreen.platforms.kubernetes.wire import Deadline

LIMIT = Instant(30.0)
SERVICE = SERVICES.one("alfred", "alfred-backend")
DEPLOYMENT = DEPLOYMENTS.one("alfred", "alfred-backend-blue")
GOOD = reply(thing("alfred-backend", 7))
BUSY = page(429, "Too many requests, please try again later.", kind="text/plain", Retry_After="3")
BUSY_STATUS = refuse(429, "TooManyRequests", "slow down", details={"retryAfterSeconds": 2})
DOWN = refuse(503, "ServiceUnavailable", "the server is currently unable to handle the request")

READS: dict[str, Callable[[Api], object]] = {
    "get": lambda api: api.get(SERVICE, until=LIMIT),
    "list": lambda api: api.list(SERVICES.all("alfred"), until=LIMIT),
    "list of metadata": lambda api: api.list_metadata(SERVICES.all("alfred"), until=LIMIT),
    "text": lambda api: api.text(f"{SERVICE}/log", until=LIMIT),
    "review": lambda api: api.review(ACCESS_REVIEWS.all(""), {}, until=LIMIT),
}
VERSIONED = {"metadata": {"resourceVersion": "7"}, "spec": {}}
GUARDED: dict[str, Callable[[Api], object]] = {
    "merge patch with a version": lambda api: api.merge_patch(SERVICE, VERSIONED, until=LIMIT),
    "apply with a version": lambda api: api.apply(SERVICE, VERSIONED, manager="bluegreen", until=LIMIT),
    "json patch with a test": lambda api: api.json_patch(
        DEPLOYMENT, [{"op": "test", "path": "/metadata/generation", "value": 3}], until=LIMIT
    ),
    "create with a name": lambda api: api.create(CONFIG_MAPS.all("alfred"), thing("journal", 0), until=LIMIT),
    "delete of a uid": lambda api: api.delete(SERVICE, uid="uid-1", until=LIMIT),
}
UNGUARDED: dict[str, Callable[[Api], object]] = {
    "merge patch": lambda api: api.merge_patch(SERVICE, {"spec": {}}, until=LIMIT),
    "apply": lambda api: api.apply(SERVICE, {"spec": {}}, manager="bluegreen", until=LIMIT),
    "json patch": lambda api: api.json_patch(DEPLOYMENT, [{"op": "add", "path": "/x", "value": 1}], until=LIMIT),
    "create": lambda api: api.create(CONFIG_MAPS.all("alfred"), {}, until=LIMIT),
    "delete": lambda api: api.delete(SERVICE, until=LIMIT),
}
ALL = READS | GUARDED | UNGUARDED


def every(calls: dict[str, Callable[[Api], object]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("call", list(calls.values()), ids=list(calls))


@every(ALL)
@pytest.mark.parametrize(("busy", "asked"), [(BUSY, 3.0), (BUSY_STATUS, 2.0)], ids=["header", "status"])
def test_429_is_tried_again_by_every_verb_when_the_server_says(
    call: Callable[[Api], object], busy: Step, asked: float, clock: RecordingClock
) -> None:
    """R1, R2."""
    with serving(clock, busy, busy, GOOD) as (server, api):
        call(api)
    assert clock.waits == [asked, asked]
    assert len({(heard.method, heard.target, heard.body) for heard in server.heard}) == 1
    assert len(server.heard) == 3


def test_429_until_the_limit(clock: RecordingClock) -> None:
    """The server's word may go past our limit: then it is told at once."""
    with (
        serving(clock, BUSY, page(429, "", Retry_After="60")) as (_server, api),
        pytest.raises(DeadlineExceeded, match="get services alfred-backend in alfred"),
    ):
        api.get(SERVICE, until=LIMIT)
    assert clock.waits == [3.0]


@every(READS | GUARDED)
@pytest.mark.parametrize("fault", [DOWN, reset, hang_up, page(502, "<html>")], ids=["503", "reset", "fin", "gateway"])
def test_what_can_do_no_harm_is_sent_again(call: Callable[[Api], object], fault: Step, clock: RecordingClock) -> None:
    """R3, W6 for calls."""
    with serving(clock, fault, fault, fault, GOOD) as (server, api):
        call(api)
    assert clock.waits == [0.05, 0.1, 0.2]
    assert len(server.heard) == 4


@every(UNGUARDED)
@pytest.mark.parametrize("fault", [DOWN, reset, hang_up, page(502, "<html>")], ids=["503", "reset", "fin", "gateway"])
def test_a_write_without_a_precondition_is_sent_once(
    call: Callable[[Api], object], fault: Step, clock: RecordingClock
) -> None:
    with serving(clock, fault, GOOD) as (server, api), pytest.raises(LostAnswer, match="may have been done"):
        call(api)
    assert len(server.heard) == 1
    assert clock.waits == []


@every(ALL)
def test_what_never_left_is_sent_again(call: Callable[[Api], object], clock: RecordingClock) -> None:
    """Nobody listens: every verb may try again, and says within the outage limit that nobody is there."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with api_at(port, clock=clock) as api, pytest.raises(Unreachable, match="Connection refused") as raised:
        call(api)
    assert not isinstance(raised.value, LostAnswer)
    assert sum(clock.waits) <= PACE.outage
    assert len(clock.waits) >= 5


def test_the_callers_limit_comes_before_the_outage_limit(clock: RecordingClock) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with api_at(port, clock=clock) as api, pytest.raises(DeadlineExceeded, match="Connection refused"):
        api.get(SERVICE, until=Instant(1.0))
    assert clock.now() <= 1.0


def test_who_has_never_answered_is_not_waited_for_as_long_as_who_has(clock: RecordingClock) -> None:
    """A run outlives an outage of a minute; a wrong address is told at once."""
    patient = replace(PACE, outage=40.0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with Api(cluster_at(port), clock=clock, pace=patient) as api, pytest.raises(Unreachable, match="refused"):
        api.get(SERVICE, until=Instant(60.0))
    assert clock.now() <= patient.stranger

    met = RecordingClock()
    with (
        ScriptedServer(GOOD, *[reset] * 8, GOOD) as server,
        Api(cluster_at(server.port), clock=met, pace=patient) as api,
    ):
        api.get(SERVICE, until=Instant(60.0))
        api.get(SERVICE, until=Instant(60.0))
    assert met.now() > patient.stranger


def test_a_limit_that_is_over_sends_nothing(clock: RecordingClock) -> None:
    with serving(clock, GOOD) as (server, api), pytest.raises(DeadlineExceeded):
        api.get(SERVICE, until=Instant(0.0))
    assert server.heard == []


def test_403_is_asked_once_and_names_the_right(clock: RecordingClock) -> None:
    """R4."""
    message = 'services "alfred-backend" is forbidden: User "ci" cannot patch resource "services" in API group ""'
    with serving(clock, refuse(403, "Forbidden", message)) as (server, api), pytest.raises(MissingRight) as raised:
        api.merge_patch(SERVICE, VERSIONED, until=LIMIT)
    error = raised.value
    assert (error.verb, error.resource) == ("patch", "services")
    assert str(error) == "the account may not patch services in namespace alfred (403)"
    assert error.mend == "give it the right, then check: kubectl auth can-i patch services/alfred-backend -n alfred"
    assert len(server.heard) == 1


def test_403_of_an_admission_is_no_missing_right(clock: RecordingClock) -> None:
    message = 'pods "x" is forbidden: exceeded quota: small, requested: pods=1'
    with (
        serving(clock, refuse(403, "Forbidden", message)) as (_server, api),
        pytest.raises(Refused, match="exceeded quota") as raised,
    ):
        api.create(CONFIG_MAPS.all("alfred"), thing("x", 0), until=LIMIT)
    assert not isinstance(raised.value, MissingRight)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (refuse(404, "NotFound", 'services "alfred-backend" not found'), NotFound),
        (page(404, "404 page not found", kind="text/plain"), NotFound),
        (page(404, "<html>nginx", kind="text/html"), NotKubernetes),
        (page(301, "", Location="https://elsewhere.test/"), NotKubernetes),
        (page(200, "<html>log in to the hotel's network"), NotKubernetes),
        (page(200, "[1]", kind="application/json"), NotKubernetes),
        (page(200, "[" * 100_000, kind="application/json"), NotKubernetes),
        (refuse(409, "Conflict", "the object has been modified"), Conflict),
        (refuse(409, "AlreadyExists", "it is there"), AlreadyExists),
        (refuse(422, "Invalid", "spec.selector: is immutable", details={"causes": [{"reason": "x"}]}), Refused),
    ],
    ids=["404", "404 plain", "404 page", "301", "200 page", "a list", "deep", "conflict", "exists", "invalid"],
)
def test_what_is_final_is_asked_once(answer: Step, kind: type[Exception], clock: RecordingClock) -> None:
    with serving(clock, answer) as (server, api), pytest.raises(kind) as raised:
        api.merge_patch(SERVICE, VERSIONED, until=LIMIT)
    assert type(raised.value) is kind
    assert len(server.heard) == 1
    assert clock.waits == []


def test_a_failed_test_of_a_json_patch_is_a_conflict(clock: RecordingClock) -> None:
    """The API server says 422 without causes; an object against the rules has causes."""
    said = refuse(422, "Invalid", "the server rejected our request due to an error in our request", details={})
    wrong = refuse(422, "Invalid", "spec.replicas: negative", details={"causes": [{"reason": "FieldValueInvalid"}]})
    ops = [{"op": "test", "path": "/metadata/generation", "value": 3}]
    with serving(clock, said, wrong) as (_server, api):
        with pytest.raises(Conflict):
            api.json_patch(DEPLOYMENT, ops, until=LIMIT)
        with pytest.raises(Refused) as raised:
            api.json_patch(DEPLOYMENT, ops, until=LIMIT)
    assert type(raised.value) is Refused


class Tokens:
    """Source: these tokens, one after the other; the last one for ever."""

    def __init__(self, *tokens: str, lives: float | None = None) -> None:
        self._tokens = list(tokens)
        self._lives = lives
        self.fetched = 0

    def fetch(self, deadline: Deadline, /) -> Identity:
        self.fetched += 1
        token = self._tokens.pop(0) if len(self._tokens) > 1 else self._tokens[0]
        expires = deadline.clock.wall() + self._lives if self._lives is not None else None
        return Identity(authorization=f"Bearer {token}", expires=expires)


def test_401_in_the_middle_fetches_the_credentials_once(clock: RecordingClock) -> None:
    source = Tokens("old", "new")
    script = (GOOD, refuse(401, "Unauthorized"), GOOD)
    with serving(clock, *script, source=source) as (server, api):
        api.get(SERVICE, until=LIMIT)
        api.merge_patch(SERVICE, {"spec": {}}, until=LIMIT)
    assert [heard.header("authorization") for heard in server.heard] == ["Bearer old", "Bearer old", "Bearer new"]
    assert source.fetched == 2


@pytest.mark.parametrize(
    ("tokens", "requests"),
    [(("same",), 1), (("old", "new"), 2), (("a", "b", "c", "d"), 2)],
    ids=["same", "newer", "always newer"],
)
def test_401_that_stays_is_told(tokens: tuple[str, ...], requests: int, clock: RecordingClock) -> None:
    no = refuse(401, "Unauthorized", "Unauthorized")
    with (
        serving(clock, no, no, no, source=Tokens(*tokens)) as (server, api),
        pytest.raises(Unauthorized, match="does not accept the credentials"),
    ):
        api.get(SERVICE, until=LIMIT)
    assert len(server.heard) == requests


def test_credentials_are_fetched_anew_before_they_end(clock: RecordingClock) -> None:
    source = Tokens("one", "two", lives=60)
    with serving(clock, GOOD, GOOD, GOOD, source=source) as (server, api):
        api.get(SERVICE, until=Instant(1e6))
        clock.skip(54)
        api.get(SERVICE, until=Instant(1e6))
        clock.skip(2)
        api.get(SERVICE, until=Instant(1e6))
    assert [heard.header("authorization") for heard in server.heard] == ["Bearer one", "Bearer one", "Bearer two"]


def test_an_interrupt_is_noticed_while_the_server_is_silent(clock: RecordingClock) -> None:
    with serving(clock, silence_while(clock.interrupt)) as (_server, api), pytest.raises(Interrupted):
        api.get(SERVICE, until=LIMIT)


def test_a_silent_server_ends_at_the_limit(clock: RecordingClock) -> None:
    with (
        serving(clock, silence_while(lambda: clock.skip(1))) as (_server, api),
        pytest.raises(DeadlineExceeded, match="no answer within the limit"),
    ):
        api.get(SERVICE, until=LIMIT)
    assert clock.now() >= LIMIT


def test_one_connection_serves_many_calls_until_it_is_closed(clock: RecordingClock) -> None:
    """A connection that the server closed while nothing was asked is no reason to send a write twice or to lose it."""
    with serving(clock, GOOD, last(GOOD), GOOD) as (server, api):
        api.get(SERVICE, until=LIMIT)
        api.get(SERVICE, until=LIMIT)
        wait_until(lambda: 0 in server.closed, what="the server has closed")
        api.merge_patch(SERVICE, {"spec": {}}, until=LIMIT)
    assert [heard.connection for heard in server.heard] == [0, 0, 1]
    assert clock.waits == []
