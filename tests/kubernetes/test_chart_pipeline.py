"""The chart that leaves selectors, Deployments and budgets to the pipeline: no way of applying it moves anything.

A row of the table in docs/helm.md is a test here, by its name. What the pipeline does is done by `bluegreen` itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.kubernetes.chart_kit import CHANGED, FIRST, HELMS, Refusal, place

from bluegreen.platforms.kubernetes import names
from cluster_harness import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testbed.cluster import Cluster
    from tests.kubernetes.chart_kit import Now, Place

pytestmark = pytest.mark.cluster

MINE = ("--set", "ownership=pipeline")


@pytest.fixture(params=HELMS)
def here(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Place]:
    """Installed by one of both Helms; the slots' Deployments are as a pipeline makes them, with users on green."""
    with place(cluster, request.param, purpose="pipeline") as found:
        found.install(*MINE)
        found.take_over()
        yield found


@pytest.fixture
def released(here: Place) -> Now:
    """What the release has made."""
    found = here.now()
    assert {(each.slot, each.green.tag, each.blue.tag) for each in found.values()} == {("green", "v2", "v1")}
    return found


def test_a_fresh_install_has_no_users_and_no_pods(cluster: Cluster) -> None:
    with place(cluster, "helm3", purpose="pipeline") as here:
        here.install(*MINE, "--set", "gateway.spareReplicas=1")
        assert [(each.slot, each.blue.tag, each.green.tag) for each in here.now().values()] == [("", "", "")] * 2
        found = here.get("podtemplate/alfred-gateway")
        assert found["metadata"]["annotations"][names.REPLICAS] == "3"
        (container,) = found["template"]["spec"]["containers"]
        variables = {each["name"]: each["value"] for each in container["env"]}
        assert (variables["SLOT"], variables["BACKEND_URL"]) == ("__SLOT__", "http://alfred-backend-__SLOT__:8000")
        assert here.get("poddisruptionbudget/alfred-gateway-pdb")["metadata"]["annotations"][names.MINIMUM] == "2"


def test_upgrade(here: Place, released: Now) -> None:
    here.upgrade(*FIRST, *MINE, *CHANGED)
    assert here.now() == released


def test_upgrade_with_reused_values(here: Place, released: Now) -> None:
    here.upgrade("--reuse-values", *CHANGED)
    assert here.now() == released


def test_upgrade_with_reset_values(here: Place, released: Now) -> None:
    here.upgrade("--reset-values", *FIRST, *MINE, *CHANGED)
    assert here.now() == released


def test_upgrade_by_force(here: Place, released: Now) -> None:
    """By replacement is the one exception: what the chart does not say is taken out of Services and budgets."""
    if here.program == "helm4":
        here.upgrade("--reuse-values", *CHANGED, "--force-conflicts")
        assert here.now() == released
    way = {"helm3": ["--force"], "helm4": ["--force-replace", "--server-side=false"]}[here.program]
    here.upgrade("--reuse-values", *CHANGED, *way)
    assert {each.slot for each in here.now().values()} == {""}


def test_rollback(here: Place, released: Now) -> None:
    here.upgrade("--reuse-values", *CHANGED)
    here.helm("rollback", "alfred", "1")
    assert here.now() == released


def test_template_applied_with_kubectl(here: Place, released: Now) -> None:
    for more in ((), ("--dry-run=server",)):
        here.apply(here.template(*FIRST, *MINE, *CHANGED, *more))
        assert here.now() == released


def test_template_applied_with_kubectl_on_the_servers_side(here: Place, released: Now) -> None:
    here.upgrade("--reuse-values")
    here.apply(here.template(*FIRST, *MINE), "--server-side", "--force-conflicts")
    assert here.now() == released


def test_uninstall_collects_what_the_pipeline_made(here: Place) -> None:
    here.helm("uninstall", "alfred")
    wait_until(lambda: here.left() == set(), what="the Deployments to be collected", limit=120)


def test_a_change_of_the_owner_is_refused(cluster: Cluster) -> None:
    with place(cluster, "helm3", purpose="pipeline") as here:
        here.install()
        before = here.now()
        with Refusal() as refusal:
            here.upgrade("--reuse-values", *MINE)
        assert "ownership is pipeline, and alfred-backend is live with ownership chart" in refusal.text
        assert "docs/helm.md, Changing the owner" in refusal.text
        assert here.now() == before
