"""What is fetched to explain a failure, from a scripted API server: the right log, the command for more, no secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kubernetes_adapter.asking_kit import PODS, STACK, no_right, refused
from tests.kubernetes_transport.kit import serving
from tests.kubernetes_transport.server import Step, listing, page, reply, silence_while

from bluegreen.domain.cause import Cause
from bluegreen.domain.health import Reason
from bluegreen.domain.stack import Instant, Slot
from bluegreen.domain.values import replace
from bluegreen.platforms.kubernetes.diagnose import LINES, diagnose, tails
from bluegreen.ports import LogTail

if TYPE_CHECKING:
    from tests.kubernetes_transport.kit import RecordingClock
    from tests.kubernetes_transport.server import JsonObject

    from bluegreen.ports import Diagnosis

LIMIT = Instant(30.0)
LOG = f"{PODS}a/log"


def log(text: str) -> Step:
    return page(200, text, kind="text/plain")


def event(reason: str, message: str, at: str) -> JsonObject:
    return {"metadata": {"name": reason}, "reason": reason, "message": message, "type": "Warning", "lastTimestamp": at}


NO_EVENTS = reply(listing(1))
NO_PREVIOUS = refused(400, "BadRequest", 'previous terminated container "c" in pod "a" not found')
NO_SECRET = "Unable to retrieve some image pull secrets (regcred); attempting to pull may not succeed."
REMOVED = log("unable to retrieve container logs for containerd://4d97")


def cause(*, exit_code: int | None = None, container: str = "c", pod: str = "a") -> Cause:
    return Cause(service="web", slot=Slot.GREEN, reason="crash loop", pod=pod, container=container, exit_code=exit_code)


def diagnosed(clock: RecordingClock, of: Cause, *steps: Step) -> tuple[Diagnosis, list[tuple[str, dict[str, str]]]]:
    with serving(clock, *steps) as (server, api):
        found = diagnose(of, api=api, namespace="shop", until=LIMIT)
    return found, [(heard.path, heard.query) for heard in server.heard]


BOUNDS = {"tailLines": str(LINES), "limitBytes": str(LINES * 16384), "container": "c"}


def test_of_a_container_that_ended_its_last_life_tells(clock: RecordingClock) -> None:
    found, heard = diagnosed(clock, cause(exit_code=3), log("one\n\x1b[31mtwo\x1b[0m password=canary\n"), NO_EVENTS)
    assert found.log == ("one", "two password=***")
    assert found.where == "kubectl logs -n shop a -c c --previous"
    assert "--keep-failed" in found.while_there
    assert heard[0] == (LOG, BOUNDS | {"previous": "true"})


@pytest.mark.parametrize("nothing", [NO_PREVIOUS, REMOVED, log("")], ids=["none", "removed", "empty"])
def test_where_that_is_gone_the_present_one_does(nothing: Step, clock: RecordingClock) -> None:
    found, heard = diagnosed(clock, cause(exit_code=3), nothing, log("why\n"), NO_EVENTS)
    assert (found.log, found.where) == (("why",), "kubectl logs -n shop a -c c")
    assert heard[1] == (LOG, BOUNDS)


def test_of_a_container_that_runs_the_present_log_tells(clock: RecordingClock) -> None:
    found, heard = diagnosed(clock, cause(), log("not ready\n"), NO_EVENTS)
    assert (found.log, found.where) == (("not ready",), "kubectl logs -n shop a -c c")
    assert [path for path, _ in heard] == [LOG, "/api/v1/namespaces/shop/events"]


def test_of_one_that_never_ran_the_api_server_says_why_there_is_no_log(clock: RecordingClock) -> None:
    waits = 'container "c" in pod "a" is waiting to start: trying and failing to pull image'
    events = reply(
        listing(
            1,
            event("Failed", "not found; token=canary", "2026-01-01T00:00:05Z"),
            event("Failed", "Error: ImagePullBackOff", "2026-01-01T00:00:08Z"),
            event("BackOff", "Back-off restarting failed container", "2026-01-01T00:00:09Z"),
            event("Failed", "older", "2026-01-01T00:00:01Z"),
        )
    )
    found, heard = diagnosed(clock, cause(), refused(400, "BadRequest", waits), events)
    assert (found.log, found.event) == ((f"(no log: {waits})",), "Failed: not found; token=***")
    assert found.where == "kubectl describe -n shop pod/a"
    assert heard[1][1] == {"fieldSelector": "involvedObject.name=a,type=Warning"}


def test_a_pull_secret_that_is_not_there_is_told_before_the_registrys_refusal(clock: RecordingClock) -> None:
    events = reply(
        listing(
            1,
            event("FailedToRetrieveImagePullSecret", NO_SECRET, "2026-01-01T00:00:05Z"),
            event("Failed", "Failed to pull image: 401 Unauthorized", "2026-01-01T00:00:09Z"),
        )
    )
    found, _ = diagnosed(clock, replace(cause(), reason=Reason.PULL_FAILS), log(""), events)
    assert found.event == f"FailedToRetrieveImagePullSecret: {NO_SECRET}"


def test_of_one_that_was_pulled_without_it_the_pull_secret_says_nothing(clock: RecordingClock) -> None:
    """As where a namespace's account names one for another registry."""
    events = reply(
        listing(
            1,
            event("Unhealthy", "Readiness probe failed: 503", "2026-01-01T00:00:05Z"),
            event("FailedToRetrieveImagePullSecret", NO_SECRET, "2026-01-01T00:00:09Z"),
        )
    )
    found, _ = diagnosed(clock, replace(cause(), reason=Reason.READINESS), log(""), events)
    assert found.event == "Unhealthy: Readiness probe failed: 503"


