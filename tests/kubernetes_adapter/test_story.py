"""The story on Services and Deployments: what is told where, and that telling it fails and holds up nobody."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from tests.kubernetes_adapter.asking_kit import PROBES, by_path, refused
from tests.kubernetes_transport.kit import PACE, RecordingClock, cluster_at, wait_until
from tests.kubernetes_transport.server import Conversation, ScriptedServer, Step, reply, silence, silence_while, thing

from bluegreen.clock import SystemClock
from bluegreen.domain import events
from bluegreen.domain.cause import Cause
from bluegreen.domain.errors import ExitCode, Interrupted
from bluegreen.domain.image import ImageReference
from bluegreen.domain.plan import Options, Plan, SlotSpec, WorkloadSpec
from bluegreen.domain.release import Outcome
from bluegreen.domain.snapshot import Template
from bluegreen.domain.stack import Service, Slot, Stack
from bluegreen.platforms.kubernetes.posting import Afterword, Post
from bluegreen.platforms.kubernetes.story import FAREWELL, Story
from bluegreen.platforms.kubernetes.telling import About, tell
from bluegreen.platforms.kubernetes.transport import Api

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BUSY = 20.0
"""Seconds for what takes a moment, on a machine that is busy."""

STACK = Stack(
    name="shop",
    services=(
        Service(name="back", image="back", port=1, probes=PROBES),
        Service(name="front", image="front", port=2, probes=PROBES),
    ),
)
SPECS = tuple(
    WorkloadSpec(service=name, image=ImageReference.parse(f"shop/{name}:v2"), replicas=2, template=Template())
    for name in STACK.names
)
PLAN = Plan(
    release="r-1",
    stack="shop",
    active=Slot.BLUE,
    target=Slot.GREEN,
    changes=(),
    want=SlotSpec(slot=Slot.GREEN, revision="r-1", workloads=SPECS),
    previous=None,
    options=Options(),
)
PLANNED = events.Planned(plan=PLAN, dry_run=False)
CAUSE = Cause(service="front", slot=Slot.GREEN, reason="crash loop", exit_code=3, advice="read its log")
FAILING = events.Failing(why="check failed", users="users saw nothing")
ROUTED = events.Routed(slot=Slot.GREEN, services=STACK.names, took=0.123)
BACK = events.CameBack(slot=Slot.BLUE, why="5 errors", took=0.1)

SERVICES = ("Service back", "Service front")
GREENS = ("Deployment back-green", "Deployment front-green")
BLUES = ("Deployment back-blue", "Deployment front-blue")


def done(phase: events.Phase) -> events.PhaseDone:
    return events.PhaseDone(phase=phase, what="it was done", took=1.0)


def summary(outcome: Outcome | None) -> events.Summary:
    return events.Summary(
        run="r-1",
        outcome=outcome,
        headline="the end",
        details=("more",),
        way_back="",
        took=1.0,
        exit_code=ExitCode.OK,
    )


TOLD: dict[str, tuple[events.Event, tuple[str, ...], str, str]] = {
    "validated": (done(events.Phase.VALIDATE), GREENS, "Normal Validated", "r-1: it was done"),
    "doomed": (
        events.Diagnosed(cause=CAUSE, log=("secret",), where="there"),
        ("Deployment front-green",),
        "Warning Doomed",
        "r-1: front in green: crash loop, exit code 3; read its log",
    ),
    "switched": (ROUTED, SERVICES, "Normal Switched", "r-1: users go to green, after 0.12 s"),
    "confirmed": (
        events.Proved(slot=Slot.GREEN, how="7 requests"),
        SERVICES,
        "Normal Confirmed",
        "r-1: green serves: 7 requests",
    ),
    "not proven": (
        events.Proved(slot=Slot.GREEN, how=""),
        SERVICES,
        "Normal NotProven",
        "r-1: no witness that green serves",
    ),
    "observed": (done(events.Phase.OBSERVE), SERVICES, "Normal Observed", "r-1: it was done"),
    "failed": (FAILING, SERVICES + GREENS, "Warning ReleaseFailed", "r-1: check failed; users saw nothing"),
    "came back": (BACK, SERVICES, "Warning RolledBack", "r-1: users are back on blue, after 0.10 s: 5 errors"),
    "restored": (done(events.Phase.RESTORE), GREENS, "Normal Restored", "r-1: it was done"),
    "retired": (done(events.Phase.RETIRE), BLUES, "Normal Retired", "r-1: it was done"),
    "released": (summary(Outcome.RELEASED), SERVICES, "Normal Released", "r-1: the end"),
    "held": (summary(Outcome.HELD), SERVICES, "Warning Held", "r-1: the end; more"),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_is_told_where(name: str) -> None:
    event, about, reason, message = TOLD[name]
    told = list(tell(event, stack=STACK, plan=PLAN, run="r-1"))
    assert tuple(f"{one.about.kind} {one.about.name}" for one in told) == about
    assert {f"{'Warning' if one.warning else 'Normal'} {one.reason}" for one in told} == {reason}
    assert {one.message for one in told} == {message}


def test_staging_names_the_images() -> None:
    event = events.PhaseBegan(phase=events.Phase.DEPLOY, what="images into green")
    told = list(tell(event, stack=STACK, plan=PLAN, run="r-1"))
    assert [(one.about, one.message) for one in told] == [
        (About(kind="Deployment", name="back-green"), "r-1: shop/back:v2, 2 pods"),
        (About(kind="Deployment", name="front-green"), "r-1: shop/front:v2, 2 pods"),
    ]


@pytest.mark.parametrize(
    "event",
    [
        PLANNED,
        events.Note(text="x"),
        events.Waiting(wants=(), waited=0.0, left=1.0),
        events.Observed(requests=1, errors=0, slow=0, left=1.0),
        summary(None),
        summary(Outcome.FAILED),
    ],
)
def test_the_rest_is_not_told(event: events.Event) -> None:
    assert list(tell(event, stack=STACK, plan=PLAN, run="r-1")) == []


def test_without_a_plan_and_a_run_users_services_are_told_of() -> None:
    told = list(tell(BACK, stack=STACK, plan=None, run=""))
    assert [one.message for one in told] == ["users are back on blue, after 0.10 s: 5 errors"] * 2
    assert list(tell(done(events.Phase.RETIRE), stack=STACK, plan=None, run="")) == []


# --- posting ------------------------------------------------------------------------------------------------------

POSTS = "/api/v1/namespaces/shop/events"
OBJECTS: dict[str, Step] = {
    **{f"/api/v1/namespaces/shop/services/{name}": reply(thing(name, 1, uid=f"s-{name}")) for name in STACK.names},
    **{
        f"/apis/apps/v1/namespaces/shop/deployments/{name}-{slot}": reply(thing(f"{name}-{slot}", 1))
        for name in STACK.names
        for slot in Slot
    },
}


def serve(answer: Step, objects: dict[str, Step] = OBJECTS) -> ScriptedServer:
    return ScriptedServer(*[by_path({**objects, POSTS: answer})] * 100)


def story(server: ScriptedServer, clock: RecordingClock, *, farewell: float = 30.0) -> Story:
    """``farewell``: what is posted is all there, however busy this machine is."""
    return Story(cluster_at(server.port), stack=STACK, namespace="shop", clock=clock, pace=PACE, farewell=farewell)


def posted(server: ScriptedServer) -> list[dict[str, object]]:
    return [heard.json for heard in server.heard if heard.method == "POST"]  # type: ignore[misc]


def tell_all(one: Story, told: Sequence[events.Event]) -> str:
    for event in told:
        one(event)
    return one.close()


def test_events_are_such_as_kubectl_describe_finds(clock: RecordingClock) -> None:
    with serve(reply({})) as server:
        assert tell_all(story(server, clock), [PLANNED, ROUTED, BACK]) == ""
    first, *rest = posted(server)
    assert first["involvedObject"] == {
        "kind": "Service",
        "apiVersion": "v1",
        "namespace": "shop",
        "name": "back",
        "uid": "s-back",
    }
    assert (first["type"], first["reason"], first["count"]) == ("Normal", "Switched", 1)
    assert first["source"] == {"component": "bluegreen"}
    assert first["firstTimestamp"] == first["lastTimestamp"] == "2025-06-15T15:06:40Z"
    assert [one["reason"] for one in rest] == ["Switched", "RolledBack", "RolledBack"]
    names = [one["metadata"]["name"] for one in (first, *rest)]  # type: ignore[index]
    assert len(set(names)) == 4
    assert len([heard for heard in server.heard if heard.method == "GET"]) == 2, "an object is looked up once"


@contextmanager
def afterword(server: ScriptedServer, clock: RecordingClock, **seen: str) -> Iterator[Afterword]:
    """``seen``: uids of Services."""
    with Api(cluster_at(server.port), clock=clock, pace=PACE) as api:
        post = Post(api, namespace="shop", clock=clock, seen=lambda name: seen.get(name, ""))
        yield Afterword(post, stack=STACK, clock=clock)


def test_a_command_that_is_over_in_a_moment_tells_its_story_when_users_are_safe(clock: RecordingClock) -> None:
    with serve(reply({})) as server, afterword(server, clock, back="u-back") as one:
        one(BACK)
        assert server.heard == []
        one(summary(Outcome.ROLLED_BACK))
        assert [told["reason"] for told in posted(server)] == ["RolledBack", "RolledBack"]
        assert one.close() == ""
    assert [told["involvedObject"]["uid"] for told in posted(server)] == ["u-back", "s-front"]  # type: ignore[index]
    assert len([heard for heard in server.heard if heard.method == "GET"]) == 1, "only what was not seen is looked up"


def test_a_command_that_ends_early_tells_what_it_has_kept(clock: RecordingClock) -> None:
    with serve(reply({})) as server, afterword(server, clock) as one:
        one(BACK)
        assert one.close() == ""
    assert len(posted(server)) == 2


def test_an_afterword_that_is_refused_is_trouble_once_and_no_error(clock: RecordingClock) -> None:
    with (
        serve(refused(403, "Forbidden", 'User "ci" cannot create resource "events" in the namespace')) as server,
        afterword(server, clock) as one,
    ):
        one(BACK)
        one(summary(Outcome.ROLLED_BACK))
        assert "may not create events" in one.new_trouble()
        assert one.new_trouble() == ""
        assert one.close()
    assert len(posted(server)) == 1


def test_an_afterword_leaves_an_interrupt_to_the_run(clock: RecordingClock) -> None:
    with serve(reply({})) as server, afterword(server, clock) as one:
        one(BACK)
        clock.interrupt()
        assert one.close() == ""
    assert len(posted(server)) == 2
    with pytest.raises(Interrupted):
        clock.raise_if_interrupted()


def test_a_dry_run_has_no_story(clock: RecordingClock) -> None:
    with serve(reply({})) as server:
        one = story(server, clock)
        assert tell_all(one, [events.Planned(plan=PLAN, dry_run=True), done(events.Phase.VALIDATE)]) == ""
    assert server.heard == []


def test_a_run_without_a_plan_is_named_all_the_same(clock: RecordingClock) -> None:
    with serve(reply({})) as server:
        one = Story(
            cluster_at(server.port), stack=STACK, namespace="shop", clock=clock, pace=PACE, run_of=lambda: "b-7"
        )
        assert tell_all(one, [BACK]) == ""
    assert {one["message"] for one in posted(server)} == {"b-7: users are back on blue, after 0.10 s: 5 errors"}


def test_an_object_that_is_not_there_is_passed_over(clock: RecordingClock) -> None:
    objects = {**OBJECTS, "/api/v1/namespaces/shop/services/back": refused(404, "NotFound", "not found")}
    with serve(reply({}), objects) as server:
        assert tell_all(story(server, clock), [ROUTED]) == ""
    assert [one["involvedObject"]["name"] for one in posted(server)] == ["front"]  # type: ignore[index]


def test_an_event_whose_answer_was_lost_is_no_trouble(clock: RecordingClock) -> None:
    """It is sent again, and finds itself: the name is nobody else's."""
    there = refused(409, "AlreadyExists", 'events "back.1.1" already exists')
    with serve(there) as server:
        assert tell_all(story(server, clock), [ROUTED]) == ""
    assert len(posted(server)) == len(STACK.names)


