"""ports.Platform.check: one result for each pod or address asked, and missing evidence is never an answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.contract.bench import Make, grip, home, limit, look, spec, stage_good, wait

from bluegreen.domain.errors import DeadlineExceeded
from bluegreen.domain.health import Doomed, judge
from bluegreen.domain.stack import HttpCheck, JsonCondition
from bluegreen.domain.values import replace
from bluegreen.ports import Check, Through

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.contract.bench import Bench

    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import Slot
    from bluegreen.ports import CheckResult


def check(bench: Bench, slot: Slot, through: Through, *, service: str = "", status: int = 200) -> Check:
    """A request to the readiness path."""
    service = service or bench.stack.names[-1]
    path = bench.stack.service(service).probed.readiness.path
    wanted = HttpCheck(name=f"{service} {through}", service=service, path=path, status=status)
    return Check(check=wanted, slot=slot, through=through)


def made(bench: Bench, *checks: Check) -> Sequence[CheckResult]:
    return bench.platform().check(checks, until=limit(bench))


def test_every_pod_is_asked(bench: Bench) -> None:
    slot = home(bench).other
    stage_good(bench, slot)
    for name in bench.stack.names:
        wanted = check(bench, slot, Through.PODS, service=name)
        results = made(bench, wanted)
        assert len(results) == bench.stack.service(name).replicas
        assert all(result.check == wanted and result.passed is True and result.detail for result in results)
        assert all(result.answered_by in {None, slot} for result in results)


def test_a_slots_own_address_answers_from_the_slot(bench: Bench) -> None:
    for slot in (home(bench), home(bench).other):
        if slot is not home(bench):
            stage_good(bench, slot)
        (result,) = made(bench, check(bench, slot, Through.PREVIEW))
        assert result.passed is True
        assert result.answered_by is slot


def test_the_address_that_users_call_says_which_slot_answered(bench: Bench) -> None:
    """Whatever slot the check is about. Where it cannot be reached, that is no answer."""
    serving = home(bench)
    for slot in (serving, serving.other):
        (result,) = made(bench, check(bench, slot, Through.ENTRY))
        expected = (True, serving) if bench.reaches_entry else (None, None)
        assert (result.passed, result.answered_by) == expected
        assert result.detail


def test_a_batch_is_answered_in_order(bench: Bench) -> None:
    slot = home(bench).other
    stage_good(bench, slot)
    checks = [check(bench, slot, way, service=name) for name in bench.stack.names for way in Through]
    results = made(bench, *checks)
    asked = [
        each
        for each in checks
        for _ in range(bench.stack.service(each.check.service).replicas if each.through is Through.PODS else 1)
    ]
    assert [result.check for result in results] == asked
    assert made(bench) in ((), [])


@pytest.mark.parametrize("through", Through)
def test_another_answer_than_the_expected_one_is_a_failed_check(bench: Bench, through: Through) -> None:
    slot = home(bench).other
    stage_good(bench, slot)
    for result in made(bench, check(bench, slot, through, status=418)):
        if through is Through.ENTRY and not bench.reaches_entry:
            assert result.passed is None
        else:
            assert result.passed is False
            assert "200" in result.detail


TOLD: dict[str, tuple[dict[str, Any], str]] = {
    "a body": ({"contains": '"ok": true', "matches": '"n": [0-9]'}, ""),
    "another body": ({"contains": "seven"}, "the body does not hold 'seven'"),
    "another pattern": ({"matches": "^ok"}, "the body does not match '^ok'"),
    "a header": ({"headers": (("x-told", "yes"),)}, ""),
    "another header": ({"headers": (("X-Told", "no"),)}, "the header X-Told is 'yes', not 'no'"),
    "JSON": ({"json": (JsonCondition(path="ok", equals="true"), JsonCondition(path="list.0", equals='"a"'))}, ""),
    "other JSON": ({"json": (JsonCondition(path="n", above=3),)}, "n is 3, not above 3"),
    "a class": ({"status": 2}, ""),
    "another class": ({"status": 4, "other_statuses": (302,)}, "answered 200, not 4xx or 302"),
    "soon": ({"latency": 4.0}, ""),
    "too late": ({"latency": 0.0001}, "not within 0.0001 s"),
    "what was posted": ({"method": "POST", "body": "order 66", "contains": "order 66"}, ""),
    "what was posted, as JSON": (
        {
            "method": "POST",
            "body": '{"a": [1, {"b": null}]}',
            "request_headers": (("Content-Type", "application/json"),),
            "json": (JsonCondition(path="a.0", equals="1"),),
        },
        "",
    ),
}


def test_an_answer_is_judged_by_all_that_a_check_says(bench: Bench) -> None:
    """One stage for the whole table."""
    slot = home(bench).other
    stage_good(bench, slot)
    for through in (Through.PODS, Through.PREVIEW):
        for name, (wanted, said) in TOLD.items():
            asked = HttpCheck(name=name, service=bench.stack.names[0], path="/told")
            for result in made(bench, Check(check=replace(asked, **wanted), slot=slot, through=through)):
                assert result.passed is (not said), f"{name}: {result.detail}"
                assert said in result.detail, name


def test_a_slot_without_pods_cannot_be_asked_and_says_so(bench: Bench) -> None:
    slot = home(bench).other
    bench.platform().end(slot, order=bench.stack.end_order, grip=grip(bench), until=limit(bench))
    (result,) = made(bench, check(bench, slot, Through.PODS))
    assert (result.passed, result.answered_by) == (None, None)
    assert result.detail
    (result,) = made(bench, check(bench, slot, Through.PREVIEW))
    assert result.passed is not True


def test_pods_that_do_not_run_cannot_be_asked(bench: Bench) -> None:
    slot = home(bench).other
    wanted = spec(bench, slot, Make.CANNOT_START)
    bench.platform().stage(wanted, grip=grip(bench), until=limit(bench))

    def doomed(now: Snapshot) -> bool:
        return isinstance(judge(now, slot, revision=wanted.revision), Doomed)

    wait(bench, bench.platform(), doomed, what="a verdict of doom")
    results = made(bench, check(bench, slot, Through.PODS))
    assert results
    assert all(result.passed is None and result.detail for result in results)


def test_a_check_that_had_no_time_proves_nothing(bench: Bench) -> None:
    wanted = check(bench, home(bench), Through.ENTRY)
    try:
        results = bench.platform().check([wanted], until=limit(bench, -0.001))
    except DeadlineExceeded:
        return
    assert [result.passed for result in results] == [None]


def test_checks_change_nothing(bench: Bench) -> None:
    before = look(bench)
    made(bench, *(check(bench, home(bench), way) for way in Through))
    assert look(bench).routes == before.routes
