"""The chart's Roles are the one list of rights: none more, none less; each that is missing is told by its name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml
from tests.kubernetes.account_kit import Account, role, rules_in
from tests.kubernetes.chart_kit import FIRST, HELMS, place
from tests.kubernetes.conftest import make_stack
from tests.kubernetes.kit import QUICK, deploy_words, fresh, idle, serving_tag
from tests.kubernetes_adapter.authority_kit import without

from bluegreen.appfile import load_app
from bluegreen.platforms.kubernetes.rights import POSTING, RIGHTS, Right, rules
from bluegreen.ports import Severity
from cluster_harness import CHART, ClusterStack, wait_until
from harness import ALFRED as ALFRED_FILE
from harness import images_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testbed.cluster import Cluster

    from bluegreen.platforms.kubernetes.rights import Rule
    from harness import Done

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

RELEASER, READER = "alfred-releaser", "alfred-reader"
WITH_ACCOUNTS = ("rbac.create=true", "rbac.seeNodes=false")
"""Without rights outside the namespace: those would give some of the ones within as well."""
ALFRED = load_app().stack
INSIDE = [right for right in RIGHTS if not right.everywhere]


def listed(namespace: str, rights: list[Right]) -> list[Rule]:
    return list(rules(rights, stack=ALFRED, namespace=namespace))


# --- the chart ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("helm", HELMS)
def test_the_charts_roles_are_the_list(cluster: Cluster, helm: str) -> None:
    with place(cluster, helm, purpose="rights") as here:
        rendered = here.template(*FIRST, "--set", "rbac.create=true", "--set", "rbac.seeNodes=true")
        roles = {
            item["metadata"]["name"]: rules_in(item)
            for item in yaml.safe_load_all(rendered)
            if item and item["kind"] in {"Role", "ClusterRole"}
        }
        name = here.namespace
        assert roles == {
            RELEASER: listed(name, INSIDE),
            READER: listed(name, [right for right in INSIDE if right.reading]),
            f"{name}-{RELEASER}": listed(name, [right for right in RIGHTS if right.everywhere]),
        }


def test_checks_that_post_are_an_option_of_the_chart(cluster: Cluster) -> None:
    with place(cluster, HELMS[0], purpose="rights") as here:
        rendered = here.template(*FIRST, "--set", "rbac.create=true", "--set", "rbac.postChecks=true")
        (role,) = [
            item
            for item in yaml.safe_load_all(rendered)
            if item and (item["kind"], item["metadata"]["name"]) == ("Role", RELEASER)
        ]
        assert rules_in(role) == listed(here.namespace, [*INSIDE, *POSTING])


# --- one right less -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stack(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterStack]:
    """Alfred with the chart's accounts."""
    made = make_stack(cluster, tmp_path_factory.mktemp("rights"), purpose="rights", settings=(*QUICK, *WITH_ACCOUNTS))
    yield made
    made.remove()


@pytest.fixture(scope="module")
def releaser(stack: ClusterStack) -> Account:
    return Account(stack, RELEASER)


def one_by_one() -> list[tuple[Right, str, str]]:
    """Each verb of each right; of rights to named objects the first and the last."""
    found = []
    for right in INSIDE:
        objects = right.objects(stack=ALFRED, namespace="") or ("",)
        found += [(right, verb, name) for verb in right.verbs for name in dict.fromkeys((objects[0], objects[-1]))]
    return found


EACH = one_by_one()


@pytest.mark.parametrize(("right", "verb", "name"), EACH, ids=[f"{v} {r.plural} {n}".strip() for r, v, n in EACH])
def test_a_right_that_is_taken_away_is_told(
    stack: ClusterStack, releaser: Account, right: Right, verb: str, name: str
) -> None:
    name = stack.namespace if right.resource == "namespaces" else name
    whole = listed(stack.namespace, INSIDE)
    left = without(whole, plural=right.plural, verb=verb, name=name)
    assert left != whole
    give(stack, left)
    what, slash, part = right.resource.partition("/")
    question = (verb, f"{what}/{name}" if name else what, *([f"--subresource={part}"] if slash else []))
    try:
        wait_until(lambda: not releaser.may(*question), what=f"the right to {verb} {what} to be gone", limit=60)
        done = releaser.run("deploy", *images_of("first"), "--force", "--dry-run")
    finally:
        give(stack, whole)
    wait_until(lambda: releaser.may(*question), what=f"the right to {verb} {what} to be back", limit=60)
    if right.lacking is Severity.REFUSE:
        refused(done, verb, right.resource)
    else:
        degraded(done, right.lost)


POSTS = "  - {name: posts, service: alfred-backend, path: /api/work, method: POST, body: x, contains: received}\n"


