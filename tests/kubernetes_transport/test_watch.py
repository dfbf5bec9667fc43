"""List and watch: rows W1 to W7 of the client matrix, streams that die, and what a reader is told."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.kubernetes_transport.kit import (
    PACE,
    RecordingClock,
    assert_recovered,
    cluster_at,
    names_in,
    told,
    trouble_in,
    wait_until,
)
from tests.kubernetes_transport.server import (
    STREAM_HEAD,
    Conversation,
    ScriptedServer,
    Step,
    bookmark,
    chunk,
    half_close,
    hang_up,
    line,
    listing,
    page,
    raw,
    refuse,
    reply,
    reset,
    silence,
    silence_while,
    status_body,
    stream,
    thing,
)

from bluegreen.domain.errors import DeadlineExceeded, Interrupted
from bluegreen.domain.stack import Instant
from bluegreen.platforms.kubernetes.cluster import Identity
from bluegreen.platforms.kubernetes.errors import MissingRight, NotKubernetes, Silent, Unauthorized, Unreachable
from bluegreen.platforms.kubernetes.node import Node
from bluegreen.platforms.kubernetes.resources import PODS
from bluegreen.platforms.kubernetes.threadclock import ThreadClock
from bluegreen.platforms.kubernetes.watch import Changed, Inbox, News, Patience, Recovered, Reflector, Troubled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bluegreen.platforms.kubernetes.credentials import Source
    from bluegreen.platforms.kubernetes.node import Json
    from bluegreen.platforms.kubernetes.wire import Deadline

PATIENCE = Patience(pace=PACE)
A, B, C = thing("a", 10), thing("b", 10), thing("c", 10)
LISTED = reply(listing(10, A, B))
ADD_C = line("ADDED", thing("c", 11))


def name_of(item: Json) -> str:
    return Node(item).at("metadata", "name").text()


@contextmanager
def followed(
    clock: RecordingClock,
    *script: Step,
    source: Source | None = None,
    at_least: str = "",
    inbox: Reading | None = None,
) -> Iterator[tuple[ScriptedServer, Reflector[str], Inbox]]:
    """A reflector of pods over a script, at work."""
    news = inbox or Inbox()
    with ScriptedServer(*script) as server:
        reflector = Reflector(
            cluster_at(server.port, source=source),
            PODS.all("alfred"),
            name="pods",
            labels="app=alfred",
            parse=name_of,
            inbox=news,
            at_least=at_least,
            clock=clock,
            patience=PATIENCE,
        )
        if inbox is not None:
            inbox.reflector = reflector
        reflector.start()
        try:
            yield server, reflector, news
        finally:
            reflector.close()


def heard_at_least(server: ScriptedServer, count: int) -> None:
    wait_until(lambda: len(server.heard) >= count, what=f"{count} requests; there are {len(server.heard)}")


def asked(server: ScriptedServer) -> list[str]:
    """``list``, or ``watch 10`` with the version."""
    return [f"watch {heard.query['resourceVersion']}" if "watch" in heard.query else "list" for heard in server.heard]


def test_list_then_changes_then_deletion(clock: RecordingClock) -> None:
    events = (ADD_C, line("MODIFIED", thing("a", 12, x=1)), line("DELETED", thing("b", 13)))
    with followed(clock, LISTED, stream(*events, then=silence)) as (server, reflector, inbox):
        news = told(inbox, 4)
    assert [names_in(one) for one in news] == [["a", "b"], ["a", "b", "c"], ["a", "b", "c"], ["a", "c"]]
    assert [one.gone for one in news if isinstance(one, Changed)] == [(), (), (), ("b",)]
    assert reflector.view is not None
    assert sorted(reflector.view.objects) == ["uid-a", "uid-c"]
    watch = server.heard[1].query
    assert watch["allowWatchBookmarks"] == "1" or watch["allowWatchBookmarks"] == "true"
    assert watch["timeoutSeconds"] == "240"
    assert server.heard[0].query == {"labelSelector": "app=alfred"}
    assert watch["labelSelector"] == "app=alfred"


def test_a_view_cannot_be_changed(clock: RecordingClock) -> None:
    with followed(clock, LISTED) as (_, _, inbox):
        (first,) = told(inbox, 1)
    assert isinstance(first, Changed)
    with pytest.raises(TypeError):
        first.view.objects["x"] = "y"  # type: ignore[index]


def test_w1_the_server_ends_the_watch_and_it_goes_on_from_there(clock: RecordingClock) -> None:
    script = (LISTED, stream(ADD_C), stream(), stream(line("DELETED", thing("a", 12)), then=silence))
    with followed(clock, *script) as (server, _, inbox):
        news = told(inbox, 3)
        assert asked(server) == ["list", "watch 10", "watch 11", "watch 11"]
    assert names_in(news[2]) == ["b", "c"]
    assert clock.waits[:2] == [0.05, 0.1]


def test_w1_a_server_that_ends_every_watch_at_once_is_paced(clock: RecordingClock) -> None:
    with followed(clock, LISTED, *[stream(bookmark(11))] * 12) as (server, _, _):
        heard_at_least(server, 14)
    assert clock.waits[:9] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.5, 2.5, 2.5]


class Tokens:
    """Source: one token after the other, each good until the server no longer takes it."""

    def __init__(self, *tokens: str) -> None:
        self._tokens = list(tokens)

    def fetch(self, _deadline: Deadline, /) -> Identity:
        return Identity(authorization=f"Bearer {self._tokens.pop(0) if len(self._tokens) > 1 else self._tokens[0]}")


def test_a_token_that_ended_between_two_watches_is_nobodys_trouble(clock: RecordingClock) -> None:
    script = (LISTED, stream(ADD_C), refuse(401, "Unauthorized"), stream(line("DELETED", thing("a", 12)), then=silence))
    with followed(clock, *script, source=Tokens("old", "new")) as (server, _, inbox):
        news = told(inbox, 3)
    assert [names_in(one) for one in news] == [["a", "b"], ["a", "b", "c"], ["b", "c"]]
    assert [heard.header("authorization") for heard in server.heard] == [*["Bearer old"] * 3, "Bearer new"]
    assert asked(server) == ["list", "watch 10", "watch 11", "watch 11"]


@pytest.mark.parametrize("tokens", [("same",), ("a", "b", "c", "d")], ids=["same", "always newer"])
def test_a_watch_whose_credentials_are_refused_for_good_is_told(tokens: tuple[str, ...], clock: RecordingClock) -> None:
    no = refuse(401, "Unauthorized")
    with followed(clock, LISTED, *[no] * 20, source=Tokens(*tokens)) as (_, reflector, inbox):
        assert "does not accept the credentials (401)" in trouble_in(told(inbox, 2)[1])
        assert isinstance(reflector.trouble, Unauthorized)


def test_a_list_after_one_that_failed_is_exact(clock: RecordingClock) -> None:
    """An API server may never reach the version that we saw (its etcd was put back): only an exact list ends it."""
    too_new = refuse(403, "Forbidden", 'cannot list resource "pods"')
    with followed(clock, too_new, LISTED, stream(then=silence), at_least="900") as (server, _, inbox):
        told(inbox, 2)
        heard_at_least(server, 3)
    assert [heard.query.get("resourceVersion") for heard in server.heard] == ["900", None, "10"]


def test_a_watch_that_lived_takes_the_pace_back(clock: RecordingClock) -> None:
    def lives(conversation: Conversation) -> None:
        clock.skip(60)
        conversation.send(b"0\r\n\r\n")

    script = (LISTED, stream(), stream(), stream(), stream(then=lives), stream(), stream(then=silence))
    with followed(clock, *script) as (server, _, _):
        heard_at_least(server, 7)
    assert clock.waits[:5] == [0.05, 0.1, 0.2, 0.05, 0.1]


@pytest.mark.parametrize(
    "gone",
    [
        stream(line("ERROR", status_body(410, "Expired", "too old resource version: 10 (99)"))),
        refuse(410, "Expired", "too old resource version: 10 (99)"),
    ],
    ids=["W2 an event", "W3 an answer"],
)
def test_w2_w3_too_old_lists_anew_and_tells_what_was_deleted(gone: Step, clock: RecordingClock) -> None:
    later = reply(listing(99, thing("b", 50), thing("d", 60)))
    with followed(clock, LISTED, gone, later, stream(then=silence)) as (server, _, inbox):
        first, second = told(inbox, 2)
        heard_at_least(server, 4)
        assert asked(server) == ["list", "watch 10", "list", "watch 99"]
    assert names_in(first) == ["a", "b"]
    assert names_in(second) == ["b", "d"]
    assert isinstance(second, Changed)
    assert second.gone == ("a",)
    assert clock.waits == [0.05]


def test_w2_a_server_that_always_says_too_old_is_paced(clock: RecordingClock) -> None:
    """A client of the matrix made 1,341 requests in 3 s of it."""
    again = (LISTED, refuse(410, "Expired"))
    with followed(clock, *(again * 6)) as (server, _, inbox):
        heard_at_least(server, 12)
        assert len(inbox.take_all()) == 1, "a list that is the same is no news"
    assert clock.waits[:6] == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6]


@pytest.mark.parametrize(
    ("fault", "pause"),
    [
        (refuse(503, "ServiceUnavailable"), 0.05),
        (refuse(503, "ServiceUnavailable", Retry_After="4"), 4.0),
        (page(502, "<html>bad gateway"), 0.05),
        (page(429, "Too many requests", kind="text/plain", Retry_After="7"), 7.0),
        (refuse(429, "TooManyRequests", details={"retryAfterSeconds": 2}), 2.0),
        (reset, 0.05),
        (hang_up, 0.05),
    ],
    ids=["W4 503", "W4 503 with a time", "W4 502 page", "W5 429", "W5 429 status", "W6 reset", "W6 fin"],
)
def test_w4_w5_w6_trouble_on_reconnecting_is_told_paced_and_over(
    fault: Step, pause: float, clock: RecordingClock
) -> None:
    script = (LISTED, stream(ADD_C), fault, stream(line("DELETED", thing("a", 12)), then=silence))
    with followed(clock, *script) as (server, reflector, inbox):
        news = told(inbox, 5)
        assert asked(server) == ["list", "watch 10", "watch 11", "watch 11"]
        assert reflector.trouble is None
    assert "watch pods in alfred" in trouble_in(news[2])
    assert_recovered(news[3])
    assert names_in(news[4]) == ["b", "c"]
    assert clock.waits == [0.05, max(pause, 0.1)]


def test_an_outage_is_told_once_and_outlived(clock: RecordingClock) -> None:
    with followed(clock, LISTED, *[reset] * 20, stream(ADD_C, then=silence)) as (server, _, inbox):
        news = told(inbox, 4)
        assert asked(server)[-1] == "watch 10"
    assert isinstance(news[1], Troubled)
    assert_recovered(news[2])
    assert names_in(news[3]) == ["a", "b", "c"]
    assert len(server.heard) == 22


def test_w7_bookmarks_carry_the_version_on(clock: RecordingClock) -> None:
    script = (LISTED, stream(bookmark(500)), stream(bookmark(600), then=Conversation.reset), stream(then=silence))
    with followed(clock, *script) as (server, _, inbox):
        heard_at_least(server, 4)
        assert asked(server) == ["list", "watch 10", "watch 500", "watch 600"]
        assert names_in(told(inbox, 1)[0]) == ["a", "b"]


def test_silence_counts_as_death_and_what_was_missed_is_found_by_a_list(clock: RecordingClock) -> None:
    """Nothing for longer than bookmarks are apart. In virtual time: 70 s and a glance."""
    dead = stream(ADD_C, then=silence_while(lambda: clock.skip(1)))
    later = reply(listing(99, A))
    with followed(clock, LISTED, dead, later, stream(then=silence)) as (server, _, inbox):
        news = told(inbox, 4)
        heard_at_least(server, 4)
        assert asked(server) == ["list", "watch 10", "list", "watch 99"]
    assert "has been silent for 70 s" in trouble_in(news[2])
    assert names_in(news[3]) == ["a"]
    assert isinstance(news[3], Changed)
    assert sorted(news[3].gone) == ["b", "c"]
    assert clock.now() >= 70


@pytest.mark.slow
def test_bookmarks_keep_a_watch_alive(clock: RecordingClock) -> None:
    def beats(conversation: Conversation) -> None:
        for version in range(11, 16):
            clock.skip(60)
            conversation.send(chunk(bookmark(version)))
            conversation.server.closing.wait(0.6)  # in which a busy machine lets the reader have it
        conversation.send(chunk(ADD_C))
        silence(conversation)

    # The limit of the whole connection, 240 s and the silence, comes after the fifth.
    with followed(clock, LISTED, stream(then=beats)) as (server, _, inbox):
        news = told(inbox, 2)
        assert asked(server) == ["list", "watch 10"]
    assert names_in(news[1]) == ["a", "b", "c"]


@pytest.mark.slow
def test_a_connection_that_the_server_should_have_ended_is_ended(clock: RecordingClock) -> None:
    def beats_on(conversation: Conversation) -> None:
        while conversation.client_is_there():
            clock.skip(1)  # so little that the reader has some tenths of a second of real time for 70 of virtual
            conversation.send(chunk(bookmark(11)))
            conversation.server.closing.wait(0.004)

    with followed(clock, LISTED, stream(then=beats_on), stream(then=silence)) as (server, _, _):
        heard_at_least(server, 3)
        assert asked(server) == ["list", "watch 10", "watch 11"]
    assert clock.now() >= 310


CUT: dict[str, Step] = {
    "half a chunk": raw(STREAM_HEAD + chunk(ADD_C) + chunk(ADD_C)[:20]),
    "between chunks": raw(STREAM_HEAD + chunk(ADD_C)),
    "half closed": half_close(STREAM_HEAD + chunk(ADD_C)),
    "half a line": stream(ADD_C, ADD_C[:20]),
}


@pytest.mark.parametrize("cut", list(CUT.values()), ids=list(CUT))
def test_a_stream_that_is_cut_off_goes_on_from_the_last_whole_event(cut: Step, clock: RecordingClock) -> None:
    with followed(clock, LISTED, cut, stream(line("DELETED", thing("c", 12)), then=silence)) as (server, _, inbox):
        changed = [one for one in told(inbox, 3) if isinstance(one, Changed)]
        heard_at_least(server, 3)
        assert asked(server) == ["list", "watch 10", "watch 11"]
    assert [sorted(one.view.objects.values()) for one in changed[:2]] == [["a", "b"], ["a", "b", "c"]]


def test_an_event_may_come_in_many_pieces_and_many_events_in_one(clock: RecordingClock) -> None:
    both = ADD_C + b"\n" + line("DELETED", thing("a", 12))
    pieces = [both[start : start + 7] for start in range(0, len(both), 7)]
    with followed(clock, LISTED, stream(*pieces, then=silence)) as (_, _, inbox):
        assert names_in(told(inbox, 3)[2]) == ["b", "c"]


BROKEN: dict[str, bytes] = {
    "no JSON": b"<html>\n",
    "no object": b'{"type":"ADDED","object":null}\n',
    "no uid": line("ADDED", {"metadata": None}),
    "unknown kind": line("UPSERTED", C),
    "an error of another kind": line("ERROR", status_body(500, "InternalError", "etcd is away")),
    "an error that says nothing": line("ERROR", {}),
    "wrong type": line("ADDED", {"metadata": {"uid": 7}}),
}


@pytest.mark.parametrize("event", list(BROKEN.values()), ids=list(BROKEN))
def test_an_event_that_makes_no_sense_is_told_and_a_list_follows(event: bytes, clock: RecordingClock) -> None:
    later = reply(listing(99, A))
    with followed(clock, LISTED, stream(event), later, stream(then=silence)) as (server, _, inbox):
        first, trouble, second = told(inbox, 3)
        heard_at_least(server, 4)
        assert asked(server)[:3] == ["list", "watch 10", "list"]
    assert names_in(first) == ["a", "b"]
    assert isinstance(trouble, Troubled)
    assert names_in(second) == ["a"]


def test_an_event_without_end_is_not_waited_for(clock: RecordingClock) -> None:
    def endless(conversation: Conversation) -> None:
        while conversation.client_is_there():
            conversation.send(chunk(b"x" * 2**20))

    with followed(clock, LISTED, stream(then=endless), LISTED) as (_, _, inbox):
        assert "an event of more than" in trouble_in(told(inbox, 2)[1])


def test_a_fault_of_the_parser_ends_no_watch(clock: RecordingClock) -> None:
    """Even a mistake of ours is told, by its kind only, and the thread goes on."""

    def choosy(item: Json) -> str:
        name = name_of(item)
        if name == "c":
            raise ZeroDivisionError("canary")
        return name

    inbox = Inbox()
    with ScriptedServer(LISTED, stream(ADD_C), reply(listing(99, A)), stream(then=silence)) as server:
        reflector = Reflector(
            cluster_at(server.port), "/api/v1/pods", name="pods", parse=choosy, inbox=inbox, clock=clock,
            patience=PATIENCE,
        )  # fmt: skip
        reflector.start()
        _, trouble, second = told(inbox, 3)
        reflector.close()
    assert trouble_in(trouble) == "watch pods: ZeroDivisionError"
    assert names_in(second) == ["a"]


@pytest.mark.parametrize("where", ["list", "watch"])
def test_a_missing_right_is_told_and_tried_again(where: str, clock: RecordingClock) -> None:
    """For a moment it may be missing during a run; whether to give up is the reader's decision."""
    no = refuse(403, "Forbidden", f'pods is forbidden: User "ci" cannot {where} resource "pods" in API group ""')
    script = (no, LISTED) if where == "list" else (LISTED, no, LISTED)
    with followed(clock, *script, stream(ADD_C, then=silence)) as (_, _, inbox):
        news = told(inbox, 4)
    troubles = [one for one in news if isinstance(one, Troubled)]
    assert len(troubles) == 1
    assert isinstance(troubles[0].error, MissingRight)
    assert troubles[0].error.verb == where
    assert names_in(news[3]) == ["a", "b", "c"]


