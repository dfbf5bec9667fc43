"""``bluegreen doctor`` on real objects: Alfred's chart is clean; each mend, run as it stands, silences its finding."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes.account_kit import Account
from tests.kubernetes.conftest import make_stack

if TYPE_CHECKING:
    from pathlib import Path

    from testbed.cluster import Cluster

    from cluster_harness import ClusterStack

pytestmark = pytest.mark.cluster

IDLE = "alfred-backend-green"
Found = list[dict[str, Any]]


def doctor(stack: ClusterStack | Account, *, code: int = 0) -> Found:
    found: Found = stack.must("doctor", code=code, output="json").events
    assert found[-1]["event"] == "examined"
    return found[:-1]


def rules(found: Found) -> set[str]:
    return {each["rule"] for each in found}


def pasted(mend: str) -> str:
    """The command of a mend, which begins after what it says in words."""
    return mend[mend.index("kubectl ") :]


def shell(stack: ClusterStack, command: str) -> None:
    """Run a line that was told to a person, as it stands."""
    done = stack.cluster.run(["sh", "-c", command], limit=60)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


DOCUMENTED = ("bluegreen doctor --namespace shop", "bluegreen doctor --output json")
"""docs/doctor.md's commands."""


@pytest.mark.parametrize("command", DOCUMENTED)
def test_the_commands_of_the_page_are_run(shared: ClusterStack, command: str) -> None:
    words = command.replace("shop", shared.namespace).split()[1:]
    done = shared.cluster.run(shared.command(*words))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_chart_of_alfred_is_clean(cluster: Cluster, tmp_path: Path) -> None:
    """As it is: the settings for quick runs probe more often than a probe may take, which is told."""
    stack = make_stack(cluster, tmp_path, purpose="clean", settings=())
    try:
        clean(stack)
    finally:
        stack.remove()


def clean(stack: ClusterStack) -> None:
    found = doctor(stack)
    assert {each["severity"] for each in found} <= {"note"}, found
    assert rules(found) <= {"budget-waits"}
    text = stack.must("doctor").out
    assert "nothing refuses a release" in text


@dataclass(frozen=True, kw_only=True)
class Case:
    """A change of a real object, and the rule that tells it. Its mend is run as it stands."""

    rule: str
    kind: str = "deployment"
    name: str = IDLE
    pods: dict[str, Any] | None = None
    """Of the pod template's spec."""
    container: dict[str, Any] | None = None
    spec: dict[str, Any] | None = None
    code: int = 0

    @property
    def patch(self) -> str:
        """As kubectl patch takes it."""
        pods = dict(self.pods or {})
        if self.container is not None:
            pods["containers"] = [{"name": "backend", **self.container}]
        return json.dumps({"spec": self.spec or {"template": {"spec": pods}}})


PROBE = {"httpGet": {"path": "/health", "port": 8000}}
CASES = [
    Case(rule="no-readiness-probe", container={"readinessProbe": None}),
    Case(rule="no-startup-probe", container={"startupProbe": None}),
    Case(rule="liveness-equals-readiness", container={"livenessProbe": {"periodSeconds": 1, "failureThreshold": 3}}),
    Case(rule="probe-timeout", container={"readinessProbe": {"periodSeconds": 1, "timeoutSeconds": 3}}),
    Case(rule="no-pre-stop", container={"lifecycle": None}),
    Case(rule="short-grace", pods={"terminationGracePeriodSeconds": 10}),
    Case(rule="pull-policy", container={"imagePullPolicy": "Always"}),
    Case(rule="no-spread", pods={"topologySpreadConstraints": None}),
    Case(rule="single-replica", name="alfred-backend-blue", spec={"replicas": 1}),
    Case(rule="budget-waits", kind="pdb", name="alfred-backend-pdb", spec={"minAvailable": 2}),
    Case(rule="budget-kind", kind="pdb", name="alfred-backend-pdb", spec={"minAvailable": None, "maxUnavailable": 1}),
    Case(rule="session-affinity", kind="service", name="alfred-backend", spec={"sessionAffinity": "ClientIP"}),
    Case(
        rule="need-shared",
        name="alfred-gateway-green",
        code=9,
        spec={
            "template": {
                "spec": {
                    "containers": [
                        {
                            "name": "gateway",
                            "env": [{"name": "BACKEND_URL", "value": "http://alfred-backend-blue:8000"}],
                        }
                    ]
                }
            }
        },
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[case.rule for case in CASES])
def test_what_is_wrong_with_a_real_object_is_found_and_its_mend_mends_it(shared: ClusterStack, case: Case) -> None:
    before = of_rule(doctor(shared), case)
    strategy = "merge" if case.kind == "pdb" else "strategic"
    shared.kubectl("patch", case.kind, case.name, f"--type={strategy}", "-p", case.patch)
    (found,) = [each for each in of_rule(doctor(shared, code=case.code), case) if each not in before]
    assert found["why"]
    shell(shared, pasted(found["mend"]))
    again = of_rule(doctor(shared), case)
    assert found not in again
    assert all(each in before for each in again), again


def of_rule(found: Found, case: Case) -> Found:
    return [each for each in found if each["rule"] == case.rule and case.name in told(each)]


def told(found: dict[str, Any]) -> str:
    """Its text and its mend: one of them names the object."""
    return f"{found['text']} {found['mend']}"


def test_a_service_without_a_budget_gets_one(shared: ClusterStack) -> None:
    shared.kubectl("delete", "pdb", "alfred-gateway-pdb")
    (found,) = [each for each in doctor(shared) if each["rule"] == "no-budget"]
    shell(shared, pasted(found["mend"]))
    assert "no-budget" not in rules(doctor(shared))


def test_a_second_budget_over_the_same_pods(shared: ClusterStack) -> None:
    shared.kubectl("create", "poddisruptionbudget", "spare", "--selector=app=alfred-backend", "--min-available=1")
    (found,) = [each for each in doctor(shared) if each["rule"] == "budgets-overlap"]
    shell(shared, pasted(found["mend"]))
    assert "budgets-overlap" not in rules(doctor(shared))


def test_rights_that_an_account_lacks_are_given_by_the_lines_that_are_told(shared: ClusterStack) -> None:
    shared.kubectl("create", "serviceaccount", "looker")
    shared.kubectl(
        "create", "rolebinding", "looks", "--clusterrole=view", f"--serviceaccount={shared.namespace}:looker"
    )
    account = Account(shared, "looker")
    found = [each for each in doctor(account, code=9) if each["rule"] == "missing-right"]
    assert any(each["severity"] == "refuse" and "patch services" in each["text"] for each in found), found
    for each in found:
        shell(shared, pasted(each["mend"]))
    assert "missing-right" not in rules(doctor(account))


def test_a_stack_that_is_not_there_and_a_namespace_that_is_not_there(shared: ClusterStack) -> None:
    words = shared.command("doctor", "--namespace", "nowhere-at-all", "--output", "json")
    done = shared.cluster.run(words)
    assert done.returncode == 6, done.stdout + done.stderr
