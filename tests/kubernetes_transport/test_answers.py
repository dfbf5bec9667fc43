"""Answers that are cut off, too long, too slow or half there; and what pods answer through the API server."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest
from tests.kubernetes_transport.kit import RecordingClock, serving
from tests.kubernetes_transport.server import (
    Step,
    chunk,
    half_close,
    hang_up,
    head,
    listing,
    page,
    raw,
    refuse,
    reply,
    status_body,
    thing,
    trickle,
)

from bluegreen.domain.errors import DeadlineExceeded, PlatformError
from bluegreen.domain.stack import Instant
from bluegreen.platforms.kubernetes import transport
from bluegreen.platforms.kubernetes.errors import MissingRight, NotFound, NotKubernetes, Refused, Unreachable
from bluegreen.platforms.kubernetes.resources import PODS, pod_path
from bluegreen.platforms.kubernetes.transport import NotReached, PodAnswer
from bluegreen.platforms.kubernetes.wire import Deadline, Wire

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = Instant(30.0)
POD = PODS.one("alfred", "a")
GOOD = reply(thing("a", 1))
BODY = json.dumps(thing("a", 1)).encode()
LENGTH = head(200, [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))])
CHUNKED = head(200, [("Content-Type", "application/json"), ("Transfer-Encoding", "chunked")])

CUT: dict[str, Step] = {
    "half a length": raw(LENGTH + BODY[:10]),
    "half a length, socket half closed": half_close(LENGTH + BODY[:10]),
    "half a chunk": raw(CHUNKED + chunk(BODY)[:10]),
    "no last chunk": raw(CHUNKED + chunk(BODY)),
    "half a head": raw(LENGTH[:20]),
    "half a head, socket half closed": half_close(LENGTH[:20]),
    "no HTTP": raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
}


@pytest.mark.parametrize("cut", list(CUT.values()), ids=list(CUT))
def test_an_answer_that_is_cut_off_is_asked_for_again(cut: Step, clock: RecordingClock) -> None:
    with serving(clock, cut, GOOD) as (server, api):
        assert api.get(POD, until=LIMIT) == thing("a", 1)
    assert clock.waits == [0.05]
    assert [heard.connection for heard in server.heard] == [0, 1]


@pytest.mark.parametrize(
    "whole", [raw(LENGTH + BODY), raw(CHUNKED + chunk(BODY) + b"0\r\n\r\n"), raw(head(200, []) + BODY)]
)
def test_every_way_of_framing_is_read(whole: Step, clock: RecordingClock) -> None:
    with serving(clock, whole) as (_server, api):
        assert api.get(POD, until=LIMIT) == thing("a", 1)


@pytest.mark.parametrize("framed", [LENGTH + BODY, CHUNKED + chunk(BODY) + b"0\r\n\r\n"], ids=["length", "chunks"])
def test_a_trickle_does_not_outlast_the_limit(framed: bytes, clock: RecordingClock) -> None:
    """Each byte comes in good time, the answer does not: a time-out a read would wait for minutes."""
    with (
        serving(clock, trickle(framed, tick=lambda: clock.skip(1))) as (_server, api),
        pytest.raises(DeadlineExceeded),
    ):
        api.get(POD, until=LIMIT)
    assert clock.now() < LIMIT + len(framed)


def test_what_is_there_without_waiting_ends_at_the_limit_too(clock: RecordingClock) -> None:
    """A server that sends faster than we read never makes us wait."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        wire = Wire.dial(*listener.getsockname(), limit=lambda: Deadline(clock, Instant(1.0), what="the test"))
        with listener.accept()[0] as server:
            server.sendall(b"x" * 100)
            assert wire.receive_into(bytearray(10)) == 10
            clock.skip(1)
            with pytest.raises(DeadlineExceeded):
                wire.receive_into(bytearray(10))
        wire.close()