class Reading(Inbox):
    """Its reader looks at once what the reflector has to say."""

    def __init__(self) -> None:
        super().__init__()
        self.reflector: Reflector[str] | None = None
        self.read: list[bool] = []

    def put(self, news: News) -> None:
        assert self.reflector is not None
        self.read.append(self.reflector.trouble is not None)
        super().put(news)


def test_trouble_is_there_when_it_is_told(clock: RecordingClock) -> None:
    """Else a reader that it wakes would take the view for new, and wait on."""
    inbox = Reading()
    with followed(clock, LISTED, reset, stream(then=silence), inbox=inbox):
        assert [type(one) for one in told(inbox, 3)] == [Changed, Troubled, Recovered]
    assert inbox.read[:3] == [False, True, False]


def test_null_fields_in_lists_and_events(clock: RecordingClock) -> None:
    empty = reply({"kind": "PodList", "metadata": {"resourceVersion": "10", "continue": None}, "items": None})
    with followed(clock, empty, stream(ADD_C, then=silence)) as (_, _, inbox):
        first, second = told(inbox, 2)
    assert (names_in(first), names_in(second)) == ([], ["c"])


def test_a_list_without_a_version_is_no_list(clock: RecordingClock) -> None:
    nothing: dict[str, object] = {}
    with followed(clock, reply(nothing), LISTED, stream(then=silence)) as (_, _, inbox):
        trouble, change = told(inbox, 2)
    assert isinstance(trouble, Troubled)
    assert isinstance(trouble.error, NotKubernetes)
    assert names_in(change) == ["a", "b"]


