"""Bounds: what is refused, before a single connection is opened."""

from __future__ import annotations

import pytest

from bluegreen.load import Kind, KindPlan, LoadPlan, PlanError, run
from bluegreen.load.plan import resolve

NEW = KindPlan(kind=Kind.NEW, rate=1.0)


def plan(url: str = "http://127.0.0.1:9/", **changes: object) -> LoadPlan:
    fields: dict[str, object] = {"url": url, "duration": 1.0, "kinds": (NEW,), **changes}
    return LoadPlan(**fields)  # type: ignore[arg-type]


def kind(**changes: object) -> KindPlan:
    fields: dict[str, object] = {"kind": Kind.KEEPALIVE, "rate": 1.0, "connections": 1, **changes}
    return KindPlan(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"duration": 1800.1}, "the duration, 1800.1 s, is above the limit of 1800 s"),
        ({"duration": 0}, "the duration must be above 0 s"),
        ({"duration": float("nan")}, "the duration must be above 0 s"),
        ({"duration": float("inf")}, "above the limit of 1800 s"),
        ({"duration": 0.5}, "no request is due"),
        ({"kinds": (kind(rate=5001.0),)}, "the rate of all kinds, 5001 req/s, is above the limit of 5000 req/s"),
        ({"kinds": (kind(rate=4999.0), KindPlan(kind=Kind.NEW, rate=2.0))}, "above the limit of 5000 req/s"),
        ({"kinds": (kind(connections=2001),)}, "is above the limit of 2000 connections"),
        ({"kinds": (kind(connections=9),), "max_connections": 8}, "is above the limit of 8 connections"),
        ({"max_connections": 2001}, "is above the limit of 2000 connections"),
        ({"kinds": ()}, "no kind of client is given"),
        ({"kinds": (NEW, NEW)}, "new is given twice"),
        ({"url": "https://127.0.0.1/"}, "is no URL of this kind"),
        ({"url": "127.0.0.1:80"}, "is no URL of this kind"),
        ({"url": "http://me:secret@127.0.0.1/"}, "is no URL of this kind"),
        ({"url": "http://127.0.0.1:99999/"}, "is no URL"),
        ({"url": "http://127.0.0.1:0/"}, "has port 0, where nobody can listen"),
        ({"max_connections": 0}, "with no connection allowed every request would fail"),
        ({"max_connections": -5}, "with no connection allowed every request would fail"),
        ({"url": "http://127.0.0.1/a b"}, "has a character that no request can hold"),
        ({"slow_over_ms": float("nan")}, "the time that is slow must be above 0 ms"),
        ({"slow_over_ms": -1.0}, "the time that is slow must be above 0 ms"),
    ],
)
def test_a_plan_out_of_bounds_is_refused_in_one_line(changes: dict[str, object], says: str) -> None:
    with pytest.raises(PlanError) as refused:
        plan(**changes)  # type: ignore[arg-type]
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rate": 0.0}, "the rate of keepalive must be above 0"),
        ({"rate": float("nan")}, "the rate of keepalive must be above 0"),
        ({"connections": -1}, "cannot have -1 connections"),
        ({"kind": Kind.NEW}, "new opens a connection for each request"),
        ({"kind": Kind.WEBSOCKET, "connections": 0}, "websocket needs at least 1 connection"),
        ({"timeout": 59.0, "takes": 2.0}, "may take 60 s at most"),
        ({"timeout": 0.0}, "the time limit of keepalive must be above 0 s"),
        ({"path": "api"}, "must begin with /"),
        ({"path": "/a b"}, "the path '/a b' has a character that no request can hold"),
        ({"path": "/ws#top", "kind": Kind.WEBSOCKET}, "the path '/ws#top' has a fragment, which no request can hold"),
        ({"path": "/\u00e4"}, "write it as %XX"),
        ({"path": "/\udcff"}, "write it as %XX"),
    ],
)
def test_a_kind_out_of_bounds_is_refused_in_one_line(changes: dict[str, object], says: str) -> None:
    with pytest.raises(PlanError) as refused:
        kind(**changes)
    assert says in str(refused.value)


def test_the_limits_themselves_are_allowed() -> None:
    wide = plan(duration=1800.0, kinds=(kind(rate=5000.0, connections=2000),))
    assert wide.requests == 9_000_000


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://10.231.0.11:8080/", "10.231.0.11"),
        ("http://192.168.1.4/", "192.168.1.4"),
        ("http://[fd00::1]:80/", "fd00::1"),
    ],
)
def test_another_machine_is_refused_until_it_is_named(url: str, name: str) -> None:
    with pytest.raises(PlanError, match="is not this machine; add --allow"):
        resolve(plan(url))
    assert resolve(plan(url, allow=frozenset({name}))).address == name


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1"])
def test_a_public_address_is_refused_even_when_it_is_named(address: str) -> None:
    with pytest.raises(PlanError, match="is a public address"):
        resolve(plan(f"http://{address}/", allow=frozenset({address})))


def test_a_host_that_is_not_there_is_refused() -> None:
    with pytest.raises(PlanError, match="cannot find the host"):
        run(plan("http://not..a..name/"))


def test_the_target_keeps_host_path_and_query() -> None:
    target = resolve(plan("http://localhost:8123/api/x?y=1"))
    assert (target.address, target.port) == ("127.0.0.1", 8123)
    assert (target.host, target.path) == ("localhost:8123", "/api/x?y=1")
    assert resolve(plan("http://127.0.0.1")).path == "/"


def test_usual_kinds_are_what_their_names_say() -> None:
    usual = {kind: KindPlan.usual(kind, rate=1.0) for kind in Kind}
    assert [kind for kind in Kind if usual[kind].connections == 0] == [Kind.NEW]
    assert usual[Kind.SLOW].path == "/api/slow?seconds=2"
    assert usual[Kind.SLOW].takes == 2.0
