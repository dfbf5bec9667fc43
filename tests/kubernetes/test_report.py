"""The report and the checklist of real releases, beside what the load generator counted of the same time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.kubernetes.conftest import LOAD_LIMIT

from agreement import Reports
from cluster_harness import ClusterLoad

if TYPE_CHECKING:
    from cluster_harness import ClusterStack

pytestmark = [pytest.mark.cluster, pytest.mark.soak]

WINDOW = "10"
"""Seconds: enough for some 500 requests, and so for a judgement."""


def test_a_release_is_reported_as_the_load_generator_saw_it(shared: ClusterStack) -> None:
    """A good release, then one that answers 5 % errors: each report lies between the generator's two counts."""
    good, bad = f"{shared.namespace}-good", f"{shared.namespace}-bad"
    shared.image(good)
    shared.image(bad, fault="errors=5")
    reports = Reports(shared.folder / "spans.jsonl")
    load = ClusterLoad(shared, bad=[bad], seconds=LOAD_LIMIT, spans=reports.path)
    try:
        time.sleep(2)  # users before the first switch
        shared.deploy(good, "--validation-time", WINDOW)
        reports.add(shared.report())
        verified = shared.must("verify", "--no-wait", code=8, output="json").events
        shared.deploy(bad, "--validation-time", WINDOW, code=3)
        reports.add(shared.report())
        time.sleep(2)
        counts = load.stop()
    except BaseException:
        load.kill()
        raise

    found = list(reports.beside(counts.spans))
    assert [each.holds for each in found] == [True, True], "\n".join(map(str, found))
    assert found[0].answers > 300
    assert found[1].errors > 0
    states = [item["state"] for item in next(event for event in verified if event["event"] == "checklist")["items"]]
    assert states == ["met", "not yet known", "met", "met", "met"]
    assert counts.failed == 0, counts.told()


def test_show_draws_every_run_in_every_format(shared: ClusterStack) -> None:
    """Of whatever the other test has left in the journal, or of a release without users."""
    if not shared.must("history", output="json").events:
        shared.image(f"{shared.namespace}-alone")
        shared.deploy(f"{shared.namespace}-alone", "--validation-time", "2")
    for run in shared.must("history", output="json").events:
        text = shared.must("show", run["id"]).out
        assert text.startswith(f"{run['kind_of_run']} {run['id']}: ")
        assert shared.must("show", run["id"], output="markdown").out.startswith("## ")
        page = shared.must("show", run["id"], output="html").out
        assert page.startswith("<!doctype html>")
        assert "<svg" in page
        assert "<script" not in page


@pytest.mark.long
def test_five_minutes_after_a_release_its_checklist_is_fulfilled(shared: ClusterStack) -> None:
    """The specification's own five minutes, under load, judged by another process than the one that released."""
    tag = f"{shared.namespace}-five"
    shared.image(tag)
    load = ClusterLoad(shared, seconds=LOAD_LIMIT)
    try:
        shared.deploy(tag, "--validation-time", WINDOW)
        process = shared.told("verify")
        assert process.process.wait(timeout=420) == 0
        assert process.end() == 0
        counts = load.stop()
    except BaseException:
        load.kill()
        raise
    checklist = next(event for event in process.events if event["event"] == "checklist")
    assert [item["state"] for item in checklist["items"]] == ["met"] * 5
    assert counts.failed == 0, counts.told()