def test_closing_ends_a_silent_watch_at_once() -> None:
    """With real time: nobody waits for the silence to be over, nor for a glance."""
    with ScriptedServer(LISTED, stream(then=silence)) as server:
        reflector = Reflector(cluster_at(server.port), "/api/v1/pods", name="pods", parse=name_of, inbox=Inbox())
        reflector.start()
        heard_at_least(server, 2)
        reflector.close()
        wait_until(lambda: not [one for one in threading.enumerate() if one.name == "watch pods"], what="its end")
        assert reflector.trouble is None, "being closed is no trouble"


def test_closing_one_that_never_ran() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    Reflector(cluster_at(port), "/api/v1/pods", name="pods", parse=name_of, inbox=Inbox()).close()


def test_a_threads_clock_stops_for_good() -> None:
    clock = ThreadClock()
    clock.stop()
    for _ in range(2):
        with pytest.raises(Interrupted):
            clock.wait(until=Instant(clock.now() + 1000))


def test_the_inbox_ends_at_the_limit_and_by_interrupt(clock: RecordingClock) -> None:
    with pytest.raises(DeadlineExceeded):
        Inbox().take(until=clock.now(), clock=clock)
    clock.interrupt()
    with pytest.raises(Interrupted):
        Inbox().take(until=Instant(100.0), clock=clock)


def test_silent_is_a_kind_of_unreachable() -> None:
    assert issubclass(Silent, Unreachable)
    assert json.loads(ADD_C)["type"] == "ADDED"
