"""Every command of the page for Kubernetes users, run as it is written there, and judged by what its output means.

The lines are read from docs/kubernetes.md. Those that the specification gives stand in ``SPECIFIED``, letter for
letter: the page must hold each. A line on the page that nobody has said the meaning of fails, too. They need the
namespace `alfred`, so they run where nobody else has one.
"""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes.kit import OTHER, deploy_words, point, shares_the_cluster, sizes, tags, whole

from cluster_harness import QUICK, ROOT, SERVICES, ClusterStack, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testbed.cluster import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.soak]

PAGE = ROOT / "docs" / "kubernetes.md"
SCRIPT = "devops/scripts/blue_green_deploy.sh"
SPECIFIED = (
    f"{SCRIPT} --backend-image alfredai/backend:v2.1.0",
    f"{SCRIPT} --backend-image alfredai/backend:v2.1.0 --gateway-image alfredai/gateway:v2.1.0",
    f"{SCRIPT} --backend-image alfredai/backend:v2.1.0 --scale-down-old",
    f"{SCRIPT} --backend-image alfredai/backend:v2.1.0 --dry-run",
    "kubectl cluster-info",
    "kubectl get namespace alfred",
    "kubectl get deployments -n alfred -l app=alfred-backend",
    "kubectl get svc -n alfred alfred-backend -o jsonpath='{.spec.selector.slot}'",
    "kubectl get pods -n alfred -l app=alfred-backend -w",
    "kubectl rollout status deployment/alfred-backend-green -n alfred",
    "kubectl get svc alfred-backend -n alfred -o jsonpath='{.spec.selector.slot}'",
    """kubectl patch svc alfred-backend -n alfred -p '{"spec":{"selector":{"slot":"blue"}}}'""",
    """kubectl patch svc alfred-gateway -n alfred -p '{"spec":{"selector":{"slot":"blue"}}}'""",
    "kubectl get svc -n alfred -o wide",
)
FIRST, VERSION = "v2.0.0", "v2.1.0"


