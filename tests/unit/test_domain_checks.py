"""What an answer to a check is worth: expected and found, one line, nothing that steers a terminal, no secrets."""

from __future__ import annotations

import json

import pytest

from bluegreen.domain.checks import Answer, built_in, fault
from bluegreen.domain.image import ImageReference
from bluegreen.domain.plan import WorkloadSpec
from bluegreen.domain.release import CheckKind
from bluegreen.domain.snapshot import Template
from bluegreen.domain.stack import HttpCheck, JsonCondition, Slot, Tells, Told
from bluegreen.domain.values import replace
from bluegreen.testing import example_stack as stack

BODY = {"ok": True, "n": 1, "text": "1", "none": None, "queue": {"length": 7}, "list": [{"a": "x"}, 2]}


def answer(
    body: str = "", *, status: int = 200, headers: tuple[tuple[str, str], ...] = (), took: float = 0.1
) -> Answer:
    return Answer(status=status, headers=headers, body=body, took=took)


def check(**wanted: object) -> HttpCheck:
    return replace(HttpCheck(name="c", service="shop-web", path="/"), **wanted)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "others", "came", "said"),
    [
        (200, (), 200, ""),
        (200, (), 204, "answered 204, not 200"),
        (2, (), 204, ""),
        (2, (), 302, "answered 302, not 2xx"),
        (2, (404,), 404, ""),
        (2, (404,), 500, "answered 500, not 2xx or 404"),
        (200, (5,), 503, ""),
    ],
)
def test_status_one_several_or_a_class(status: int, others: tuple[int, ...], came: int, said: str) -> None:
    assert fault(check(status=status, other_statuses=others), answer(status=came)) == said


@pytest.mark.parametrize(
    ("wanted", "given", "said"),
    [
        ({"latency": 0.2}, answer(took=0.2), ""),
        ({"latency": 0.2}, answer(took=0.25), "answered in 0.25 s, not within 0.2 s"),
        ({"headers": (("X-Slot", "green"),)}, answer(headers=(("x-slot", "green"),)), ""),
        ({"headers": (("X-Slot", "green"),)}, answer(), "the header X-Slot is not set, not 'green'"),
        ({"headers": (("A", "b"),)}, answer(headers=(("A", "c"),)), "the header A is 'c', not 'b'"),
        ({"contains": "ok"}, answer("all ok"), ""),
        ({"contains": "ok"}, answer("bad\n\x1b[31mred"), "the body does not hold 'ok': 'bad red'"),
        ({"matches": r"v\d+"}, answer("it is v12"), ""),
        ({"matches": r"^v\d+$"}, answer("it is v12"), r"the body does not match '^v\\d+$': 'it is v12'"),
        ({"status": 200}, answer("why\nnot", status=500), "answered 500, not 200: 'why not'"),
        ({"status": 200}, answer("password=hunter2", status=500), "answered 500, not 200: 'password=***'"),
    ],
)
def test_what_is_wrong_is_said(wanted: dict[str, object], given: Answer, said: str) -> None:
    assert fault(check(**wanted), given) == said


def test_a_pattern_is_looked_for_in_the_beginning_of_a_body_only() -> None:
    far = "words, " * 10_000
    assert fault(check(matches="v12"), answer(f"v12 {far}")) == ""
    assert fault(check(matches="v12"), answer(f"{far} v12")).startswith("the body does not match 'v12': 'words, ")


