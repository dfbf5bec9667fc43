"""Sizes and autoscalers: one row of a table each."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from tests.kubernetes_adapter.alfred_kit import BACKEND, BLUE, GREEN, Namespace, Object, alfred, scaler, scaler_view

from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.sizes import own_least, putting_back, raising, size_findings, sizes
from bluegreen.ports import Severity

IDLE = "alfred-backend-green"


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is there, and what a stage makes of the backend."""

    live: int | None
    """Size of the active Deployment; None: there is none."""
    scaler: Object | None = None
    """Of the idle Deployment."""
    active_scaler: Object | None = None
    wanted: int
    differs: bool = False
    said: list[tuple[Severity, str]] = field(default_factory=list)
    """Severity, and a part of the text."""


ROWS = {
    "as large as what serves": Row(live=2, wanted=2),
    "grown by hand": Row(live=5, wanted=5),
    "grown by an autoscaler of its own": Row(live=7, active_scaler=scaler("alfred-backend-blue", least=2), wanted=7),
    "shrunk to one": Row(live=1, wanted=1),
    "nobody serves: the app file's": Row(live=0, wanted=2),
    "no Deployment there: the app file's": Row(live=None, wanted=2),
    "its autoscaler is content": Row(live=2, scaler=scaler(IDLE, least=2), wanted=2),
    "its autoscaler would make it smaller": Row(
        live=6, scaler=scaler(IDLE, least=2), wanted=6, differs=True, said=[(Severity.NOTE, "at 6 pods or more")]
    ),
    "its autoscaler keeps more than what serves": Row(live=2, scaler=scaler(IDLE, least=3), wanted=3),
    "raised by a killed run, to the same": Row(
        live=6, scaler=scaler(IDLE, least=6, annotations={names.LEAST: "2"}), wanted=6
    ),
    "raised by a killed run, to more than is needed now": Row(
        live=3,
        scaler=scaler(IDLE, least=6, annotations={names.LEAST: "2"}),
        wanted=3,
        differs=True,
        said=[(Severity.NOTE, "then at 2 again")],
    ),
    "a mark that is no number": Row(live=2, scaler=scaler(IDLE, least=2, annotations={names.LEAST: "two"}), wanted=2),
    "its autoscaler's most is too small": Row(
        live=6,
        scaler=scaler(IDLE, least=2, most=4),
        wanted=6,
        differs=True,
        said=[(Severity.REFUSE, "4 pods at most, and the slot that serves has 6")],
    ),
    "an autoscaler of something else": Row(live=4, scaler=scaler("alfred-backend-greenish", least=1, most=1), wanted=4),
    "an autoscaler of another kind of that name": Row(
        live=4,
        scaler={**scaler(IDLE), "spec": {"scaleTargetRef": {"kind": "StatefulSet", "name": IDLE}, "maxReplicas": 1}},
        wanted=4,
    ),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_sizes(row: Row) -> None:
    there = Namespace()
    if row.live is None:
        del there.deployments["alfred-backend-blue"]
    else:
        there.deployments["alfred-backend-blue"]["spec"]["replicas"] = row.live
    scalers = [scaler_view(one) for one in (row.active_scaler, row.scaler) if one]

    found = sizes(alfred(), there.live, active=BLUE, scalers=scalers)
    assert [size.service for size in found] == ["alfred-backend", "alfred-gateway"]
    assert (found[0].replicas, found[0].differs) == (row.wanted, row.differs)
    assert found[1].replicas == 2

    said = list(size_findings(found, namespace="alfred", may_patch=True))
    assert [finding.severity for finding in said] == [severity for severity, _ in row.said]
    for finding, (_, text) in zip(said, row.said, strict=True):
        assert text in finding.text


def test_without_an_active_slot_the_app_file_decides() -> None:
    there = Namespace()
    there.deployments["alfred-backend-blue"]["spec"]["replicas"] = 9
    assert [size.replicas for size in sizes(alfred(), there.live, active=None, scalers=())] == [2, 2]


def test_an_idle_deployment_of_another_name_is_found_by_its_labels() -> None:
    there = Namespace()
    there.deployments[IDLE]["metadata"]["name"] = "old-name"
    found = sizes(alfred(), there.live, active=BLUE, scalers=[scaler_view(scaler("old-name", least=1))])
    assert found[0].scaler is not None


def test_the_other_way_round() -> None:
    """Green serves, so blue's autoscaler is the one that matters."""
    there = Namespace()
    there.deployments[IDLE]["spec"]["replicas"] = 4
    found = sizes(alfred(), there.live, active=GREEN, scalers=[scaler_view(scaler("alfred-backend-blue"))])
    assert (found[0].replicas, found[0].differs) == (4, True)


def test_raising_remembers_and_putting_back_forgets() -> None:
    before = scaler_view(scaler(IDLE, least=2))
    raised = raising(before, 6)
    assert raised == {
        "metadata": {"resourceVersion": "7", "annotations": {names.LEAST: "2"}},
        "spec": {"minReplicas": 6},
    }
    assert putting_back(before) is None

    after = scaler_view(scaler(IDLE, least=6, annotations={names.LEAST: "2"}))
    assert raising(after, 4) == {
        "metadata": {"resourceVersion": "7", "annotations": {names.LEAST: "2"}},
        "spec": {"minReplicas": 4},
    }
    assert putting_back(after) == {
        "metadata": {"resourceVersion": "7", "annotations": {names.LEAST: None}},
        "spec": {"minReplicas": 2},
    }


def test_a_mark_that_is_no_number_goes_and_changes_nothing() -> None:
    found = scaler_view(scaler(IDLE, least=3, annotations={names.LEAST: "many"}))
    assert own_least(found) == 3
    assert putting_back(found) == {
        "metadata": {"resourceVersion": "7", "annotations": {names.LEAST: None}},
        "spec": {"minReplicas": 3},
    }


def test_without_the_right_to_patch_an_autoscaler_that_would_shrink_the_slot_refuses() -> None:
    there = Namespace()
    there.deployments["alfred-backend-blue"]["spec"]["replicas"] = 6
    found = sizes(alfred(), there.live, active=BLUE, scalers=[scaler_view(scaler(IDLE, least=2))])
    (finding,) = size_findings(found, namespace="alfred", may_patch=False)
    assert finding.severity is Severity.REFUSE
    assert finding.mend.endswith("kubectl auth can-i patch hpa -n alfred")


def test_an_autoscaler_that_another_controller_keeps_is_told() -> None:
    there = Namespace()
    there.deployments["alfred-backend-blue"]["spec"]["replicas"] = 6
    kept = scaler(IDLE, least=2)
    kept["metadata"]["ownerReferences"] = [{"kind": "ScaledObject", "name": "x", "uid": "u", "controller": True}]
    found = sizes(alfred(), there.live, active=BLUE, scalers=[scaler_view(kept)])
    said = list(size_findings(found, namespace="alfred", may_patch=True))
    assert [finding.severity for finding in said] == [Severity.NOTE, Severity.WARN]
    assert BACKEND in said[1].mend