def fenced(page: Path) -> list[str]:
    """The lines of the page's fenced blocks."""
    blocks = re.findall(r"^```\w*\n(.*?)^```$", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    return [line for block in blocks for line in block.splitlines() if line]


COMMANDS = list(dict.fromkeys(line for line in fenced(PAGE) if line.startswith(("kubectl ", SCRIPT))))


@pytest.fixture(scope="module")
def stack(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterStack]:
    """Alfred in the namespace that the specification names."""
    if shares_the_cluster():
        pytest.skip("not run: the namespace alfred is not ours on a cluster that others use")
    stack = ClusterStack(cluster, namespace="alfred", folder=tmp_path_factory.mktemp("alfred"))
    set_up_the_script(stack)
    _gone(stack)
    try:
        for tag in (FIRST, VERSION):
            stack.image(tag)
        stack.install(FIRST, *QUICK)
        yield stack
    finally:
        stack.remove()
        _gone(stack)  # other suites have a namespace of this name as well


def _gone(stack: ClusterStack) -> None:
    """A namespace that is on its way out takes nothing new."""
    stack.cluster.kubectl("wait", "--for=delete", "namespace/alfred", "--timeout=100s")


def set_up_the_script(stack: ClusterStack) -> None:
    """Its first use needs the package index, which the cluster's network does not reach."""
    subprocess.run([ROOT / SCRIPT, "--help"], env=environment(stack), capture_output=True, check=True, timeout=120)


def environment(stack: ClusterStack) -> dict[str, str]:
    """With a cache of the script's own."""
    return {**stack.environment(), "XDG_CACHE_HOME": str(stack.folder / "cache")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A line that was run, and the stack that it was about."""

    line: str
    out: str
    stack: ClusterStack
    before: str
    """The slot that served before it."""


def run_line(stack: ClusterStack, line: str) -> Ran:
    """Run it by a shell, as whoever copies it does; it has to succeed."""
    before = stack.selector()
    words = stack.cluster.command(["bash", "-c", line])
    done = subprocess.run(
        words, env=environment(stack), cwd=ROOT, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, f"{line}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return Ran(line=line, out=done.stdout, stack=stack, before=before)


@pytest.mark.parametrize("line", SPECIFIED)
def test_the_page_holds_it_letter_for_letter(line: str) -> None:
    assert line in COMMANDS


@pytest.mark.parametrize("line", COMMANDS)
def test_it_means_what_a_person_expects(line: str, stack: ClusterStack) -> None:
    meaning = next((meaning for pattern, meaning in MEANINGS if re.fullmatch(pattern, line)), None)
    assert meaning is not None, f"{line}: say in MEANINGS what its output has to mean"
    meaning(stack, line)
    whole_again(stack)


def whole_again(stack: ClusterStack) -> None:
    """Both slots warm; one that was ended is started, so that the next line finds what a person would."""
    for slot in OTHER:
        if 0 in sizes(stack, slot).values():
            stack.must("rollback", "--to", slot, "--cold")
    whole(stack)


# --- what each line has to mean ---------------------------------------------------------------------------------------


def _users_on(stack: ClusterStack, tag: str) -> None:
    """Bring users to this version, wherever it is staged."""
    if tags(stack, stack.selector()) != {tag}:
        stack.must(*deploy_words(tag, "--validation-time", "0"))


def _another(stack: ClusterStack) -> str:
    """The version that users do not get now."""
    return FIRST if tags(stack, stack.selector()) == {VERSION} else VERSION


def tells_where_the_cluster_is(stack: ClusterStack, line: str) -> None:
    assert "control plane" in run_line(stack, line).out


def finds_the_namespace(stack: ClusterStack, line: str) -> None:
    assert re.search(r"^alfred +Active", run_line(stack, line).out, flags=re.MULTILINE)


def lists_both_slots_warm(stack: ClusterStack, line: str) -> None:
    out = run_line(stack, line).out
    for slot in OTHER:
        assert re.search(rf"^alfred-backend-{slot} +2/2 +2 +2 ", out, flags=re.MULTILINE), out


def prints_the_slot_that_serves(stack: ClusterStack, line: str) -> None:
    for slot in OTHER:
        point(stack, slot)
        assert run_line(stack, line).out == slot


def shows_pods_come_and_become_ready(stack: ClusterStack, line: str) -> None:
    """Looked on from before a release to its end: pods of the idle slot come, get ready, and nothing of it ends."""
    _users_on(stack, FIRST)
    process = subprocess.Popen(
        stack.cluster.command(["bash", "-c", line]), env=stack.environment(), text=True, stdout=-1
    )
    try:
        stack.must(*deploy_words(VERSION))
        assert process.poll() is None, "a watch that ends by itself"
        names = {
            pod["metadata"]["name"]
            for pod in stack.get("pods", "-l", f"app=alfred-backend,slot={stack.selector()}")["items"]
        }
    finally:
        process.terminate()
        out, _ = process.communicate(timeout=10)
    for name in names:
        assert re.search(rf"^{name} +0/1 ", out, flags=re.MULTILINE), out
        assert re.search(rf"^{name} +1/1 +Running ", out, flags=re.MULTILINE), out


def says_rolled_out(stack: ClusterStack, line: str) -> None:
    """While a release is on its way it waits; then it says so. For the slot that it names, whichever serves."""
    if stack.selector() == "green":
        point(stack, "blue")
    told = stack.told(*deploy_words(_another(stack)))
    told.reach("phase_began", phase="validate")
    out = run_line(stack, line).out
    assert 'deployment "alfred-backend-green" successfully rolled out' in out
    assert told.end() == 0, told.shown()
    assert stack.selector() == "green"


def moves_one_service(stack: ClusterStack, line: str) -> None:
    """After a switch it brings users back; before one, or again, it changes nothing. The other line is the other's."""
    service = "backend" if "alfred-backend" in line else "gateway"
    for slot, said in (("green", "patched"), ("blue", "patched (no change)")):
        point(stack, slot)
        assert run_line(stack, line).out.strip() == f"service/alfred-{service} {said}"
        assert stack.selected(service) == "blue"
    point(stack, "blue")


def shows_the_selectors(stack: ClusterStack, line: str) -> None:
    out = run_line(stack, line).out
    for service in SERVICES:
        found = re.search(rf"^alfred-{service} .*app=alfred-{service},slot=(\w+)$", out, flags=re.MULTILINE)
        assert found, out
        assert found[1] == stack.selected(service)


def releases_the_backend(stack: ClusterStack, line: str) -> None:
    """The other slot gets the new backend and the gateway that served, and then users."""
    _users_on(stack, FIRST)
    ran = run_line(stack, line)
    assert stack.selector() == OTHER[ran.before]
    assert stack.tag("backend", stack.selector()) == VERSION
    assert stack.tag("gateway", stack.selector()) == FIRST
    if "--scale-down-old" in line:
        assert sizes(stack, ran.before) == {"alfred-backend": 0, "alfred-gateway": 0}


def releases_both(stack: ClusterStack, line: str) -> None:
    _users_on(stack, FIRST)
    ran = run_line(stack, line)
    assert stack.selector() == OTHER[ran.before]
    assert tags(stack, stack.selector()) == {VERSION}
    assert sizes(stack, ran.before) == {"alfred-backend": 2, "alfred-gateway": 2}


def plans_and_writes_nothing(stack: ClusterStack, line: str) -> None:
    _users_on(stack, FIRST)
    before = stack.get("deployments,services,poddisruptionbudgets")
    out = run_line(stack, line).out
    after = stack.get("deployments,services,poddisruptionbudgets")
    assert _as_written(before) == _as_written(after)
    assert "alfredai/backend:v2.1.0" in out
    assert f"alfredai/gateway:{FIRST}" in out, "what is carried over is part of the plan"


def _as_written(listing: dict[str, Any]) -> list[tuple[str, ...]]:
    """What a command could have changed; statuses, and so versions, are changed by controllers, a little later."""
    own = ("name", "uid", "generation", "labels", "annotations", "ownerReferences", "finalizers")
    return [
        (item["kind"], *(json.dumps(item["metadata"].get(key)) for key in own), json.dumps(item["spec"]))
        for item in listing["items"]
    ]


def brings_users_back(stack: ClusterStack, line: str) -> None:
    before = stack.selector()
    stack.must(*deploy_words(_another(stack)))
    run_line(stack, line)
    wait_until(lambda: stack.routed(before), what="users back", limit=60)


IMAGE = r"alfredai/\w+:v2\.1\.0"
MEANINGS: tuple[tuple[str, Callable[[ClusterStack, str], None]], ...] = (
    ("kubectl cluster-info", tells_where_the_cluster_is),
    ("kubectl get namespace alfred", finds_the_namespace),
    ("kubectl get deployments -n alfred .*", lists_both_slots_warm),
    (r"kubectl get svc .*jsonpath.*", prints_the_slot_that_serves),
    ("kubectl get pods .* -w", shows_pods_come_and_become_ready),
    ("kubectl rollout status .*", says_rolled_out),
    ("kubectl patch svc .*", moves_one_service),
    ("kubectl get svc -n alfred -o wide", shows_the_selectors),
    (rf"{SCRIPT} --backend-image {IMAGE}( --scale-down-old)?", releases_the_backend),
    (rf"{SCRIPT} --backend-image {IMAGE} --gateway-image {IMAGE}", releases_both),
    (rf"{SCRIPT} --backend-image {IMAGE} --dry-run", plans_and_writes_nothing),
    (rf"{SCRIPT} rollback", brings_users_back),
)