def test_after_a_refusal_it_is_silent_and_says_why_once(clock: RecordingClock) -> None:
    said = 'User "ci" cannot create resource "events" in API group "" in the namespace "shop"'
    with serve(refused(403, "Forbidden", said)) as server:
        why = tell_all(story(server, clock), [PLANNED, ROUTED, BACK, FAILING])
    assert why == "the account may not create events in namespace shop (403)"
    assert len(posted(server)) == 1


def test_while_the_run_goes_on_trouble_is_news_once(clock: RecordingClock) -> None:
    with serve(refused(500, "InternalError", "no room")) as server:
        one = story(server, clock)
        assert one.new_trouble() == ""
        one(ROUTED)
        found = ""

        def trouble() -> bool:
            nonlocal found
            found = one.new_trouble()
            return bool(found)

        wait_until(trouble, what="the trouble to be told")
        assert one.new_trouble() == ""
        one.close()
    assert "no room (500)" in found


def test_a_hanging_api_server_holds_up_nobody() -> None:
    """In real time: neither the run, nor its end by more than the farewell. In its own the server hangs for ever."""
    real, clock = SystemClock(), RecordingClock()
    with serve(silence) as server:
        one = story(server, clock, farewell=FAREWELL)
        began = real.now()
        one(ROUTED)
        one(BACK)
        took = real.now() - began
        wait_until(lambda: bool(posted(server)), what="the first Event to be posted")
        began = real.now()
        why = one.close()
        ended = real.now() - began
    assert took < BUSY
    assert ended < FAREWELL + BUSY
    assert why == "the API server took no Events within 1 s"
    assert len(posted(server)) == 1


def test_what_hangs_is_given_up_in_time(clock: RecordingClock) -> None:
    def late(conversation: Conversation) -> None:
        silence_while(lambda: clock.skip(1))(conversation)

    with serve(late) as server:
        one = story(server, clock)
        one(ROUTED)
        wait_until(lambda: clock.now() >= 5, what="the limit of one Event")
        why = one.close()
    assert "no answer within the limit" in why
    assert len(posted(server)) == 1


def test_a_story_without_events_connects_to_nobody(clock: RecordingClock) -> None:
    with serve(reply({})) as server:
        assert story(server, clock).close() == ""
    assert server.heard == []