@pytest.mark.parametrize("right", POSTING, ids=[right.plural for right in POSTING])
def test_what_only_a_check_that_posts_takes_is_told_where_the_app_file_posts(
    stack: ClusterStack, releaser: Account, right: Right, tmp_path: Path
) -> None:
    app = tmp_path / "bluegreen.yaml"
    app.write_text((ALFRED_FILE / "bluegreen.yaml").read_text().replace("\nchecks:\n", f"\nchecks:\n{POSTS}"))
    words = ("deploy", *images_of("first"), "--force", "--dry-run")
    question = ("create", right.plural.partition("/")[0], "--subresource=proxy")
    whole = listed(stack.namespace, [*INSIDE, *POSTING])
    try:
        give(stack, whole)
        wait_until(lambda: releaser.may(*question), what="the right to post", limit=60)
        assert right.lost not in " ".join(releaser.must(*words, "--app", str(app)).out.split())
        give(stack, without(whole, plural=right.plural, verb="create"))
        wait_until(lambda: not releaser.may(*question), what="the right to post to be gone", limit=60)
        degraded(releaser.run(*words, "--app", str(app)), right.lost)
        assert right.lost not in " ".join(releaser.must(*words).out.split()), "this app file does not post"
    finally:
        give(stack, listed(stack.namespace, INSIDE))


def give(stack: ClusterStack, rules: list[Rule]) -> None:
    """Let the releaser have these rights and no others."""
    stack.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=role(RELEASER, rules))


def refused(done: Done, verb: str, resource: str) -> None:
    """Exit 6, one error that names the right, and the question that tells when it is there."""
    shown = f"exit {done.code}\n{done.out}\n{done.err}"
    (error,) = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert done.code == 6, shown
    assert re.search(rf"\b{verb} {re.escape(resource)}\b", error), shown
    mend = " ".join(done.err.partition(error)[2].split())
    assert f"kubectl auth can-i {verb} {resource.partition('/')[0]}" in mend, shown
    assert "Traceback" not in done.err, shown


def degraded(done: Done, lost: str) -> None:
    """It goes on, and says what is lost."""
    shown = f"exit {done.code}\n{done.out}\n{done.err}"
    assert done.code == 0, shown
    assert lost in " ".join(f"{done.out} {done.err}".split()), shown


# --- all of them, and no more -------------------------------------------------------------------------------------


def test_the_releasers_rights_are_enough(stack: ClusterStack, releaser: Account) -> None:
    """A whole release with retirement, a way back that is cold, and every command that looks."""
    before, tag = stack.selector(), fresh(stack)
    target = idle(stack)
    done = releaser.must(*deploy_words(tag, "--scale-down-old"))
    assert (stack.selector(), serving_tag(stack)) == (target, tag), done.out
    assert "may not" not in done.out + done.err
    releaser.must("rollback", "--cold")
    assert stack.selector() == before
    for words in (("status",), ("history",), ("show",), ("logs",)):
        releaser.must(*words)


def test_the_readers_rights_are_enough_to_look_and_not_to_release(stack: ClusterStack) -> None:
    reader = Account(stack, READER)
    for words in (("status",), ("history",), ("logs",)):
        reader.must(*words)
    before = stack.selector()
    release = deploy_words("first", "--force")
    done = reader.run(*release, "--dry-run")
    assert done.code == 6, done.out + done.err
    assert f"system:serviceaccount:{stack.namespace}:{READER} lacks" in done.err
    assert "patch services alfred-backend, alfred-gateway" in done.err
    done = reader.run(*release)
    assert (done.code, "leases.coordination.k8s.io" in done.err) == (6, True), done.err
    assert reader.run("rollback", "--to", "green" if before == "blue" else "blue").code == 6
    assert stack.selector() == before


def test_what_takes_the_right_to_see_the_nodes_away_is_said_only_then(stack: ClusterStack, releaser: Account) -> None:
    lost = next(right.lost for right in RIGHTS if right.everywhere)
    words = ("deploy", *images_of("first"), "--force", "--dry-run")
    assert lost in " ".join(releaser.must(*words).out.split())
    try:
        see_nodes(stack, releaser, allowed=True)
        assert lost not in " ".join(releaser.must(*words).out.split())
    finally:
        see_nodes(stack, releaser, allowed=False)


def see_nodes(stack: ClusterStack, releaser: Account, *, allowed: bool) -> None:
    stack.run_helm("upgrade", "alfred", str(CHART), "--reuse-values", "--set", f"rbac.seeNodes={str(allowed).lower()}")
    wait_until(
        lambda: releaser.may("list", "nodes", "-A") is allowed, what=f"the right to see nodes: {allowed}", limit=60
    )