def test_rights_that_are_missing_are_said(clock: RecordingClock) -> None:
    events = refused(403, "Forbidden", 'User "ci" cannot list resource "events" in API group ""')
    found, _ = diagnosed(clock, cause(exit_code=1), no_right("pods/log"), events)
    assert found.log == ("(its log cannot be read: the account may not get pods/log in namespace shop (403))",)
    assert found.event == "(its events cannot be read: the account may not list events in namespace shop (403))"
    assert found.where == "kubectl logs -n shop a -c c --previous"


def test_an_api_server_that_is_silent_takes_no_more_than_the_limit(clock: RecordingClock) -> None:
    found, _ = diagnosed(clock, cause(), silence_while(lambda: clock.skip(1)))
    assert clock.now() >= LIMIT
    assert found.log == ("(no log: get pods/log a in shop: no answer within the limit)",)
    assert found.event == "(its events cannot be read: list events in shop: no answer within the limit)"


def test_of_a_workload_that_cannot_make_pods_the_deployment_tells(clock: RecordingClock) -> None:
    found, heard = diagnosed(clock, cause(pod="", container=""))
    assert (found.log, found.where) == ((), "kubectl describe -n shop deployment/web-green")
    assert heard == []


@pytest.mark.parametrize(
    ("reason", "pod", "command"),
    [
        (Reason.QUOTA, "", "kubectl describe -n shop resourcequota"),
        (Reason.ADMISSION, "", "kubectl get events -n shop --field-selector reason=FailedCreate"),
        (Reason.PAUSED, "", "kubectl rollout resume -n shop deployment/web-green"),
        (Reason.CONFIG_MISSING, "a", "kubectl get -n shop configmaps,secrets"),
        (Reason.VOLUME_MISSING, "a", "kubectl get -n shop persistentvolumeclaims,configmaps,secrets"),
        (Reason.NODE_LOST, "a", "kubectl get nodes"),
        (Reason.CRASH_LOOP, "a", "kubectl logs -n shop a -c c"),
    ],
)
def test_the_command_that_shows_more(reason: Reason, pod: str, command: str, clock: RecordingClock) -> None:
    steps = (log("why\n"), NO_EVENTS) if pod else ()
    found, _ = diagnosed(clock, replace(cause(pod=pod), reason=reason), *steps)
    assert found.where == command


def item(name: str, *containers: str, chosen: str = "") -> JsonObject:
    annotations = {"kubectl.kubernetes.io/default-container": chosen} if chosen else {}
    spec = {"containers": [{"name": each} for each in containers]}
    return {"metadata": {"name": name, "annotations": annotations}, "spec": spec}


def test_tails_by_slot_and_name(clock: RecordingClock) -> None:
    gone = refused(404, "NotFound", 'pods "b" not found')
    script = [
        reply(listing(1, item("b", "c"), item("a", "side", "c", chosen="c"))),
        log("1\n2\n\n3 \x07\n"),
        gone,
        reply(listing(1)),
    ]
    with serving(clock, *script) as (server, api):
        found = tails(api, stack=STACK, namespace="shop", services=["web"], slot=None, lines=2, until=LIMIT)
    assert found == (
        LogTail(where="kubectl logs -n shop a -c c", lines=("", "3")),
        LogTail(where="kubectl logs -n shop b -c c", lines=('(it cannot be read: pods "b" not found)',)),
    )
    assert [heard.query.get("labelSelector") for heard in server.heard] == [
        "app=web,slot=blue",
        None,
        None,
        "app=web,slot=green",
    ]
    assert server.heard[1].query["tailLines"] == "2"


def test_tails_of_one_slot(clock: RecordingClock) -> None:
    with serving(clock, reply(listing(1))) as (server, api):
        assert tails(api, stack=STACK, namespace="shop", services=["web"], slot=Slot.GREEN, lines=2, until=LIMIT) == ()
    assert [heard.query["labelSelector"] for heard in server.heard] == ["app=web,slot=green"]
