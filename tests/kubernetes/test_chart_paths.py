"""Every way of applying the chart again after a release: what moves, for both owners, with both Helms.

A row of the tables in docs/helm.md is a test here, by its name.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.kubernetes.chart_kit import (
    CHANGED,
    FIRST,
    NEW_SIZE,
    NEWEST_AND_LONG_ALL,
    SERVICES,
    V2,
    Refusal,
    installed,
    place,
)

from cluster_harness import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.cluster import Cluster
    from tests.kubernetes.chart_kit import Now, Place

pytestmark = pytest.mark.cluster


@pytest.fixture(params=NEWEST_AND_LONG_ALL)
def here(cluster: Cluster, request: pytest.FixtureRequest) -> Iterator[Place]:
    """Installed by one of both Helms, and released once since: users are on green."""
    with place(cluster, request.param, purpose="paths") as found:
        found.install()
        assert found.now() == installed()
        found.release()
        yield found


@pytest.fixture
def released(here: Place) -> Now:
    """What the release has made."""
    found = here.now()
    assert {each.green for each in found.values()} == {V2}
    assert {each.slot for each in found.values()} == {"green"}
    assert all(each.budget.startswith("100% of") for each in found.values())
    return found


def with_the_setting(now: Now) -> Now:
    """The same, with the changed setting in the slot that does not serve."""
    return {name: replace(each, blue=replace(each.blue, setting="new")) for name, each in now.items()}


def without_settings(now: Now) -> Now:
    """The same; Helm 4 goes on with other objects after a conflict, and may put a setting back in the idle slot."""
    return {name: replace(each, blue=replace(each.blue, setting="")) for name, each in now.items()}


def test_upgrade(here: Place, released: Now) -> None:
    here.upgrade(*FIRST, *CHANGED)
    assert here.now() == with_the_setting(released)


def test_upgrade_with_no_values_at_all(here: Place, released: Now) -> None:
    here.upgrade()
    assert here.now() == released


def test_upgrade_with_reused_values(here: Place, released: Now) -> None:
    here.upgrade("--reuse-values", *CHANGED)
    assert here.now() == with_the_setting(released)


def test_upgrade_with_reset_values(here: Place, released: Now) -> None:
    here.upgrade("--reset-values", *CHANGED)
    assert here.now() == with_the_setting(released)


def test_upgrade_by_force(here: Place, released: Now) -> None:
    ways = {"helm3": [["--force"]], "helm4": [["--force-conflicts"], ["--force-replace", "--server-side=false"]]}
    for way in ways[here.program]:
        here.upgrade(*CHANGED, *way)
        assert here.now() == with_the_setting(released)


def test_upgrade_with_helm_4_of_what_helm_3_installed(cluster: Cluster) -> None:
    with place(cluster, "helm3", purpose="paths") as here:
        here.install()
        here.release()
        released = here.now()
        for more in ((), ("--server-side=true", "--force-conflicts"), ("--server-side=false",)):
            here.upgrade(*more, program="helm4")
            assert here.now() == released


def test_upgrade_after_the_old_slot_was_scaled_down(here: Place, released: Now) -> None:
    for name in SERVICES:
        here.kubectl("scale", f"deployment/alfred-{name}-blue", "--replicas=0")
    here.upgrade(*FIRST)
    nothing = {name: replace(each, blue=replace(each.blue, replicas=0)) for name, each in released.items()}
    assert here.now() == nothing


def test_upgrade_with_a_size_that_an_autoscaler_decides(here: Place) -> None:
    here.kubectl("autoscale", "deployment", "alfred-gateway-green", f"--min={NEW_SIZE + 2}", "--max=9", "--cpu=80%")

    def size() -> int:
        return here.now()["gateway"].green.replicas

    wait_until(lambda: size() == NEW_SIZE + 2, what="the autoscaler to decide", limit=120)
    here.upgrade(*FIRST, *CHANGED)
    assert size() == NEW_SIZE + 2


def test_upgrade_by_who_may_edit_the_namespace_and_nothing_else(here: Place, released: Now) -> None:
    here.kubectl("create", "serviceaccount", "helm")
    account = f"system:serviceaccount:{here.namespace}:helm"
    here.kubectl("create", "rolebinding", "helm", "--clusterrole=edit", f"--serviceaccount={here.namespace}:helm")
    here.upgrade(*FIRST, *CHANGED, "--kube-as-user", account)
    assert here.now() == with_the_setting(released)


def test_upgrade_while_a_release_runs(here: Place, released: Now) -> None:
    here.hold_lock(seconds_ago=5)
    with Refusal() as refusal:
        here.upgrade(*CHANGED)
    assert "a release of alfred is running" in refusal.text
    assert here.now() == released
    here.upgrade("--set", "duringRelease=true")
    here.hold_lock(seconds_ago=90)
    here.upgrade(*CHANGED)
    assert here.now() == with_the_setting(released)
    here.hold_lock(seconds_ago=0, holder=None)
    here.upgrade(*CHANGED)


# --- the way back that renders nothing --------------------------------------------------------------------------


def test_rollback(here: Place, released: Now) -> None:
    here.upgrade(*CHANGED)
    for revision in ("1", "2"):
        with Refusal() as refusal:
            here.helm("rollback", "alfred", revision)
        assert {"helm3": "helm-rollback-would-move-users", "helm4": "conflict"}[here.program] in refusal.text
        assert without_settings(here.now()) == released
        here.tidy()
    here.upgrade(*CHANGED)
    assert here.now() == with_the_setting(released)


def test_rollback_with_helm_4_of_what_helm_3_installed(cluster: Cluster) -> None:
    with place(cluster, "helm3", purpose="paths") as here:
        here.install()
        here.release()
        released = here.now()
        here.upgrade(program="helm4")
        for revision in ("1", "2"):
            with Refusal() as refusal:
                here.helm("rollback", "alfred", revision, program="helm4")
            assert "helm-rollback-would-move-users" in refusal.text
            here.tidy()
        assert here.now() == released


def test_rollback_without_hooks(here: Place, released: Now) -> None:
    """What the docs warn of."""
    if here.program == "helm3":
        here.helm("rollback", "alfred", "1", "--no-hooks")
        assert moved_back(here.now())
        return
    with Refusal() as refusal:
        here.helm("rollback", "alfred", "1", "--no-hooks")
    assert "conflict" in refusal.text
    assert here.now() == released


def test_upgrade_that_rolls_back_when_it_fails(here: Place, released: Now) -> None:
    """No pod of these can be placed, so the upgrade fails at its time limit."""
    way = {"helm3": "--atomic", "helm4": "--rollback-on-failure"}[here.program]
    with Refusal():
        here.upgrade(*CHANGED, way, "--timeout", "3s")
    assert without_settings(here.now()) == released
    here.tidy()
    here.upgrade(*CHANGED)
    assert here.now() == with_the_setting(released)


# --- without Helm's own apply -----------------------------------------------------------------------------------


def moved_back(now: Now) -> bool:
    """Whether users, images and sizes are as on the first day. Nothing can stop it: these rows are for the docs."""
    return all((each.slot, each.green.tag) == ("blue", "v1") for each in now.values())


def test_template_applied_with_kubectl(here: Place, released: Now) -> None:
    here.apply(here.template(*FIRST))
    assert moved_back(here.now())


def test_template_without_images(here: Place, released: Now) -> None:
    with Refusal() as refusal:
        here.template()
    assert "backend.image is not set, and nothing runs whose image could be kept" in refusal.text


def test_template_applied_with_kubectl_on_the_servers_side(here: Place, released: Now) -> None:
    with Refusal() as refusal:
        here.apply(here.template(*FIRST), "--server-side")
    assert "conflict" in refusal.text
    assert {each.slot for each in here.now().values()} == {"green"}


def test_template_of_what_is_live_applied_with_kubectl(here: Place, released: Now) -> None:
    for _ in range(2):
        here.apply(here.template("--dry-run=server", *CHANGED))
        assert here.now() == with_the_setting(released)


def test_template_of_what_was_live_before_a_switch(here: Place, released: Now) -> None:
    old = here.template("--dry-run=server")
    for name in SERVICES:
        here.switch(name, "blue")
    with Refusal() as refusal:
        here.apply(old)
    assert "the object has been modified" in refusal.text
    assert {each.slot for each in here.now().values()} == {"blue"}


def test_upgrade_that_meets_a_switch(cluster: Cluster, tmp_path: Path) -> None:
    """Between its reading and its writing, where Helm 3 runs a program if it is told to."""
    with place(cluster, "helm3", purpose="paths") as here:
        here.install()
        patch = '{"spec":{"selector":{"slot":"green"}}}'
        meanwhile = tmp_path / "switch"
        meanwhile.write_text(
            f"#!/bin/sh\nkubectl -n {here.namespace} patch service alfred-gateway -p '{patch}' >&2\nexec cat\n"
        )
        meanwhile.chmod(0o755)
        with Refusal() as refusal:
            here.upgrade("--post-renderer", str(meanwhile))
        assert "the object has been modified" in refusal.text
        assert here.now()["gateway"].slot == "green"
        here.upgrade()
        assert here.now()["gateway"].slot == "green"


# --- the end ----------------------------------------------------------------------------------------------------


def test_uninstall(here: Place) -> None:
    here.helm("uninstall", "alfred")
    assert here.left() == set()


def test_uninstall_that_keeps_what_serves(here: Place, released: Now) -> None:
    here.upgrade("--set", "keepOnUninstall=true")
    here.helm("uninstall", "alfred")
    assert here.now() == released
    here.install()
    assert here.now() == released
    here.upgrade("--set", "keepOnUninstall=false")
    here.helm("uninstall", "alfred")
    assert here.left() == set()