@pytest.mark.parametrize("framing", [("Content-Length", str(transport.LARGEST + 1)), ("Connection", "close")])
def test_an_answer_without_end_is_refused(framing: tuple[str, str], clock: RecordingClock) -> None:
    def step(conversation: object) -> None:
        send: Callable[[bytes], None] = conversation.send  # type: ignore[attr-defined]
        send(head(200, [framing]))
        for _ in range(transport.LARGEST // 2**20 + 1):
            send(b" " * 2**20)
        conversation.goes_on = False  # type: ignore[attr-defined]

    with serving(clock, step) as (_server, api), pytest.raises(NotKubernetes, match="more than"):
        api.get(POD, until=LIMIT)


def test_a_log_is_cut_where_it_gets_long_and_survives_what_is_no_text(clock: RecordingClock) -> None:
    size = transport.LARGEST_TEXT + 100
    long = raw(head(200, [("Content-Length", str(size))]) + b"x" * size, close=False)
    odd = raw(head(200, [("Content-Length", "3")]) + b"a\xffb", close=False)
    with serving(clock, long, odd) as (server, api):
        assert len(api.text(f"{POD}/log", until=LIMIT)) == transport.LARGEST_TEXT
        assert api.text(f"{POD}/log", until=LIMIT, query=(("tailLines", "5"),)) == "a\ufffdb"
    assert server.heard[1].query == {"tailLines": "5"}


def test_metadata_alone_is_asked_for_and_listed(clock: RecordingClock) -> None:
    with serving(clock, reply(listing(5, thing("a", 1)))) as (server, api):
        found = api.list_metadata(PODS.all("alfred"), until=LIMIT, labels="app=a")
    assert found.items == (thing("a", 1),)
    assert server.heard[0].header("Accept") == "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    assert server.heard[0].query == {"labelSelector": "app=a"}


def test_what_the_server_remembers_is_asked_for_as_that(clock: RecordingClock) -> None:
    answer = reply(listing(5, thing("a", 1)))
    with serving(clock, answer, answer, answer) as (server, api):
        api.list(PODS.all("alfred"), until=LIMIT, at_least="0")
        api.list_metadata(PODS.all("alfred"), until=LIMIT, at_least="0")
        api.list(PODS.all("alfred"), until=LIMIT)
    assert [heard.query for heard in server.heard] == [
        {"resourceVersion": "0", "resourceVersionMatch": "NotOlderThan"},
        {"resourceVersion": "0", "resourceVersionMatch": "NotOlderThan"},
        {},
    ]


@pytest.mark.parametrize("items", [None, []])
def test_an_empty_list_is_empty_however_it_is_written(items: object, clock: RecordingClock) -> None:
    answer = reply(listing(5) | {"items": items})
    with serving(clock, answer) as (server, api):
        found = api.list(PODS.all("alfred"), labels="app=a,slot in (blue)", fields="spec.nodeName=n1", until=LIMIT)
    assert (found.items, found.version) == ((), "5")
    assert server.heard[0].query == {"labelSelector": "app=a,slot in (blue)", "fieldSelector": "spec.nodeName=n1"}


def test_items_of_another_kind_are_told_by_place_never_by_value(clock: RecordingClock) -> None:
    with (
        serving(clock, reply(listing(5) | {"items": ["canary"]})) as (_server, api),
        pytest.raises(NotKubernetes) as raised,
    ):
        api.list(PODS.all("alfred"), until=LIMIT)
    assert str(raised.value) == "the API server sent something else than an object at .items[0]"


# --- writes -----------------------------------------------------------------------------------------------------


def test_what_each_write_sends(clock: RecordingClock) -> None:
    patch = {"metadata": {"resourceVersion": "7"}}
    with serving(clock, GOOD, GOOD, GOOD, GOOD, GOOD) as (server, api):
        api.create(PODS.all("alfred"), thing("a", 0), until=LIMIT, dry_run=True)
        api.merge_patch(POD, patch, until=LIMIT)
        api.json_patch(POD, [{"op": "test", "path": "/x", "value": 1}], until=LIMIT, dry_run=True)
        api.apply(POD, patch, manager="bluegreen", force=True, until=LIMIT)
        api.delete(POD, uid="u", version="7", until=LIMIT)
    sent = [(heard.method, heard.header("content-type"), heard.query) for heard in server.heard]
    assert sent == [
        ("POST", "application/json", {"dryRun": "All"}),
        ("PATCH", "application/merge-patch+json", {}),
        ("PATCH", "application/json-patch+json", {"dryRun": "All"}),
        ("PATCH", "application/apply-patch+yaml", {"fieldManager": "bluegreen", "force": "true"}),
        ("DELETE", "application/json", {}),
    ]
    assert server.heard[1].json == patch
    assert server.heard[4].json == {
        "kind": "DeleteOptions",
        "apiVersion": "v1",
        "preconditions": {"uid": "u", "resourceVersion": "7"},
    }


# --- by way of the API server to a pod --------------------------------------------------------------------------

HEALTH = pod_path("alfred", "a-1", port=8000, path="/health?full=1")


@pytest.mark.parametrize("status", [200, 404, 429, 500, 503])
def test_what_a_pod_answers_is_handed_on_and_not_repeated(status: int, clock: RecordingClock) -> None:
    script = page(status, "busy", kind="text/plain", X_Slot="blue", Audit_Id="1")
    with serving(clock, script) as (server, api):
        answer = api.pod(HEALTH, until=LIMIT)
    assert isinstance(answer, PodAnswer)
    assert (answer.status, answer.body, answer.header("x-slot")) == (status, b"busy", "blue")
    assert server.heard[0].target == "/api/v1/namespaces/alfred/pods/a-1:8000/proxy/health?full=1"
    assert clock.waits == []


@pytest.mark.parametrize(
    ("refusal", "kind"),
    [
        (refuse(503, "ServiceUnavailable", "error trying to reach service: EOF", Audit_Id="1"), Refused),
        (refuse(400, "BadRequest", "address not allowed", Audit_Id="1"), Refused),
        (
            refuse(403, "Forbidden", 'User "ci" cannot get resource "pods/proxy" in API group ""', Audit_Id="1"),
            MissingRight,
        ),
        (refuse(404, "NotFound", 'pods "a-1" not found', Audit_Id="1"), NotFound),
        (page(502, "<h1>Bad Gateway</h1>"), Unreachable),
        (page(504, "", kind="text/plain"), Unreachable),
        (page(403, "<h1>Who are you?</h1>"), NotKubernetes),
    ],
    ids=["503", "400", "403", "404", "502 of a gateway", "504 of a gateway", "403 of a gateway"],
)
def test_the_api_servers_own_refusal_is_no_answer_of_the_pod(
    refusal: Step, kind: type[PlatformError], clock: RecordingClock
) -> None:
    with serving(clock, refusal) as (server, api):
        answer = api.pod(HEALTH, until=LIMIT)
    assert isinstance(answer, NotReached)
    assert isinstance(answer.error, kind)
    assert len(server.heard) == 1


def test_the_api_servers_own_429_is_waited_for(clock: RecordingClock) -> None:
    with serving(clock, page(429, "slow", Retry_After="1"), page(200, "ok")) as (_, api):
        answer = api.pod(HEALTH, until=LIMIT)
    assert isinstance(answer, PodAnswer)
    assert clock.waits == [1.0]


@pytest.mark.parametrize(
    "alike",
    [
        reply({"kind": "Status", "state": "fine"}, status=503, Audit_Id="1"),
        page(503, json.dumps(status_body(503)), kind="text/plain", Audit_Id="1"),
        reply(status_body(503), status=500, Audit_Id="1"),
        reply(status_body(503), status=200, Audit_Id="1"),
    ],
    ids=["of another API", "as text", "of another code", "of an answer that is good"],
)
def test_what_only_looks_like_a_refusal_is_an_answer_of_the_pod(alike: Step, clock: RecordingClock) -> None:
    with serving(clock, alike) as (_server, api):
        answer = api.pod(HEALTH, until=LIMIT)
    assert isinstance(answer, PodAnswer)


def test_an_answer_of_the_pod_that_is_cut_off_is_told_at_once(clock: RecordingClock) -> None:
    """The API server passes on what there is, then closes."""
    with serving(clock, CUT["half a length"]) as (server, api):
        answer = api.pod(HEALTH, until=LIMIT)
    assert isinstance(answer, NotReached)
    assert str(answer.error) == "get pods/proxy a-1:8000 in alfred: the answer was cut off"
    assert len(server.heard) == 1


def test_one_that_is_cut_off_before_its_head_was_passed_on_is_told_at_the_second_try(clock: RecordingClock) -> None:
    """As measured: of a small answer that is cut off the API server passes on nothing, and closes."""
    with serving(clock, hang_up, hang_up) as (server, api):
        answer = api.pod(HEALTH, until=LIMIT)
    assert isinstance(answer, NotReached)
    assert str(answer.error) == "get pods/proxy a-1:8000 in alfred: the server closed the connection"
    assert len(server.heard) == 2


def test_an_api_server_that_starts_anew_is_asked_again(clock: RecordingClock) -> None:
    with serving(clock, hang_up, page(200, "ok")) as (_, api):
        assert isinstance(api.pod(HEALTH, until=LIMIT), PodAnswer)
