"""How answers become errors: what is named, what is cut, and what is never in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.kubernetes_transport.kit import RecordingClock, serving
from tests.kubernetes_transport.server import Step, page, refuse, reply, status_body

from bluegreen.domain.errors import BluegreenError, UsageError
from bluegreen.domain.stack import Instant
from bluegreen.platforms.kubernetes.cluster import Identity
from bluegreen.platforms.kubernetes.credentials import Fixed
from bluegreen.platforms.kubernetes.errors import (
    LONGEST,
    MissingRight,
    Refused,
    Status,
    asked_of,
    clean,
    error_of,
    own_status,
    status_of,
)
from bluegreen.platforms.kubernetes.pace import Backoff, Pace, chance
from bluegreen.platforms.kubernetes.resources import DEPLOYMENTS, LEASES, NODES, PODS, pod_path

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluegreen.platforms.kubernetes.transport import Api

CANARY = "canary-77c1"
LIMIT = Instant(30.0)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (PODS.all("alfred"), "list pods in alfred"),
        (PODS.all(""), "list pods"),
        (NODES.one("", "n1"), "list nodes n1"),
        (DEPLOYMENTS.one("alfred", "b", sub="scale"), "list deployments.apps/scale b in alfred"),
        (LEASES.one("alfred", "b"), "list leases.coordination.k8s.io b in alfred"),
        (pod_path("alfred", "b", port=80, path="/a/b"), "list pods/proxy b:80 in alfred"),
        ("/version", "list /version"),
        ("/api/v1/namespaces/alfred", "list namespaces alfred"),
        ("/api", "list /api"),
        ("/", "list /"),
    ],
)
def test_what_was_asked_is_read_from_the_path(path: str, expected: str) -> None:
    assert str(asked_of("list", path)) == expected


@pytest.mark.parametrize(
    ("verb", "path", "command"),
    [
        ("get", pod_path("alfred", "b", port=80, path="/a"), "get pods/b:80 --subresource=proxy -n alfred"),
        ("patch", LEASES.one("alfred", "b"), "patch leases.coordination.k8s.io/b -n alfred"),
        ("list", PODS.all("alfred"), "list pods -n alfred"),
        ("list", PODS.all(""), "list pods -A"),
        ("get", "/version", "get /version"),
    ],
)
def test_a_missing_right_is_told_with_the_very_question(verb: str, path: str, command: str) -> None:
    """``pods/proxy`` is to kubectl the pod called ``proxy``, and without ``-A`` it asks about one namespace."""
    error = error_of(asked_of(verb, path), Status(code=403), code=403, server="s")
    assert isinstance(error, MissingRight)
    assert error.mend == f"give it the right, then check: kubectl auth can-i {command}"


def test_a_name_stays_one_part_of_a_path() -> None:
    assert PODS.one("al/fred", "../x?y") == "/api/v1/namespaces/al%2Ffred/pods/..%2Fx%3Fy"
    assert pod_path("a", "p", port=1, path="/h e\r\n?q=1").endswith("/proxy/h%20e%0D%0A?q=1")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[1]",
        b'{"kind": "Status"',
        b'{"kind":"Pod","apiVersion":"v1"}',
        b'{"kind":"Status","apiVersion":"v2"}',
        b"{" * 100_000,
        json.dumps(status_body(500) | {"x": "y" * 2**19}).encode(),
    ],
    ids=["nothing", "list", "cut", "pod", "other", "deep", "long"],
)
def test_what_is_no_status(body: bytes) -> None:
    assert own_status(body, code=500) is None


def test_a_status_full_of_null() -> None:
    body = b'{"kind":"Status","apiVersion":"v1","code":null,"reason":null,"message":null,"details":null}'
    found = own_status(body, code=409)
    assert found is not None
    assert (found.code, found.reason, found.message, found.causes, found.retry_after) == (409, "", "", 0, 0.0)


@pytest.mark.parametrize("text", ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "1e9", "99999999", "", "²"])
def test_a_retry_after_that_is_no_number_of_seconds_is_none(text: str) -> None:
    found = status_of(b"", code=429, headers={"retry-after": text})
    assert found is not None
    assert found.retry_after == 0.0


def test_texts_are_one_line_without_control_characters_and_cut() -> None:
    assert clean("a\nb\x1b[31m\tc\u202e") == "a b [31m c "
    assert len(clean("x" * 1000)) == LONGEST
    found = own_status(json.dumps(status_body(500, message="a\n" + "x" * 9999)).encode(), code=500)
    assert found is not None
    assert len(found.message) == LONGEST
    assert "\n" not in found.message


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        (
            f' "" is invalid: patch: Invalid value: "{{\\"env\\":\\"{CANARY}\\"}}": cannot unmarshal',
            ' "" is invalid: patch: Invalid value: (not shown): cannot unmarshal',
        ),
        (f'"" is invalid: Invalid value: "{{\\"env\\":\\"{CANARY}', '"" is invalid: Invalid value: (not shown)'),
        (
            f'spec.selector: Invalid value: {{"matchLabels":{{"a":"{CANARY}"}}}}: field is immutable',
            "spec.selector: Invalid value: (not shown): field is immutable",
        ),
        ("spec.replicas: Invalid value: -3: must be 0", "spec.replicas: Invalid value: -3: must be 0"),
    ],
    ids=["quoted", "cut", "plain", "number"],
)
def test_an_object_that_the_server_quotes_is_not_shown(message: str, shown: str) -> None:
    """As a Kubernetes 1.34 words them."""
    found = own_status(json.dumps(status_body(422, "Invalid", message)).encode(), code=422)
    assert found is not None
    assert found.message == shown


def chain(error: BaseException) -> str:
    """All that a traceback would say of it and its causes."""
    words: list[str] = []
    seen: BaseException | None = error
    while seen is not None:
        words += [str(seen), repr(seen), getattr(seen, "mend", "")]
        seen = seen.__cause__ or (None if seen.__suppress_context__ else seen.__context__)
    return "\n".join(words)


def error_of_call(call: Callable[[], object]) -> BluegreenError | None:
    try:
        call()
    except BluegreenError as error:
        return error
    return None


BODY = {"data": {"password": CANARY}}
CALLS: dict[str, Callable[[Api], object]] = {
    "get": lambda api: api.get("/api/v1/namespaces/a/secrets/b", until=LIMIT),
    "list": lambda api: api.list("/api/v1/namespaces/a/secrets", until=LIMIT),
    "create": lambda api: api.create("/api/v1/namespaces/a/secrets", BODY, until=LIMIT),
    "merge patch": lambda api: api.merge_patch("/api/v1/namespaces/a/secrets/b", BODY, until=LIMIT),
    "json patch": lambda api: api.json_patch("/api/v1/namespaces/a/secrets/b", [BODY], until=LIMIT),
}
FAULTS: dict[str, Step] = {
    "page of 500": page(500, f"<html>{CANARY}"),
    "page of 403": page(403, f"<html>{CANARY}"),
    "page of 200": page(200, f"<html>{CANARY}"),
    "another object": reply({"kind": "Secret", "data": {"a": CANARY}}, status=400),
    "text of 401": page(401, CANARY, kind="text/plain"),
    "no HTTP": lambda conversation: conversation.send(f"{CANARY}\r\n\r\n".encode()),
    "items of text": reply({"metadata": {"resourceVersion": "1"}, "items": [CANARY]}),
    "a header": page(500, "", X_Secret=CANARY),
}


@pytest.mark.parametrize("call", list(CALLS.values()), ids=list(CALLS))
@pytest.mark.parametrize("fault", list(FAULTS.values()), ids=list(FAULTS))
def test_no_secret_is_in_an_error(call: Callable[[Api], object], fault: Step, clock: RecordingClock) -> None:
    """Not of what was sent, not of what came, not of who asked: neither in the error nor in what it came of."""
    source = Fixed(Identity(authorization=f"Bearer {CANARY}", headers=(("Impersonate-User", CANARY),)))
    with serving(clock, *[fault] * 30, source=source) as (_, api):
        error = error_of_call(lambda: call(api))
    if error is None:
        assert fault is FAULTS["items of text"], "only this is an answer as it should be, but for a list"
    else:
        assert CANARY not in chain(error)


def test_a_token_that_would_break_the_request_is_refused_without_being_shown(clock: RecordingClock) -> None:
    source = Fixed(Identity(authorization=f"Bearer {CANARY}\r\nX-Evil: 1"))
    with (
        serving(clock, source=source) as (server, api),
        pytest.raises(UsageError, match="no request can carry") as raised,
    ):
        api.get("/version", until=LIMIT)
    assert CANARY not in chain(raised.value)
    assert server.heard == []


def test_a_status_keeps_its_own_words(clock: RecordingClock) -> None:
    step = refuse(422, "Invalid", "spec.replicas: must not be negative")
    with serving(clock, step) as (_, api), pytest.raises(Refused) as raised:
        api.create(PODS.all("alfred"), {}, until=LIMIT)
    assert str(raised.value) == "create pods in alfred: spec.replicas: must not be negative (422)"
    assert raised.value.status.reason == "Invalid"


def test_pauses_grow_to_a_bound_and_lie_in_their_half() -> None:
    backoff = Backoff(Pace())
    pauses = [backoff.next() for _ in range(20)]
    bounds = [min(5.0, 0.1 * 2**count) for count in range(20)]
    assert all(bound / 2 <= pause <= bound for pause, bound in zip(pauses, bounds, strict=True))
    backoff.worked()
    assert backoff.next() <= 0.1
    assert 3.0 <= backoff.next(asked=3.0) <= 3.3


def test_chance_is_from_0_to_below_1() -> None:
    drawn = [chance() for _ in range(200)]
    assert 0.0 <= min(drawn) < 0.5 < max(drawn) < 1.0
