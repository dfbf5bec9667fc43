"""The chart over Services that were there before it: what stays as it is, and what is refused before a write.

No pod runs here; users on the way are in test_chart_under_load.py.
"""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes.chart_docs import blocks
from tests.kubernetes.chart_kit import HELMS, SERVICES, Refusal, place
from tests.kubernetes.chart_kit import V1 as FRESH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.cluster import Cluster
    from tests.kubernetes.chart_kit import Place

pytestmark = pytest.mark.cluster

OVER = "--take-ownership"
PORTS = {"backend": 8000, "gateway": 8080}


@pytest.fixture(params=HELMS)
def here(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Place]:
    """A namespace with nothing in it."""
    with place(cluster, request.param, purpose="adoption") as found:
        yield found


def make_services(
    here: Place,
    *,
    selector: dict[str, str] | None = None,
    port: dict[str, Any] | None = None,
    more: tuple[dict[str, Any], ...] = (),
    kind: str = "ClusterIP",
) -> None:
    """The two Services, pinned to plain pods unless a selector is given. ``port``: more of the port; ``more`` ports."""
    for name in SERVICES:
        body = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": f"alfred-{name}"},
            "spec": {
                "selector": selector or {"app": f"alfred-{name}", "slot": "plain"},
                "ports": [{"port": PORTS[name], **(port or {})}, *more],
                "type": kind,
            },
        }
        here.kubectl("apply", "-f", "-", stdin=json.dumps(body))


def test_services_of_others_are_not_taken_without_a_word(here: Place) -> None:
    make_services(here)
    with Refusal() as refusal:
        here.install()
    assert "cannot be imported into the current release" in refusal.text
    assert "Deployment/alfred-backend-blue" not in here.left()


def test_users_stay_where_they_are(here: Place) -> None:
    make_services(here)
    here.install(OVER)
    for _ in range(2):
        now = here.now()
        assert [each.slot for each in now.values()] == ["plain", "plain"]
        assert {(each.blue, each.green) for each in now.values()} == {(FRESH, FRESH)}
        assert now["gateway"].budget == '2 of {"matchLabels": {"app": "alfred-gateway", "slot": "plain"}}, marked \'\''
        (port,) = here.get("service/alfred-gateway")["spec"]["ports"]
        assert "name" not in port
        here.upgrade()


def test_a_service_that_selects_by_other_labels_keeps_them(here: Place) -> None:
    make_services(here, selector={"app.kubernetes.io/name": "something"})
    here.install(OVER)
    here.upgrade()
    assert {each.selector for each in here.now().values()} == {'{"app.kubernetes.io/name": "something"}'}
    (_, _, _, _, [replace]) = blocks("Day 0")
    here.kubectl(*shlex.split(replace.replace(" -n alfred ", " "))[1:])
    assert here.now()["backend"].selector == '{"app": "alfred-backend", "slot": "blue"}'


def test_ports_stay_as_they_are(here: Place) -> None:
    make_services(here, port={"name": "web", "targetPort": "http"}, more=({"name": "more", "port": 9000},))
    here.install(OVER)
    here.upgrade()
    found = [(port["name"], port["targetPort"]) for port in here.get("service/alfred-backend")["spec"]["ports"]]
    assert found == [("web", "http"), ("more", 9000)]


def test_a_service_that_would_select_both_slots_is_refused(here: Place) -> None:
    for name in SERVICES:
        make_services(here, selector={"app": f"alfred-{name}"})
        with Refusal() as refusal:
            here.install(OVER)
        assert f"Service alfred-{name} selects app=alfred-{name} alone" in refusal.text
        assert "docs/helm.md, Day 0" in refusal.text
        assert here.left() == {"Service/alfred-backend", "Service/alfred-gateway"}


def test_a_type_that_would_change_is_refused(here: Place) -> None:
    make_services(here, kind="NodePort")
    with Refusal() as refusal:
        here.install(OVER)
    assert "Service alfred-backend is of type NodePort; add --set backend.service.type=NodePort" in refusal.text
    here.install(OVER, "--set", "backend.service.type=NodePort", "--set", "gateway.service.type=NodePort")


def test_a_port_where_no_slot_listens_is_refused(here: Place) -> None:
    make_services(here, port={"targetPort": 5000})
    with Refusal() as refusal:
        here.install(OVER)
    assert (
        "Service alfred-backend does not send port 8000 to port 8000 of its pods, where the slots listen"
        in refusal.text
    )
    assert here.left() == {"Service/alfred-backend", "Service/alfred-gateway"}