def test_a_long_body_is_cut() -> None:
    assert len(fault(check(contains="ok"), answer("x" * 10_000))) < 150


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        (JsonCondition(path="ok"), ""),
        (JsonCondition(path="none"), "none is null"),
        (JsonCondition(path="gone"), "the JSON body has no gone"),
        (JsonCondition(path="queue.gone"), "the JSON body has no queue.gone"),
        (JsonCondition(path="n.gone"), "the JSON body has no n.gone"),
        (JsonCondition(path="list.0.a", equals='"x"'), ""),
        (JsonCondition(path="list.2"), "the JSON body has no list.2"),
        (JsonCondition(path="list.first"), "the JSON body has no list.first"),
        (JsonCondition(path="ok", equals="true"), ""),
        (JsonCondition(path="ok", equals="1"), "ok is true, not 1"),
        (JsonCondition(path="n", equals="true"), "n is 1, not true"),
        (JsonCondition(path="n", equals="1.0"), ""),
        (JsonCondition(path="text", equals="1"), 'text is "1", not 1'),
        (JsonCondition(path="queue", equals='"x"'), 'queue is {"length": 7}, not "x"'),
        (JsonCondition(path="queue.length", at_least=7, at_most=7), ""),
        (JsonCondition(path="queue.length", above=7), "queue.length is 7, not above 7"),
        (JsonCondition(path="queue.length", below=7), "queue.length is 7, not below 7"),
        (JsonCondition(path="queue.length", at_least=8), "queue.length is 7, not at least 8"),
        (JsonCondition(path="queue.length", at_most=6.5), "queue.length is 7, not at most 6.5"),
        (JsonCondition(path="text", at_least=1), 'text is "1", which is no number'),
        (JsonCondition(path="ok", at_least=1), "ok is true, which is no number"),
    ],
)
def test_a_value_of_a_json_body(condition: JsonCondition, said: str) -> None:
    assert fault(check(json=(condition,)), answer(json.dumps(BODY))) == said


@pytest.mark.parametrize("body", ["", "<html>", "[" * 100_000])
def test_what_is_no_json(body: str) -> None:
    said = fault(check(json=(JsonCondition(path="a"),)), answer(body))
    assert said.startswith("the body is no JSON: ")
    assert len(said) < 150


def test_a_mark_of_byte_order_before_the_body_is_no_part_of_it() -> None:
    assert fault(check(json=(JsonCondition(path="a"),)), answer('\ufeff{"a": 1}')) == ""


def specs(tag: str = "v2") -> tuple[WorkloadSpec, ...]:
    return tuple(
        WorkloadSpec(service=name, image=ImageReference.parse(f"a/b:{tag}"), replicas=2, template=Template())
        for name in stack().names
    )


def test_every_stack_is_checked_on_its_probe_paths_and_where_its_services_find_each_other() -> None:
    found = built_in(stack(), slot=Slot.GREEN, workloads=specs())
    health = [(each.check.service, each.check.path) for each in found if each.what is CheckKind.HEALTH]
    paths = {
        (service.name, probe.path)
        for service in stack().services
        for probe in (service.probed.startup, service.probed.readiness, service.probed.liveness)
    }
    assert set(health) == paths
    assert len(health) == len(paths), "each once"
    paired = [each.check.service for each in found if each.addressed]
    assert paired == [each.name for each in stack().services if each.needs or _needed(each.name)]
    assert not [each for each in found if each.what is CheckKind.IDENTITY]


def _needed(name: str) -> bool:
    return any(need.service == name for service in stack().services for need in service.needs)


@pytest.mark.parametrize(
    ("tells", "tag", "wanted"),
    [
        (Tells(path="/", slot=Told(header="X-Slot")), "v2", ((("X-Slot", "green"),), ())),
        (Tells(path="/", version=Told(json="a.b")), "v2", ((), (JsonCondition(path="a.b", equals='"v2"'),))),
        (Tells(path="/", version=Told(header="X-Version")), "", None),
    ],
)
def test_slot_and_version_are_compared_where_a_service_tells_them(
    tells: Tells, tag: str, wanted: tuple[object, object] | None
) -> None:
    """A reference without a tag names no version that a program could tell."""
    first, *others = stack().services
    told = replace(stack(), services=(replace(first, tells=tells), *others))
    workloads = specs(tag) if tag else tuple(replace(each, image=DIGEST) for each in specs())
    found = [
        each.check
        for each in built_in(told, slot=Slot.GREEN, workloads=workloads)
        if each.check.name.startswith("slot")
    ]
    assert [(each.headers, each.json) for each in found] == ([wanted] if wanted is not None else [])


DIGEST = ImageReference(registry="docker.io", repository="a/b", digest="sha256:" + "0" * 64)
